"""One network for several tasks: what it learns from, what it answers, and whose labels it has seen."""

from __future__ import annotations

import dataclasses

import numpy as np
import polars as pl
import pytest
import torch

from grandrounds import families
from grandrounds.errors import BadData, BadSpec
from grandrounds.families.price import noise_view, time_batch
from grandrounds.families.protocol import Budget
from grandrounds.families.selection import macro_auc
from grandrounds.families.several_heads import Joined, learned
from grandrounds.shapes import OUTSIDE
from grandrounds.tables import Task
from grandrounds.training.losses import UNKNOWN, Mixed, OfLabels, OfTasks

SIDE_PX, SPACE = 16, (4, 16, 16)
QUICK = {"batch_size": 8, "learning_rate": 2e-3, "dropout": 0.1, "shift": 0.0}
OTHER = Task(name="broad", kind="multiclass", classes=("left", "middle", "right"))


def films(n, seed):
    """Images with a bright lower half in class 1, and beside them the task of where a bright column stands."""
    view, rng = noise_view((1, SIDE_PX, SIDE_PX), n, 2, seed), np.random.default_rng(seed)
    pixels, where = 0.3 * view.pixels, rng.integers(3, size=n)
    pixels[view.labels == 1, :, 8:] += 0.4
    for row, third in enumerate(where):
        pixels[row, :, :, 5 * third : 5 * third + 5] += 0.4
    samples = view.samples.with_columns(pl.col("sample", "case", "patient") + f"-{seed}")
    return dataclasses.replace(view, pixels=pixels, samples=samples, flips=False), where


def several(n, seed, known=slice(None), other=slice(None)):
    """The films whose own label is known, beside those whose label in the other task is."""
    view, where = films(n, seed)
    rows = np.arange(n)
    own, beside = (view.rows(np.isin(rows, rows[which])) for which in (known, other))
    beside = dataclasses.replace(beside, labels=where[other], task=OTHER)
    return dataclasses.replace(own, others=(beside,))


TRAIN, (VALID, _), (TEST, _) = several(48, 1), films(16, 2), films(40, 3)


def fitted(name="multitask:li2014", train=TRAIN, epochs=10, **params):
    return families.build(name, QUICK | params).fit(train, VALID, Budget(epochs=epochs), 0, lambda _: None)


def saved(model, place):
    place.mkdir()
    model.save(place)
    return families.fitted_hash(place)


def test_it_answers_for_its_own_task():
    """It gives a probability a class of its own task, and tells it; the record says what was learned along."""
    model = fitted()
    probs = model.predict(dataclasses.replace(TEST, labels=None))

    assert probs.shape == (40, 2)
    assert np.allclose(probs.sum(axis=1), 1)
    assert macro_auc(TEST.labels, probs) > 0.9
    assert "an output for each of 2 tasks, label (48 labels), broad (48 labels)" in " ".join(model.record.notes)


def test_saves_and_loads_with_the_outputs_of_all_tasks(tmp_path):
    """What was saved answers as before, to the last bit."""
    model = fitted(epochs=1, test_mirror=True)
    saved(model, tmp_path / "one")
    again = families.load("multitask:li2014", tmp_path / "one")

    assert np.array_equal(again.predict(TEST), model.predict(TEST))
    assert again.n_outputs == 5


def test_of_one_task_it_is_the_network_itself(tmp_path):
    """Where nothing is learned along, it is fitted as the network is without the word before its name."""
    alone = dataclasses.replace(TRAIN, others=())
    hashes = [saved(fitted(name, alone, 1), tmp_path / name[:5]) for name in ("multitask:li2014", "li2014")]

    assert hashes[0] == hashes[1]


def test_it_trains_as_the_recipe_of_the_network_says():
    """Parameters are those of the network, its recipe included, so that shared and separate differ in one thing."""
    assert families.params_of("multitask:resnet-18") == families.params_of("resnet-18")
    assert families.FAMILIES.get("multitask:resnet-18").defaults


def test_images_without_a_label_of_its_own_are_learned_from_too():
    """Whoever is labelled in either task is read once, and what nobody knows is marked so."""
    train = several(48, 1, known=slice(0, 30), other=slice(20, 48))
    found = learned(train)
    whole, where = films(48, 1)

    assert found.sizes == (2, 3)
    assert np.array_equal(np.asarray(found.pixels), whole.pixels)
    assert np.array_equal(found.labels[:, 0], np.where(np.arange(48) < 30, whole.labels, UNKNOWN))
    assert np.array_equal(found.labels[:, 1], np.where(np.arange(48) >= 20, where, UNKNOWN))
    assert fitted(train=train, epochs=1).record.patients == whole.patients | VALID.patients


def test_a_task_with_few_labels_is_learned_along_with_another():
    """Every label counts alike in the loss: it is the mean over those that are known."""
    torch.manual_seed(0)
    logits, images = torch.randn(6, 5, requires_grad=True), torch.zeros(6, 1, 2, 2)
    truth = torch.tensor([[0, UNKNOWN], [1, 2], [UNKNOWN, 0], [1, UNKNOWN], [0, UNKNOWN], [UNKNOWN, 1]])
    loss = OfTasks((OfLabels(), OfLabels()), (2, 3))
    logs = torch.cat([logits[:, :2].log_softmax(1), logits[:, 2:].log_softmax(1)], dim=1)
    cells = [(0, 0), (1, 1), (3, 1), (4, 0), (1, 4), (2, 2), (5, 3)]
    expected = -torch.stack([logs[cell] for cell in cells]).mean()

    assert loss(logits, images, truth).item() == pytest.approx(expected.item())
    mixed = loss(logits, images, Mixed(truth, truth.roll(1, 0), 0.3))
    both = 0.3 * loss(logits, images, truth) + 0.7 * loss(logits, images, truth.roll(1, 0))
    assert mixed.item() == pytest.approx(both.item())
    nothing = loss(logits, images, torch.full((6, 2), UNKNOWN))
    nothing.backward()
    assert nothing.item() == 0
    assert not logits.grad.any()


def test_who_is_left_out_is_left_out_of_every_task():
    """Rows of a view leave the other tasks without the samples and the patients that are gone, and no others."""
    train = several(48, 1, known=slice(0, 30), other=slice(20, 48))
    kept = train.rows(np.arange(30) < 25)

    assert (
        kept.others[0].samples["sample"].to_list()
        == train.others[0].samples["sample"][[*range(5), *range(10, 28)]].to_list()
    )
    assert np.array_equal(kept.others[0].labels, train.others[0].labels[[*range(5), *range(10, 28)]])


@pytest.mark.parametrize("name", ["ensemble:multitask:li2014", "folds:multitask:li2014", "sweep:multitask:li2014"])
def test_families_of_members_learn_several_tasks_with_them(name):
    """A committee or a sweep of it hands the other tasks on."""
    model = families.build(name, {"of": QUICK}).fit(TRAIN, VALID, Budget(epochs=5), 0, lambda _: None)
    members = getattr(model, "members", (model,))

    assert families.FAMILIES.get(name).learns_several
    assert all(member.n_outputs == 5 for member in members)


def test_exams_of_several_series_are_learned_for_several_tasks(tmp_path):
    """Series become channels in every task, and an exam that only another task knows is read as well."""
    view = noise_view((1, *SPACE), 48, 2, kinds=("axial", "coronal"))
    rows = np.arange(48)
    other = dataclasses.replace(view.rows(rows >= 16), task=OTHER, labels=(rows[16:] // 2) % 3)
    train = dataclasses.replace(view.rows(rows < 40), others=(other,))
    of = {"of": {"dropout": 0.0}, "batch_size": 8}
    family = families.build("exams:multitask:slices:spp", {"of": of})
    model = family.fit(train, view.rows(rows < 16), Budget(epochs=1), 0, lambda _: None)

    assert "label (20 labels), broad (16 labels)" in " ".join(model.record.notes)
    assert model.record.patients == view.patients
    assert model.predict(dataclasses.replace(view, labels=None)).shape == (48, 2)
    saved(model, tmp_path / "one")
    again = families.load("exams:multitask:slices:spp", tmp_path / "one")
    assert np.array_equal(again.predict(view), model.predict(view))


def test_images_of_several_origins_are_read_when_asked_for():
    """Joined images are those of their parts, in any order, and an index reads none."""
    one, two = np.random.default_rng(0).random((2, 5, 1, 2, 2), dtype=np.float32)
    joined, all_of_them = Joined((one, two[:3]), np.arange(8)), np.concatenate([one, two[:3]])

    assert joined.shape == (8, 1, 2, 2)
    assert np.array_equal(np.asarray(joined[np.array([7, 0, 5])]), all_of_them[[7, 0, 5]])
    assert np.array_equal(np.asarray(joined[2:]), all_of_them[2:])
    assert not (np.asarray(joined[np.zeros(8, dtype=np.bool_)]) == OUTSIDE).any()


@pytest.mark.parametrize("name", ["multitask:lbp-svm", "multitask:fusion:li2014", "multitask:ensemble:li2014"])
def test_what_has_no_network_cannot_be_shared(name):
    """The message names an example."""
    with pytest.raises(BadSpec, match="no network that could have an output for each task"):
        families.FAMILIES.get(name)


def test_networks_with_outputs_of_their_own_are_refused_when_priced():
    """A network that is taught by another has a second output already."""
    params = {"teacher": {"width": 0.125, "batch_size": 16}, "dim": 48, "depth": 1}
    with pytest.raises(BadData, match="several outputs of its own"):
        time_batch("multitask:deit-tiny", params, (1, SIDE_PX, SIDE_PX), 20, 8, 2, Budget())
