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


def test_a_table_with_pictures_of_some_rows_alone_has_none(content):
    """Two pictures above twelve rows, of which nobody knows which are meant, would be in no order."""
    sample, *_ = content.thumbnails
    rows = [(WORST, 1, sample, "resnet-18"), (WORST, 2, "elsewhere", "resnet-18")]
    frame = pl.DataFrame(rows, schema=["kind", "rank", "sample", "family"], orient="row")
    only = dataclasses.replace(content, suspects=tables.check(frame, tables.SUSPECTS), examples=frozenset())
    some = render(only)
    whole = render(dataclasses.replace(only, suspects=tables.check(frame.head(1), tables.SUSPECTS)))

    assert "In the order of the pictures" in whole
    assert "In the order of the pictures" not in some
    assert "data:image/png" not in some


def test_errors_and_suspects_are_told_apart(content):
    """Worst errors stand under their family, suspect labels under a sentence that says what they are."""
    rows = [(WORST, 1, "s1", "resnet-18"), (WORST, 1, "s2", "prior"), (SUSPECT, 1, "s3", None)]
    frame = pl.DataFrame(rows, schema=["kind", "rank", "sample", "family"], orient="row")
    page = render(dataclasses.replace(content, suspects=tables.check(frame, tables.SUSPECTS)))

    assert "Worst errors of prior" in page
    assert "no proof; nothing was changed" in page
    assert page.index(">s1<") < page.index(">s2<") < page.index(">s3<")
