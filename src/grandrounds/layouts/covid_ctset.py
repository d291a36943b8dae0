"""Reads COVID-CTset: 16-bit TIFF sections of 95 patients with COVID-19 and 282 without, in sequences.

Rahimzadeh et al., Biomed Signal Process Control 2021; 68:102588. No licence is stated; ask the authors at
https://github.com/mr7495/COVID-CTset. Images: 15,589 and 48,260; the table in the authors' README has these columns
shuffled, so nothing is taken from it.

Two archives, one reader: `patient<ID>/SR_<k>/*.tif` with `Patient_details.csv`, and flat names
`…covid_patient<ID>_SR_<k>_IM<n>.tif` in folders of five folds, where a file occurs up to five times. All sequences of a
patient are one case, so that no split can part them. The folds are not used: they train on a choice of the normal
patients, and one study has one plan.

The TIFF hold what the scanner stored: Hounsfield units + 1024 (RescaleIntercept -1024, RescaleSlope 1 in the authors'
`Patients_metadata.csv`), with another maximum in each image. Black and white are therefore fixed for all images.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from pathlib import Path

import polars as pl

from grandrounds.data.draft import Draft, refusals, with_columns
from grandrounds.data.options import SourceOptions
from grandrounds.errors import BadData

DETAILS = "Patient_details.csv"
CLASSES = ("normal", "covid")
GREY = (24.0, 1424.0)  # as stored: -1000 to 400 HU
_PLACE = re.compile(r"patient(?P<patient>\d+)[_/]SR_(?P<sequence>\d+)[_/](?P<image>[^/]+)$")
_FINDINGS = {"positive": "covid", "negative": "normal"}
_WORD = re.compile(r"(?:^|/)(?:\d*(?P<flat>covid|normal)\w*_patient|(?P<folder>covid|normal)(?=/))", re.IGNORECASE)


def draft(source: Path, options: SourceOptions) -> Draft:
    """Return the draft of either archive, unpacked.

    Raises:
        BadData: No file is called as the sections are.
    """
    del options  # names and table say everything
    table = next(iter(sorted([*source.glob(DETAILS), *source.glob(f"*/{DETAILS}")])), None)
    details = {} if table is None else _details(table)
    rows: dict[str, dict[str, object]] = {}
    refused, n_copies, n_by_patient = [], 0, 0
    for path in sorted(source.rglob("*.tif")):
        place = path.relative_to(source).as_posix()
        found = _PLACE.search(place)
        if path.name.startswith(".") or found is None:
            continue
        patient = f"patient{found['patient']}"
        sample = f"{patient}-SR_{found['sequence']}-{Path(found['image']).stem}"
        if sample in rows:
            n_copies += 1
            continue
        known, said = details.get(patient, {}), _said(place)
        label = said or known.get("label")
        if label is None or label != (known.get("label") or label):
            reason = "nothing tells its label" if label is None else f"its name and {DETAILS} disagree about its label"
            refused.append((str(path), None, None, reason))
            continue
        n_by_patient += said is None
        facts = {"sex": known.get("sex"), "age_years": known.get("age_years")} if details else {}
        rows[sample] = {
            "sample": sample, "case": patient, "patient": patient, "label": label, "path": str(path), **facts
        }  # fmt: skip
    if not rows:
        raise BadData("no section is named by patient and sequence, with a label", where=source)
    return Draft(
        name="covid-ctset",
        root=source,
        rows=with_columns(pl.DataFrame(list(rows.values()), infer_schema_length=None)).with_columns(
            modality=pl.lit("CT"), body_part=pl.lit("CHEST")
        ),
        task="covid",
        task_kind="binary",
        classes=CLASSES,
        positive="covid",
        condition="COVID-19 in a chest CT",
        patient_known=True,
        licence=None,
        notes=_notes(n_copies, n_by_patient),
        refused=refusals(refused),
        grey_range=GREY,
    )


def _said(place: str) -> str | None:
    """Return the label that the name of a file tells, else that of a folder above it."""
    found = list(_WORD.finditer(place))
    words = [one["flat"] or one["folder"] for one in found]
    return words[-1].lower() if words else None


def _details(table: Path) -> Mapping[str, Mapping[str, str | None]]:
    """Return label, sex and age of each patient; the date of the scan stays behind."""
    with table.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        lines = [{(key or "").strip(): (value or "").strip() for key, value in row.items() if isinstance(value, str)}
                 for row in csv.DictReader(file)]  # fmt: skip
    if not lines or not {"Patient ID", "COVID-19 Infection"} <= lines[0].keys():
        raise BadData("the table lacks the columns Patient ID and COVID-19 Infection", where=table)
    found = {}
    for line in lines:
        age = re.fullmatch(r"0*(\d+)Y", line.get("AGE", ""))
        found[line["Patient ID"]] = {
            "label": _FINDINGS.get(line["COVID-19 Infection"].lower()),
            "sex": line.get("SEX") or None,
            "age_years": age[1] if age else None,
        }
    return found


def _notes(n_copies: int, n_by_patient: int) -> tuple[str, ...]:
    notes = ["All sequences of a patient are one case."]
    if n_copies:
        notes.append(
            f"{n_copies:,} copies in the folders of other folds were left out; the authors' folds are not used."
        )
    if n_by_patient:
        notes.append(f"{n_by_patient:,} sections have their patient's label, whether or not they show the disease.")
    return tuple(notes)
