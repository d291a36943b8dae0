"""From a draft to a data set: every image is read once, measured and hashed, and the bad ones are listed.

A file that cannot be used never stops the scan; it becomes a row of
`Dataset.bad` with its reason.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

import polars as pl

from grandrounds import tables
from grandrounds.data.dataset import Dataset
from grandrounds.data.draft import COLUMNS, Draft, Progress, refusals, with_columns
from grandrounds.data.flow import flow, left_out
from grandrounds.data.measuring import HEADER, Also, Measured, measure
from grandrounds.errors import BadData
from grandrounds.formats.abreast import ALONE, Crew
from grandrounds.tables import FILES, LABELS, SAMPLES, Task

_FACTS = ("height_px", "width_px", "depth_px", "spacing_mm", "encoding", "sha256", "geometry", "low", "mean", "high")
_MEASURED = {name: SAMPLES.columns[name] for name in _FACTS}

_MOST_NUMBERS = 20  # classes that are called by numbers; more look like a measurement


def scan(draft: Draft, *, progress: Progress | None = None, crew: Crew = ALONE, also: Also | None = None) -> Dataset:
    """Return the data set that a draft describes, every image read once.

    Args:
        draft: What the source says.
        progress: Called with the number of images read and of all.
        crew: Who reads side by side where there is enough to read.
        also: What else is done with each image while it is in memory; None for nothing.

    Raises:
        BadData: No image can be used, a class has none, fewer than two classes are left, or the table contradicts
            itself (a case with two labels, patients or roles).
    """
    return scan_tasks([draft], progress=progress, crew=crew, also=also)[0]


def scan_tasks(
    drafts: Sequence[Draft], *, progress: Progress | None = None, crew: Crew = ALONE, also: Also | None = None
) -> list[Dataset]:
    """Return the data set of each task of the same samples, every image read once; see `scan`.

    Args:
        drafts: What the source says of each task; they have the same rows but for the label.
        progress: Called with the number of images read and of all.
        crew: Who reads side by side where there is enough to read.
        also: What else is done with each image while it is in memory; None for nothing.

    Raises:
        BadData: A task cannot be learned from these images; where there are several, the message names it.
    """
    first, rows_of = drafts[0], [with_columns(draft.rows) for draft in drafts]
    if any(not rows.drop("label").equals(rows_of[0].drop("label")) for rows in rows_of):
        raise BadData(
            "the tasks of this source are not of the same samples",
            where=first.root,
            remedy="study them one by one, with --task",
        )
    samples = pl.Series("sample", _unique(rows_of[0]["sample"].to_list()), dtype=pl.String())
    measured = measure(
        rows_of[0].with_columns(samples), first.files, volumes=first.volumes, progress=progress, crew=crew, also=also
    )
    found = []
    for draft, rows in zip(drafts, rows_of, strict=True):
        try:
            found.append(_dataset(draft, rows.with_columns(samples), measured))
        except BadData as error:
            of_task = f"task {draft.task}: " if len(drafts) > 1 else ""
            raise BadData(of_task + error.what, where=error.where, remedy=error.remedy) from None
    return found


def _dataset(draft: Draft, rows: pl.DataFrame, measured: Measured) -> Dataset:
    kept = _with_facts(rows, measured.facts)
    bad = _bad(draft, rows, measured.reasons)
    _check_left(kept, bad, draft)
    kept, patient_known, notes = _with_patients(kept, draft)
    kept = kept.with_columns(pl.col("case").fill_null(pl.col("sample")))
    _check_cases(kept, draft)
    task = _task(kept, draft)
    official, note = _official(kept)
    return Dataset(
        name=draft.name,
        root=draft.root,
        task=task,
        samples=_samples(kept),
        files=_files(kept, draft),
        labels=tables.check(
            kept.select("case", "label").unique(maintain_order=True).with_columns(task=pl.lit(task.name)), LABELS
        ),
        official=official,
        patient_known=patient_known,
        bad=bad,
        simulated=draft.simulated,
        flips=draft.flips,
        licence=draft.licence,
        notes=(*draft.notes, *notes, *note),
        published=draft.published,
        grey_range=draft.grey_range,
        neutral_names=draft.neutral_names,
        flow=_flow(draft, rows, kept),
        unmatched=draft.unmatched,
        volumes=draft.volumes,
        lies=_counted(kept.filter(pl.col("depth_px") > 1)["lies"]),
        colours=_counted(kept["colours"]),
    )


def _with_facts(rows: pl.DataFrame, facts: dict[int, dict[str, Any]]) -> pl.DataFrame:
    """Return the rows that could be read, with what reading told; the table's word goes before the header's."""
    indices = sorted(facts)
    header = {f"header_{name}": pl.String() for name in ("modality", *HEADER)}
    read = pl.DataFrame(
        [facts[index] for index in indices],
        schema={**_MEASURED, "colours": pl.String(), "lies": pl.String(), **header},
        orient="row",
    )
    kept = rows[indices].hstack(read)
    for name in ("modality", *HEADER):
        theirs = pl.col(f"header_{name}")
        if name not in COLUMNS:
            if name not in kept.columns and kept[f"header_{name}"].null_count() < kept.height:
                kept = kept.with_columns(theirs.alias(name))
        elif name != "patient":
            kept = kept.with_columns(pl.coalesce(name, theirs).alias(name))
    return kept.drop(name for name in header if name != "header_patient")


def _bad(draft: Draft, rows: pl.DataFrame, reasons: dict[int, str]) -> pl.DataFrame:
    places = rows.select("path", "member", "frame").rows()
    bad = refusals([(*places[index], reason) for index, reason in sorted(reasons.items())])
    return bad if draft.refused is None else pl.concat([draft.refused, bad])


def _check_left(kept: pl.DataFrame, bad: pl.DataFrame, draft: Draft) -> None:
    if kept.is_empty():
        first = bad.row(0, named=True) if bad.height else {"path": draft.root, "reason": "no image was found"}
        raise BadData(
            f"none of {bad.height:,} images can be used; the first: {first['reason']}",
            where=first["path"],
            remedy="mend them, or check that this is the right place",
        )
    wanted = set(draft.classes or draft.rows["label"].drop_nulls().to_list())
    found = set(kept["label"].drop_nulls().to_list())
    if absent := sorted(wanted - found):
        raise BadData(
            f"no readable image has the label {', '.join(map(repr, absent[:5]))}",
            where=draft.root,
            remedy=f"add images of it, or leave the label out; there are: {', '.join(sorted(found)) or 'none'}",
        )
    if unknown := sorted(found - wanted):
        raise BadData(
            f"the label {', '.join(map(repr, unknown[:5]))} is not among the classes {', '.join(sorted(wanted))}",
            where=draft.root,
            remedy="name every class, with commas between them: --classes FIRST,SECOND",
        )
    if len(found) == 1:
        raise BadData(
            f"all images have the label {next(iter(found))!r}; there is nothing to tell apart",
            where=draft.root,
            remedy="give images of at least two classes",
        )


def _with_patients(kept: pl.DataFrame, draft: Draft) -> tuple[pl.DataFrame, bool, tuple[str, ...]]:
    """Return the rows with a patient each, whether that is knowledge, and what to tell the reader."""
    given, header = kept["patient"], kept["header_patient"]
    notes: tuple[str, ...] = ()
    if draft.patient_known is not False and given.null_count() == 0:
        patients: Iterable[str | None] = given
    elif draft.patient_known is None and given.null_count() == kept.height and header.null_count() == 0:
        if header.n_unique() == 1 and kept.height > 1:
            notes = ("Every DICOM header names the same patient, so whose image it is counts as unknown.",)
            patients = ()
        else:
            patients = header
    else:
        if 0 < header.null_count() < kept.height or 0 < given.null_count() < kept.height:
            notes = ("Only some images tell their patient, so whose image it is counts as unknown.",)
        patients = ()
    known = [_tidy(patient) for patient in patients]
    column = pl.Series("patient", known, dtype=pl.String()) if known else pl.coalesce("case", "sample").alias("patient")
    return kept.with_columns(column).drop("header_patient"), bool(known), notes


def _tidy(patient: str | None) -> str:
    # One patient must not count twice because a header pads with NUL or writes an umlaut in two characters.
    return unicodedata.normalize("NFC", (patient or "").replace("\x00", "")).strip()


def _check_cases(kept: pl.DataFrame, draft: Draft) -> None:
    for column, what in (("label", "labels"), ("patient", "patients"), ("role", "roles in the official split")):
        several = kept.group_by("case", maintain_order=True).agg(pl.col(column).n_unique(), pl.col("sample").first())
        several = several.filter(pl.col(column) > 1)
        if several.height:
            raise BadData(
                f"{several.height:,} cases have two or more {what}; one of them holds the sample "
                f"{several['sample'][0]!r}",
                where=draft.root,
                remedy="choose another case column with --case COLUMN, or --case none for one case per image",
            )


def _task(kept: pl.DataFrame, draft: Draft) -> Task:
    classes = draft.classes or ordered(kept["label"].drop_nulls().unique().to_list())
    if not classes:
        return Task(name=draft.task, classes=(), condition=draft.condition)
    if draft.classes is None and draft.task_kind is None:
        _refuse_measured(classes, draft)
    kind = draft.task_kind or ("binary" if len(classes) == 2 else "multiclass")
    if (kind == "binary") != (len(classes) == 2) and kind != "ordinal":
        raise BadData(f"a {kind} task cannot have {len(classes)} classes", where=draft.root, remedy="leave out --kind")
    if draft.positive is not None and draft.positive not in classes:
        raise BadData(
            f"the positive class {draft.positive!r} is none of: {', '.join(classes)}",
            where=draft.root,
            remedy="name one of them with --positive",
        )
    positive = (draft.positive or classes[-1]) if kind == "binary" else None
    return Task(name=draft.task, kind=kind, classes=classes, positive=positive, condition=draft.condition)


def _refuse_measured(classes: Sequence[str], draft: Draft) -> None:
    """Refuse labels that look like a measurement: numbers, and more of them than a task has classes."""
    numbers = sorted(pl.Series(classes).cast(pl.Float64(), strict=False).drop_nulls().to_list())
    if len(numbers) == len(classes) > _MOST_NUMBERS:
        raise BadData(
            f"the labels are {len(classes)} different numbers, from {numbers[0]:g} to {numbers[-1]:g}, which look "
            "like a measurement",
            where=draft.root,
            remedy="choose another column with --label, or write a column of classes made of them; if each number is "
            "a class: --kind multiclass",
        )


def ordered(labels: Sequence[str]) -> tuple[str, ...]:
    """Return labels in order: as numbers where all are whole numbers, else by the alphabet.

    >>> ordered(["10", "2", "0"]), ordered(["b", "a"])
    (('0', '2', '10'), ('a', 'b'))
    """
    whole = all(label.lstrip("-").isascii() and label.lstrip("-").isdigit() for label in labels)
    return tuple(sorted(labels, key=int) if whole else sorted(labels))


def _official(kept: pl.DataFrame) -> tuple[pl.DataFrame | None, tuple[str, ...]]:
    """Return the split that came along, and a note where its `valid` has to serve as test."""
    if kept["role"].null_count() == kept.height:
        return None, ()
    official = kept.filter(pl.col("role").is_not_null()).select("case", "role").unique(maintain_order=True)
    if set(official["role"]) & {"test", "external"} or "valid" not in set(official["role"]):
        return official, ()
    note = "No test part came with these images: their validation part serves as test."
    return official.with_columns(pl.col("role").replace("valid", "test")), (note,)


def _files(kept: pl.DataFrame, draft: Draft) -> pl.DataFrame:
    """Return where each sample lies, in the order of the samples; several rows for one of several files."""
    columns = ["sample", "series", "order", "path", "member", "frame", "box"]
    files = kept.select(columns)
    if draft.files is not None:
        several = draft.files.with_columns(box=pl.lit(None, dtype=FILES.columns["box"])).select(columns)
        place = kept.select("sample").with_row_index("place")
        files = pl.concat([files.filter(~pl.col("sample").is_in(several["sample"].unique().implode())), several])
        files = files.join(place, on="sample").sort("place", "order", maintain_order=True).drop("place")
    return tables.check(files, FILES)


def _counted(values: pl.Series) -> tuple[tuple[str | None, int], ...]:
    """Return what occurs and how often, the most frequent first, in an order that does not vary."""
    counts = values.alias("value").to_frame().group_by("value").len()
    return tuple(counts.sort("len", "value", descending=[True, False], nulls_last=True).rows())


def _flow(draft: Draft, rows: pl.DataFrame, kept: pl.DataFrame) -> pl.DataFrame:
    """Return the way from what was found to what is analysed; a volume counts as the images that it is made of."""
    before = list(draft.before)
    if not before and draft.refused is not None:
        before = list(left_out("refused", draft.refused["reason"]))
    if draft.files is not None:
        parts = draft.files.select("sample").join(rows, on="sample").select(rows.columns)
        rows = pl.concat([rows.filter(~pl.col("sample").is_in(draft.files["sample"].implode())), parts])
    return flow(before, rows, rows.select("sample").join(kept, on="sample", maintain_order="left"))


def _samples(kept: pl.DataFrame) -> pl.DataFrame:
    internal = {"label", "role", "path", "member", "frame", "box", "series", "order", "lies", "colours"}
    clinical = [name for name in kept.columns if name not in internal and name not in SAMPLES.columns]
    named = kept.drop(internal).with_columns(_numbers(kept[name]) for name in clinical)
    return tables.check(named, SAMPLES)


def _numbers(column: pl.Series) -> pl.Series:
    """Return a column of text as numbers where every value is one; "001" is a name."""
    if column.dtype != pl.String() or column.str.contains(r"^[+-]?0\d").any():
        return column
    numbers = column.cast(pl.Float64(), strict=False)
    is_number = numbers.null_count() == column.null_count() and column.null_count() < len(column)
    return numbers if is_number and numbers.is_finite().all() else column


def _unique(names: Sequence[str | None]) -> list[str]:
    """Return the names with `#2`, `#3` … behind those that occur again."""
    taken: set[str] = set()
    latest: dict[str, int] = {}
    unique = []
    for index, name in enumerate(names):
        base = name or f"sample-{index:05d}"
        candidate, n = base, latest.get(base, 1)
        while candidate in taken:
            n += 1
            candidate = f"{base}#{n}"
        latest[base] = n
        taken.add(candidate)
        unique.append(candidate)
    return unique
