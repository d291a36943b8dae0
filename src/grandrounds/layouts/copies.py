"""Writes tiny simulated copies of layouts whose images need an agreement: eight images each, of nobody.

They show how a folder has to look, and let tests and documentation run without the real thing. Pixels are noise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from grandrounds.data.hrct_dicom import Header, roi_text, write_ct
from grandrounds.layouts import covid_ct, covid_ctset, geneva, glas

_SIZE_PX = 32
_SIGNED = {339: 2}  # TIFF 6.0, SampleFormat: two's complement
_SQUARE = np.array([[0, 0], [31, 0], [31, 31], [0, 31]])  # x, y of a contour that fills one patch


def write_geneva(folder: Path, seed: int = 0) -> Path:
    """Write two patients with a section of four patches each, and return the folder of the database."""
    rng, words = np.random.default_rng(seed), list(geneva.CLASSES)
    for index in range(2):
        header = Header(f"SIM-{index}", 7605 + index, 60, "F", "SIMULATED HOSPITAL", "SHARP", 0.7, 1.0, seed)
        patient = folder / "ILD_DB" / geneva.TREE / str(8 + 2 * index)
        patient.mkdir(parents=True)
        write_ct(patient / f"CT-{header.series}-0004.dcm", header, rng.integers(-1000, 100, (64, 64)) * 1.0, 4, 40.0)
        corners = [(0, 0), (32, 0), (0, 32), (32, 32)]
        rois = [(words[(3 * index + k) % 5], 4, [_SQUARE + np.array(corner)]) for k, corner in enumerate(corners)]
        (patient / f"CT-INSPIRIUM-{header.series}.txt").write_text(roi_text(header, 10.0, rois), encoding="utf-8")
    return folder / "ILD_DB"


def write_talisman(folder: Path, seed: int = 0) -> Path:
    """Write patches of three patients and of the pool that is always trained on, and return their folder."""
    rng, inner = np.random.default_rng(seed), folder / "ILD_DB_talismanTestSuite"
    for index, word in enumerate([*geneva.CLASSES, "healthy", "fibrosis", "emphysema"]):
        patient = (-1, 8, 57, 142)[index % 4]
        pixels = _noise(rng, -1000, 300, np.int16)
        _save(inner / f"{word}_patch{index}_patient{patient}_1.tif", pixels.view(np.uint16), tiffinfo=_SIGNED)
    return inner


def write_glas(folder: Path, seed: int = 0) -> Path:
    """Write stained images of four patients, one of them in train and in test, and return their folder."""
    rng, inner = np.random.default_rng(seed), folder / "Warwick QU Dataset"
    lines = ["name, patient ID, grade (GlaS), grade (Sirinukunwattana et al. 2015)"]
    names = ["testA_1", "testA_2", "testB_1", "testB_2", "train_1", "train_2", "train_3", "train_4"]
    for name, patient in zip(names, (1, 2, 3, 4, 1, 5, 3, 6), strict=True):
        grade, finer = ("benign", "adenomatous") if patient % 2 else ("malignant", "moderately differentated")
        lines.append(f"{name}, {patient}, {grade}, {finer}")
        _save(inner / f"{name}.bmp", rng.integers(0, 255, (_SIZE_PX, 40, 3), dtype=np.uint8))
        _save(inner / f"{name}_anno.bmp", np.zeros((_SIZE_PX, 40), np.uint8))
    (inner / glas.GRADES).write_text("\n".join(lines), encoding="utf-8")
    return inner


def write_covid_ct(folder: Path, seed: int = 0) -> Path:
    """Write pictures of either class with lists for each role and a meta table, and return the repository's folder."""
    rng, inner = np.random.default_rng(seed), folder / "COVID-CT"
    meta = ["File name,Patient ID"]
    for theirs, names in (("COVID", ("a%1.png", "b 2.png", "c.png", "d.png")), ("NonCOVID", ("0.jpg", *"123"))):
        files = [name if "." in name else f"1%{name}.jpg" for name in names]
        for index, (name, part) in enumerate(zip(files, ("train", "train", "val", "test"), strict=True)):
            _save(inner / "Images-processed" / f"CT_{theirs}" / name, rng.integers(0, 255, (24, 30), dtype=np.uint8))
            lists = inner / covid_ct.SPLIT / theirs
            lists.mkdir(parents=True, exist_ok=True)
            with (lists / f"{part}CT_{theirs}.txt").open("a", encoding="utf-8", newline="") as file:
                file.write(f"{name} \r\n")
            if theirs == "COVID":
                meta.append(f"{Path(name).stem if index else name},Patient {index % 3}")
    (inner / covid_ct.META).write_text("\n".join(meta), encoding="utf-8")
    return inner


def write_covid_ctset(folder: Path, seed: int = 0) -> Path:
    """Write two sequences of four patients, each image with another maximum, and return their folder."""
    rng, inner = np.random.default_rng(seed), folder / "COVID-CTset"
    lines = ["Patient ID,SEX,AGE,Date,COVID-19 Infection"]
    for index, patient in enumerate((1, 3, 146, 147)):
        sex, finding = "FM"[index % 2], ("Positive", "Negative")[index // 2]
        lines.append(f"patient{patient},{sex},05{3 * index % 4}Y,20000101,{finding}")
        for sequence in (2, 3):
            pixels = _noise(rng, 0, 2000 + 500 * index + 300 * sequence, np.uint16)
            _save(inner / f"patient{patient}" / f"SR_{sequence}" / "IM00010.tif", pixels)
    (inner / covid_ctset.DETAILS).write_text("\n".join(lines), encoding="utf-8")
    return inner


COPIES: Mapping[str, Callable[[Path], Path]] = MappingProxyType(
    {
        "geneva-ild": write_geneva,
        "talisman": write_talisman,
        "glas": write_glas,
        "covid-ct": write_covid_ct,
        "covid-ctset": write_covid_ctset,
    }
)


def _noise(rng: np.random.Generator, low: int, high: int, dtype: type[np.generic]) -> NDArray[np.generic]:
    pixels = rng.integers(low, high, (_SIZE_PX, _SIZE_PX)).astype(dtype)
    pixels[0, 0] = high
    return pixels


def _save(path: Path, pixels: NDArray[np.generic], tiffinfo: dict[int, int] | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Pillow.fromarray(pixels).save(path, tiffinfo=tiffinfo or {})
