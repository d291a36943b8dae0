"""What every family must do, whoever wrote it; a new family of the registry is tested without a new file."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import polars as pl
import pytest

from grandrounds import families
from grandrounds.families.prefixed import PREFIXED
from grandrounds.families.price import noise_view
from grandrounds.families.protocol import Budget
from grandrounds.tables import SAMPLES, Task, check

SIDE_PX, DEPTH, N_CLASSES = 16, 2, 3
BUDGET = Budget(epochs=6)
SMALL = {"batch_size": 8, "learning_rate": 2e-3, "shift": 0.0}
TINY = {"width": 4, "levels": (1,), "dropout": 0.0}  # of spp
OF_PLANES = {**SMALL, "of": TINY}
OF_EXAMS = {**OF_PLANES, "batch_size": 4}  # half as many rows
# Of families whose name says what they are made of, the smallest member of each.
MADE_OF = {
    "ensemble:spp": {"n_members": 2, "of": {**SMALL, **TINY}},
    "folds:spp": {"n_members": 2, "of": {**SMALL, **TINY}},
    "sweep:spp": {"n_members": 2, "of": {**SMALL, **TINY}},
    "slices:spp": OF_PLANES,
    "exams:slices:spp": {"of": OF_EXAMS},
    "exams:transmed:spp": {"of": {**OF_EXAMS, "dim": 16, "depth": 1, "dropout": 0.0}},
    "exams:joint:spp": {"of": {**OF_EXAMS, "left_out": 0.0}},
    "fusion:slices:spp": {"n_parts": 2, "of": OF_PLANES},
    "monai:resnet10": {**SMALL, "of": {"widen_factor": 0.125, "conv1_t_size": 3}},
    "timm:test_resnet": SMALL,
    "multitask:li2014": {**SMALL, "dropout": 0.1},
}
AT_PUBLISHED_SIZE = {"torchvision"}  # whose smallest takes minutes to learn; `test_named_networks` fits and saves some
DEEP = ("resnet-101", "resnet-152")  # of the same blocks as resnet-50, which stays
NAMES = [
    pytest.param(name, marks=pytest.mark.long) if name in DEEP else name
    for name in (*families.FAMILIES.names(), *MADE_OF)
]
# Smaller and hungrier than a user would want, so that a few images are learnt in a second.
QUICK = {
    "lbp-svm": {"costs": (10.0,), "widths": (1.0,)},
    "li2014": {"batch_size": 8, "learning_rate": 2e-3, "dropout": 0.1, "shift": 0.0},
    "resnet-18": {"batch_size": 16, "width": 0.125},
    "resnet-34": {"batch_size": 16, "width": 0.125},
    "resnet-50": {"batch_size": 16, "width": 0.125},
    "nin": {"batch_size": 8, "width": 0.1, "dropout": 0.0, "shift": 0.0},
    "alexnet": {"batch_size": 8, "learning_rate": 2e-3, "width": 0.1, "dropout": 0.1, "shift": 0.0},
    "vgg-11": {"batch_size": 8, "width": 0.1, "dropout": 0.1, "shift": 0.0},
    "resnet-101": {"batch_size": 8, "width": 0.125},
    "resnet-152": {"batch_size": 8, "width": 0.125},
    "vgg-16": {"batch_size": 8, "width": 0.1, "dropout": 0.1, "shift": 0.0, "learning_rate": 2e-3},
    "googlenet": {"batch_size": 8, "learning_rate": 2e-3, "width": 0.25, "shift": 0.0},
    "spp": {"batch_size": 8, "width": 8, "dropout": 0.0, "shift": 0.0},
    "efficientnet-lite0-probe": {"side_px": None},
    "efficientnet-lite0": {
        "batch_size": 8,
        "learning_rate": 5e-3,
        "trunk_rate": 0.2,
        "side_px": None,
        "shift": 0.0,
    },
    "vit-small": {"batch_size": 8, "learning_rate": 2e-3, "dim": 48, "depth": 2, "shift": 0.0},
    "deit-tiny": {
        "batch_size": 8,
        "learning_rate": 2e-3,
        "dim": 48,
        "depth": 2,
        "shift": 0.0,
        "teacher": {"width": 0.125, "batch_size": 16},
    },
    "swin-tiny": {
        "batch_size": 8,
        "learning_rate": 2e-3,
        "dim": 16,
        "depths": (1, 1),
        "patch_px": 2,
        "head_dim": 8,
        "shift": 0.0,
    },
    "unet-swin": {
        "batch_size": 8,
        "learning_rate": 2e-3,
        "dim": 16,
        "depths": (1, 1),
        "patch_px": 2,
        "head_dim": 8,
        "shift": 0.0,
    },
    "vit-tiny": {"batch_size": 8, "learning_rate": 2e-3, "dim": 48, "depth": 2, "shift": 0.0},
}


def quick(name):
    return families.build(name, QUICK.get(name) or MADE_OF.get(name, {}))


def planted(n_patients, seed, labels=None, shown=None):
    """Two images for each patient; what they show and the clinical column say their class.

    `labels` gives the class that each patient is said to have, where that is not the class that is shown.
    """
    random = np.random.default_rng(seed)
    shown = np.arange(n_patients) % N_CLASSES if shown is None else shown
    labels = shown if labels is None else labels
    shown, labels, patient = (np.repeat(one, 2) for one in (shown, labels, np.arange(n_patients)))
    rows, columns = np.mgrid[:SIDE_PX, :SIDE_PX]
    stripes = np.stack([np.zeros_like(rows), rows // 4 % 2, columns % 2])  # smooth, broad, fine
    blob = random.normal(0, 0.1, n_patients)[patient]  # what is the patient's own
    pixels = 0.4 + 0.3 * stripes[shown] + blob[:, None, None] + random.normal(0, 0.05, (len(shown), SIDE_PX, SIDE_PX))
    frame = pl.DataFrame(
        {
            "sample": [f"{seed}-{row}" for row in range(len(shown))],
            "case": [f"{seed}-{one}" for one in patient],
            "patient": [f"{seed}-{one}" for one in patient],
            "hardness": shown + random.normal(0, 0.3, len(shown)),
        }
    )
    view = noise_view((1, SIDE_PX, SIDE_PX), len(shown), N_CLASSES)
    return dataclasses.replace(
        view, pixels=pixels[:, None].astype(np.float32), samples=check(frame, SAMPLES), labels=labels, flips=False
    )


TRAIN, VALID, TEST = planted(30, 1), planted(12, 2), planted(30, 3)


def seen(name, view):
    """The view as the family reads it: in larger images, as volumes of equal slices, its images as series of exams."""
    entry, pixels, samples = families.FAMILIES.get(name), view.pixels, view.samples
    times = -(-entry.smallest_px // pixels.shape[-1])
    pixels = pixels.repeat(times, axis=2).repeat(times, axis=3) if times > 1 else pixels
    if 2 not in entry.dims and pixels.ndim == 4:
        pixels = pixels[:, :, None].repeat(DEPTH, axis=2)
    if entry.reads == "case":
        samples = samples.with_columns(
            series_kind=pl.when(pl.int_range(pl.len()) % 2 == 0).then(pl.lit("one")).otherwise(pl.lit("two"))
        )
    return dataclasses.replace(view, pixels=pixels, samples=samples)


def with_another_task(name, view):
    """The view; for a family that learns several tasks also two thirds of its patients in another one."""
    if not families.FAMILIES.get(name).learns_several:
        return view
    other = view.rows(np.arange(len(view.labels)) % 6 < 4)
    task = Task(name="another", kind="binary", classes=("no", "yes"), positive="yes")
    labels = (other.labels == other.labels.max()).astype(np.int64)
    return dataclasses.replace(view, others=(dataclasses.replace(other, labels=labels, task=task),))


def fit(name, train=TRAIN, valid=VALID, budget=BUDGET, seed=0):
    train = with_another_task(name, seen(name, train))
    return quick(name).fit(train, seen(name, valid), budget, seed, lambda epoch: None)


@functools.cache
def fitted(name):
    return fit(name)


def balanced_accuracy(view, probs):
    right = probs.argmax(axis=1) == view.labels
    return np.mean([right[view.labels == k].mean() for k in range(N_CLASSES)])


def test_every_way_to_make_a_family_has_a_member_here():
    """A new prefix is tested as soon as somebody names its smallest member."""
    made_of = {part for name in MADE_OF for part in name.split(":")}

    assert {one.name.partition(":")[0] for one in PREFIXED} <= made_of | AT_PUBLISHED_SIZE


@pytest.mark.parametrize("name", NAMES)
def test_rows_are_probabilities(name):
    """One row per image, one column per class, each row sums to one."""
    probs = fitted(name).predict(seen(name, TEST))

    assert probs.shape == (len(TEST.pixels), N_CLASSES)
    assert probs.dtype == np.float64
    assert (probs >= 0).all()
    assert np.allclose(probs.sum(axis=1), 1, atol=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_repeats_for_a_seed_and_survives_saving(name, tmp_path):
    """The same seed gives the same files and probabilities, and loading gives them back to the last bit."""
    for folder, model in (("one", fitted(name)), ("two", fit(name))):
        (tmp_path / folder).mkdir()
        model.save(tmp_path / folder)
    expected = fitted(name).predict(seen(name, TEST))
    loaded = families.load(name, tmp_path / "two")

    assert families.fitted_hash(tmp_path / "one") == families.fitted_hash(tmp_path / "two")
    assert np.array_equal(expected, loaded.predict(seen(name, TEST)))
    assert loaded.record == fitted(name).record
    files = [path for path in (tmp_path / "one").rglob("*") if path.is_file()]
    assert {path.suffix for path in files} <= {".safetensors", ".json"}


@pytest.mark.parametrize("name", NAMES)
def test_fitted_state_does_not_depend_on_what_is_predicted(name, tmp_path):
    """Poisoned images and labels leave the hash of the fitted state as it was."""
    poisoned = dataclasses.replace(TEST, pixels=-100 * TEST.pixels, labels=(TEST.labels + 1) % N_CLASSES)
    hashes = []
    for number, test in enumerate((None, TEST, poisoned)):
        if test is not None:
            fitted(name).predict(seen(name, test))
        place = tmp_path / str(number)
        place.mkdir()
        fitted(name).save(place)
        hashes.append(families.fitted_hash(place))

    assert len(set(hashes)) == 1


@pytest.mark.parametrize("name", NAMES)
def test_inputs_are_only_read(name):
    """Images may be read-only, and nothing that was handed in changes."""
    given = seen(name, TRAIN)
    train = dataclasses.replace(given, pixels=given.pixels.copy(), labels=given.labels.copy())
    train.pixels.flags.writeable = train.labels.flags.writeable = False
    before = train.samples.clone()
    model = fit(name, train=train, budget=Budget())
    model.predict(dataclasses.replace(train, labels=None))

    assert train.samples.equals(before)
    assert np.array_equal(train.pixels, given.pixels)


@pytest.mark.parametrize("name", NAMES)
def test_copes_with_a_class_missing_from_valid(name):
    """It fits, and still gives the missing class its column."""
    valid = planted(12, 2, shown=np.arange(12) % 2)
    probs = fit(name, valid=valid).predict(seen(name, TEST))

    assert probs.shape == (len(TEST.pixels), N_CLASSES)
    assert np.isfinite(probs).all()
    assert probs[:, 2].max() > 0.1


@pytest.mark.parametrize("name", NAMES)
def test_a_class_missing_from_train_gets_little(name):
    """It fits, and the class that nobody showed is not predicted."""
    train = planted(30, 1, shown=np.arange(30) % 2)
    probs = fit(name, train=train, budget=BUDGET).predict(seen(name, TEST))

    assert np.isfinite(probs).all()
    assert (probs.argmax(axis=1) == 2).mean() < 0.2


@pytest.mark.parametrize("name", [name for name in NAMES if name != "prior"])
def test_beats_the_prior_where_signal_is_planted(name):
    """Planted signal is found."""
    assert balanced_accuracy(TEST, fitted(name).predict(seen(name, TEST))) > 0.6


@pytest.mark.parametrize("name", [name for name in NAMES if name != "prior"])
def test_permutes_with_the_class_order(name):
    """Naming the classes in another order moves the columns, and the accuracy stays."""
    order = np.array([2, 0, 1])  # old class at each new place
    new_index = np.argsort(order)
    task = Task(classes=tuple(TRAIN.task.classes[k] for k in order))
    train, valid, test = (
        dataclasses.replace(view, labels=new_index[view.labels], task=task) for view in (TRAIN, VALID, TEST)
    )
    straight = fitted(name).predict(seen(name, TEST))
    permuted = fit(name, train=train, valid=valid).predict(seen(name, test))

    assert balanced_accuracy(test, permuted) > balanced_accuracy(TEST, straight) - 0.15
    if not families.FAMILIES.get(name).iterates:
        assert np.allclose(permuted, straight[:, order], atol=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_records_what_it_saw(name):
    """The record names every patient of train and valid, and says something to the reader."""
    record = fitted(name).record

    assert record.patients == TRAIN.patients | VALID.patients
    assert record.n_parameters > 0
    assert (record.epochs > 0) == families.FAMILIES.get(name).iterates


@pytest.mark.parametrize("name", NAMES)
def test_random_labels_score_at_chance(name):
    """With labels shuffled among patients, balanced accuracy stays within 3.5 standard errors of chance."""
    n_patients, n_seeds = 90, 2
    scores = []
    for seed in range(n_seeds):
        random = np.random.default_rng(100 + seed)
        views = [
            planted(n, 10 * seed + place, labels=random.permutation(np.arange(n) % N_CLASSES))
            for place, n in enumerate((30, 12, n_patients), start=1)
        ]
        model = fit(name, *views[:2], budget=Budget(epochs=3), seed=seed)
        scores.append(balanced_accuracy(views[2], model.predict(seen(name, views[2]))))
    # Two images of a patient count as one: that bounds the error from above.
    chance = 1 / N_CLASSES
    error = np.sqrt(chance * (1 - chance) / (n_seeds * n_patients))

    assert abs(np.mean(scores) - chance) < 3.5 * error
