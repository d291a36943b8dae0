"""Writes a synthetic copy of the repository COVID-CT with what readers of the real one stumble over.

Planted: percent signs, blanks and dots in names, names of the meta table without their ending, lists whose lines end in
a blank and as on Windows, a patient in two parts of the official split, and patients told for one class only.
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np

from grandrounds.layouts.copies_pixels import noise, save
from grandrounds.layouts.truth import Truth, record

_META = "COVID-CT-MetaInfo.xlsx"
_FILES = (  # class, part, name, name in the meta table, patient there
    ("COVID", "train", "2020.01.24.919183-p27-132.png", "2020.01.24.919183-p27-132.png", "Patient 0"),
    ("COVID", "train", "a%1.png", "a%1", "Patient 1"),
    ("COVID", "val", "b 2.png", "b 2.png", "Patient 2"),
    ("COVID", "test", "PIIS0140%0.jpg", "PIIS0140%0.jpg", "Patient 0"),
    ("NonCOVID", "train", "0.jpg", None, None),
    ("NonCOVID", "train", "1%1.jpg", None, None),
    ("NonCOVID", "val", "1%2.png", None, None),
    ("NonCOVID", "test", "1%3.png", None, None),
)
_OURS = {"COVID": "covid", "NonCOVID": "non-covid", "train": "train", "val": "valid", "test": "test"}
_NAMES = "http://schemas.openxmlformats.org"
_DOCUMENT = f"{_NAMES}/officeDocument/2006/relationships"
_SHEETS = "application/vnd.openxmlformats-officedocument.spreadsheetml"


def write_covid_ct(folder: Path, seed: int = 0) -> Path:
    """Write pictures of either class with lists for each part and a meta table, and return the repository's folder."""
    rng, inner, truths = np.random.default_rng(seed), folder / "COVID-CT", []
    for theirs, part, name, _, _ in _FILES:
        path = inner / "Images-processed" / f"CT_{theirs}" / name
        grey = noise(rng, (24, 30), 0, 255)
        if path.suffix == ".jpg":
            grey = np.full_like(grey, grey[0, 1])  # the one picture that JPEG gives back as it was
        save(path, grey)
        lists = inner / "Data-split" / theirs
        lists.mkdir(parents=True, exist_ok=True)
        with (lists / f"{part}CT_{theirs}.txt").open("a", encoding="utf-8", newline="") as file:
            file.write(f"{name} \r\n")
        sample = f"{_OURS[theirs]}/{name.rpartition('.')[0]}"
        truths.append(Truth(sample, grey, _OURS[theirs], role=_OURS[part]))
    rows = [(called, patient) for *_, called, patient in _FILES if called is not None and patient is not None]
    write_xlsx(inner / _META, [("File name", "Patient ID"), *rows])
    record(folder, truths)
    return inner


def write_xlsx(path: Path, rows: Sequence[Sequence[str]]) -> None:
    """Write the least that a spreadsheet program calls XLSX (ECMA-376, part 1, 12), all cells as text."""
    cells = "".join(
        f'<row r="{r}">{"".join(_cell(f"{chr(65 + c)}{r}", value) for c, value in enumerate(row))}</row>'
        for r, row in enumerate(rows, start=1)
    )
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{_NAMES}/package/2006/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{_SHEETS}.sheet.main+xml"/>'
        f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{_SHEETS}.worksheet+xml"/></Types>',
        "_rels/.rels": _related("officeDocument", "xl/workbook.xml"),
        "xl/workbook.xml": f'<workbook xmlns="{_NAMES}/spreadsheetml/2006/main" xmlns:r="{_DOCUMENT}">'
        '<sheets><sheet name="Sheet1" sheetId="1" r:id="r1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": _related("worksheet", "worksheets/sheet1.xml"),
        "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{_NAMES}/spreadsheetml/2006/main">'
        f"<sheetData>{cells}</sheetData></worksheet>",
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in parts.items():
            archive.writestr(name, text)


def _cell(place: str, value: str) -> str:
    return f'<c r="{place}" t="inlineStr"><is><t xml:space="preserve">{escape(value)}</t></is></c>'


def _related(kind: str, target: str) -> str:
    return (
        f'<Relationships xmlns="{_NAMES}/package/2006/relationships">'
        f'<Relationship Id="r1" Type="{_DOCUMENT}/{kind}" Target="{target}"/></Relationships>'
    )
