from __future__ import annotations

import numpy as np
import polars as pl

from grandrounds.features.clinical import encode, learn_columns

ROWS = pl.DataFrame(
    {
        "sample": list("abcdef"),
        "mean": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6],
        "age": [40.0, None, 60.0, 50.0, float("nan"), 50.0],
        "weight": ["70", "80", "90", "80", "75", "85"],
        "smoker": ["yes", "no", "yes", "no", "yes", None],
        "remark": ["p", "q", "r", "s", "t", "u"],
        "constant": [1, 1, 1, 1, 1, 1],
        "empty": [None] * 6,
    }
)


def test_what_counts_as_clinical():
    """Our own columns, constants, empty columns and free texts are left out; text that reads as numbers is numbers."""
    columns = {column.name: column for column in learn_columns(ROWS)}

    assert list(columns) == ["age", "weight", "smoker"]
    assert columns["weight"].kind == "number"
    assert columns["smoker"].categories == ("no", "yes")


def test_missing_values_are_features():
    """A missing number stands at the mean and is flagged; so is a missing category."""
    age, age_missing, _, no, yes, smoker_missing = encode(ROWS, learn_columns(ROWS)).T

    assert np.allclose(age.mean(), 0, atol=1e-6)
    assert age_missing.tolist() == [0, 1, 0, 0, 1, 0]
    assert (no + yes + smoker_missing).tolist() == [1] * 6


def test_an_infinite_number_is_a_missing_one():
    """Text such as "inf" reads as a number, and has no place in a mean."""
    columns = learn_columns(pl.DataFrame({"dose": ["1", "2", "inf", "3"]}))
    assert columns[0].mean == 2.0
    assert columns[0].missing
    met = encode(pl.DataFrame({"dose": ["-inf", "2", "nan"]}), columns)
    assert met.tolist() == [[0, 1], [0, 0], [0, 1]]


def test_strangers_and_absent_columns():
    """Unknown categories, unreadable numbers and absent columns are met without an error."""
    columns = learn_columns(ROWS)
    stranger = pl.DataFrame({"age": ["old", "30"], "smoker": ["formerly", "no"]})

    assert encode(stranger, columns).shape == (2, 6)
    assert encode(stranger, columns)[0].tolist() == [0, 1, 0, 0, 0, 0]
