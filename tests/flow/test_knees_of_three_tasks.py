"""Simulated knees from nothing to the report, which says what shows each task and what only two series show."""

from __future__ import annotations

from pathlib import Path

import pytest

from grandrounds import api
from grandrounds.data import SourceOptions
from grandrounds.data.knee_spec import KneeSpec
from grandrounds.specs import parse
from grandrounds.splits import SplitSpec
from grandrounds.study.spec import Ask, DataSpec, JudgeSpec, Means, Recipe

QUICK = {"of": {"dropout": 0.0}, "learning_rate": 3e-3, "batch_size": 8, "shift": 0.0, "max_epochs": 15}
SHARED = "exams:multitask:slices:spp"


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_the_report_says_what_shows_each_task(tmp_path: Path) -> None:
    """One series alone, two series only together, the columns alone; a network for all tasks stands beside."""
    options = SourceOptions(tasks="all", unit="volume", knee=KneeSpec(n_exams=120, n_slices=4, size_px=16))
    params = {"fusion:slices:spp": {"n_parts": 2}, "exams:slices:spp": {}, SHARED: {}}
    recipes = [parse(Recipe, {"family": name, "params": {"of": QUICK} | own}) for name, own in params.items()]
    ask = Ask(
        name="knees", data=DataSpec(source="simulated-knee", options=options), families=("prior",),
        recipes=tuple(recipes), seeds=1, split=SplitSpec(scheme="kfold", folds=2), judge=JudgeSpec(resamples=2000),
        means=Means(budget_s=36_000),  # so that every family trains as long as its recipe says, on any machine
    )  # fmt: skip
    page = (api.run(ask, tmp_path / "knees").folder / "report.md").read_text(encoding="utf-8")
    said = page.split("What shows each task?")[1].split("\n## ")[0]

    assert "one-series: sagittal alone is better than chance; of axial, columns and coronal this is not shown." in said
    assert "two-series: nothing alone (axial, columns, coronal and sagittal) is shown to be better" in said
    assert "nor is their late fusion; exams:slices:spp" in said
    assert "the series jointly" in said
    assert "they show it together only." in said
    assert "columns: columns alone is better than chance; of axial, coronal and sagittal this is not shown." in said
    assert SHARED in page


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_the_hybrid_tells_what_two_series_show_together(tmp_path: Path) -> None:
    """Tokens of convolutions under a transformer find it; each series alone and their late fusion do not."""
    options = SourceOptions(task="two-series", unit="volume", knee=KneeSpec())
    small = {"side_px": 32}
    params = {
        "exams:transmed:spp": {"of": small},
        "fusion:slices:spp": {"n_parts": 2, "of": small | {"max_epochs": 10}},
    }
    recipes = [parse(Recipe, {"family": name, "params": own}) for name, own in params.items()]
    ask = Ask(
        name="knees", data=DataSpec(source="simulated-knee", options=options), families=("prior",),
        recipes=tuple(recipes), seeds=1, split=SplitSpec(scheme="kfold", folds=2), judge=JudgeSpec(resamples=2000),
        means=Means(budget_s=36_000),
    )  # fmt: skip
    page = (api.run(ask, tmp_path / "knees").folder / "report.md").read_text(encoding="utf-8")
    said = page.split("What does each series say?")[1].split("\n## ")[0]

    late, joint = said.split("exams:transmed:spp beside its modalities")
    assert "Not shown to be better than chance: the fusion, axial, columns, coronal and sagittal." in late
    assert "Shown to be better than chance, reading all series jointly: exams:transmed:spp." in late
    assert "Not shown to be better than chance: axial, coronal and sagittal." in joint
    assert "Beside axial, sagittal dealt out anew gains" in joint
    assert "no gain is shown, as it should be" in joint
