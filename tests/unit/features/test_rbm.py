from __future__ import annotations

import numpy as np
import pytest
import torch

from grandrounds.errors import BadData
from grandrounds.features.rbm import learn_rbm
from grandrounds.features.spec import RbmSpec

SMALL = {"n_hidden": 16, "window_px": 6, "passes": 2}


def bars(n=40, side_px=16, seed=0):
    """Images with one bright row or one bright column each."""
    random = np.random.default_rng(seed)
    images = random.normal(0.3, 0.02, (n, 1, side_px, side_px)).astype(np.float32)
    for one, at in enumerate(random.integers(side_px, size=n)):
        lines = images[one, 0] if one % 2 else images[one, 0].T
        lines[at] += 0.5
    return images


def learned(images, seed=0, **settings):
    return learn_rbm(images, RbmSpec(**SMALL | settings), torch.Generator().manual_seed(seed)).features


def test_features_are_mean_probabilities_of_each_cell():
    """One number between 0 and 1 for each hidden unit and cell; the cells' mean is that of the whole."""
    images = bars(side_px=17)  # 12 × 12 windows
    cells, whole = learned(images, cells=2).of(images), learned(images, cells=1).of(images)

    assert cells.shape == (40, 16 * 4)
    assert cells.min() >= 0
    assert cells.max() <= 1
    assert np.allclose(cells.reshape(40, 16, 4).mean(axis=2), whole, atol=1e-6)


def test_a_seed_decides():
    """The same seed learns the same features, another seed others."""
    images = bars()

    assert np.array_equal(learned(images).of(images), learned(images).of(images))
    assert not np.array_equal(learned(images).of(images), learned(images, seed=1).of(images))


@pytest.mark.parametrize("chains", ["cd", "pcd"])
@pytest.mark.parametrize("whitening", ["zca", "standardise"])
def test_learning_finds_what_the_images_show(whitening, chains):
    """Learned units tell rows from columns, further apart than their own scatter."""
    images = bars(n=200)
    features = learned(images, whitening=whitening, chains=chains, n_hidden=32, passes=10, cells=1).of(images)
    rows, columns = features[1::2], features[::2]
    apart = np.abs(rows.mean(axis=0) - columns.mean(axis=0)) / features.std(axis=0)

    assert apart.max() > 1


def test_persistent_chains_learn_something_else():
    """The chains that go on are not those that begin anew, and a seed decides of them too."""
    images = bars()

    assert not np.array_equal(learned(images, chains="pcd").of(images), learned(images).of(images))
    assert np.array_equal(learned(images, chains="pcd").of(images), learned(images, chains="pcd").of(images))


def test_units_answer_as_rarely_as_asked():
    """Mean activity over windows is near the wanted share."""
    images = bars(n=200)
    activity = learned(images, n_hidden=32, passes=10, cells=1, sparsity=0.1).of(images).mean()

    assert 0.05 < activity < 0.2


def test_weights_fade_and_batches_count():
    """A stronger decay leaves smaller weights, and steps of another size lead elsewhere."""
    images = bars(n=200)
    usual, faded = learned(images), learned(images, weight_decay=1.0)

    assert faded.kernels.norm() < 0.8 * usual.kernels.norm()
    assert not np.array_equal(learned(images, batch_size=64).of(images), usual.of(images))


def test_any_size_and_flat_images():
    """Large and oblong images are reduced, a window never exceeds the image, and flat images do no harm."""
    flat = np.full((5, 3, 40, 90), 0.5, np.float32)
    features = learned(flat, side_px=45, window_px=64)

    assert features.kernels.shape == (16, 1, 20, 20)
    assert np.isfinite(features.of(flat)).all()


def test_divergence_is_one_message():
    """A learning rate that is too high is refused with a remedy."""
    with pytest.raises(BadData, match="smaller learning_rate"):
        learned(bars(), learning_rate=1e6)


def test_a_machine_that_has_learned_nothing_of_its_windows_is_told():
    """Finite weights may still draw something else than what they were shown."""
    generator = torch.Generator().manual_seed(0)
    spec = RbmSpec(**SMALL | {"passes": 10, "chains": "pcd", "whitening": "standardise", "learning_rate": 0.05})
    wild = learn_rbm(bars(), spec, generator)

    assert wild.remark.startswith("the Boltzmann machine has not learned its windows: squared error")
    assert learn_rbm(bars(), RbmSpec(**SMALL), generator).remark is None
