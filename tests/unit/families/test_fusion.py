"""Late fusion: a model of each series of an exam and of its clinical columns, and a regression over what they say."""

from __future__ import annotations

import dataclasses

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

from grandrounds import families
from grandrounds.errors import BadData, BadSpec
from grandrounds.families import exam, fusion
from grandrounds.families.price import noise_view, time_batch
from grandrounds.families.protocol import Budget, FitRecord
from grandrounds.tables import SAMPLES, check

SIDE_PX = 8
PLANES = ("axial", "coronal", "sagittal")


def exams(n, seed, lacking=(), bright="axial"):
    """Exams of three series, two of each patient; one series of an ill knee is brighter, and so is a column's value."""
    random = np.random.default_rng(seed)
    labels = random.permutation(np.arange(n) % 2)
    rows = [(k, plane) for k in range(n) for plane in PLANES if (k, plane) not in lacking]
    pixels = random.normal(0.4, 0.05, (len(rows), 1, SIDE_PX, SIDE_PX))
    for at, (k, plane) in enumerate(rows):
        if plane == bright and labels[k]:
            pixels[at] += 0.2
    frame = pl.DataFrame(
        {
            "sample": [f"{seed}-{k}-{plane}" for k, plane in rows],
            "case": [f"{seed}-{k}" for k, _ in rows],
            "patient": [f"{seed}-{k // 2}" for k, _ in rows],
            "series_kind": [plane for _, plane in rows],
            "pain": [float(labels[k] + random.normal(0, 0.8)) for k, _ in rows],
        }
    )
    return dataclasses.replace(
        noise_view((1, SIDE_PX, SIDE_PX), len(rows), 2),
        pixels=pixels.astype(np.float32),
        samples=check(frame, SAMPLES),
        labels=np.array([labels[k] for k, _ in rows]),
        flips=False,
    )


LACKING = {(k, "axial") for k in range(0, 40, 5)}
TRAIN, VALID, TEST = exams(40, 1, LACKING), exams(20, 2), exams(60, 3, LACKING)


def fitted(name="fusion:thumbnail", train=TRAIN, valid=VALID, epochs=1, **params):
    return families.build(name, params).fit(train, valid, Budget(epochs=epochs), 0, lambda _: None)


def accuracy(model, view=TEST):
    return np.mean(model.predict(view).argmax(axis=1) == view.labels)


def test_a_case_has_one_answer():
    """All samples of a case get the probabilities of their case, and these sum to one."""
    probs = fitted().predict(TEST)
    of_case = pl.DataFrame({"case": TEST.samples["case"], "prob": probs[:, 1]}).group_by("case").n_unique()

    assert np.allclose(probs.sum(axis=1), 1)
    assert set(of_case["prob"]) == {1}
    assert accuracy(fitted()) > 0.8


def test_reads_every_series_and_the_columns():
    """One member a series, in order, and one of clinical columns; the record says how many cases lack which."""
    model = fitted()

    assert model.names == (*PLANES, "columns")
    assert model.kinds == ("thumbnail", "thumbnail", "thumbnail", "metadata")
    assert "8 of 40 training cases lack axial" in model.record.notes
    assert model.record.patients == TRAIN.patients | VALID.patients


def test_a_case_that_lacks_a_series_is_told_by_the_others():
    """Whoever lacks the series that shows it is predicted all the same, and worse."""
    model = fitted(only=PLANES)
    lacks = TEST.samples["case"].is_in([f"3-{k}" for k, _ in LACKING]).to_numpy()
    right = model.predict(TEST).argmax(axis=1) == TEST.labels

    assert np.isfinite(model.predict(TEST)).all()
    assert right[~lacks].mean() > right[lacks].mean() + 0.2


@pytest.mark.parametrize(("only", "least", "most"), [("axial", 0.8, 1.0), ("coronal", 0.3, 0.7), ("columns", 0.6, 1.0)])
def test_a_single_series_is_a_control(only, least, most):
    """Of the series that shows it, of one that does not, and of the columns alone."""
    assert least <= accuracy(fitted(only=(only,))) <= most


def test_a_series_dealt_out_anew_adds_nothing():
    """With the telling series dealt out anew the fusion is no better than the others are without it."""
    without = accuracy(fitted(only=("coronal", "sagittal", "columns")))

    assert accuracy(fitted(shuffled="axial")) - without < 0.1
    assert accuracy(fitted()) - without > 0.1


def test_a_series_dealt_out_anew_strays_no_further_than_chance():
    """Whatever weight it happened to get, the telling series says nothing of a case: its AUC stays near one half."""
    aucs = []
    for seed in range(12):
        model = families.build("fusion:thumbnail", {"only": ["coronal", "axial"], "shuffled": "axial"}).fit(
            exams(24, 100 + seed), exams(12, 200 + seed), Budget(epochs=1), seed, lambda _: None
        )
        view = exams(60, 300 + seed)
        aucs.append(roc_auc_score(view.labels, model.predict(view)[:, 1]))

    assert np.mean((np.array(aucs) - 0.5) ** 2) ** 0.5 < 2 * 0.075  # the standard error of an AUC at chance, 30 and 30


def test_the_regression_learns_from_words_on_unseen_patients_alone(monkeypatch):
    """No inner member speaks to the regression of a patient whom it was trained on, and none sees a test patient."""
    heard = []

    class Spy:
        def fit(self, train, valid, budget, seed, watch):
            return Spoken(train.patients)

    class Spoken:
        def __init__(self, trained_on):
            self.trained_on, self.record = trained_on, FitRecord(trained_on, 1)

        def predict(self, view):
            heard.append((self.trained_on, view.patients))
            return np.full((len(view.samples), 2), 0.5)

    family = families.build("fusion:thumbnail", {"only": PLANES, "n_parts": 4})
    monkeypatch.setattr(fusion.families, "build", lambda *_: Spy())
    family.fit(TRAIN, VALID, Budget(), 0, lambda _: None)
    inner = [(trained_on, asked) for trained_on, asked in heard if asked <= TRAIN.patients]

    assert len(inner) == 3 * 4
    assert not any(trained_on & asked for trained_on, asked in inner)
    assert all(trained_on < TRAIN.patients for trained_on, _ in inner)
    assert frozenset().union(*(asked for _, asked in inner[:4])) == TRAIN.patients
    assert not any((trained_on | asked) & TEST.patients for trained_on, asked in heard)


def test_what_is_predicted_changes_nothing(tmp_path):
    """Poisoned test images leave the fitted state as it was; saved and loaded, it decides to the last bit alike."""
    hashes = []
    for turn, test in enumerate((TEST, dataclasses.replace(TEST, pixels=-100 * TEST.pixels, labels=1 - TEST.labels))):
        model, place = (
            fitted("fusion:li2014", of={"batch_size": 8}, train=big(TRAIN), valid=big(VALID)),
            tmp_path / str(turn),
        )
        model.predict(big(test))
        place.mkdir()
        model.save(place)
        hashes.append(families.fitted_hash(place))

    assert hashes[0] == hashes[1]
    loaded = families.load("fusion:li2014", place)
    assert np.array_equal(loaded.predict(big(TEST)), model.predict(big(TEST)))
    assert loaded.record == model.record


def big(view):
    return dataclasses.replace(view, pixels=view.pixels.repeat(2, axis=2).repeat(2, axis=3))


def test_members_share_the_budget():
    """Three parts: each member makes a third of the passes, once without each part and once on all."""
    told = []
    family = families.build("fusion:li2014", {"of": {"batch_size": 8}, "only": ["axial", "columns"]})
    model = family.fit(big(TRAIN), big(VALID), Budget(epochs=6), 0, told.append)

    assert [epoch.epoch for epoch in told] == list(range(1, 9))
    assert model.record.epochs == 8
    assert families.params_of("fusion:li2014").max_epochs == 3 * families.params_of("li2014").max_epochs


def test_what_went_otherwise_than_planned_is_told_of_every_training():
    """Also of those whose model is not kept, since the regression learned from what they said."""
    params = {"only": ("axial", "coronal"), "n_parts": 2, "of": {"batch_size": 8, "patience": 1}}
    model = fitted("fusion:li2014", train=big(TRAIN), valid=big(VALID), epochs=40, **params)
    told = model.record.departures
    of_kept = [
        f"{name}: {one}"
        for name, member in zip(model.names, model.members, strict=True)
        for one in member.record.departures
    ]

    assert all("stopped" in one for one in told)
    assert set(of_kept) < set(told)
    assert model.record.told == (*model.record.notes, *told)


def test_images_without_kinds_are_one_series():
    """Planes with clinical columns and no series: image and columns are fused."""
    train, valid = noise_view((1, 8, 8), 40, 2), noise_view((1, 8, 8), 20, 2, seed=1)

    assert fitted(train=train, valid=valid).names == ("images", "columns")


def test_a_series_of_a_handful_of_cases_is_left_out():
    """A series that valid lacks, or that leaves an inner fold with one class, trains no member."""
    lacking = {(k, "sagittal") for k in range(1, 40)}

    assert "sagittal" not in fitted(train=exams(40, 1, lacking)).names
    assert "coronal" not in fitted(valid=exams(20, 2, {(k, "coronal") for k in range(20)})).names


def test_unknown_series_are_refused():
    """The message names what there is; a model refuses images that show none of its series."""
    with pytest.raises(BadData, match="no series is called 'oblique'"):
        fitted(only=("oblique",))
    with pytest.raises(BadData, match="'axial' is not read"):
        fitted(only=("coronal",), shuffled="axial")
    other = TEST.samples.with_columns(series_kind=pl.lit("oblique"))
    with pytest.raises(BadData, match="no image shows a series"):
        fitted(only=("axial",)).predict(dataclasses.replace(TEST, samples=other))


def test_reads_cases_and_what_its_members_read():
    """Whatever its member is, a fusion reads cases; sizes, axes and packages are the member's."""
    entry = families.FAMILIES.get("fusion:slices:alexnet")

    assert (entry.reads, entry.dims, entry.smallest_px, entry.iterates) == ("case", (3,), 63, True)
    with pytest.raises(BadSpec, match="did you mean 'resnet-18'"):
        families.FAMILIES.get("fusion:resnet18")


def test_has_a_price():
    """A pass costs what a member's does, whatever the number of series."""
    price = time_batch("fusion:li2014", {"of": {"batch_size": 8}}, (1, 16, 16), 100, 20, 2, Budget())

    assert price.seconds_per_epoch > 0
    assert price.fixed_s >= 0


def test_names_move_and_images_stay():
    """Dealing out anew permutes cases and their labels together; images and clinical columns keep their rows."""
    moved = exam.dealt_out_anew(TRAIN, 0)
    of_case = dict(zip(TRAIN.samples["case"], TRAIN.labels, strict=True))

    assert moved.pixels is TRAIN.pixels
    assert moved.samples["pain"].equals(TRAIN.samples["pain"])
    assert sorted(moved.samples["case"]) == sorted(TRAIN.samples["case"])
    assert not moved.samples["case"].equals(TRAIN.samples["case"])
    assert [of_case[case] for case in moved.samples["case"]] == moved.labels.tolist()


def test_a_series_that_no_member_could_be_trained_on_is_told():
    """Without it in valid nothing could be judged; the answer rests on the others, and a reader has to know."""
    without = exams(20, 2, {(k, "axial") for k in range(20)})
    model = fitted(valid=without)

    assert "axial" not in model.names
    (said,) = [one for one in model.record.departures if one.startswith("axial is left out: of its ")]
    assert "in train and 0 in valid" in said
    assert not fitted().record.departures
