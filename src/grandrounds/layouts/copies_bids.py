"""Writes a synthetic copy of a BIDS data set with what the standard allows and readers stumble over.

Planted: columns of `participants.tsv` in another order, an identifier without its `sub-`, `n/a`, an age of `89+`, a
participant without images and one without a row, one without sessions, labels that change with the session, a session
without a T1w image, two runs, other suffixes, plain and compressed NIfTI, JSON beside images and above them, a label in
a table of files, and `derivatives`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np

from grandrounds.layouts.copies_pixels import noise
from grandrounds.layouts.copies_volumes import write_nifti
from grandrounds.layouts.truth import Truth, record

_SPACING_MM = (1.5, 1.0, 0.5)


class _Image(NamedTuple):
    """One file: its place, and the label that has to be read; "-" where it is not to be read."""

    path: str
    label: str | None


_IMAGES = (
    _Image("sub-01/ses-a/anat/sub-01_ses-a_T1w.nii.gz", "control"),
    _Image("sub-01/ses-b/anat/sub-01_ses-b_T1w.nii.gz", "patient"),
    _Image("sub-01/ses-b/anat/sub-01_ses-b_FLAIR.nii.gz", "-"),
    _Image("sub-01/ses-c/anat/sub-01_ses-c_T2w.nii.gz", "-"),
    _Image("sub-02/anat/sub-02_run-1_T1w.nii", "patient"),
    _Image("sub-02/anat/sub-02_run-2_T1w.nii", "-"),
    _Image("sub-02/anat/sub-02_T2w.nii.gz", "-"),
    _Image("sub-03/anat/sub-03_T1w.nii.gz", "control"),
    _Image("sub-04/anat/sub-04_T1w.nii.gz", None),
    _Image("sub-05/anat/sub-05_T1w.nii.gz", "control"),
    _Image("sub-06/anat/sub-06_T1w.nii.gz", None),
    _Image("derivatives/smooth/sub-02/anat/sub-02_desc-smooth_T1w.nii.gz", "-"),
)
_TABLES = {
    "participants.tsv": (
        "age\tgroup\tparticipant_id\thandedness\tsex\tsite",
        "34\tcontrol\tsub-01\tright\tF\tnorth",
        "89+\tpatient\tsub-02\tn/a\tM\tnorth",
        "n/a\tcontrol\t03\tleft\tfemale\tsouth",
        "41\tn/a\tsub-04\tright\tn/a\tsouth",
        "50\tpatient\tsub-05\tright\tM\tsouth",
        "60\tpatient\tsub-99\tright\tM\tsouth",
    ),
    "sub-01/sub-01_sessions.tsv": ("session_id\tgroup\tage", "ses-a\tn/a\t34", "ses-b\tpatient\t36"),
    "sub-05/sub-05_scans.tsv": ("filename\tgroup", "anat/sub-05_T1w.nii.gz\tcontrol"),
}
_JSONS = {
    "dataset_description.json": {"Name": "synthetic", "BIDSVersion": "1.9.0", "License": "CC0"},
    "T1w.json": {"ManufacturersModelName": "scanner above", "InstitutionName": "not where the table says it"},
    "sub-02/anat/sub-02_run-1_T1w.json": {"ManufacturersModelName": "scanner beside"},
}


def write_bids(folder: Path, seed: int = 0) -> Path:
    """Write images of six participants, nine slices or so to be read of each, and return their folder."""
    rng, root, truths = np.random.default_rng(seed), folder / "brains", []
    for number, (name, label) in enumerate(_IMAGES):
        path = root / name
        pixels = noise(rng, (2 + number % 2, 5, 6), 0, 900, np.int16)
        write_nifti(path, pixels, _SPACING_MM)
        if label != "-":
            stem, patient = path.name.partition(".")[0], name.partition("/")[0]
            truths += [
                Truth(f"{stem}-{at:04d}", plane, label, patient, _SPACING_MM[1:]) for at, plane in enumerate(pixels)
            ]
    for name, lines in _TABLES.items():
        (root / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    for name, said in _JSONS.items():
        (root / name).write_text(json.dumps(said), encoding="utf-8")
    record(folder, truths)
    return root
