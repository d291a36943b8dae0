from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import polars as pl
import pytest
from PIL import Image as Pillow

from grandrounds import data
from grandrounds.data import contact_sheet as sheets
from grandrounds.data.contact_sheet import EDGE_PX, contact_sheet
from grandrounds.data.pacs_copy import SeriesFacts, write_series


@pytest.fixture
def dataset(picture: Callable[..., Path], tmp_path: Path) -> data.Dataset:
    """Two classes; patient 0 has thirty images of class a, twelve others have one each."""
    rows = [(picture(f"{n:03d}.png", n).name, "a", 0) for n in range(30)]
    rows += [(picture(f"{n:03d}.png", n).name, "ab"[n % 2], n) for n in range(30, 54)]
    table = tmp_path / "t.csv"
    pl.DataFrame(rows, schema=["image", "label", "patient"], orient="row").write_csv(table)
    return data.open_dataset(table)


def test_pictures_are_dealt_over_patients(dataset: data.Dataset) -> None:
    """The patient with thirty images has one place of ten, as everybody."""
    chosen = contact_sheet(dataset)
    patient = dict(dataset.samples.select("sample", "patient").iter_rows())

    assert {label: len(pictures) for label, pictures in chosen.items()} == {"a": 10, "b": 10}
    for pictures in chosen.values():
        assert len({patient[one.sample] for one in pictures}) == 10


def test_the_seed_alone_chooses(dataset: data.Dataset) -> None:
    """The same seed gives the same sheet, another seed another."""
    assert contact_sheet(dataset, 1) == contact_sheet(dataset, 1)
    assert contact_sheet(dataset, 1) != contact_sheet(dataset, 2)


def test_pictures_are_small_and_keep_their_proportions(tmp_path: Path) -> None:
    """A wide picture in colour stays wide, in colour and in its order of channels, and fits the sheet."""
    for label in "ab":
        pixels = np.random.default_rng(ord(label)).integers(0, 40, (200, 400, 3), dtype=np.uint8)
        pixels[..., 0] = 255  # the rest is red
        pixels[::2] //= 2
        (tmp_path / label).mkdir()
        Pillow.fromarray(pixels).save(tmp_path / label / "x.png")
    jpeg = contact_sheet(data.open_dataset(tmp_path))["a"][0].jpeg
    picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)

    assert picture.shape == (EDGE_PX // 2, EDGE_PX, 3)
    assert picture[..., 2].mean() > picture[..., 0].mean() + 80


def test_dicom_is_shown_through_its_window(tmp_path: Path) -> None:
    """What a file wants black is black on the sheet; without a window the same pixels are stretched."""
    hu = np.linspace(-1000, 1000, 64 * 64).reshape(64, 64).round().astype(int)
    for exam, extra in enumerate(({"WindowCenter": 500, "WindowWidth": 1000}, {}), start=1):
        write_series(tmp_path, SeriesFacts(f"SIM-{exam}", exam, extra=extra), hu[None])
    (tmp_path / "labels.csv").write_text("patient,finding\nSIM-1,present\nSIM-2,absent\n")
    sheet = contact_sheet(data.open_dataset(tmp_path))
    windowed, plain = (
        cv2.imdecode(np.frombuffer(sheet[label][0].jpeg, np.uint8), cv2.IMREAD_GRAYSCALE)
        for label in ("present", "absent")
    )

    assert (windowed < 10).mean() > 0.45
    assert (plain < 10).mean() < 0.1


def test_bytes_are_bounded(dataset: data.Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the images, the sheet stops where the page would grow too large."""
    monkeypatch.setattr(sheets, "MOST_BYTES", 3000)
    pictures = [one for row in contact_sheet(dataset).values() for one in row]

    assert pictures
    assert sum(len(one.jpeg) for one in pictures) <= 3000


def test_what_cannot_be_read_any_more_is_left_out(dataset: data.Dataset) -> None:
    """A file that went away since the scan leaves a gap, not an error."""
    for path in dataset.files["path"][30:]:
        Path(path).unlink()
    chosen = contact_sheet(dataset)

    assert chosen["b"] == ()
    assert len(chosen["a"]) == 1
