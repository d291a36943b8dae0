"""Every source of the registry gives tables that pass their schema, images that load, and the same hash twice."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from grandrounds import registry, tables
from grandrounds.data import Dataset, SourceOptions, open_dataset
from grandrounds.data.catalogue import SOURCES
from grandrounds.image import pixel_hash
from grandrounds.layouts.copies import COPIES, OPTIONS

PIXELS = np.random.default_rng(0).integers(0, 255, (8, 6, 7), dtype=np.uint8)


def _folder(root: Path) -> Path:
    for index, pixels in enumerate(PIXELS):
        folder = root / "set" / "ab"[index % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Pillow.fromarray(pixels).save(folder / f"{index}.png")
    return root / "set"


@pytest.fixture(params=list(COPIES))
def source(request, tmp_path) -> tuple[Path, SourceOptions | None]:
    """One small set of each layout, and what has to be said to open it."""
    return COPIES[request.param](tmp_path), OPTIONS.get(request.param)


def test_every_entry_can_be_opened_by_path_or_name():
    """A source has a layout on disk with a copy, or names; its functions can be imported."""
    for entry in SOURCES:
        assert entry.name in COPIES or entry.names, f"add a writer of copies of {entry.name}"
        assert (entry.named is not None) == bool(entry.names)
        for path in filter(None, (entry.draft, entry.named)):
            assert callable(registry.load(path))


def test_the_sources_and_where_to_ask_for_them():
    """Each says its licence; a collection with files of its own says where to ask, in the list and in its module."""
    assert {entry.name for entry in SOURCES} >= {
        "geneva-ild", "mrnet", "glas", "covid-ctset", "covid-ct", "cov19-ct-db", "medmnist", "lidc", "folder", "table",
        "bids", "nnunet", "simulated-hrct",
    }  # fmt: skip
    for entry in SOURCES:
        own = entry.licence is None or entry.licence.startswith("that of the set") or entry.draft is None
        assert own == (entry.ask is None), entry.name
        if entry.ask is not None and entry.telltales and entry.draft:
            assert entry.ask in str(importlib.import_module(entry.draft.partition(":")[0]).__doc__), entry.name


def test_every_source_has_a_page():
    """The how-to page of a source is called after it, and its index leads there."""
    pages = Path(__file__).parents[2] / "docs" / "how-to"
    listed = (pages / "index.md").read_text(encoding="utf-8").split()
    for entry in SOURCES:
        page = {"folder": "class-folders", "table": "csv-with-patients"}.get(entry.name, entry.name)
        assert (pages / f"{page}.md").is_file(), entry.name
        assert page in listed


def _check(dataset: Dataset) -> None:
    tables.check(dataset.samples, tables.SAMPLES)
    tables.check(dataset.files, tables.FILES)
    tables.check(dataset.labels, tables.LABELS)
    assert set(dataset.labels["label"].drop_nulls()) == set(dataset.task.classes)
    assert set(dataset.samples["case"]) == set(dataset.labels["case"])
    assert dataset.samples["sample"].to_list() == dataset.files["sample"].unique(maintain_order=True).to_list()


def test_tables_and_images(source):
    """Tables are sound, every image loads, and its pixels are those that were hashed."""
    dataset = open_dataset(*source)

    _check(dataset)
    assert dataset.bad.is_empty()
    for row in dataset.samples.iter_rows(named=True):
        image = dataset.load(row["sample"])
        assert pixel_hash(image) == row["sha256"]
        depth = () if row["depth_px"] == 1 and len(image.space) == 2 else (row["depth_px"],)
        assert image.space == (*depth, row["height_px"], row["width_px"])


def test_same_hash_twice(source):
    """Opening a source again gives the same data set."""
    assert open_dataset(*source).fingerprint == open_dataset(*source).fingerprint


def test_one_changed_pixel_changes_the_hash(tmp_path):
    """The hash is one of the pixels."""
    folder = _folder(tmp_path)
    before = open_dataset(folder).fingerprint
    Pillow.fromarray(PIXELS[0] ^ 1).save(folder / "a" / "0.png")

    assert open_dataset(folder).fingerprint != before


def test_listing_sources_imports_no_reader():
    """`list datasets` is quick: the catalogue imports no torch and no reader of pixels."""
    import subprocess
    import sys

    script = (
        "import sys, grandrounds.data.catalogue; print(sorted({'torch', 'medmnist', 'SimpleITK'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)

    assert done.stdout.strip() == "[]"
