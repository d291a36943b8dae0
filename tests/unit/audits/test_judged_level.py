"""Audits look at what was compared: at cases or patients where these were, not at the images that they are made of."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from grandrounds import api, audits, tables
from grandrounds.audits import AuditTables
from grandrounds.study.spec import JudgeSpec
from grandrounds.tables import Task

TASK = Task(kind="binary", classes=("x", "y"), positive="y")
N_SLICES = 20


def exams(folder, slices):
    """Write a CSV of exams in two folds, whose slices each family reads as told; return its path.

    Args:
        folder: Where.
        slices: Family to a function of fold, label and a generator that gives the probabilities of an exam's slices.
    """
    rows = []
    for family, read in slices.items():
        random = np.random.default_rng(3)
        for k in range(40):
            label, fold = "xy"[k % 2], k // 20
            for turn, p in enumerate(read(fold, label, random)):
                rows.append((f"s{k}-{turn}", f"c{k}", f"p{k}", label, family, fold, "test", 1 - p, p))
    columns = ["sample", "case", "patient", "label", "family", "fold", "role", "prob_x", "prob_y"]
    path = folder / "exams.csv"
    pl.DataFrame(rows, schema=columns, orient="row").write_csv(path)
    return path


def audited(path, code, **judge):
    """The row of one audit of a CSV whose exams are read by their most suspicious slice."""
    ask = JudgeSpec(aggregation="max", resamples=300, **judge)
    return api.audit(path, judge=ask).filter(audit=code).row(0, named=True)


def one_slice_tells(_fold, label, random):
    """One slice of an ill exam is suspicious; the others say nothing."""
    said = random.uniform(0.2, 0.6, N_SLICES)
    said[0] = 0.9 if label == "y" else said[0]
    return said


def guessed(_fold, _label, random):
    """Every slice says anything."""
    return random.uniform(0.2, 0.6, N_SLICES)


def test_exams_that_one_slice_tells_are_more_than_random_labels_allow(tmp_path):
    """Slices are at chance and exams are told without an error: where exams are compared that is no finding."""
    path = exams(tmp_path, {"finder": one_slice_tells, "guesser": guessed})

    assert audited(path, "A016", unit="case")["outcome"] == "passed"
    assert "1.000" in audited(path, "A016", unit="case")["sentence"]


def test_many_good_slices_are_no_good_exams(tmp_path):
    """Slices are told well and exams are not, since each has one alarm: where exams are compared that is a finding."""

    def alarmed(_fold, label, random):
        said = random.uniform(0.5, 0.8, N_SLICES) if label == "y" else random.uniform(0.2, 0.5, N_SLICES)
        said[0] = random.uniform(0.9, 1.0)
        return said

    path = exams(tmp_path, {"alarmist": alarmed, "guesser": guessed})

    assert audited(path, "A016", unit="case")["outcome"] == "finding"
    assert audited(path, "A016", unit="sample")["outcome"] == "passed"


def test_the_spread_is_that_of_exams(tmp_path):
    """A lead in exams that is alike in both folds passes, though it turns round among their slices."""

    def turning(fold, label, random):
        said = random.uniform(0.2, 0.6, N_SLICES)
        said[1:] += (0.2 if label == "y" else 0.0) * (1 if fold else -1)
        said[0] = 0.9 if label == "y" else said[0]
        return np.clip(said, 0.01, 0.99)

    row = audited(exams(tmp_path, {"finder": turning, "guesser": guessed}), "A006", unit="case")

    assert row["outcome"] == "passed"
    assert "1 claimed difference " in row["sentence"]


def owned(n_patients=60, n_cases=3, ill=lambda _patient, case: case == 0):
    """Samples, labels and splits of patients with several cases each; every other patient is trained on."""
    rows = [
        (f"c{p}-{k}", f"p{p}", "y" if ill(p, k) else "x", "test" if p % 2 else "train", 100.0 + p)
        for p in range(n_patients)
        for k in range(n_cases)
    ]
    frame = pl.DataFrame(rows, schema=["case", "patient", "label", "role", "height_px"], orient="row")
    frame = frame.with_columns(sample="case", task=pl.lit("label"), repeat=0, fold=0)
    return {
        "samples": tables.check(frame.select("sample", "case", "patient", "height_px"), tables.SAMPLES),
        "labels": tables.check(frame.select("case", "task", "label"), tables.LABELS),
        "splits": tables.check(frame.select("case", "repeat", "fold", "role"), tables.SPLITS),
        "task": TASK,
        "patient_known": True,
    }


def compared(unit):
    """Scores and comparisons of two families at one level, and scores at another one below it."""
    scores = [
        {"family": family, "metric": "auc", "unit": level, "estimate": value, "n_patients": 30, "n_samples": n}
        for level, n in ((unit, 30), ("sample", 90))
        for family, value in (("good", 0.9), ("other", 0.8))
    ]
    pair = {"family_a": "good", "family_b": "other", "metric": "auc", "unit": unit, "difference": 0.1,
            "low": -0.1, "high": 0.3, "verdict": "undecided"}  # fmt: skip
    return {
        "scores": tables.check(pl.DataFrame(scores).unique(["family", "unit"]), tables.SCORES),
        "comparisons": tables.check(pl.DataFrame([pair]), tables.COMPARISONS),
        "margin": 0.02,
    }


def answer(code, **given):
    """The row of one audit."""
    return audits.run(AuditTables(**given)).filter(audit=code).row(0, named=True)


@pytest.mark.parametrize(("unit", "outcome"), [("case", "passed"), ("patient", "finding")])
def test_a_class_may_be_missing_among_patients_only(unit, outcome):
    """Where every tested patient has an ill case, nobody is well: no patient can be told from another."""
    assert answer("A003", **owned(), **compared(unit))["outcome"] == outcome


@pytest.mark.parametrize(("unit", "share"), [("case", "33.3 %"), ("patient", "100.0 %")])
def test_a_prevalence_is_that_among_patients_where_patients_are_compared(unit, share):
    """One ill case in three makes an ill patient."""
    row = answer("A015", **owned(), **compared(unit), prevalence=1 / 3)

    assert share in row["sentence"]
    assert f"tested {unit}s" in row["sentence"]


def test_a_technical_column_is_read_by_patient_where_patients_are_compared():
    """Sizes that tell ill patients are set against a family's reading of patients, not of their cases."""
    given = owned(n_patients=80, ill=lambda patient, case: patient >= 40 and case == 0)

    assert "`height_px` reaches 1.000" in answer("A013", **given, **compared("patient"))["sentence"]
    assert "`height_px` reaches 0.800" in answer("A013", **given, **compared("case"))["sentence"]


def test_unknown_patients_are_counted_at_the_level_of_the_comparison():
    """What a set would need is counted in what was compared: 30 cases, not their 90 samples."""
    given = owned() | {"patient_known": False}

    assert "with 30 images" in answer("A008", **given, **compared("case"))["sentence"]
