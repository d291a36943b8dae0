"""The simulated knee set: exams of three series with clinical columns, which show nobody, for tests of fusion.

It has the layout of MRNet, with a table of the exams beside it. Three tasks are planted in the same exams: `one-series`
shows in the sagittal series alone; `two-series` is that either the coronal or the axial series shows its sign, but not
both, so that each of them alone says nothing; `columns` stands in the clinical columns and in no image. All series are
read unless the option `series.plane` names one.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl

from grandrounds.data.draft import Draft
from grandrounds.data.knee import PLANES, TASKS, Exam, draw, simulate
from grandrounds.data.knee_spec import KneeSpec
from grandrounds.data.options import SourceOptions
from grandrounds.data.units import UNITS, by_unit
from grandrounds.errors import BadSpec
from grandrounds.layouts.computed import written_once

NAME = "simulated-knee"
VERSION = 1  # part of a set's identity: raise it whenever the same spec gives other pixels
CLASSES = ("absent", "present")
NOTES = (
    "Simulated: computed images that show nobody, for demonstrations and software tests; not evidence about patients.",
)
_CONDITIONS = {
    "one-series": "a planted sign in the sagittal series",
    "two-series": "a planted sign in either the coronal or the axial series, but not in both",
    "columns": "what the planted clinical columns say, but for one exam in ten",
}
_CLINICAL = ("age_years", "sex", "onset", "locking")
_TABLE = "exams.csv"


def draft(cache: Path, options: SourceOptions) -> Draft:
    """Return the draft of a set that is simulated once and kept in the cache folder.

    Raises:
        BadSpec: The option `task` names none of the three.
        StoreTrouble: The cache cannot be written.
    """
    if options.task not in TASKS:
        raise BadSpec(
            f"every exam has {len(TASKS)} labels, and this asks for one of them",
            where=NAME,
            remedy=f"choose the task: {', '.join(TASKS)}; or study all of them with --tasks all",
        )
    spec = options.knee
    size = f"about {spec.n_exams * 3 * spec.n_slices * spec.size_px**2 / 2**20:.0f} MB"
    root = written_once(cache / f"{NAME}-v{VERSION}-{spec.identity()}", partial(write, spec=spec), size)
    exams = pl.read_csv(root / _TABLE, infer_schema=False)
    plane = options.series.plane
    planes = PLANES if plane is None else (plane,)
    rows = [row for exam in exams.iter_rows(named=True) for row in _slices(root, exam, planes, options)]
    drafted, files = by_unit(pl.DataFrame(rows), options.unit)
    n_lacking = sum(not set(planes) <= set(there.split(" ")) for there in exams["series"])
    what = "one of their three series" if plane is None else f"the {plane} series"
    return Draft(
        name=NAME,
        root=root,
        rows=drafted.with_columns(modality=pl.lit("MR"), body_part=pl.lit("KNEE")),
        files=files,
        task=options.task,
        task_kind="binary",
        classes=CLASSES,
        positive=CLASSES[1],
        condition=_CONDITIONS[options.task],
        patient_known=True,
        simulated=True,
        licence="CC0-1.0",
        notes=(*NOTES, f"{n_lacking} of {exams.height} exams lack {what}.", UNITS[options.unit]),
    )


def write(folder: Path, spec: KneeSpec) -> Path:
    """Write the set into a folder, the same bytes for the same spec, and return the folder."""
    exams = draw(spec)
    for exam in exams:
        for plane in exam.series:
            path = _path(folder, plane, _name(exam))
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, simulate(spec, exam, plane))
    with (folder / _TABLE).open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(["exam", "patient", "series", *_CLINICAL, *TASKS])
        for exam in exams:
            answers = [CLASSES[exam.answer(task)] for task in TASKS]
            facts = [getattr(exam, name) for name in _CLINICAL]
            lines.writerow([_name(exam), exam.patient, " ".join(exam.series), *facts, *answers])
    return folder


def _name(exam: Exam) -> str:
    return f"{exam.number:04d}"


def _path(root: Path, plane: str, exam: str) -> Path:
    return root / "exams" / plane / f"{exam}.npy"


def _slices(root: Path, exam: dict[str, str], planes: Sequence[str], options: SourceOptions) -> list[dict[str, object]]:
    shared = {"case": exam["exam"], "patient": exam["patient"], "label": exam[str(options.task)], "member": None}
    return [
        shared
        | {name: exam[name] for name in _CLINICAL}
        | {
            "sample": f"{exam['exam']}-{plane}",
            "series": plane,
            "series_kind": plane,
            "order": at,
            "path": str(_path(root, plane, exam["exam"])),
            "frame": at,
        }
        for plane in exam["series"].split(" ")
        if plane in planes
        for at in range(options.knee.n_slices)
    ]
