"""Every image once more, small: by one process or several, the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from grandrounds import data
from grandrounds.data.glance import glances
from grandrounds.formats import abreast
from grandrounds.formats.abreast import Crew


@pytest.fixture
def dataset(picture: Callable[..., Path], tmp_path: Path) -> data.Dataset:
    """Forty images of two classes."""
    rows = [(picture(f"{n:02d}.png", n).name, "ab"[n % 2], n) for n in range(40)]
    pl.DataFrame(rows, schema=["image", "label", "patient"], orient="row").write_csv(tmp_path / "t.csv")
    return data.open_dataset(tmp_path / "t.csv")


def test_two_processes_see_what_one_sees(dataset: data.Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures, names, planes and traces are the same, and in the same order."""
    monkeypatch.setattr(abreast, "_WORTH_S", 0.0)
    alone = glances(dataset)
    with Crew(2) as crew:
        together = glances(dataset, crew=crew)

    np.testing.assert_array_equal(alone.grey, together.grey)
    assert alone.samples == together.samples == tuple(dataset.samples["sample"])
    assert alone.traces.equals(together.traces)


def test_what_can_no_longer_be_read_is_left_out(dataset: data.Dataset) -> None:
    """A file that went away since is missing, and progress counts it all the same."""
    gone = dataset.samples["sample"][7]
    Path(dataset.files.filter(pl.col("sample") == gone)["path"][0]).unlink()
    told: list[tuple[int, int]] = []
    seen = glances(dataset, lambda n_done, n_all: told.append((n_done, n_all)))

    assert gone not in seen.samples
    assert len(seen.samples) == len(seen.grey) == seen.traces.height == 39
    assert told[-1] == (40, 40)
