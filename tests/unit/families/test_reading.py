from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812  (the name that everybody uses)

from grandrounds import families
from grandrounds.errors import BadData
from grandrounds.families.description import describe
from grandrounds.families.price import noise_view
from grandrounds.families.protocol import Budget
from grandrounds.families.selection import choose_by, quadratic_kappa

VIEW = noise_view((1, 16, 16), 24, 3)


def fit(name, params, view=VIEW):
    return families.build(name, params).fit(view, view, Budget(epochs=2), 0, lambda _: None)


def test_a_network_resizes_what_it_reads(tmp_path):
    """With `side_px` a network made for larger images reads small ones, also after it was saved."""
    fitted = fit("alexnet", {"side_px": 64, "width": 0.1})
    fitted.save(tmp_path)

    assert "16 × 16 resized to 64 × 64" in fitted.record.notes[0]
    assert np.array_equal(families.load("alexnet", tmp_path).predict(VIEW), fitted.predict(VIEW))
    with pytest.raises(BadData, match="set side_px = 63"):
        fit("alexnet", {"width": 0.1})


def test_resizing_is_that_of_torch():
    """The network behind the input layer gets the bilinear resizing of what the layer gave."""
    fitted = fit("li2014", {"side_px": 24})
    images = torch.from_numpy(VIEW.pixels)
    with torch.no_grad():
        larger = F.interpolate(fitted.module.first(images), (24, 24), mode="bilinear", align_corners=False)
        expected = torch.softmax(fitted.module.network(larger).double(), dim=1).numpy()

    assert np.allclose(fitted.predict(VIEW), expected, atol=1e-6)


def test_describe_draws_the_network_at_its_own_size():
    """Layers are those for the resized image."""
    assert describe("li2014", {"side_px": 32}, (1, 16, 16), 5).n_parameters == 276_605


@pytest.mark.parametrize("loss", ["cross-entropy", "binary"])
def test_mirror_images_are_asked_too(loss, tmp_path):
    """With `test_mirror` an image and its mirror image get the same, mean probabilities."""
    mirrored = dataclasses.replace(VIEW, pixels=VIEW.pixels[..., ::-1].copy())
    asked, plain = (fit("li2014", {"loss": loss, "test_mirror": asked, "choose": "last"}) for asked in (True, False))
    asked.save(tmp_path)

    assert np.allclose(asked.predict(VIEW), asked.predict(mirrored), atol=1e-6)
    assert not np.allclose(plain.predict(VIEW), plain.predict(mirrored), atol=1e-6)
    assert np.array_equal(families.load("li2014", tmp_path).predict(VIEW), asked.predict(VIEW))
    if loss == "cross-entropy":
        assert np.allclose(asked.predict(VIEW), (plain.predict(VIEW) + plain.predict(mirrored)) / 2, atol=1e-5)


def test_no_mirror_images_where_sides_matter():
    """Where a set forbids mirroring, nobody asks a mirror image."""
    sided = dataclasses.replace(VIEW, flips=False)
    asked, plain = (fit("li2014", {"test_mirror": asked}, sided).predict(VIEW) for asked in (True, False))

    assert np.array_equal(asked, plain)


@pytest.mark.parametrize("how", ["auto", "auc", "log loss", "balanced accuracy", "kappa", "last"])
def test_every_way_to_choose_prefers_what_is_right(how):
    """Right answers are better than even ones, and those better than wrong ones."""
    right = np.eye(3)[VIEW.labels] * 0.7 + 0.1
    even, wrong = np.full((24, 3), 1 / 3), right[:, [1, 2, 0]]
    metric = choose_by(VIEW, how).metric

    assert metric(VIEW.labels, right) > metric(VIEW.labels, even) > metric(VIEW.labels, wrong)
    assert np.isnan(metric(VIEW.labels, np.full((24, 3), np.nan)))


def test_kappa_is_that_of_scikit_learn():
    """Quadratically weighted kappa equals the reference on random answers."""
    from sklearn.metrics import cohen_kappa_score

    random = np.random.default_rng(0)
    labels, probs = random.integers(0, 5, 200), random.random((200, 5))
    probs[np.arange(200), labels] += 0.3
    expected = cohen_kappa_score(labels, probs.argmax(axis=1), weights="quadratic")

    assert quadratic_kappa(labels, probs) == pytest.approx(expected)


def test_the_note_says_how_the_epoch_was_chosen():
    """A report can say what chose the epoch, or that nothing did."""
    assert "epoch chosen by kappa on valid" in fit("li2014", {"choose": "kappa"}).record.notes
    assert "epoch not chosen: the last one is kept" in fit("li2014", {"choose": "last"}).record.notes


@pytest.mark.parametrize("name", ["resnet-18", "vit-tiny", "swin-tiny"])
def test_dropping_changes_training_alone(name):
    """Dropped values and skipped blocks make training random and leave prediction as it is."""
    still = {"shift": 0.0, "rotate_deg": 0.0, "gain": 0.0, "mirror": "never"}
    view = noise_view((1, 16, 16), 12, 2)
    described = families.build(name, still | {"dropout": 0.3, "drop_path": 0.3})
    module = described.fit(view, view, Budget(), 0, lambda _: None).module
    images = torch.from_numpy(view.pixels)

    assert torch.equal(module(images), module(images))
    module.train()
    assert not torch.equal(module(images), module(images))
