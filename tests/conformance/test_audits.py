"""What every audit must do, for each entry of the registry: find what is planted, be silent on clean tables."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from grandrounds import audits, tables
from grandrounds.audits import AuditTables

DOCS = Path(__file__).parents[2] / "docs"


TASK = tables.Task(kind="binary", classes=("x", "y"), positive="y")
AUC = {"prior": 0.5, "metadata": 0.5, "thumbnail": 0.6, "worse": 0.7, "good": 0.9}


def clean():
    """Eight patients with two different images each; five families on two folds, the best of which is truly better."""
    frame = pl.DataFrame(
        {
            "sample": [f"s{k}" for k in range(16)],
            "case": [f"c{k}" for k in range(16)],
            "patient": [f"p{k // 2}" for k in range(16)],
            "sha256": [f"hash {k}" for k in range(16)],
            "label": ["x", "x", "y", "y"] * 4,
        }
    ).with_columns(task=pl.lit("label"))
    turns = {0: ["test"] * 4 + ["valid"] * 4 + ["train"] * 8, 1: ["train"] * 8 + ["test"] * 4 + ["valid"] * 4}
    splits = pl.concat(
        frame.select("case", role=pl.Series(roles)).with_columns(repeat=0, fold=fold) for fold, roles in turns.items()
    )
    return AuditTables(
        samples=tables.check(frame.drop("label", "task"), tables.SAMPLES),
        labels=tables.check(frame.select("case", "task", "label"), tables.LABELS),
        splits=tables.check(splits, tables.SPLITS),
        predictions=predicted(frame.drop("sha256").join(splits, on="case").filter(pl.col("role") != "train")),
        task=TASK,
        patient_known=True,
        primary="auc",
        margin=0.2,
        share_s=10.0,
        decisions=youden("valid"),
        opened=10,
        fitted_on={"good-0": frozenset(tables.patient_hashes(pl.Series(["p2", "p3", "p4"])))},
        prevalence=0.5,
        **judged(AUC),
    )


def predicted(rows):
    """What each family says of valid and test: the best ranks all of them rightly, the others none."""
    y = pl.when(pl.col("label") == "y").then(0.9).otherwise(0.1)
    parts = [
        rows.with_columns(
            family=pl.lit(family), trial=pl.lit(f"{family}-") + pl.col("fold").cast(pl.String), seed=0,
            prob_x=1 - y if family == "good" else 0.5, prob_y=y if family == "good" else 0.5,
        )
        for family in AUC
    ]  # fmt: skip
    return tables.check(pl.concat(parts), tables.PREDICTIONS)


def judged(estimates, undecided=(), half=0.05):
    """Scores, comparisons and trials; every difference is decided but those of the pairs named."""
    scores = [
        {"family": family, "task": "label", "metric": "auc", "estimate": value, "n_patients": 8, "n_samples": 16}
        for family, value in estimates.items()
    ]
    scores += [
        {"family": family, "task": "label", "metric": "calibration_slope", "label": "y", "estimate": 1.0,
         "low": 0.9, "high": 1.2, "n_patients": 8, "n_samples": 16}
        for family in estimates
    ]  # fmt: skip
    comparisons = []
    for a, b in itertools.combinations(estimates, 2):
        difference = estimates[a] - estimates[b]
        verdict = "undecided" if {a, b} in undecided or not difference else "better" if difference > 0 else "worse"
        comparisons.append({
            "family_a": a, "family_b": b, "task": "label", "metric": "auc", "difference": difference,
            "low": difference - half, "high": difference + half, "verdict": verdict,
        })  # fmt: skip
    trials = [
        {"trial": f"{family}-{fold}", "family": family, "fold": fold, "status": "done", "fit_s": 8.0}
        for family in estimates
        for fold in (0, 1)
    ]
    return {
        "scores": tables.check(pl.DataFrame(scores), tables.SCORES),
        "comparisons": tables.check(pl.DataFrame(comparisons), tables.COMPARISONS),
        "trials": tables.check(pl.DataFrame(trials), tables.TRIALS),
    }


def changed(name, column, where, value):
    """The clean tables with one value of one table changed."""
    given = clean()
    column = pl.when(where).then(pl.lit(value)).otherwise(column).alias(column)
    return dataclasses.replace(given, **{name: getattr(given, name).with_columns(column)})


def undecided(*pair, half=0.05, **estimates):
    """The clean tables with other estimates, and two families that cannot be told apart."""
    return dataclasses.replace(clean(), **judged(AUC | estimates, [set(pair)], half))


def unsteady():
    """The clean tables; the best family ranks rightly in one fold and the wrong way round in the other."""
    given = clean()
    turned = (pl.col("family") == "good") & (pl.col("fold") == 1)
    y = pl.when(turned).then("prob_x").otherwise("prob_y")
    return dataclasses.replace(given, predictions=given.predictions.with_columns(prob_y=y, prob_x=1 - y))


def skewed():
    """A hundred patients; a class is common in train and rare in test."""
    labels = ["y" if k % 10 < (8 if k < 50 else 2) else "x" for k in range(100)]
    frame = pl.DataFrame({"case": [f"c{k}" for k in range(100)], "label": labels})
    frame = frame.with_columns(
        role=pl.Series(["train"] * 50 + ["test"] * 50), sample="case", patient="case", task=pl.lit("label"),
        repeat=0, fold=0,
    )  # fmt: skip
    return dataclasses.replace(
        clean(),
        samples=tables.check(frame.select("sample", "case", "patient"), tables.SAMPLES),
        labels=tables.check(frame.select("case", "task", "label"), tables.LABELS),
        splits=tables.check(frame.select("case", "repeat", "fold", "role"), tables.SPLITS),
    )


def valid_as_test():
    """The clean tables; the rows of test are those of valid."""
    given = clean()
    valid = given.predictions.filter(role="valid")
    return dataclasses.replace(given, predictions=pl.concat([valid, valid.with_columns(role=pl.lit("test"))]))


def many(*, good=True, site=False):
    """A hundred patients in two folds; a family that ranks them rightly or not at all, and perhaps a telling site."""
    random = np.random.default_rng(7)
    labels = ["y" if k % 2 else "x" for k in range(100)]
    frame = pl.DataFrame({"case": [f"c{k}" for k in range(100)], "label": labels}).with_columns(
        sample="case",
        patient="case",
        task=pl.lit("label"),
        site=pl.Series(labels if site else ["A", "A", "B", "B"] * 25),
    )
    splits = pl.concat(
        frame.select("case", role=pl.Series(["test" if k // 50 == fold else "train" for k in range(100)])).with_columns(
            repeat=0, fold=fold
        )
        for fold in (0, 1)
    )
    tested = frame.join(splits.filter(role="test"), on="case")
    told = tested["label"].eq("y").cast(pl.Float64()) * (0.5 if good else 0) + pl.Series(random.random(100)) * 0.5
    rows = tested.with_columns(family=pl.lit("good"), trial=pl.lit("good-0"), seed=0, prob_y=told, prob_x=1 - told)
    return dataclasses.replace(
        clean(),
        samples=tables.check(frame.select("sample", "case", "patient", "site"), tables.SAMPLES),
        labels=tables.check(frame.select("case", "task", "label"), tables.LABELS),
        splits=tables.check(splits, tables.SPLITS),
        predictions=tables.check(rows.drop("site"), tables.PREDICTIONS),
    )


def with_another_task(**changes):
    """The same patients in the same roles for another task, but for what is changed there."""
    given = clean()
    return dataclasses.replace(given, other_tasks=given.predictions.with_columns(task=pl.lit("other"), **changes))


def youden(role):
    """A threshold of the best family that was set on a role."""
    row = {"family": "good", "rule": "youden", "metric": "recall", "label": "y", "chosen_on": role, "estimate": 0.9}
    return tables.check(pl.DataFrame([row]), tables.DECISIONS)


# A new audit adds what it is meant to find, and clean tables of its own where the usual ones are too small for it.
CLEAN = {"A013": many, "A016": many, "A018": with_another_task}
PLANTED = {
    "A000": lambda: dataclasses.replace(clean(), patient_known=False),
    "A001": lambda: changed("samples", "patient", pl.col("sample") == "s0", "p7"),
    "A002": lambda: changed("samples", "sha256", pl.col("sample") == "s0", "hash 9"),
    "A003": lambda: changed("splits", "role", (pl.col("fold") == 0) & pl.col("case").is_in(["c2", "c3"]), "train"),
    "A004": skewed,
    "A005": lambda: undecided("good", "thumbnail"),
    "A006": unsteady,
    "A007": lambda: changed("trials", "status", pl.col("trial") == "good-1", "truncated"),
    "A008": lambda: undecided("good", "worse", half=0.3),
    "A009": valid_as_test,
    "A010": lambda: undecided("good", "metadata", metadata=0.85),
    "A011": lambda: dataclasses.replace(clean(), opened=50),
    "A012": lambda: dataclasses.replace(
        clean(), fitted_on={"good-0": frozenset(tables.patient_hashes(pl.Series(["P0 "])))}
    ),
    "A013": lambda: many(site=True),
    "A014": lambda: changed("scores", "high", pl.col("metric") == "calibration_slope", 0.7),
    "A015": lambda: dataclasses.replace(many(), prevalence=0.05),
    "A016": lambda: many(good=False),
    "A017": lambda: dataclasses.replace(clean(), decisions=youden("test")),
    "A018": lambda: with_another_task(role=pl.when(pl.col("case") == "c0").then(pl.lit("valid")).otherwise("role")),
}

every_audit = pytest.mark.parametrize("code", audits.AUDITS.names())


def outcome(code, given):
    return audits.run(given).filter(audit=code).row(0, named=True)


@every_audit
def test_an_audit_finds_what_is_planted(code):
    """One fault, one finding, in words."""
    row = outcome(code, PLANTED[code]())

    assert row["outcome"] == "finding"
    assert row["sentence"].endswith(".")
    assert len(row["rows"]) <= 20


@every_audit
def test_an_audit_is_silent_on_clean_tables(code):
    """Nothing to find means passed."""
    assert outcome(code, CLEAN.get(code, clean)())["outcome"] == "passed"


@every_audit
def test_an_audit_without_its_tables_is_not_applicable(code):
    """It says what is missing and raises nothing."""
    row = outcome(code, AuditTables())

    assert row["outcome"] == "not applicable"
    assert row["sentence"].startswith("Not applicable: ")


@every_audit
@pytest.mark.parametrize(
    "name", ["samples", "labels", "splits", "predictions", "scores", "comparisons", "trials", "decisions"]
)
def test_an_audit_copes_with_a_missing_or_empty_table(code, name):
    """Any table may be absent or have no rows."""
    given = clean()
    for table in (None, getattr(given, name).clear()):
        assert outcome(code, dataclasses.replace(given, **{name: table}))["outcome"] in {"passed", "not applicable"}


@every_audit
def test_an_audit_changes_no_table_and_repeats_itself(code):
    """Auditing twice gives the same answer."""
    given = PLANTED[code]()
    before = given.samples.clone()

    assert outcome(code, given) == outcome(code, given)
    assert given.samples.equals(before)


@every_audit
def test_an_audit_has_a_page(code):
    """The page starts with the number and the title of the audit."""
    entry = audits.AUDITS.get(code)

    assert (DOCS / entry.docs).read_text(encoding="utf-8").startswith(f"# {code}: {entry.title}\n")
