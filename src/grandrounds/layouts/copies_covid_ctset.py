"""Writes synthetic copies of COVID-CTset in both of its archives, with what readers of the real one stumble over.

Planted: sixteen bits with another maximum in each image, three sequences of a patient whose images have the same names,
files that stand in the folders of several folds, and the README whose columns of patients and images are shuffled.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from grandrounds.layouts.copies_pixels import noise, save
from grandrounds.layouts.truth import Truth, record

_README = """# COVID-CTset
| COVID-19 Patients | COVID-19 Images | Normal Patients | Normal Images |
|---|---|---|---|
| 95 | 282 | 15589 | 48260 |
"""
_DETAILS = """Patient ID,SEX,AGE,Date,COVID-19 Infection
patient1,F,050Y,20000101,Positive
patient3,M,053Y,20000101,Positive
patient146,F,,20000101,Negative
patient147,M,9Y,20000101,Negative
"""
_FLAT = (  # fold, class, name
    ("train1", "covid", "137covid_patient1_SR_2_IM00010.tif"),
    ("train2", "covid", "137covid_patient1_SR_2_IM00010.tif"),
    ("validation3", "covid", "12covid_patient3_SR_4_IM00002.tif"),
    ("train1", "normal", "normal1_patient146_SR_2_IM00014.tif"),
    ("train3", "normal", "normal1_patient146_SR_2_IM00014.tif"),
    ("train1", "normal", "normal2_patient147_SR_3_IM00011.tif"),
)


def write_covid_ctset(folder: Path, seed: int = 0) -> Path:
    """Write three sequences of four patients with their table, and return the folder."""
    rng, inner, truths = np.random.default_rng(seed), folder / "COVID-CTset", []
    for index, (patient, label) in enumerate(((1, "covid"), (3, "covid"), (146, "normal"), (147, "normal"))):
        for sequence in (2, 3, 4):
            pixels = noise(rng, (32, 32), 0, 2000 + 500 * index + 300 * sequence, np.uint16)
            save(inner / f"patient{patient}" / f"SR_{sequence}" / "IM00010.tif", pixels)
            truths.append(Truth(f"patient{patient}-SR_{sequence}-IM00010", pixels, label, f"patient{patient}"))
    (inner / "Patient_details.csv").write_text(_DETAILS, encoding="utf-8")
    (inner / "README.md").write_text(_README, encoding="utf-8")
    record(folder, truths)
    return inner


def write_covid_ctset_folds(folder: Path, seed: int = 0) -> Path:
    """Write four sections in the folders of folds, two of them in two folds, and return the folder."""
    rng, inner = np.random.default_rng(seed), folder / "Training&Validation"
    truths: dict[str, Truth] = {}
    for index, (fold, label, name) in enumerate(_FLAT):
        _, patient, _, sequence, image = name.removesuffix(".tif").split("_")
        sample = f"{patient}-SR_{sequence}-{image}"
        pixels = truths[sample].pixels if sample in truths else noise(rng, (32, 32), 0, 3000 + 400 * index, np.uint16)
        save(inner / fold / label / name, pixels)
        truths[sample] = Truth(sample, pixels, label, patient)
    record(folder, list(truths.values()))
    return inner
