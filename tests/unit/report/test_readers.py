"""The section on human readers says who is better, for whom that holds, and what could not be estimated."""

from __future__ import annotations

import dataclasses

import polars as pl
import pytest

from grandrounds import tables
from grandrounds.report import ReportContent
from grandrounds.report.blocks import Folded, Prose, Table
from grandrounds.report.ranked import Ranked
from grandrounds.report.readers import readers


def row(arm, against, holds_for, estimate, low, high, p=None, **more):
    """Return one row of the readers table."""
    return {
        "metric": "auc", "arm": arm, "against": against, "holds_for": holds_for, "estimate": estimate, "low": low,
        "high": high, "df": 15.26, "p": p, "p_adjusted": p, "n_readers": 5, "n_patients": 114, "n_samples": 114, **more,
    }  # fmt: skip


@pytest.fixture
def read(build) -> ReportContent:
    """A made-up study whose readers are those of Van Dyke's, as published."""
    rows = [
        row("spin-echo", None, "readers and cases", 0.897, 0.825, 0.969),
        row("cine", None, "readers and cases", 0.941, 0.894, 0.988),
        row("spin-echo", "cine", "readers and cases", -0.044, -0.088, 0.000, 0.0517, variance=8e-4, var_reader=-1e-4),
        row("spin-echo", "cine", "cases", -0.044, -0.080, -0.007, 0.0193),
        row("cine", "model", "readers and cases", 0.05, 0.01, 0.09, 0.02),
    ]
    frame = tables.check(pl.DataFrame(rows, infer_schema_length=None), tables.READERS)
    return dataclasses.replace(build(classes=("no", "yes")), readers=frame)


def test_there_is_no_section_without_readers(content: ReportContent) -> None:
    """A study of models alone says nothing of readers."""
    assert readers(Ranked.of(content)) is None


def test_each_difference_is_a_sentence(read: ReportContent) -> None:
    """What cannot be told apart is said so; what can is said for the better one, with a positive size."""
    section = readers(Ranked.of(read))
    assert section is not None
    prose = section.blocks[0]

    assert isinstance(prose, Prose)
    first, second = prose.sentences
    assert (
        first == "`spin-echo` and `cine` cannot be told apart over 5 readers: −0.044 (−0.088 to 0.000) in AUC of yes."
    )
    assert second.startswith("`cine` is better than `model` by 0.050 (0.010 to 0.090) in AUC of yes, over 5 readers")


def test_whom_a_row_holds_for_stands_beside_it(read: ReportContent) -> None:
    """The row for these readers alone stands under the one for others too, and variances below 0 are explained."""
    section = readers(Ranked.of(read))
    assert section is not None
    table = section.blocks[2]
    folded = section.blocks[3]

    assert isinstance(table, Table)
    assert [line[0].detail for line in table.rows] == ["other readers too", "these readers", "other readers too"]
    assert isinstance(folded, Folded)
    assert isinstance(folded.blocks[0], Table)
    assert "no more than their errors" in folded.blocks[0].notes[0]


def test_one_reader_is_no_sample_of_readers(read: ReportContent) -> None:
    """Where nothing can be said of other readers the reason is given."""
    lone = row("alone", "model", "readers and cases", 0.1, None, None, note="one reader cannot speak for others")
    frame = tables.check(pl.DataFrame([lone], infer_schema_length=None), tables.READERS)
    section = readers(Ranked.of(dataclasses.replace(read, readers=frame)))
    assert section is not None

    assert isinstance(section.blocks[0], Prose)
    assert section.blocks[0].sentences == (
        "`alone` and `model` cannot be compared for other readers: one reader cannot speak for others.",
    )
