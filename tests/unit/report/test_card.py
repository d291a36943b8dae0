"""The model card says what ships, what it learned from, how good it is and under which licences."""

from __future__ import annotations

import dataclasses

import polars as pl
import pytest

from grandrounds import tables
from grandrounds.report.card import Shipped, card

SHIPPED = Shipped(
    summary="texture and a machine", reference="Nobody, 2002", shape=(1, 32, 32), calibration="beta",
    thresholds=[("Youden", "fibrosis", 0.31)], weights=["Apache-2.0"],
    envelope="Its images had grey values from 0 to 255.", data="CC BY 4.0",
    strange={"noise": 1.0, "photographs": 0.59},
)  # fmt: skip


@pytest.mark.parametrize(
    "said",
    [
        "# Model card: lbp-svm",
        "found so: 100 % of noise; 59 % of photographs; of images like those of training 1 in 100.",
        "**MADE UP: random numbers**",
        "not a medical device",
        "240 images of 24 patients were read for Lung pattern",
        "Not for images of another kind",
        "reads 1×32×32 (channels, rows, columns)",
        "recalibrated (beta)",
        "| Youden | fibrosis | 0.310 |",
        "published weights under Apache-2.0; that licence stays with it",
        "Images that it learned from: CC BY 4.0",
        "Its images had grey values from 0 to 255.",
        "1 group of images has the same pixels under two labels.",
        "Among these two the cheaper is **lbp-svm**",
        "Intervals describe the fitted models on other patients like these.",
    ],
)
def test_the_card_has_what_a_user_must_know(content, said):
    """Warnings, intended use, data, thresholds, findings and licences stand in it."""
    assert said in card(content, "lbp-svm", SHIPPED)


def test_scores_stand_with_their_intervals_beside_the_best_floor(content):
    """The primary metric comes first, of the family and of the best family that looks at almost nothing."""
    text = card(content, "lbp-svm", SHIPPED)
    rows = [line for line in text.splitlines() if line.startswith("|")]
    auc = content.scores.filter(pl.col("label").is_null(), family="lbp-svm", metric="auc").row(0, named=True)

    assert rows[0].split("|")[2:4] == [" lbp-svm, 95 % interval ", " thumbnail, 95 % interval "]
    assert f"{auc['estimate']:.3f} ({auc['low']:.3f} to {auc['high']:.3f})" in rows[2]


def test_nothing_known_is_said_to_be_unknown(content):
    """No licence, no finding, no threshold and no modality are words, not blanks."""
    bare = dataclasses.replace(content, findings=tables.empty(tables.FINDINGS))
    text = card(bare, "lbp-svm", SHIPPED._replace(weights=[], data=None, thresholds=[], calibration="none"))

    assert "no weights whose licence is known" in text
    assert "licence not stated" in text
    assert "what was checked stands in the report" in text
    assert "Youden" not in text
