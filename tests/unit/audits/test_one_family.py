"""A family that stands alone is audited in everything that needs no comparison."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from grandrounds import others
from grandrounds.evaluate.columns import Columns
from grandrounds.study.spec import JudgeSpec


@pytest.fixture
def audited(tmp_path):
    """Return a function that audits sixty patients of one family, whose probabilities follow the truth by a gain."""

    def audit(gain, sharpened=1.0):
        draw = np.random.default_rng(5)
        ill = np.arange(120) % 2 == 0
        told = 1 / (1 + np.exp(-sharpened * (gain * (ill - 0.5) + draw.normal(0, 1, 120))))
        pl.DataFrame({
            "sample": [f"s{k}" for k in range(120)], "patient": [f"p{k}" for k in range(120)],
            "label": np.where(ill, "ill", "well"), "prob_ill": told, "prob_well": 1 - told, "family": "alone",
        }).write_csv(tmp_path / "one.csv")  # fmt: skip
        findings = others.audited([tmp_path / "one.csv"], Columns(positive="ill"), JudgeSpec(resamples=300))
        return dict(findings.select("audit", "outcome").iter_rows())

    return audit


def test_random_labels_are_tried_on_a_family_alone(audited):
    """What shows nothing is found, and what shows something passes."""
    assert audited(0.0)["A016"] == "finding"
    assert audited(3.0)["A016"] == "passed"


def test_the_calibration_of_a_family_alone_is_looked_at(audited):
    """Probabilities that are far too sure are found."""
    assert audited(1.0, sharpened=8.0)["A014"] == "finding"


def test_what_compares_families_does_not_apply_to_one(audited):
    """Neither a spread of differences nor a floor can be asked of a family alone."""
    outcomes = audited(3.0)

    assert {outcomes[code] for code in ("A005", "A006", "A008", "A010")} == {"not applicable"}
