"""A012: whose pixels fitted models saw."""

from __future__ import annotations

import polars as pl
import pytest

from grandrounds import audits
from grandrounds.audits import AuditTables
from grandrounds.tables import patient_hashes

ROWS = pl.DataFrame(
    {"sample": ["s1", "s2"], "trial": ["t", "t"], "patient": ["anna", "berta"], "role": ["test", "valid"]}
)


@pytest.mark.parametrize(
    ("saw", "known", "outcome"),
    [
        ("berta", True, "passed"),
        ("berta", False, "not applicable"),
        ("anna", True, "finding"),
        ("anna", False, "finding"),
    ],
)
def test_what_is_found_and_what_cannot_be(saw, known, outcome):
    """Where nobody says whose images they are nothing can pass; an image that was trained on is found all the same."""
    hashes = frozenset(patient_hashes(pl.Series([saw])))
    found = audits.run(AuditTables(predictions=ROWS, fitted_on={"t": hashes}, patient_known=known)).filter(audit="A012")
    assert found["outcome"].item() == outcome
