from __future__ import annotations

import dataclasses

import polars as pl

from grandrounds import tables
from grandrounds.report.ranked import Ranked
from grandrounds.report.uncertainty import uncertainty


def _other(content, unit):
    """Return the content with scores by sample and by another unit as well."""
    one = content.scores.with_columns(unit=pl.lit("sample"))
    other = content.scores.with_columns(
        unit=pl.lit(unit), estimate=pl.col("estimate") / 2, n_samples=pl.lit(24, dtype=pl.Int64)
    )
    return dataclasses.replace(content, scores=pl.concat([one, other]))


def _intervals(families, metric):
    rows = [
        {"family": family, "metric": metric, "method": method, "low": low, "high": high, "error": error, "n": 3,
         "note": note}
        for family in families
        for method, low, high, error, note in (
            ("BCa", 0.811, 0.899, None, None),
            ("spread over folds", 0.7, 0.9, 0.042, None),
            ("training anew (Nadeau-Bengio)", None, None, None, "cannot be estimated"),
        )
    ]  # fmt: skip
    return tables.check(pl.DataFrame(rows), tables.INTERVALS)


def test_other_intervals_stand_beside_the_shown_one(content):
    """An interval as an interval, a spread as its standard deviation, and why there is none."""
    content = dataclasses.replace(content, intervals=_intervals(["resnet-18", "lbp-svm"], content.primary))
    (table,) = uncertainty(Ranked.of(content)).blocks
    first = [(cell.text, cell.detail) for cell in table.rows[0]]
    assert first[0][0] == "resnet-18"
    assert first[2] == ("0.811 to 0.899", "")
    assert first[3] == ("0.042", "n = 3")
    assert table.notes == ("Cannot be estimated.",)


def test_levels_stand_beside_each_other(content):
    """By sample and by case, each with how many there are."""
    (table,) = uncertainty(Ranked.of(_other(content, "case"))).blocks
    assert [column.title for column in table.columns] == ["Family", "By sample", "By case"]
    assert table.columns[2].detail == "n = 24"
    assert float(table.rows[0][2].text) < float(table.rows[0][1].text)


def test_nothing_to_say_is_no_section(content):
    """One level and no other interval leave nothing to show."""
    assert uncertainty(Ranked.of(content)) is None
