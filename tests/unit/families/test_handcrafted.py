from __future__ import annotations

import numpy as np
import pytest

from grandrounds import families
from grandrounds.errors import BadData
from grandrounds.families.price import noise_view
from grandrounds.families.protocol import Budget
from grandrounds.tables import Task

QUICK = {"costs": (1.0,), "widths": (1.0,)}


def fit(name, view, **params):
    return families.build(name, QUICK | params).fit(view, view, Budget(), 0, lambda epoch: None)


@pytest.mark.parametrize("shape", [(3, 64, 96), (1, 28, 28)])
@pytest.mark.parametrize("name", ["sift-svm", "rbm-svm"])
def test_reads_colour_and_oblong_images(name, shape):
    """Any prepared shape is read without a setting."""
    view = noise_view(shape, 20, 2)
    probs = fit(name, view).predict(view)

    assert probs.shape == (20, 2)


@pytest.mark.parametrize(("side_px", "grid", "n_points"), [(32, None, 1), (64, None, 4), (32, 4, 16)])
def test_dense_where_the_image_is_large_or_the_user_says_so(side_px, grid, n_points):
    """Patches are described at the centre, larger images at one point per 32 pixels."""
    fitted = fit("sift-svm", noise_view((1, side_px, side_px), 12, 2), grid=grid)

    assert fitted.machine.mean.shape == (n_points * 128,)


def test_too_small_for_its_grid():
    """The refusal has the numbers."""
    with pytest.raises(BadData, match="at least 32 pixels a side, these have 16"):
        fit("sift-svm", noise_view((1, 16, 16), 12, 2), grid=4)


@pytest.mark.parametrize("kernel", ["linear", "gaussian"])
@pytest.mark.parametrize("name", ["lbp-svm", "rbm-svm", "sift-svm"])
def test_learns_one_batch_by_heart(name, kernel):
    """Where errors cost enough, each tells its own sixteen images of noise apart, as every network does."""
    view = noise_view((1, 32, 32), 16, 2)
    strict = {"kernels": (kernel,), "costs": (1e4,)} | ({"passes": 1} if name == "rbm-svm" else {})

    assert np.array_equal(fit(name, view, **strict).predict(view).argmax(axis=1), view.labels)


def test_features_are_learned_without_labels():
    """Other labels, same kernels."""
    view = noise_view((1, 16, 16), 40, 2)
    other = type(view)(view.pixels, view.samples, 1 - view.labels, Task(classes=("a", "b")))
    one, two = (fit("rbm-svm", each, passes=1).features.kernels.numpy() for each in (view, other))

    assert np.array_equal(one, two)


def test_whole_image_as_one_window():
    """A window as large as the image gives one set of hidden units."""
    fitted = fit("rbm-svm", noise_view((1, 16, 16), 40, 2), window_px=16, cells=1, n_hidden=8, passes=1)

    assert fitted.machine.mean.shape == (8,)
