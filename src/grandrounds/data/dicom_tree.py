"""From a DICOM export to series of slices in the order in which they lie, and a list of everything that is wrong.

Slices are grouped by SeriesInstanceUID, and by direction, pixel spacing, size and echo where a series mixes them; they
are ordered by their position along the normal of the slices (PS3.3 C.7.6.2.1.1), never by the name of a file. Every
file is used, set aside or refused, and the counts say how many of each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from grandrounds.data.dicom_files import Found, files_of
from grandrounds.data.dicom_headers import FACTS, facts_of
from grandrounds.data.dicom_order import FAULTS, NO_SERIES, REFUSED, sort_series
from grandrounds.errors import BadData
from grandrounds.formats.abreast import ALONE, Crew
from grandrounds.formats.dicom_elements import SIDES, years_of

Progress = Callable[[int, int], None]
_BLOCK = 128  # headers held as Python objects at a time; the rest are columns
_WITH_PIXELS = 8  # times as long as its header takes an image, which is read as a rule once its series is known
_ONE_OF = (
    "study", "accession", "patient", "site", "modality", "body_part", "description", "kernel", "echo", "sex", "scanner",
    "thickness_mm", "spacing_between_mm", "height_px", "width_px",
)  # fmt: skip


@dataclass(frozen=True)
class Tree:
    """What a DICOM export holds.

    Args:
        root: What was surveyed.
        series: One row per series: `series` (the UID, with `#2` … where a series mixes several), its study, accession,
            patient and what the header says of them, `plane`, `kind` and `n_slices`.
        files: One row per frame that is used, in stacking order: `series, order, path, member, frame`.
        faults: Columns `path, member, frame, series, fault, reason`; `path` is null for what concerns a whole series.
        counts: How many files were `found`, and of them `used`, `set aside` and `refused`.
    """

    root: Path
    series: pl.DataFrame
    files: pl.DataFrame
    faults: pl.DataFrame
    counts: Mapping[str, int]


def survey(root: Path, progress: Progress | None = None, crew: Crew = ALONE) -> Tree:
    """Return what a DICOM export holds; headers are read, pixels are not.

    Args:
        root: A folder, a DICOMDIR, or a ZIP.
        progress: Called with the number of files read and of all.
        crew: Who reads side by side where there is enough to read.

    Raises:
        BadData: There is no such export.
    """
    found = list(files_of(root))
    facts, faults = _read(found, progress, crew)
    done = sort_series(facts)
    rows = [*faults, *done.faults, *_conflicts(done.slices)]
    table = pl.DataFrame(rows, schema=FAULTS, orient="row")
    files = done.slices.select("series", "order", "path", "member", "frame")
    return Tree(root, _series(done.slices), files, table, _counts(len(found), files, table))


def holds_dicom(root: Path) -> bool:
    """Whether a folder, DICOMDIR or ZIP holds at least one DICOM image, whatever else lies there."""
    for found in files_of(root):
        try:
            if found.missing is None and next(facts_of(found.path, found.member))["drawn"] is None:
                return True
        except BadData:
            continue
    return False


def _read(found: list[Found], progress: Progress | None, crew: Crew) -> tuple[pl.DataFrame, list[dict[str, Any]]]:
    blocks, faults, done = [pl.DataFrame(schema=FACTS)], list[dict[str, Any]](), 0
    for facts, wrong in crew.abreast(_told, found, n_each=_BLOCK, outlook=_WITH_PIXELS):
        blocks.append(facts)
        faults += wrong
        done = min(done + _BLOCK, len(found))
        if progress is not None:
            progress(done, len(found))
    return pl.concat(blocks), faults


def _told(found: Sequence[Found]) -> tuple[pl.DataFrame, list[dict[str, Any]]]:
    """Return the facts of some files, and what is wrong with others."""
    rows, faults = list[dict[str, Any]](), list[dict[str, Any]]()
    for one in found:
        place = {"path": str(one.path), "member": one.member}
        if one.missing:
            faults.append(place | {"fault": "missing", "reason": one.missing})
            continue
        try:
            rows += _named(one.path, one.member)
        except BadData as error:
            faults.append(place | {"fault": REFUSED.get(error.what, "unreadable"), "reason": error.what})
    return pl.DataFrame(rows, schema=FACTS), faults


def _named(path: Path, member: str | None) -> list[dict[str, Any]]:
    facts = [*facts_of(path, member)]
    if facts[0]["uid"] is None:
        raise BadData(NO_SERIES, where=path)
    return facts


def _series(slices: pl.DataFrame) -> pl.DataFrame:
    """Return one row per series; what its slices tell differently is told by the first."""
    ages = slices["age"].unique().to_list()
    years = pl.col("age").replace_strict(ages, [years_of(age) for age in ages], return_dtype=pl.Float64())
    return (
        slices.with_columns(
            age_years=years,
            contrast=pl.col("agent").is_not_null(),
            side=pl.col("side").replace_strict(SIDES, default=None, return_dtype=pl.String()),
        )
        .group_by("series", maintain_order=True)
        .agg(
            *(pl.col(name).drop_nulls().first() for name in (*_ONE_OF, "side", "age_years", "plane", "kind")),
            pl.col("contrast").any(),
            pl.len().alias("n_slices"),
        )
        .with_columns(pl.col("height_px", "width_px", "n_slices").cast(pl.Int64()))
    )


def _conflicts(slices: pl.DataFrame) -> Iterator[dict[str, Any]]:
    """Yield one fault for each study of several patients and each accession of several studies."""
    for key, other, fault, words in (
        ("study", "patient", "patient conflict", "one study names {n} patients"),
        ("accession", "study", "accession conflict", "one accession number stands for {n} studies"),
    ):
        told = slices.filter(pl.col(key).is_not_null()).group_by(key, maintain_order=True)
        several = told.agg(pl.col(other).n_unique().alias("n"), pl.col("series").first()).filter(pl.col("n") > 1)
        for n, series in several.select("n", "series").iter_rows():
            yield {"series": series, "fault": fault, "reason": words.format(n=n)}


def _counts(n_found: int, files: pl.DataFrame, faults: pl.DataFrame) -> dict[str, int]:
    place = ["path", "member"]
    used = files.select(place).unique()
    aside = (
        faults.filter(pl.col("path").is_not_null())
        .select(place)
        .unique()
        .join(used, on=place, how="anti", nulls_equal=True)
    )
    refused = faults.filter(pl.col("fault").is_in([*REFUSED.values(), "unreadable", "missing"])).select(place).unique()
    return {
        "found": n_found,
        "used": used.height,
        "set aside": aside.height - refused.height,
        "refused": refused.height,
    }
