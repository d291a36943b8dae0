"""Networks that read the series of an exam as channels of one image, and the set that is simulated for them."""

from __future__ import annotations

import dataclasses
from functools import cache

import numpy as np
import polars as pl
import pytest
import torch

from grandrounds import families
from grandrounds.data import knee
from grandrounds.data.knee_spec import KneeSpec
from grandrounds.errors import BadData, BadSpec
from grandrounds.families.price import noise_view, time_batch
from grandrounds.families.protocol import Budget
from grandrounds.families.selection import macro_auc
from grandrounds.families.stacked import stacked
from grandrounds.features.clinical import learn_columns
from grandrounds.nets.joint import Joint
from grandrounds.nets.transmed import TransMed
from grandrounds.tables import SAMPLES, check

SPACE = (4, 16, 16)
QUICK = {"of": {"dropout": 0.0}, "learning_rate": 3e-3, "batch_size": 8, "shift": 0.0}


@cache
def knees(n, seed, task, missing=0.1):
    """A view of simulated exams, each series a sample."""
    spec = KneeSpec(n_exams=n, seed=seed, n_slices=SPACE[0], size_px=SPACE[1], missing_share=missing)
    rows = [(exam, plane) for exam in knee.draw(spec) for plane in exam.series]
    frame = pl.DataFrame(
        {
            "sample": [f"{seed}-{exam.number}-{plane}" for exam, plane in rows],
            "case": [f"{seed}-{exam.number}" for exam, _ in rows],
            "patient": [f"{seed}-{exam.patient}" for exam, _ in rows],
            "series_kind": [plane for _, plane in rows],
            "onset": [exam.onset for exam, _ in rows],
            "locking": [exam.locking for exam, _ in rows],
        }
    )
    return dataclasses.replace(
        noise_view((1, *SPACE), len(rows), 2),
        pixels=np.stack([knee.simulate(spec, *one)[None] for one in rows]).astype(np.float32) / 255,
        samples=check(frame, SAMPLES),
        labels=np.array([int(exam.answer(task)) for exam, _ in rows]),
        flips=False,
    )


def fitted(name, task, epochs, **params):
    family = families.build(name, params)
    return family.fit(knees(60, 1, task), knees(20, 2, task), Budget(epochs=epochs), 0, lambda _: None)


def auc(model, task):
    view = knees(60, 3, task, 0.0)
    one_each = view.samples["case"].is_first_distinct().to_numpy()
    return macro_auc(view.labels[one_each], model.predict(dataclasses.replace(view, labels=None))[one_each])


def test_what_two_series_show_together_is_learned_jointly_alone():
    """An XOR of two series: the joint network tells it; late fusion over the same networks stays at chance."""
    joint = fitted("exams:slices:spp", "two-series", 12, of=QUICK)
    late = fitted("fusion:slices:spp", "two-series", 12, of=QUICK, n_parts=2)

    assert auc(joint, "two-series") > 0.9
    assert abs(auc(late, "two-series") - 0.5) < 0.2


@pytest.mark.parametrize("name", ["fusion:slices:spp", "exams:transmed:spp"])
def test_what_one_series_shows_is_learned_either_way(name):
    """Late fusion and the hybrid of convolutions and a transformer find the sign of one series."""
    assert auc(fitted(name, "one-series", 12, of=QUICK), "one-series") > 0.9


@pytest.mark.parametrize("way", ["concatenation", "attention"])
@pytest.mark.parametrize(("task", "least"), [("one-series", 0.9), ("columns", 0.75)])
def test_images_and_columns_are_joined(way, task, least):
    """Either way of joining finds what one series shows, and what stands in the clinical columns alone."""
    model = fitted("exams:joint:spp", task, 15, of=QUICK | {"way": way})

    assert "sagittal, onset, locking of an exam" in model.record.notes[0]
    assert auc(model, task) > least


def test_an_exam_becomes_one_row():
    """Series are channels in the order asked for; what is absent is 0, and its flag −1; nothing else is read."""
    view = knees(20, 5, "one-series", 0.5)
    exams = stacked(view, ("axial", "coronal", "sagittal"))
    pixels = np.asarray(exams.pixels)
    first = exams.samples["case"][0]
    own = {
        plane: row
        for row, (case, plane) in enumerate(view.samples.select("case", "series_kind").iter_rows())
        if case == first
    }

    assert exams.pixels.shape == pixels.shape == (20, 6, *SPACE)
    for at, plane in enumerate(("axial", "coronal", "sagittal")):
        assert (pixels[0, 3 + at] == (1 if plane in own else -1)).all()
        assert np.array_equal(pixels[0, at], view.pixels[own[plane], 0] if plane in own else np.zeros(SPACE))
    assert (pixels[:, 3:, 0, 0, 0] < 0).sum() == 10
    assert np.array_equal(np.asarray(exams.pixels[np.array([7, 2])]), pixels[[7, 2]])


def test_one_modality_is_read_alone():
    """Of a joint network: a series without the clinical columns, or these without a series; who reads none, refuses."""
    test = knees(20, 5, "columns", 0.5)
    columns = fitted("exams:joint:spp", "columns", 1, only=("columns",), of=QUICK)
    axial = fitted("exams:joint:spp", "columns", 1, only=("axial",), of=QUICK)
    others = test.samples.with_columns(onset=pl.lit(0.0))

    assert columns.record.notes[0] == "reads onset, locking of an exam alone"
    assert auc(columns, "columns") > 0.75
    assert np.array_equal(columns.predict(test), columns.predict(dataclasses.replace(test, pixels=1 - test.pixels)))
    assert axial.record.notes[0] == "reads axial of an exam as channels"
    assert np.array_equal(axial.predict(test), axial.predict(dataclasses.replace(test, samples=others)))
    with pytest.raises(BadData, match="no series is called 'columns'"):
        fitted("exams:slices:spp", "columns", 1, only=("columns",), of=QUICK)
    with pytest.raises(BadData, match="nothing is read beside the columns"):
        fitted("exams:joint:spp", "columns", 1, only=("columns",), shuffled="columns", of=QUICK)


@pytest.mark.parametrize("shuffled", ["sagittal", "columns"])
def test_a_modality_is_dealt_out_anew_among_exams(shuffled):
    """All else stays with its exam, what is dealt out is all there still, and the same seed deals alike."""
    view = knees(20, 5, "one-series", 0.5)
    series, columns = ("axial", "sagittal"), learn_columns(view.samples)
    plain, dealt, again = (stacked(view, series, columns, how) for how in (None, (shuffled, 1), (shuffled, 1)))
    before, after = (np.asarray(one.pixels) for one in (plain, dealt))
    moved = [1] if shuffled == "sagittal" else [4, 5]
    kept = [0, 2] if shuffled == "columns" else [0, 2, 4, 5]

    assert dealt.samples.equals(plain.samples)
    assert np.array_equal(before[:, kept], after[:, kept])
    assert not np.array_equal(before[:, moved], after[:, moved])
    assert sorted(one.tobytes() for one in before[:, moved]) == sorted(one.tobytes() for one in after[:, moved])
    assert np.array_equal(after, np.asarray(again.pixels))


@pytest.mark.parametrize(
    ("task", "others", "shuffled"), [("one-series", "axial", "sagittal"), ("columns", "axial", "columns")]
)
def test_a_joint_control_has_nothing_from_what_is_dealt_out_anew(task, others, shuffled, tmp_path):
    """It stays at chance where the same network reads the answer, also after loading; its record says what it is."""
    read = {"only": (others, shuffled), "of": QUICK}
    model, control = (
        fitted("exams:joint:spp", task, 15, **read, **more) for more in ({}, {"shuffled": shuffled, "controls": "self"})
    )
    control.save(tmp_path)
    loaded, test = families.load("exams:joint:spp", tmp_path), knees(20, 5, task)

    assert auc(model, task) > 0.75
    assert abs(auc(control, task) - 0.5) < 0.2
    assert np.array_equal(loaded.predict(test), control.predict(test))
    assert f"a control: {shuffled} is dealt out anew among the exams" in control.record.notes


def with_twins(view):
    """The view with the first exam's first series once more, but white."""
    rows = np.r_[0, np.arange(view.samples.height)]
    samples = view.samples[rows].with_columns(sample=pl.format("{}-{}", "sample", pl.int_range(pl.len())))
    pixels = view.pixels[rows]
    pixels[1] = 1.0
    return dataclasses.replace(view, pixels=pixels, samples=samples, labels=view.labels[rows])


@pytest.mark.parametrize(
    ("name", "said"), [("exams:slices:spp", "the first is read"), ("fusion:slices:spp", "is averaged")]
)
def test_an_exam_that_holds_a_series_twice_is_told_of(name, said):
    """The record says how many exams do, and what was made of it."""
    family = families.build(name, {"of": QUICK})
    model = family.fit(with_twins(knees(24, 1, "one-series")), knees(20, 2, "one-series"), Budget(), 0, lambda _: None)
    twice, once = with_twins(knees(20, 5, "one-series")), knees(20, 5, "one-series")

    assert f"1 case has {once.samples['series_kind'][0]} more than once, of 24" in " ".join(model.record.notes)
    assert said in " ".join(model.record.notes)
    assert np.array_equal(model.predict(twice)[0], model.predict(once)[0]) == (name == "exams:slices:spp")


def test_slices_of_series_are_refused():
    """Where each slice is a sample nobody knows which belong together; the message says what to do."""
    planes = noise_view((1, 16, 16), 12, 2)
    planes = dataclasses.replace(planes, samples=planes.samples.with_columns(case=pl.lit("one")))

    with pytest.raises(BadData, match="series has several samples"):
        stacked(planes, ("images",))


@pytest.mark.parametrize("name", ["exams:transmed:spp", "exams:joint:spp"])
def test_saves_and_loads(name, tmp_path):
    """What was saved decides as before, to the last bit, also for exams that lack a series."""
    model = fitted(name, "one-series", 1, of=QUICK)
    model.save(tmp_path)
    loaded, test = families.load(name, tmp_path), knees(20, 5, "one-series", 0.5)

    assert np.array_equal(loaded.predict(test), model.predict(test))
    assert loaded.record == model.record
    assert model.record.patients == knees(60, 1, "one-series").patients | knees(20, 2, "one-series").patients
    assert "training cases lack" in " ".join(model.record.notes)


def test_repeats_for_a_seed_and_ignores_what_is_predicted(tmp_path):
    """The same seed gives the same files, whatever was predicted before."""
    hashes = []
    for turn in range(2):
        model, place = fitted("exams:slices:spp", "one-series", 1, of=QUICK), tmp_path / str(turn)
        test = knees(20, 5, "one-series")
        model.predict(dataclasses.replace(test, pixels=(1 - 200 * turn) * test.pixels))
        place.mkdir()
        model.save(place)
        hashes.append(families.fitted_hash(place))

    assert hashes[0] == hashes[1]


def test_unknown_series_are_refused():
    """The message names what there is; a model refuses images that show none of its series."""
    with pytest.raises(BadData, match="no series is called 'oblique'"):
        fitted("exams:slices:spp", "one-series", 1, only=("oblique",))
    model, test = fitted("exams:slices:spp", "one-series", 1, only=("axial",), of=QUICK), knees(20, 5, "one-series")
    with pytest.raises(BadData, match="no image shows a series"):
        model.predict(dataclasses.replace(test, samples=test.samples.with_columns(series_kind=pl.lit("oblique"))))


def test_an_absent_series_says_nothing():
    """Whatever its pixels hold, tokens of a series that is not there are left out of the attention."""
    torch.manual_seed(0)
    module = TransMed(
        torch.nn.Flatten(), 12, 2, n_series=2, n_groups=2, n_group=3, dim=8, depth=1, heads=2, dropout=0.0
    ).eval()
    series = torch.rand(1, 2, 5, 2, 2)
    flags = torch.tensor([1.0, -1.0])[None, :, None, None, None].expand(1, 2, 5, 2, 2)
    other = series.clone()
    other[:, 1] += 1
    changed = series.clone()
    changed[:, 0] += 1

    def said(images):
        return module(torch.cat([images, flags], dim=1))

    assert torch.allclose(said(series), said(other))
    assert not torch.allclose(said(series), said(changed))
    assert not torch.allclose(module(series), module(other))


@pytest.mark.parametrize("way", ["concatenation", "attention"])
def test_a_joined_modality_that_is_absent_or_left_out_says_nothing(way):
    """Whatever the pixels of an absent series hold; and in training no exam loses all of its modalities."""
    torch.manual_seed(0)
    module = Joint(torch.nn.Flatten(), 4, 2, n_series=2, n_columns=1, way=way, hidden=8, left_out=0.9).eval()
    series, number = torch.rand(1, 2, 3, 2, 2), torch.full((1, 1, 3, 2, 2), 0.3)
    flags = torch.tensor([1.0, -1.0])[None, :, None, None, None].expand(1, 2, 3, 2, 2)
    other = series.clone()
    other[:, 1] += 1

    def said(images, column=number):
        return module(torch.cat([images, flags, column], dim=1))

    assert torch.allclose(said(series), said(other))
    assert not torch.allclose(said(series), said(series + 1))
    assert not torch.allclose(said(series), said(series, number + 1))
    assert torch.isfinite(module.train()(torch.cat([series, flags, number], dim=1).repeat(64, 1, 1, 1, 1))).all()


def test_reads_cases_and_volumes():
    """Its axes and packages are those of its network; not every family is a network of planes."""
    entry = families.FAMILIES.get("exams:transmed:resnet-18")

    assert (entry.reads, entry.dims, entry.iterates) == ("case", (3,), True)
    assert families.FAMILIES.get("exams:resnet-18").dims == (2,)
    with pytest.raises(BadSpec, match="no network of planes"):
        families.FAMILIES.get("transmed:lbp-svm")
    with pytest.raises(BadSpec, match="heads do not divide"):
        fitted("exams:transmed:spp", "one-series", 1, of={"dim": 9})


def test_has_a_price():
    """A pass over exams costs something."""
    assert time_batch("exams:transmed:spp", {"of": QUICK}, (1, *SPACE), 48, 8, 2, Budget()).seconds_per_epoch > 0
