"""The simulated exams of the knee: what is planted where, and what is not."""

from __future__ import annotations

import hashlib

import numpy as np
import polars as pl
import pytest

from grandrounds.data import SourceOptions, open_dataset
from grandrounds.data.knee import PLANES, TASKS, draw, simulate
from grandrounds.data.knee_spec import KneeSpec
from grandrounds.data.series_spec import SeriesSpec
from grandrounds.errors import BadSpec
from grandrounds.layouts import simulated_knee

SPEC = KneeSpec(n_exams=20, n_slices=4, size_px=16)


def opened(cache, task, unit="volume"):
    return open_dataset("simulated-knee", SourceOptions(task=task, knee=SPEC, unit=unit), cache=cache)


def digest(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return hashlib.sha256(b"".join(path.name.encode() + path.read_bytes() for path in files)).hexdigest()


def test_the_same_spec_gives_the_same_bytes(tmp_path):
    """Every file of a set is the same in another folder; another seed gives other files."""
    one, two = (digest(simulated_knee.write(tmp_path / name, SPEC)) for name in ("one", "two"))

    assert one == two != digest(simulated_knee.write(tmp_path / "other", SPEC.replaced(seed=1)))


def test_exams_of_three_series_of_which_some_lack_one(tmp_path):
    """A case is an exam, a sample a series that says which; two of twenty exams lack one, and a note says so."""
    dataset = opened(tmp_path, "one-series")
    n_series = dataset.samples.group_by("case").len()["len"]

    assert sorted(n_series) == [2, 2, *[3] * 18]
    assert set(dataset.samples["series_kind"]) == set(PLANES)
    assert dataset.samples["patient"].n_unique() == 18
    assert dataset.simulated
    assert any("2 of 20 exams lack one" in note for note in dataset.notes)
    assert opened(tmp_path, "one-series", "slice").samples.height == 4 * dataset.samples.height


@pytest.mark.parametrize("unit", ["volume", "slice"])
def test_one_plane_alone_is_read(tmp_path, unit):
    """As of MRNet; an exam that lacks the plane is left out, and a note counts it."""
    every = SourceOptions(task="one-series", knee=SPEC.replaced(missing_share=1.0), unit=unit)
    one = every.replaced(series=SeriesSpec(plane="sagittal"))
    dataset = open_dataset("simulated-knee", one, cache=tmp_path)
    n_there = (
        open_dataset("simulated-knee", every, cache=tmp_path).samples.filter(series_kind="sagittal")["case"].n_unique()
    )

    assert set(dataset.samples["series_kind"]) == {"sagittal"}
    assert dataset.samples["case"].n_unique() == n_there < 20
    assert f"{20 - n_there} of 20 exams lack the sagittal series" in " ".join(dataset.notes)


def test_the_answers_of_other_tasks_do_not_come_along(tmp_path):
    """Clinical columns are what a clinic knows; no label of another task is among them."""
    dataset = opened(tmp_path, "columns")

    assert {"age_years", "sex", "onset", "locking"} <= set(dataset.samples.columns)
    assert not set(TASKS) & set(dataset.samples.columns)


def test_without_a_task_it_is_asked_which(tmp_path):
    """One study asks for one of the three."""
    with pytest.raises(BadSpec, match="choose the task: one-series, two-series, columns"):
        opened(tmp_path, None)


def test_no_series_alone_says_anything_of_the_pair():
    """Given either sign of the pair, half of the exams are positive; given both, all or none."""
    exams = draw(KneeSpec(n_exams=400))
    rows = pl.DataFrame(
        {"coronal": ["coronal" in one.signs for one in exams], "axial": ["axial" in one.signs for one in exams],
         "pair": [one.answer("two-series") for one in exams]}
    )  # fmt: skip
    for sign in ("coronal", "axial"):
        assert rows.group_by(sign).agg(pl.col("pair").mean())["pair"].to_list() == [0.5, 0.5]
    assert set(rows.group_by("coronal", "axial").agg(pl.col("pair").mean())["pair"]) == {0.0, 1.0}


def test_what_stands_where():
    """The first task is the sagittal sign; the third is in the columns but for one in ten, and in no sign."""
    exams = draw(KneeSpec(n_exams=2000))
    by_columns = np.array([one.onset == "sudden" or one.locking == "yes" for one in exams])
    columns = np.array([one.answer("columns") for one in exams])
    signs = {plane: np.array([plane in one.signs for one in exams]) for plane in PLANES}

    assert np.array_equal(signs["sagittal"], [one.answer("one-series") for one in exams])
    assert 0.87 < np.mean(by_columns == columns) < 0.93
    assert all(abs(np.mean(columns[sign]) - np.mean(columns[~sign])) < 0.07 for sign in signs.values())


@pytest.mark.parametrize("plane", PLANES)
def test_a_sign_is_a_bright_patch_of_its_series_alone(plane):
    """The lower bone is brighter in the series that has its sign, whatever the others show."""
    spec = KneeSpec(n_exams=40, n_slices=8, size_px=32)
    exams = [exam for exam in draw(spec) if plane in exam.series]
    grey = np.array([simulate(spec, exam, plane)[2:6, 20:26, 12:20].mean() for exam in exams])
    shows = np.array([plane in exam.signs for exam in exams])

    assert grey[shows].min() > grey[~shows].max() + 25
