"""Every synthetic copy of a layout is read as what it was written from: pixels, spacing, labels, patients, roles."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from grandrounds.data import open_dataset
from grandrounds.data.catalogue import SOURCES
from grandrounds.layouts.copies import COPIES, OPTIONS
from grandrounds.layouts.truth import recorded


@pytest.mark.parametrize("name", list(COPIES))
def test_what_was_written_is_read(name, tmp_path):
    """The writer's own record is what reading finds: no sample more, none less, every pixel and fact the same."""
    dataset = open_dataset(COPIES[name](tmp_path), OPTIONS.get(name))
    truths = recorded(tmp_path)

    assert sorted(dataset.samples["sample"]) == sorted(truth.sample for truth in truths)
    labels = dict(dataset.labels.select("case", "label").iter_rows())
    roles = {} if dataset.official is None else dict(dataset.official.rows())
    for truth in truths:
        row = dataset.samples.row(by_predicate=pl.col("sample") == truth.sample, named=True)
        image = dataset.load(truth.sample)
        pixels = truth.pixels if truth.pixels.ndim > len(image.space) else truth.pixels[None]
        np.testing.assert_array_equal(image.pixels, pixels)
        assert labels[row["case"]] == truth.label
        assert roles.get(row["case"]) == truth.role
        if truth.patient is not None:
            assert row["patient"] == truth.patient
        assert dataset.patient_known == (truth.patient is not None)
        if truth.spacing_mm is None:
            assert row["spacing_mm"] is None
        else:
            np.testing.assert_allclose(row["spacing_mm"], truth.spacing_mm, atol=1e-6)
            np.testing.assert_allclose(image.geometry.spacing_mm, truth.spacing_mm, atol=1e-6)


def test_every_layout_has_a_copy():
    """A layout on disk has a writer under its name; forms of it are named after it."""
    layouts = {entry.name for entry in SOURCES if entry.draft is not None}

    assert layouts <= set(COPIES)
    assert all(any(name == one or name.startswith(f"{one}-") for one in layouts) for name in COPIES)
