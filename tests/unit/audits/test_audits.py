"""The audits on small tables, and on real archives whose duplicates are known."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from grandrounds import audits, tables
from grandrounds.audits import AuditTables


def samples(*rows):
    """A samples table of (sample, patient, pixels)."""
    frame = pl.DataFrame(rows, schema=["sample", "patient", "sha256"], orient="row")
    return tables.check(frame.with_columns(case="sample"), tables.SAMPLES)


def labels(**by_case):
    """A labels table."""
    return pl.DataFrame({"case": list(by_case), "label": list(by_case.values())}).with_columns(task=pl.lit("label"))


def splits(*folds):
    """A splits table of one mapping from case to role a fold."""
    rows = [(case, 0, fold, role) for fold, roles in enumerate(folds) for case, role in roles.items()]
    return pl.DataFrame(rows, schema=["case", "repeat", "fold", "role"], orient="row")


def answer(code, **given):
    """The row of one audit."""
    return audits.run(AuditTables(**given)).filter(audit=code).row(0, named=True)


def test_a_run_gives_one_checked_row_an_audit():
    """In the order of the numbers, as the table `findings`."""
    findings = audits.run(AuditTables())

    assert findings["audit"].to_list() == audits.AUDITS.names()
    assert set(findings["outcome"]) == {"not applicable"}
    assert tables.check(findings, tables.FINDINGS).equals(findings)


def test_unknown_patients_are_a_finding():
    """The source says that it does not know."""
    row = answer("A000", samples=samples(("a", "a", "1")), patient_known=False)

    assert row["outcome"] == "finding"
    assert "independent images" in row["sentence"]


def test_patients_named_like_images_are_a_tip():
    """A bare table of predictions cannot say whether patients are known; their names may."""
    predictions = pl.DataFrame({"sample": ["a", "b"], "patient": ["a", "b"]})

    assert answer("A000", predictions=predictions)["outcome"] == "tip"
    assert answer("A000", predictions=predictions, patient_known=True)["outcome"] == "passed"


def test_the_same_patient_in_other_folds_is_no_overlap():
    """Every patient is tested in one fold and trained on in the others."""
    people = samples(("a", "p", "1"), ("b", "q", "2"))
    plan = splits({"a": "train", "b": "test"}, {"a": "test", "b": "train"})

    assert answer("A001", samples=people, splits=plan)["sentence"] == (
        "None of 2 patients stands in two roles of one fold."
    )


def test_overlap_is_found_however_the_patient_is_spelt():
    """Padding and case do not make another patient; the rows name cases, not patients."""
    people = samples(("a", "Secret", "1"), ("b", " secret", "2"), ("c", "other", "3"))
    row = answer("A001", samples=people, splits=splits({"a": "train", "b": "test", "c": "train"}))

    assert row["outcome"] == "finding"
    assert row["sentence"].startswith("1 of 2 patients stands in two roles")
    assert row["rows"] == ["repeat 0, fold 0: case b in test, case a in train"]


def test_overlap_is_found_in_predictions_alone():
    """Somebody else's CSV with roles is enough."""
    predictions = pl.DataFrame({"sample": ["a", "b"], "patient": ["p", "p"], "role": ["valid", "test"]})
    predictions = tables.check(predictions.with_columns(family=pl.lit("f"), label=pl.lit("x")), tables.PREDICTIONS)

    assert answer("A001", predictions=predictions)["rows"] == ["case b in test, case a in valid"]


def test_overlap_of_unknown_patients_is_not_applicable():
    """Where each image counts as a patient, nobody can overlap."""
    people = samples(("a", "a", "1"), ("b", "b", "2"))
    row = answer("A001", samples=people, splits=splits({"a": "train", "b": "test"}), patient_known=False)

    assert row["outcome"] == "not applicable"


def test_different_pixels_pass():
    """No two images are the same."""
    row = answer("A002", samples=samples(("a", "p", "1"), ("b", "q", "2")))

    assert (row["outcome"], row["sentence"]) == ("passed", "All 2 images are different.")


def test_copies_that_agree_in_everything_are_a_tip():
    """Identical images of one patient, with one label and in one role, do no harm but count twice."""
    people = samples(("a", "p", "1"), ("b", "p", "1"))
    row = answer("A002", samples=people, labels=labels(a="x", b="x"), splits=splits({"a": "train", "b": "train"}))

    assert row["outcome"] == "tip"


def test_contradictory_copies_come_first():
    """Each kind of disagreement is counted; two labels weigh most."""
    people = samples(("a", "p", "1"), ("b", "p", "1"), ("c", "p", "2"), ("d", "q", "2"), ("e", "r", "3"))
    row = answer(
        "A002",
        samples=people,
        labels=labels(a="x", b="y", c="x", d="x", e="x"),
        splits=splits({"a": "train", "b": "train", "c": "train", "d": "test", "e": "test"}),
    )

    assert row["sentence"] == (
        "2 groups of identical images (4 images): 1 with two labels, 1 with two patients, 1 with two roles."
    )
    assert row["rows"] == [
        "a (x, train), b (y, train): two labels",
        "c (x, train), d (x, test): two patients, two roles",
    ]


def test_twenty_rows_are_listed_and_all_are_counted():
    """A report stays readable."""
    people = samples(*[(f"{k}{twin}", f"{k}{twin}", str(k)) for k in range(30) for twin in "ab"])
    row = answer("A002", samples=people)

    assert len(row["rows"]) == 20
    assert "30 with two patients" in row["sentence"]


def archive(name):
    """Samples, labels and official roles of a real archive, as a source would give them."""
    root = os.environ.get("GRANDROUNDS_TEST_DATA")
    if not root:
        pytest.skip("GRANDROUNDS_TEST_DATA names no folder of real images")
    rows = []
    with np.load(Path(root) / name / f"{name}.npz") as content:
        for part, role in (("train", "train"), ("val", "valid"), ("test", "test")):
            images, truth = content[f"{part}_images"], content[f"{part}_labels"].ravel()
            for k, (image, label) in enumerate(zip(images, truth, strict=True)):
                digest = hashlib.sha256(image.tobytes()).hexdigest()
                rows.append((f"{part} {k}", digest, str(label), role))
    frame = pl.DataFrame(rows, schema=["sample", "sha256", "label", "role"], orient="row")
    frame = frame.with_columns(case="sample", patient="sample", task=pl.lit("label"), repeat=0, fold=0)
    return AuditTables(
        samples=tables.check(frame.drop("label", "role", "task", "repeat", "fold"), tables.SAMPLES),
        labels=frame.select("case", "task", "label"),
        splits=frame.select("case", "repeat", "fold", "role"),
        patient_known=False,
    )


def test_breastmnist_has_one_contradictory_pair_across_train_and_test():
    """One ultrasound image is malignant in train and benign in test."""
    row = audits.run(archive("breastmnist")).filter(audit="A002").row(0, named=True)

    assert row["outcome"] == "finding"
    assert row["rows"] == ["test 76 (1, test), train 115 (0, train): two labels, two roles"]


def test_pneumoniamnist_has_eight_groups_across_train_and_valid():
    """27 groups of identical images, their labels agree, 8 straddle."""
    row = audits.run(archive("pneumoniamnist")).filter(audit="A002").row(0, named=True)

    assert row["sentence"] == "27 groups of identical images (56 images): 8 with two roles."
    assert len(row["rows"]) == 8


def test_blank_images_contradict_nobody():
    """Two empty frames are identical whoever is meant; what shows something and is identical still counts."""
    people = samples(("a", "p", "1"), ("b", "q", "1"), ("c", "p", "2"), ("d", "q", "2"))
    people = people.with_columns(low=pl.lit(0.0), high=pl.Series([0.0, 0.0, 9.0, 9.0]))
    row = answer("A002", samples=people)

    assert row["sentence"].startswith("1 group of identical images (2 images): 1 with two patients")
    assert answer("A002", samples=people[:2])["outcome"] == "not applicable"
