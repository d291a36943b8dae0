"""The section on errors, and the pictures that belong to it."""

from __future__ import annotations

import dataclasses
import json

import polars as pl

from grandrounds import tables
from grandrounds.evaluate.wrongly import SUSPECT, WORST
from grandrounds.report.gather import _index
from grandrounds.report.page import render


def test_pictures_of_errors_are_no_examples(content, tmp_path):
    """A picture that was chosen for its error stands with the errors, and not among what the images look like."""
    sample = next(iter(content.thumbnails))
    suspects = pl.DataFrame({"kind": [WORST], "rank": [1], "sample": [sample], "family": ["resnet-18"], "label": ["x"],
                             "predicted": ["y"]})  # fmt: skip
    only = dataclasses.replace(
        content, suspects=tables.check(suspects, tables.SUSPECTS), thumbnails={sample: content.thumbnails[sample]},
        examples=frozenset(),
    )  # fmt: skip
    page = render(only)

    assert "What is read wrongly" in page
    assert "What the images look like" not in page
    (tmp_path / "index.json").write_text(json.dumps({"s": "s.png"}))
    assert _index(tmp_path) == {"examples": {"s": "s.png"}}


def test_errors_and_suspects_are_told_apart(content):
    """Worst errors stand under their family, suspect labels under a sentence that says what they are."""
    rows = [(WORST, 1, "s1", "resnet-18"), (WORST, 1, "s2", "prior"), (SUSPECT, 1, "s3", None)]
    frame = pl.DataFrame(rows, schema=["kind", "rank", "sample", "family"], orient="row")
    page = render(dataclasses.replace(content, suspects=tables.check(frame, tables.SUSPECTS)))

    assert "Worst errors of prior" in page
    assert "no proof; nothing was changed" in page
    assert page.index(">s1<") < page.index(">s2<") < page.index(">s3<")
