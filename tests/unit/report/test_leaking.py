"""Predictions whose patients stand in two roles are marked wherever anybody reads their scores."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from tests.command import grandrounds

from grandrounds import others
from grandrounds.evaluate.columns import Columns
from grandrounds.study.spec import JudgeSpec

QUICK = JudgeSpec(resamples=100)
SAID = "40 of 40 patients stand in two roles of one fold"


def predictions(*, leaking: bool, tasks: tuple[str, ...] = ("label",)) -> pl.DataFrame:
    """Forty patients in valid, and in test the same ones or others."""
    draw = np.random.default_rng(4)
    frames = []
    for task in tasks:
        for role in ("valid", "test"):
            sick = np.arange(40) % 2 == 0
            whose, image = "p" if leaking else f"{task}-{role}", f"{task}-{role}"
            told = np.clip(0.3 + 0.4 * sick + draw.normal(0, 0.2, 40), 0, 1)
            frames.append(pl.DataFrame({
                "sample": [f"{image}{k}" for k in range(40)], "patient": [f"{whose}{k}" for k in range(40)],
                "task": task, "label": np.where(sick, "ill", "well"), "role": role,
                "prob_ill": told, "prob_well": 1 - told,
            }))  # fmt: skip
    return pl.concat(frames)


@pytest.fixture
def leaky(tmp_path: Path) -> Path:
    """A file of predictions that leaks."""
    predictions(leaking=True).write_csv(tmp_path / "leaky.csv")
    return tmp_path / "leaky.csv"


def test_a_leak_stands_on_the_page_and_leads_the_answer(leaky: Path, tmp_path: Path) -> None:
    """The watermark is there, and the first sentence of the answer counts the patients."""
    content = others.judged([leaky], tmp_path / "out", Columns(), QUICK)

    assert [words.split(":")[0] for words in content.watermarks] == ["LEAKY"]
    assert SAID in content.verdict_sentences[0]
    assert "reaches" in content.verdict_sentences[1]


def test_predictions_without_a_leak_carry_no_mark(tmp_path: Path) -> None:
    """Other patients in test, and the answer begins with who leads."""
    predictions(leaking=False).write_csv(tmp_path / "clean.csv")
    content = others.judged([tmp_path / "clean.csv"], tmp_path / "out", Columns(), QUICK)

    assert not content.watermarks
    assert "reaches" in content.verdict_sentences[0]


def test_a_leak_in_one_of_several_tasks_leads_the_answer_over_all(tmp_path: Path) -> None:
    """The mean over tasks rests on the leaking one too, and the sentence names it."""
    clean = predictions(leaking=False, tasks=("one",))
    pl.concat([clean, predictions(leaking=True, tasks=("two",))]).write_csv(tmp_path / "tasks.csv")
    content = others.judged([tmp_path / "tasks.csv"], tmp_path / "out", Columns(), QUICK)

    assert [words.split(":")[0] for words in content.watermarks] == ["LEAKY"]
    assert content.verdict_sentences[0].startswith("In the task two 40 of ")
    assert [bool(one.watermarks) for one in content.tasks] == [False, True]


def test_the_terminal_names_the_findings_below_the_answer(leaky: Path, tmp_path: Path) -> None:
    """Whoever reads no page still learns what the audits found."""
    told = " ".join(grandrounds("report", leaky, "-o", tmp_path / "out", "--resamples", "100").split())

    assert "LEAKY" in told
    assert "The audits found: Patient on two sides (A001)" in told
    assert told.index("reaches") < told.index("The audits found") < told.index("Report: ")
