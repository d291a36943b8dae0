"""A DICOM export with a table of labels: which exam has which label, which series is read, and what is left out.

The table may be named with the option `labels`, or lie in the export as `labels.csv`, `.tsv` or `.xlsx`. Without one
the export can be looked at, but not learned from.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from grandrounds.data import choosing, flow, joining
from grandrounds.data.consensus import consensus
from grandrounds.data.dicom_order import REFUSED
from grandrounds.data.dicom_tree import Tree, survey
from grandrounds.data.draft import Draft, free_name, official_role
from grandrounds.data.exports import table_in
from grandrounds.data.options import SourceOptions
from grandrounds.data.series_spec import SeriesSpec
from grandrounds.data.series_words import what_they_are_called
from grandrounds.data.spellings import spelling
from grandrounds.data.units import UNITS, by_unit
from grandrounds.errors import BadData, BadSpec
from grandrounds.formats.abreast import ALONE, Crew
from grandrounds.unknown import known
from grandrounds.wording import many

_EXAM = "#exam"
_FROM_SERIES = ("patient", "site", "modality", "body_part", "side")


class _Labelled(NamedTuple):
    """The series with `exam, label, is_named` and clinical columns, what to tell, and the series without a row."""

    series: pl.DataFrame
    notes: tuple[str, ...]
    clinical: tuple[str, ...]
    without_row: tuple[str, ...] = ()


def draft(source: Path, options: SourceOptions, crew: Crew = ALONE) -> Draft:
    """Return the draft of a folder, DICOMDIR or ZIP of DICOM files.

    Args:
        source: The export.
        options: What looking does not tell.
        crew: Who reads side by side where there is enough to read.

    Raises:
        BadData: There is no DICOM image, or the labels do not fit.
    """
    if options.series.channels and options.unit != "volume":
        raise BadSpec("series become the channels of volumes, not of slices", remedy="say --unit volume")
    named = Path(options.labels).expanduser().absolute() if options.labels else table_in(source)
    tree = survey(source, crew=crew)
    _check(tree, source)
    labelled = _labelled(tree.series, named, options) if named else _unlabelled(tree.series)
    chosen = choosing.choose(labelled.series, options.series)
    is_read = pl.col("chosen") & pl.col("is_named")
    read = chosen.filter(is_read)
    if read.is_empty():
        raise BadData("no series fits what was asked", where=source, remedy=" ".join(_why_none(chosen)))
    rows, files = _rows(tree, read, labelled.clinical, options)
    return Draft(
        name=source.resolve().stem,
        root=source,
        rows=rows,
        files=files,
        refused=_refused(tree),
        before=tuple(_before(tree, chosen, named)),
        unmatched=_a_file_of_each(tree, labelled.without_row),
        notes=(*_told(tree), *labelled.notes, *_reasons(chosen), *_ways(chosen, options.series), *_units(options)),
    )


def _check(tree: Tree, source: Path) -> None:
    if tree.series.is_empty():
        raise BadData(
            f"none of {tree.counts['found']} files is a DICOM image",
            where=source,
            remedy="give a folder of class folders, a table of images, or an export with DICOM files",
        )


def _labelled(series: pl.DataFrame, path: Path, options: SourceOptions) -> _Labelled:
    table = joining.read_table(path)
    if options.rater is not None:
        joining.refuse_absent(table, options.rater, where=path)
    joined = joining.join(table, series, options.join, where=path)
    column = joining.label_column(table, options.label, joined.column, where=path)
    series = _with_exam(series, joined.key)
    exams = series.select(pl.col("series").alias(joining.SERIES), pl.col("exam").alias(_EXAM))
    rows = joined.rows.join(exams, on=joining.SERIES, maintain_order="left")
    ratings = rows.unique([_EXAM, joining.ROW], maintain_order=True).select(
        pl.col(_EXAM).alias("exam"),
        (pl.col(options.rater) if options.rater else pl.lit("the table")).alias("rater"),
        known(pl.col(column), options.classes).alias("label"),
    )
    spelt = spelling(ratings["label"], options.classes)  # before anybody is said to disagree
    ratings = spelt.laid_on(ratings)
    if options.rater is None:
        _refuse_contradictions(ratings, path)
    agreed = consensus(ratings, options.consensus, spelt.of_named(options.positive))
    clinical = [name for name in table.columns if name not in {column, joined.column, options.rater}]
    facts = rows.group_by(pl.col(_EXAM).alias("exam"), maintain_order=True).agg(
        pl.col(name).first().alias(_of_table(name)) for name in clinical
    )
    found = series.join(agreed.labels, on="exam", how="left", maintain_order="left").join(
        facts, on="exam", how="left", maintain_order="left"
    )
    found = found.with_columns(is_named=pl.col("exam").is_in(facts["exam"].implode()))
    return _Labelled(found, (*joined.notes, *spelt.notes, *agreed.notes), tuple(clinical), joined.without_label)


def _of_table(name: str) -> str:
    """Return what a column of the table is called beside those of the headers."""
    return f"#{name}"


def _unlabelled(series: pl.DataFrame) -> _Labelled:
    found = _with_exam(series, "study").with_columns(label=pl.lit(None, dtype=pl.String()), is_named=pl.lit(value=True))
    return _Labelled(found, ("No table of labels was named, so every label is unknown.",), ())


def _with_exam(series: pl.DataFrame, key: joining.Key) -> pl.DataFrame:
    """Return the series with the exam that a label speaks of: the study, or the series where labels name series."""
    exam = pl.col("series") if key == "series" else pl.coalesce("study", "series")
    return series.with_columns(exam=exam)


def _refuse_contradictions(ratings: pl.DataFrame, path: Path) -> None:
    several = ratings.drop_nulls("label").group_by("exam").agg(pl.col("label").n_unique())
    n = several.filter(pl.col("label") > 1).height
    if n:
        raise BadData(
            f"{many(n, 'exam', 'have')} contradictory labels",
            where=path,
            remedy="name the column of who gave them with --rater, and a rule with --consensus; or mend the table",
        )


def _rows(
    tree: Tree, read: pl.DataFrame, clinical: tuple[str, ...], options: SourceOptions
) -> tuple[pl.DataFrame, pl.DataFrame | None]:
    """Return the draft's rows, and the files of samples that are volumes."""
    role = next((name for name in clinical if name.lower() in ("split", "role", "set")), None)
    rest = {name: pl.col(_of_table(name)) for name in clinical if name != role}
    if "patient" in rest and read[_of_table("patient")].has_nulls():
        del rest["patient"]  # names of two kinds would make two patients of one
    stated = [pl.coalesce(rest.pop(name, pl.col(name)), name).alias(name) for name in _FROM_SERIES]
    facts = read.select(
        "series",
        pl.col("exam").alias("case"),
        "label",
        _called(options.series.kinds).alias("series_kind"),
        *stated,  # the table's word goes before the header's
        *(value.alias(free_name(name)) for name, value in rest.items()),
        "part",
        pl.col("exam" if options.series.channels else "series")
        .map_elements(_short, return_dtype=pl.String())
        .alias("sample"),
        (pl.col(_of_table(role)).map_elements(official_role, return_dtype=pl.String()) if role else pl.lit(None))
        .cast(pl.String())
        .alias("role"),
    )
    slices = tree.files.join(facts, on="series", how="inner", maintain_order="left")
    if options.series.channels:
        slices = slices.sort("sample", "part", maintain_order=True)
        slices = slices.with_columns(order=pl.int_range(pl.len()).over("sample"))
    return by_unit(slices.drop("part"), options.unit)


def _called(kinds: Sequence[str]) -> pl.Expr:
    """Return what tells the series of an exam apart: parts of their descriptions, or their planes."""
    return pl.col("part").replace_strict(dict(enumerate(kinds)), return_dtype=pl.String()) if kinds else pl.col("plane")


def _short(series: str) -> str:
    """Return a short name of a series that tells nothing of its UID."""
    return hashlib.blake2b(series.encode(), digest_size=6).hexdigest()


def _a_file_of_each(tree: Tree, series: Sequence[str]) -> tuple[str, ...]:
    """Return the first slice of each series, in a folder by its path, in a ZIP by its member."""
    first = tree.files.filter(pl.col("series").is_in(list(series))).unique("series", keep="first", maintain_order=True)
    return tuple(first.select(pl.coalesce("member", "path")).to_series())


def _units(options: SourceOptions) -> tuple[str, ...]:
    channels = options.series.channels
    if not channels:
        return (UNITS[options.unit],)
    return (f"A sample is a whole exam; its channels are {', '.join(channels)}, laid on the first.",)


def _refused(tree: Tree) -> pl.DataFrame:
    kinds = [*REFUSED.values(), "unreadable", "missing"]
    faults = tree.faults.filter(pl.col("path").is_not_null(), pl.col("fault").is_in(kinds))
    kept = faults.filter(~pl.col("fault").is_in(["not DICOM", "no image"]))  # other files may lie among images
    return kept.select("path", "member", "frame", "reason")


def _told(tree: Tree) -> list[str]:
    counts = {stage: f"{n:,}" for stage, n in tree.counts.items()}
    whole = "Of {found} files {used} are used, {set aside} set aside and {refused} refused.".format_map(counts)
    faults = tree.faults.group_by("fault", maintain_order=True).len().sort("fault")
    return [whole, *(f"{fault}: {n:,}." for fault, n in faults.iter_rows())]


def _reasons(chosen: pl.DataFrame) -> list[str]:
    """Return how many series were chosen, and how many were not, by reason."""
    named = chosen.filter("is_named")
    taken = named.filter("chosen")
    read = f"{taken.height} of {named.height} series {'is' if taken.height == 1 else 'are'} read"
    notes = [f"{read}: {taken['reason'][0]}."] if taken.height else []
    counts = named.filter(~pl.col("chosen"))["reason"].value_counts(sort=True)
    return notes + [f"{many(n, 'series', 'are')} not read: {reason}." for reason, n in counts.iter_rows()]


def _ways(chosen: pl.DataFrame, spec: SeriesSpec) -> Iterator[str]:
    """Yield how series would be read that lost to another one of their exam, where nobody told them apart."""
    lost = chosen.filter(pl.col("is_named"), pl.col("reason").is_in([choosing.OUTDONE, choosing.EQUALLED]))
    if not spec.parts and lost.height:
        yield (
            "--series.pick all reads every series of an exam; --series.kinds and --series.channels tell them apart by "
            "parts of their descriptions."
        )
        yield from _descriptions(chosen)


def _descriptions(chosen: pl.DataFrame) -> Iterator[str]:
    if names := what_they_are_called(chosen.filter("is_named")):
        yield f"Series are called: {names}."


def _why_none(chosen: pl.DataFrame) -> Iterator[str]:
    yield from _reasons(chosen)
    yield from _descriptions(chosen)


def _before(tree: Tree, chosen: pl.DataFrame, named: Path | None) -> list[dict[str, Any]]:
    """Return what went out before any image was read, for the flow diagram."""
    kinds = [*REFUSED.values(), "unreadable", "missing"]
    faults = tree.faults.filter(pl.col("path").is_not_null(), pl.col("path") != str(named))
    is_refused = pl.col("fault").is_in(kinds)
    images = tree.files.join(
        chosen.select("series", "patient", pl.col("exam").alias("case"), "is_named", "chosen", "reason"), on="series"
    )
    out = images.filter("is_named", ~pl.col("chosen"))
    return [
        *flow.left_out("refused", faults.filter(is_refused)["reason"]),
        *flow.left_out("set aside", faults.filter(~is_refused)["reason"]),
        flow.stage("without label", images.filter(~pl.col("is_named")), "no row of the table speaks of it"),
        *(flow.stage("not chosen", part, reason) for (reason,), part in out.group_by("reason", maintain_order=True)),
    ]
