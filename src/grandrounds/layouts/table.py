"""A CSV or TSV with one row per image: which file, which label, and whatever else is known."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from grandrounds.data import joining
from grandrounds.data.draft import COLUMN_OPTIONS, Draft, free_name, official_role, refusals, with_columns
from grandrounds.data.options import SourceOptions
from grandrounds.errors import BadData, BadSpec
from grandrounds.formats.below import NOWHERE, leads_nowhere
from grandrounds.formats.catalogue import FORMATS
from grandrounds.layouts.volumes import stem, with_slices
from grandrounds.unknown import known

# What each column is called elsewhere, written without case, spaces and underscores; the first name is ours and wins.
_SYNONYMS = {
    "image": ("image", "path", "file", "filename", "filepath", "imagepath", "imagefile", "imagefilename", "imagename",
              "imageid", "imageindex", "img", "imgpath", "dicom", "dicompath", "channel0"),
    "label": ("label", "class", "classname", "diagnosis", "target", "valuetopredict", "dx", "category", "grade", "y"),
    "patient": ("patient", "patientid", "subject", "subjectid", "participant", "participantid", "patid", "pid"),
    "case": ("case", "caseid", "study", "studyid", "exam", "examid", "lesion", "lesionid", "accession",
             "accessionnumber"),
    "site": ("site", "siteid", "hospital", "centre", "center", "institution"),
    "side": ("side", "laterality"),
    "series_kind": ("serieskind", "plane", "sequence"),
    "role": ("role", "split", "set", "subset", "partition", "foldset", "officialsplit"),
    "sample": ("sample", "sampleid"),
    "modality": ("modality",),
    "body_part": ("bodypart", "bodypartexamined"),
    "member": ("member",),
    "frame": ("frame",),
}  # fmt: skip
_SIDES = {"l": "left", "left": "left", "r": "right", "right": "right"}
_NO_COLUMN = "none"


def draft(source: Path, options: SourceOptions) -> Draft:
    """Return the draft of a table; paths in it are relative to its folder. Every value is text: "001" stays "001".

    Raises:
        BadData: It is no table, has no rows, or names a role that nobody knows.
        BadSpec: The image or label column cannot be told; the message lists the columns.
    """
    table = _read(source, options)
    columns = _columns(table.columns, options, source)
    taken = {*columns.values(), *options.tasks}
    unlabelled = _unlabelled(table, options.tasks or tuple(columns[one] for one in columns if one == "label"))
    rows = table.select(
        *(pl.col(theirs).alias(ours) for ours, theirs in columns.items()),
        *(pl.col(name).alias(free_name(name)) for name in table.columns if name not in taken),
    )
    rows = _with_roles(_with_files(rows, source.parent), source)
    if "side" in rows.columns:
        rows = rows.with_columns(pl.col("side").str.to_lowercase().replace_strict(_SIDES, default=None))
    kept, refused = _without_gaps(rows, unlabelled)
    if kept.is_empty():
        raise BadData(
            f"none of the {rows.height:,} rows has both a label and an image that exists",
            where=source,
            remedy=f"paths in the column {columns['image']!r} are taken relative to the folder of the table",
        )
    rows, notes = with_slices(with_columns(kept), options.unit)
    return Draft(name=source.stem, root=source, rows=rows, notes=notes, refused=refused)


def _unlabelled(table: pl.DataFrame, answers: Sequence[str]) -> pl.Series:
    """Return whether a row has no answer in any of these columns; where nobody asks for one, none lacks it."""
    if not answers:
        return pl.repeat(False, table.height, eager=True)  # noqa: FBT003  (polars' own)
    return table.select(pl.all_horizontal(pl.col(*answers).is_null())).to_series()


def _read(source: Path, options: SourceOptions) -> pl.DataFrame:
    table = joining.without_empty(joining.read_table(source))
    if table.is_empty():
        raise BadData(
            "the table has no rows",
            where=source,
            remedy="check that it is the right file, and its first line names the columns",
        )
    return table.with_columns(known(pl.all(), options.classes).name.keep())


def _columns(names: Sequence[str], options: SourceOptions, source: Path) -> dict[str, str]:
    """Return our name to theirs for every column that was chosen or recognised."""
    found = {}
    said = options.model_dump(exclude_none=True)
    chosen = {ours: str(said[ours]) for ours in COLUMN_OPTIONS if ours in said}
    if options.tasks:
        chosen["label"] = str(options.task)  # each task is a column of labels
        if absent := [name for name in options.tasks if name not in names]:
            raise _unclear(f"the table has no column {absent[0]!r} for the task", names, source, "tasks")
    for ours, synonyms in _SYNONYMS.items():
        theirs = chosen.get(ours)
        if theirs is None:
            free = [name for name in names if name not in {*chosen.values(), *options.tasks}]
            theirs = _recognised(ours, free, synonyms, source)
        elif theirs != _NO_COLUMN and theirs not in names:
            raise _unclear(f"the table has no column {theirs!r}", names, source, ours)
        if theirs is not None and theirs != _NO_COLUMN:
            found[ours] = theirs
    for ours in ("image", "label"):
        if ours not in found and not (ours == "label" and chosen.get(ours) == _NO_COLUMN):
            raise _unclear(f"no column of the table is recognised as the {ours}", names, source, ours)
    return found


def _recognised(ours: str, names: Sequence[str], synonyms: Sequence[str], source: Path) -> str | None:
    hits = [name for name in names if re.sub(r"[^a-z0-9]", "", name.lower()) in synonyms]
    exact = [name for name in hits if name.lower() == ours]
    hits = exact or hits
    if len(hits) > 1:
        raise _unclear(f"the {ours} could be any of the columns {', '.join(hits)}", names, source, ours)
    return hits[0] if hits else None


def _unclear(what: str, names: Sequence[str], source: Path, ours: str) -> BadSpec:
    is_option = ours in (*COLUMN_OPTIONS, "tasks")
    remedy = f"say which one it is with --{ours}" if is_option else f"choose one of them and call it {ours!r}"
    return BadSpec(f"{what}; the columns are: {', '.join(names)}", where=source, remedy=remedy)


def _with_files(rows: pl.DataFrame, folder: Path) -> pl.DataFrame:
    names = rows["image"].drop_nulls().unique().to_list()  # many rows may be frames of one file
    places = [str(_located(folder, name)) for name in names]
    path = pl.col("image").replace_strict(names, places, default=None, return_dtype=pl.String())
    if "sample" not in rows.columns:
        stems = [_plain(Path(name.replace("\\", "/"))) for name in names]
        stem = pl.col("image").replace_strict(names, stems, default=None, return_dtype=pl.String())
        rows = rows.with_columns(stem.alias("sample"))
    return rows.with_columns(path.alias("path")).drop("image")


def _plain(path: Path) -> str:
    return path.with_name(stem(path)).as_posix()


def _located(folder: Path, name: str) -> Path:
    """Return the file that a table means, which may lie in `images/` or be written without its ending."""
    stated = folder / name.replace("\\", "/")
    places = [stated, folder / "images" / stated.relative_to(folder)] if stated.is_relative_to(folder) else [stated]
    for place in places:
        if place.is_file():
            return place
        for entry in FORMATS:
            for suffix in entry.suffixes:
                if (file := place.with_name(place.name + suffix)).is_file():
                    return file
    return stated


def _with_roles(rows: pl.DataFrame, source: Path) -> pl.DataFrame:
    if "role" not in rows.columns:
        return rows
    names = rows["role"].drop_nulls().unique().sort().to_list()
    roles = {name: official_role(name) for name in names}
    if unknown := [name for name, role in roles.items() if role is None]:
        raise BadData(
            f"the column of the official split says {', '.join(map(repr, unknown[:5]))}",
            where=source,
            remedy="write train, valid or test; or leave the column out with --role none",
        )
    return rows.with_columns(pl.col("role").replace_strict(roles, return_dtype=pl.String()))


def _without_gaps(rows: pl.DataFrame, unlabelled: pl.Series) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the rows that can be used and a table of the others, with the reason.

    Args:
        rows: One row per image.
        unlabelled: Whether nobody knows the label of a row, of several tasks in none.
    """
    checks = [(pl.col("path").is_null(), "the row names no image"), (pl.lit(unlabelled), "the row has no label")]
    partial = [name for name in ("patient", "case", "role") if name in rows.columns]
    partial = [name for name in partial if rows[name].null_count() < rows.height]
    checks += [(pl.col(name).is_null(), f"the row has no {name}, others have one") for name in partial]
    absent = {path: _why_absent(Path(path)) for path in rows["path"].drop_nulls().unique()}
    why_absent = pl.col("path").replace_strict(absent, return_dtype=pl.String(), default=None)
    reason = pl.coalesce(*(pl.when(bad).then(pl.lit(why)) for bad, why in checks), why_absent)
    rows = with_columns(rows).with_columns(reason.alias("reason"))
    refused = rows.filter(pl.col("reason").is_not_null()).with_columns(pl.col("path").fill_null(""))
    return rows.filter(pl.col("reason").is_null()).drop("reason"), refusals(
        refused.select("path", "member", "frame", "reason").rows()
    )


def _why_absent(path: Path) -> str | None:
    if path.is_file():
        return None
    return NOWHERE if leads_nowhere(path) else "there is no such file"
