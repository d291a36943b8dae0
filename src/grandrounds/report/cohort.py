"""The sections about the images: what they look like, who they are of, how they were split, what the audits say."""

from __future__ import annotations

import base64

import polars as pl

from grandrounds.report.blocks import Block, Cell, Column, Folded, Listing, Pictures, Prose, Section, Table
from grandrounds.report.ranked import Ranked
from grandrounds.report.rounding import count, listed, span
from grandrounds.report.stard import flow_section

PER_CLASS = 8
_PNG = b"\x89PNG\r\n\x1a\n"
_LONGEST = 18  # rows; a longer split table is folded
_OUTCOMES = ("finding", "tip", "not applicable", "passed")


def pictures(ranked: Ranked) -> Section | None:
    """Return example images of every class."""
    content = ranked.content
    chosen = content.thumbnails if content.examples is None else content.examples
    images = {sample: data for sample, data in content.thumbnails.items() if sample in chosen and data.startswith(_PNG)}
    shown = _labelled(ranked).filter(pl.col("sample").is_in(list(images)))
    sheets = []
    for label in ranked.classes:
        samples = shown.filter(pl.col("label") == label)["sample"].unique(maintain_order=True).head(PER_CLASS)
        encoded = [(f"{label}, {sample}", base64.b64encode(images[sample]).decode()) for sample in samples]
        if encoded:
            sheets.append(Pictures(label, tuple(encoded)))
    if not sheets:
        return None
    intro = Prose(("Examples of each class as the families read them, chosen at random.",))
    return Section("examples", "What the images look like", (intro, *sheets))


def data(ranked: Ranked) -> Section:
    """Return how many images of whom there are, and their technical side."""
    content = ranked.content
    rows = _labelled(ranked)
    blocks: list[Block] = []
    if content.samples.is_empty():
        blocks.append(Prose(("No table of samples came along: what follows is counted from the predictions.",)))
    if not rows.is_empty():
        blocks.append(_class_table(ranked, rows))
    if not content.samples.is_empty():
        facts = tuple((Cell(name), Cell(value)) for name, value in _facts(content.samples) if value)
        blocks.append(Table("The images.", (Column("What", numeric=False), Column("Value", numeric=False)), facts))
    if content.notes:
        blocks.append(Prose(content.notes, listed=True))
    return Section("data", "The data", tuple(blocks))


def flow(ranked: Ranked) -> Section | None:
    """Return what was left out on the way from the files to the analysis."""
    return flow_section(ranked.content.flow, patient_known=ranked.content.patient_known)


def split(ranked: Ranked) -> Section:
    """Return how many patients and images of each class stand in each role of each fold."""
    content = ranked.content
    notes = (Prose(content.split_notes, listed=True),) if content.split_notes else ()
    if content.splits.is_empty():
        unknown = Prose(("No split table came along; the roles are those that the predictions state.",))
        return Section("split", "Who is tested on whom", (unknown, *notes))
    # (role of a case) × (sample of that case): a count of rows is a count of images.
    rows = content.splits.join(_labelled(ranked).select("sample", "case", "patient", "label"), on="case", how="inner")
    parts = rows.partition_by("repeat", "fold", "role", maintain_order=True, as_dict=True)
    order = {role: index for index, role in enumerate(("train", "valid", "calib", "test", "external"))}
    keys = sorted(parts, key=lambda key: (key[0], key[1], order.get(key[2], len(order))))
    several = content.splits["repeat"].n_unique() > 1
    table = Table(
        "Images in each role, and below them patients." if ranked.content.patient_known else "Images in each role.",
        (Column("Fold", numeric=False), Column("Role", numeric=False), Column("All"), *map(Column, ranked.classes)),
        tuple((Cell(_fold(key, several=several)), Cell(key[2]), *_row(ranked, parts[key])) for key in keys),
    )
    block: Block = table if len(keys) <= _LONGEST else Folded(f"The {len(keys)} rows of the split", (table,))
    return Section("split", "Who is tested on whom", (*notes, block))


def findings(ranked: Ranked) -> Section | None:
    """Return what the audits found, findings first."""
    frame = ranked.content.findings
    if frame.is_empty():
        return None
    rank = {outcome: index for index, outcome in enumerate(_OUTCOMES)}
    rows = sorted(frame.iter_rows(named=True), key=lambda row: (rank.get(row["outcome"], -1), row["audit"]))
    columns = tuple(Column(title, numeric=False) for title in ("Audit", "Outcome", "What it says"))
    table = Table(
        "Audits: each looks for one known way to be misled.",
        columns,
        tuple((Cell(row["audit"], row["title"]), Cell("", tag=row["outcome"]), Cell(row["sentence"])) for row in rows),
    )
    details = tuple(
        Folded(f"{row['audit']}: rows concerned", (Listing("\n".join(row["rows"]), f"Rows of {row['audit']}"),))
        for row in rows
        if row["rows"]
    )
    return Section("audits", "What the audits found", (table, *details), found(frame))


def found(frame: pl.DataFrame) -> str:
    """Return how many findings and tips there are, in words."""
    counts = [(word, frame.filter(pl.col("outcome") == word).height) for word in ("finding", "tip")]
    return ", ".join(f"{n} {word}{'s' if n > 1 else ''}" for word, n in counts if n) or "nothing"


def _labelled(ranked: Ranked) -> pl.DataFrame:
    """Return columns sample, case, patient, label: from the samples, or from the predictions where they are all."""
    content = ranked.content
    columns = ("sample", "case", "patient", "label")
    if content.samples.is_empty():
        return content.predictions.select(columns).unique("sample", maintain_order=True)
    labels = content.labels.filter(pl.col("task") == content.task.name)
    return content.samples.join(labels, on="case", how="left", maintain_order="left").select(columns)


def _class_table(ranked: Ranked, rows: pl.DataFrame) -> Table:
    lines = [(Cell(label), *_counts(ranked, rows.filter(pl.col("label") == label))) for label in ranked.classes]
    unlabelled = rows.filter(pl.col("label").is_null())
    if not unlabelled.is_empty():
        lines.append((Cell("label unknown"), *_counts(ranked, unlabelled)))
    lines.append((Cell("All"), *_counts(ranked, rows)))
    columns = (Column("Class", numeric=False), Column("Patients"), Column("Cases"), Column("Images"))
    return Table("Patients, cases and images of each class.", columns, tuple(lines))


def patients(ranked: Ranked, rows: pl.DataFrame) -> str:
    """Return how many patients the rows show, or that nobody knows."""
    return count(rows["patient"].n_unique()) if ranked.content.patient_known else "unknown"


def _counts(ranked: Ranked, rows: pl.DataFrame) -> tuple[Cell, ...]:
    cases = rows["case"].drop_nulls().n_unique()
    return Cell(patients(ranked, rows)), Cell(count(cases) if cases else "–"), Cell(count(rows.height))


def _facts(samples: pl.DataFrame) -> list[tuple[str, str]]:
    spacings = samples["spacing_mm"].drop_nulls().list.last().drop_nulls()
    return [
        ("Modality", _values(samples["modality"])),
        ("Body part", _values(samples["body_part"])),
        (
            "Sites",
            count(samples["site"].drop_nulls().n_unique()) if samples["site"].null_count() < samples.height else "",
        ),
        ("Height, pixels", _range(samples["height_px"])),
        ("Width, pixels", _range(samples["width_px"])),
        ("Pixel spacing, mm", _range(spacings)),
        ("Least to greatest pixel value", _range(pl.concat([samples["low"], samples["high"]]))),
    ]


def _values(column: pl.Series) -> str:
    return listed([str(one) for one in column.drop_nulls().unique().sort().head(8).to_list()])


def _range(column: pl.Series) -> str:
    known = column.drop_nulls().to_list()
    return span(min(known), max(known)) if known else ""


def _fold(key: tuple[object, ...], *, several: bool) -> str:
    return f"repeat {key[0]}, fold {key[1]}" if several else f"fold {key[1]}"


def _row(ranked: Ranked, part: pl.DataFrame) -> tuple[Cell, ...]:
    known = ranked.content.patient_known
    groups = [part, *(part.filter(pl.col("label") == label) for label in ranked.classes)]
    return tuple(Cell(count(one.height), patients(ranked, one) if known else "") for one in groups)
