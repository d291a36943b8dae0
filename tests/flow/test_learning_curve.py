"""Learning curves: the same study on parts of its training patients."""

from __future__ import annotations

import json

import polars as pl
import pytest

from grandrounds import api, tables
from grandrounds.evaluate.catalogue import METRICS
from grandrounds.evaluate.learning import Part, learning
from grandrounds.report import gather
from grandrounds.study.shares import share_s, whole_trials
from grandrounds.study.spec import Ask, DataSpec, JudgeSpec, Means
from grandrounds.study.subsets import part_of


@pytest.fixture(scope="module")
def runs(archive, tmp_path_factory):
    """The same study without and with a curve."""
    home = tmp_path_factory.mktemp("curve")
    ask = Ask(
        name="stripes", data=DataSpec(source=str(archive)), families=("prior", "thumbnail", "lbp-svm"), seeds=1,
        judge=JudgeSpec(resamples=100), means=Means(budget_s=20),
    )  # fmt: skip
    plain = api.run(ask, home / "plain").folder
    curved = api.run(ask.replaced(curve=(0.25, 0.5)), home / "curved").folder
    return plain, curved


def test_parts_are_trained_and_stay_out_of_every_other_table(runs):
    """Trials on parts have folders of their own; scores, predictions and the verdict are those of the plain study."""
    plain, curved = runs
    for name in ("scores", "predictions", "comparisons", "suspects"):
        one, other = (
            tables.read(tables.SCHEMAS[name], run / f"{name}.parquet").frame.select(pl.exclude("trial", "recipe"))
            for run in runs
        )
        assert one.equals(other), name
    assert {path.name for path in (plain / "trials").iterdir()} < {path.name for path in (curved / "trials").iterdir()}
    assert sum("-p25-" in path.name for path in (curved / "trials").iterdir()) == 3


def test_the_curve_ends_at_the_score_of_the_study(runs):
    """Three points a family, of a quarter, half and all training patients; the last is the score."""
    curves = tables.read(tables.CURVES, runs[1] / "curves.parquet").frame.filter(curve="learning")
    own = curves.filter(family="lbp-svm").sort("x")
    content = gather.gather(runs[1])
    whole = content.scores.filter(family="lbp-svm", metric="auc", slice="all").filter(pl.col("label").is_null())

    assert own["x"].to_list() == [6, 12, 24]
    assert own["y"][-1] == pytest.approx(whole["estimate"][0])
    assert (own["low"] <= own["y"]).all()
    assert "Would more patients help?" in (runs[1] / "report.html").read_text(encoding="utf-8")
    assert "Would more patients help?" not in (runs[0] / "report.html").read_text(encoding="utf-8")


def test_a_part_sees_fewer_patients_and_the_larger_one_sees_them_too(runs):
    """What the fitted models record of whom they saw is nested, apart from valid, which all see."""
    seen = {}
    for path in sorted((runs[1] / "trials").glob("lbp-svm*")):
        part = json.loads((path / "trial.json").read_text())["part"]
        seen[part] = set(json.loads((path / "fitted/fitted.json").read_text())["record"]["patients"])

    assert seen[0.25] < seen[0.5] < seen[1.0]
    assert len(seen[0.5]) - len(seen[0.25]) == 6


def test_a_finished_curve_is_left_alone(runs):
    """The same request again trains nothing."""
    run = runs[1]
    study, _ = api.study_in(run)

    assert not api.run(study, run).did_something


def test_a_curve_takes_its_part_of_the_budget():
    """With a quarter and half as well, a trial may cost 1 / 1.75 of what it could alone."""
    alone = share_s(2, n_trials=5, budget_s=70, workers=1)
    beside = share_s(2, n_trials=whole_trials(5, (0.25, 0.5)), budget_s=70, workers=1)

    assert beside == pytest.approx(alone / 1.75)


def test_parts_are_nested_stratified_and_never_empty_of_a_class():
    """Whatever the seed: a tenth lies in a quarter, every class keeps a patient, one patient is never split."""
    rows = pl.DataFrame({"patient": [f"p{k:02d}" for k in range(45)] * 2, "label": (["a"] * 40 + ["b"] * 5) * 2})
    for seed in range(20):
        tenth, quarter = (part_of(rows, share, seed) for share in (0.1, 0.25))
        assert tenth < quarter
        assert (len(tenth), len(quarter)) == (5, 12)
        assert any(name >= "p40" for name in tenth)
    assert part_of(rows, 0.1, 0) != part_of(rows, 0.1, 1)


def test_an_undefined_point_is_left_out():
    """A part whose metric has no value has no point, and no zero."""
    frame = pl.DataFrame({"sample": ["a", "b"], "patient": ["p", "q"], "family": "f", "label": ["x", "x"],
                          "prob_x": [0.5, 0.6], "prob_y": [0.5, 0.4], "role": "test"})  # fmt: skip
    task = tables.Task(kind="binary", classes=("x", "y"))

    assert learning([Part(3, frame)], task, METRICS.get("auc")).is_empty()
