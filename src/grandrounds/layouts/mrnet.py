"""Reads MRNet: MRI of the knee in three planes, with three tasks: abnormal, tear of the ACL, tear of a meniscus.

Bien et al., PLoS Med 2018; 15:e1002699. For research, after an agreement with Stanford; ask at
https://stanfordmlgroup.github.io/competitions/mrnet.

`{train,valid}/{sagittal,coronal,axial}/0000.npy` hold the slices of an exam, and its labels stand in
`{train,valid}-{abnormal,acl,meniscus}.csv`: two columns without a heading, so that the first line is an exam. Planes
differ in their number of slices. Arrays have neither spacing nor position, so that planes cannot be laid over each
other.

A case is an exam, and its three series are all read unless the option `series.plane` names one. The option `task` says
what is asked. Whose exam it is was not published: the 1,130 exams of `train` are of 1,088 patients. No patient stands
in both parts.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import polars as pl
from numpy.lib import format as npy_format

from grandrounds.data.draft import Draft, refusals
from grandrounds.data.options import SourceOptions
from grandrounds.data.units import UNITS, by_unit
from grandrounds.errors import BadData, BadSpec
from grandrounds.wording import many


class Task(NamedTuple):
    """One of the three questions: its classes, the second of them positive, and the condition in words."""

    classes: tuple[str, str]
    condition: str


TASKS: Mapping[str, Task] = {
    "abnormal": Task(("normal", "abnormal"), "anything abnormal in MRI of the knee"),
    "acl": Task(("no acl tear", "acl tear"), "tear of the anterior cruciate ligament"),
    "meniscus": Task(("no meniscal tear", "meniscal tear"), "tear of a meniscus"),
}
PLANES = ("sagittal", "coronal", "axial")
PARTS = ("train", "valid")
_FRONT_AND_BACK = "sagittal"  # what a mirror swaps there; in the other planes, left and right
_MOST_SLICES = 1 << 12  # a series of the knee has a few dozen
_NO_STACK = "the array is no stack of slices: it has other than three axes, no slice, or too many"
_NO_ARRAY = "it has a label, and no array in any plane"
_Labels = Mapping[int, str]


class _Series(NamedTuple):
    """One plane of an exam, and how many slices it has; None where its array is none of slices."""

    exam: int
    plane: str
    part: str
    path: Path
    n_slices: int | None

    @property
    def case(self) -> str:
        return f"{self.exam:04d}"


def draft(source: Path, options: SourceOptions) -> Draft:
    """Return the draft of the folder that holds `train` and `valid`, or of one around it.

    Raises:
        BadSpec: The option `task` names none of the three.
        BadData: A table of labels is missing or damaged, or there are no arrays.
    """
    name = options.task
    if name is None or name not in TASKS:
        raise BadSpec(
            f"every exam has {len(TASKS)} labels, and this asks for one of them",
            where=source,
            remedy=f"choose the task: {', '.join(TASKS)}; or study all of them with --tasks all",
        )
    task = TASKS[name]
    tables = sorted([*source.glob("*-acl.csv"), *source.glob("*/*-acl.csv")])
    root = tables[0].parent if tables else source
    planes = PLANES if options.series.plane is None else (options.series.plane,)
    series = [one for part in PARTS for plane in planes for one in _series(root, part, plane)]
    labels = {part: _labels(root / f"{part}-{name}.csv", task) for part in {one.part for one in series}}
    rows = [row for one in series for row in _slices(one, labels[one.part].get(one.exam))]
    if not rows:
        raise BadData("there are no arrays of slices", where=root, remedy="unpack the whole archive")
    drafted, files = by_unit(pl.DataFrame(rows, infer_schema_length=None), options.unit)
    if len(labels) == 1:
        drafted = drafted.with_columns(role=pl.lit(None, dtype=pl.String()))
    return Draft(
        name="mrnet",
        root=source,
        rows=drafted.with_columns(modality=pl.lit("MR"), body_part=pl.lit("KNEE")),
        files=files,
        task=name,
        task_kind="binary",
        classes=task.classes,
        positive=task.classes[1],
        condition=task.condition,
        patient_known=False,
        flips=_FRONT_AND_BACK not in planes,
        licence="research only, by agreement with Stanford University",
        notes=(*_told(series, labels, planes), UNITS[options.unit]),
        refused=refusals([*_refused(root, series, labels, planes[0])]),
    )


def _series(root: Path, part: str, plane: str) -> Iterator[_Series]:
    for path in sorted((root / part / plane).glob("*.npy")):
        if path.stem.isdecimal():  # archives made on a Mac bring shadow files that start with a dot
            yield _Series(int(path.stem), plane, part, path, _n_slices(path))


def _n_slices(path: Path) -> int | None:
    """Return how many slices an array has, and 1 where reading will find it damaged."""
    try:
        shape = npy_format.open_memmap(path, mode="r").shape
    except (OSError, ValueError, EOFError):
        return 1
    return int(shape[0]) if len(shape) == 3 and 0 < shape[0] <= _MOST_SLICES else None


def _slices(series: _Series, label: str | None) -> Iterator[dict[str, object]]:
    for at in range(series.n_slices or 0):
        yield {
            "sample": f"{series.case}-{series.plane}",
            "case": series.case,
            "series": series.plane,
            "series_kind": series.plane,
            "order": at,
            "path": str(series.path),
            "member": None,
            "frame": at,
            "label": label,
            "role": series.part,
        }


def _labels(path: Path, task: Task) -> _Labels:
    """Return the label of each exam, by its number: a spreadsheet makes 0007 a 7."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = [[cell.strip() for cell in line] for line in csv.reader(file)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadData(
            f"this table of labels cannot be read ({type(error).__name__})", where=path, remedy="unpack it again"
        ) from None
    found: dict[int, str] = {}
    for number, line in enumerate(lines, start=1):
        if not any(line):
            continue
        if len(line) != 2 or not line[0].isdecimal() or line[1] not in ("0", "1"):
            raise BadData(
                f"line {number} is not a number of an exam with 0 or 1",
                where=path,
                remedy="take the table that came with the arrays; it has no heading",
            )
        label = task.classes[int(line[1])]
        if found.setdefault(int(line[0]), label) != label:
            raise BadData(f"line {number} contradicts an earlier one", where=path, remedy="keep one line of each exam")
    return found


def _refused(
    root: Path, series: Sequence[_Series], labels: Mapping[str, _Labels], plane: str
) -> Iterator[tuple[str, None, None, str]]:
    yield from ((str(one.path), None, None, _NO_STACK) for one in series if one.n_slices is None)
    there = {(one.part, one.exam) for one in series}
    listed = sorted((part, exam) for part, found in labels.items() for exam in found)
    absent = (root / part / plane / f"{exam:04d}.npy" for part, exam in listed if (part, exam) not in there)
    yield from ((str(path), None, None, _NO_ARRAY) for path in absent)


def _told(series: Sequence[_Series], labels: Mapping[str, _Labels], planes: Sequence[str]) -> Iterator[str]:
    usable = [one for one in series if one.n_slices]
    exams = {(one.part, one.exam) for one in usable}
    yield f"Read: {many(len(usable), 'series')} of {many(len(exams), 'exam')}: {', '.join(planes)}."
    if n_missing := len(exams) * len(planes) - len(usable):
        yield f"{many(n_missing, 'series', 'are')} missing; other series of the exam are read."
    if n_unlabelled := sum(exam not in labels[part] for part, exam in exams):
        yield f"{many(n_unlabelled, 'exam', 'have')} no label."
    yield (
        "Whose exam it is was not published, and some patients have two: the parts train and valid share no patient, "
        "but a split drawn anew may part the exams of one."
    )
