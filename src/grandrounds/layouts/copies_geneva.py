"""Writes synthetic copies of the Geneva ILD database with what readers of the real one stumble over.

Planted: a patient with two series, a patient of the pilot, names in which series and section run together, section 10
after section 2, mask names that do not pad the number, a localiser among the sections, lines that end as on Windows,
spellings of a tissue, contours that leave the image, a section wider than the others, -2000 outside the scan field,
tissues outside the five classes, masks without a section, the rescale of a CT file in the header of a mask, a shadow
file as archives made on a Mac have them, and a readme that is no ROI text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray

from grandrounds.data.hrct_dicom import Header, roi_text, write_ct, write_mask
from grandrounds.layouts.copies_pixels import SIGNED, noise, save
from grandrounds.layouts.truth import Truth, record

_CODES = {"normal": 1, "emphysema": 2, "ground_glass": 3, "fibrosis": 4, "micronodules": 5, "consolidation": 6}
_PATCH_PX = 32
_PIXEL_MM = 0.7
_OUTSIDE = -2000  # as stored outside the scan field


@dataclass(frozen=True)
class _Section:
    # One CT section: where it lies, and the tissue of each of its corners, row by row ("" for none).
    folder: str
    patient: str
    series: int
    name: str
    number: int
    tissues: tuple[str, ...]
    width_px: int = 64


@dataclass(frozen=True)
class _Text:
    # One ROI file: its folder and name, and how it spells tissues.
    folder: str
    name: str
    series: int
    words: dict[str, str]
    end: str = "\n"


_SECTIONS = (
    _Section("8/CT-INSPIRIUM-8871", "8", 8871, "CT-8871-0002", 2, ("normal", "emphysema", "", "fibrosis")),
    _Section("8/CT-INSPIRIUM-8871", "8", 8871, "CT-8871-0010", 10, ("micronodules", "", "consolidation", "")),
    _Section("8/CT-INSPIRIUM-8873", "8", 8873, "CT88730004", 4, ("normal", "", "", "ground_glass")),
    _Section("10", "10", 7605, "CT-7605-0004", 4, ("ground_glass", "", "micronodules"), width_px=96),
    _Section("HRCT_pilot/200", "200", 200, "CT-200-0001", 1, ("fibrosis", "emphysema", "normal", "")),
)
_TEXTS = (
    _Text("8/CT-INSPIRIUM-8871", "CT-INSPIRIUM-8871.txt", 8871, {"normal": "healthy"}, "\r\n"),
    _Text("8/CT-INSPIRIUM-8873", "CT-INSPIRIUM-8873.txt", 8873, {"normal": "Healthy", "ground_glass": "ground-glass"}),
    _Text("10", "Thorax.txt", 7605, {"ground_glass": "Ground glass"}),
    _Text("HRCT_pilot/200", "CT-INSPIRIUM-200.txt", 200, {"normal": "healthy"}),
)


def write_geneva(folder: Path, seed: int = 0) -> Path:
    """Write five sections of three patients with texts, masks of regions and of the lung, and return `ILD_DB`.

    The lung of every section leaves out its lowest rows, so that patches that start in row 32 lie in it by half.
    """
    rng, root, truths = np.random.default_rng(seed), folder / "ILD_DB", []
    for section in _SECTIONS:
        hu = noise(rng, (64, section.width_px), -1000, 100, np.int16).astype(np.float64)
        hu[0, :3] = _OUTSIDE - 1024
        _write_section(root, section, hu)
        for (top, left), tissue in _corners(section):
            if tissue and tissue != "consolidation":
                patch = hu[top : top + _PATCH_PX, left : left + _PATCH_PX]
                name = f"{section.patient}-{section.name}-{top:03d}-{left:03d}"
                truths.append(Truth(name, patch, tissue, section.patient, (_PIXEL_MM, _PIXEL_MM)))
    for text in _TEXTS:
        _write_text(root / "ILD_DB_txtROIs" / text.folder / text.name, text)
    _localiser(root)
    (root / "ILD_DB_txtROIs" / "readme.txt").write_text("label: of nobody\n", encoding="utf-8")
    (root / "ILD_DB_txtROIs" / "10" / "._CT-7605-0004.dcm").write_bytes(b"\x00\x05\x16\x07")
    record(folder, truths)
    return root


def write_geneva_volumes(folder: Path, seed: int = 0) -> Path:
    """Write the same sections and return the tree whose regions are masks; it tells the same patches."""
    return write_geneva(folder, seed) / "ILD_DB_volumeROIs"


def write_talisman(folder: Path, seed: int = 0) -> Path:
    """Write patches of three patients and of the pool that is always trained on, and return their folder."""
    rng, inner, truths = np.random.default_rng(seed), folder / "ILD_DB_talismanTestSuite", []
    words = ("healthy", "emphysema", "ground_glass", "fibrosis", "micronodules", "healthy", "fibrosis", "emphysema")
    for index, word in enumerate(words):
        patient = ("-1", "8", "57", "142")[index % 4]
        pixels = noise(rng, (_PATCH_PX, _PATCH_PX), -1000, 300, np.int16)
        name = f"{word}_patch{index}_patient{patient}_1"
        save(inner / f"{name}.tif", pixels.view(np.uint16), tiffinfo=SIGNED)
        label, role = "normal" if word == "healthy" else word, "train" if patient == "-1" else None
        truths.append(Truth(name, pixels, label, patient, role=role))
    record(folder, truths)
    return inner


def _corners(section: _Section) -> list[tuple[tuple[int, int], str]]:
    lefts = range(0, section.width_px, _PATCH_PX)
    places = [(top, left) for top in (0, _PATCH_PX) for left in lefts]
    return list(zip(places, section.tissues, strict=False))


def _header(patient: str, series: int) -> Header:
    return Header(f"SIM-{patient}", series, 60, "F", "SIMULATED HOSPITAL", "SHARP", _PIXEL_MM, 1.0, seed=0)


def _write_section(root: Path, section: _Section, hu: NDArray[np.floating[Any]]) -> None:
    """Write one section into the three trees, with its masks in two of them."""
    header, codes = _header(section.patient, section.series), np.zeros(hu.shape, np.uint8)
    for (top, left), tissue in _corners(section):
        codes[top : top + _PATCH_PX, left : left + _PATCH_PX] = _CODES.get(tissue, 0)
    lung = np.ones(hu.shape, np.uint8)
    lung[48:] = 0
    for tree, kind, mask in (
        ("ILD_DB_txtROIs", "", None),
        ("ILD_DB_volumeROIs", "roi_mask", codes),
        ("ILD_DB_lungMasks", "lung_mask", lung),
    ):
        place = root / tree / section.folder
        (place / kind).mkdir(parents=True, exist_ok=True)
        write_ct(place / f"{section.name}.dcm", header, hu, section.number, 10.0 * section.number)
        _store_signed(place / f"{section.name}.dcm", hu)
        if mask is not None:
            for number in (section.number, section.number + 70):  # no section 70 further on
                path = place / kind / f"{kind}_{section.series}_{number}.dcm"
                write_mask(path, header, mask, number, kind)
                if section.series == 8871:
                    _rescale_of_ct(path)


def _store_signed(path: Path, hu: NDArray[np.floating[Any]]) -> None:
    # What some scanners did: signed values, so that -2000 could stand outside the scan field.
    ds = pydicom.dcmread(path)
    ds.PixelRepresentation, ds.BitsStored, ds.HighBit = 1, 16, 15
    ds.PixelData = (hu + 1024).astype("<i2").tobytes()
    ds.save_as(path)


def _rescale_of_ct(path: Path) -> None:
    ds = pydicom.dcmread(path)
    ds.RescaleIntercept, ds.RescaleSlope = -1024, 1
    ds.save_as(path)


def _write_text(path: Path, text: _Text) -> None:
    rois: list[tuple[str, int, Sequence[NDArray[np.integer[Any]]]]] = []
    sections = [one for one in _SECTIONS if (one.folder, one.series) == (text.folder, text.series)]
    for section in sections:
        for (top, left), tissue in _corners(section):
            if tissue:
                right, bottom = left + _PATCH_PX - 1, top + _PATCH_PX - 1
                right += 40 * (right == section.width_px - 1)  # drawn over the edge of the image
                square = np.array([[left - 9 * (left == 0), top], [right, top], [right, bottom], [left, bottom]])
                if left == 0:
                    square[3, 0] = -9
                rois.append((text.words.get(tissue, tissue), section.number, [square]))
    said = roi_text(_header(sections[0].patient, text.series), 10.0, rois)
    path.write_bytes(said.replace("\n", text.end).encode())


def _localiser(root: Path) -> None:
    """Write a scout view whose name ends in the number of a section, beside a text that names no series."""
    path = root / "ILD_DB_txtROIs" / "10" / "CT-7604-0004.dcm"
    write_ct(path, _header("10", 7604), np.zeros((64, 64)), 4, 0.0)
    ds = pydicom.dcmread(path)
    ds.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    ds.save_as(path)
