"""The page of `grandrounds inspect`: one self-contained HTML file, no script, every word from the data escaped."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
from markupsafe import Markup

from grandrounds import tables
from grandrounds.report import svg
from grandrounds.report.blocks import Block, Cell, Column, Folded, Panels, Pictures, Prose, Section, Table
from grandrounds.report.rendering import environment
from grandrounds.report.rounding import count, share
from grandrounds.report.stard import flow_section
from grandrounds.wording import many

FEW_PATIENTS = 10
MOST_ROWS = 60  # of any table; the rest is in fingerprint.json
_GROUPS = (("site", "Site"), ("sex", "Sex"), ("age", "Age in years"))
_IMAGED = (("scanner", "Scanner"), ("plane", "Plane"), ("side", "Side"))


@dataclass(frozen=True)
class InspectionContent:
    """Everything that the page shows, as tables and words.

    Args:
        title: Heading of the page.
        sentences: What matters most, in a sentence or two.
        facts: Name and value of what stands under the title.
        classes: Class names in order.
        patient_known: Whether counts of patients mean anything.
        counts: Columns `label, site, sex, age, n_patients, n_samples`.
        totals: Columns `what, value, label, n_patients, n_samples`: patients counted once per value of what is known:
            site, sex, age, scanner, plane, side.
        spread: Columns `what, low, high, n`: histograms.
        tallies: What is counted in images, such as modality or plane: value to number.
        sheet: Caption and JPEG of a few images of each class.
        identical: One sentence or more on identical images.
        pairs: Caption, two JPEGs and, in words, what is wrong with each nearly identical pair.
        near: Sentences on nearly identical images.
        groupings: Rows `what, shapes, n_groups, sizes, evidence, option` of what could tell the patients.
        probes: Columns `probe, what, metric, estimate, low, high, n_patients, verdict, sentence`; None where none ran.
        flow: Columns `stage, reason` and counts, from found to analysed; shown where something was left out.
        bad: File and reason of what could not be used; `n_bad` counts all.
        notes: What the source says of itself.
        warnings: What a careful reader should know.
    """

    title: str
    sentences: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]
    classes: tuple[str, ...]
    patient_known: bool
    counts: pl.DataFrame
    totals: pl.DataFrame
    spread: pl.DataFrame
    tallies: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    sheet: Mapping[str, Sequence[tuple[str, bytes]]] = field(default_factory=dict)
    identical: tuple[str, ...] = ()
    near: tuple[str, ...] = ()
    pairs: tuple[tuple[str, bytes, bytes], ...] = ()
    groupings: tuple[Mapping[str, Any], ...] = ()
    probes: pl.DataFrame | None = None
    flow: pl.DataFrame | None = None
    bad: tuple[tuple[str, str], ...] = ()
    n_bad: int = 0
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    simulated: bool = False


def write(content: InspectionContent, path: Path) -> Path:
    """Write the page as one HTML file, whole or not at all, and return its path.

    Raises:
        StoreTrouble: The file cannot be written.
    """
    page = render(content)
    with tables.atomic(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return path


def render(content: InspectionContent) -> str:
    """Return the page as HTML."""
    return environment().get_template("inspection.html").render(content=content, sections=sections(content))


def sections(content: InspectionContent) -> list[Section]:
    """Return every section that has something to show, in the order of the page."""
    parts = (_look, _who, _measures, _alike, _patients, _probes, _flow, _bad, _notes)
    return [section for build in parts if (section := build(content)) is not None]


def _look(content: InspectionContent) -> Section | None:
    sheets = [Pictures(label, _encoded(images), "jpeg") for label, images in content.sheet.items() if images]
    if not sheets:
        return None
    how = (
        "A few images of every class, drawn by a seed, of as many patients as there are. DICOM files are shown "
        "through the window that they ask for, others between their own 1st and 99th percentile, volumes by their "
        "middle slice."
    )
    return Section("look", "What the images look like", (Prose((how,)), *sheets))


def _who(content: InspectionContent) -> Section:
    blocks: list[Block] = [_marginal(content, "all", "Each class.", "Class")]
    told = [(name, title) for name, title in _GROUPS if content.counts[name].null_count() < content.counts.height]
    blocks += [_marginal(content, name, f"{title} and class.", title) for name, title in told]
    values = dict(content.totals.group_by("what").agg(pl.col("value").n_unique()).iter_rows())
    varying = [(name, title) for name, title in _IMAGED if values.get(name, 0) > 1]
    blocks += [_marginal(content, name, f"{title} and class.", title) for name, title in varying]
    if len(told) > 1:
        table = _crossed(content, told)
        words = " × ".join(title.lower().removesuffix(" in years") for _, title in told)
        blocks.append(Folded(f"Class × {words}: {many(len(table.rows), 'group')}", (table,)))
    if not told:
        blocks.append(Prose(("Site, sex and age are not known of these images.",)))
    return Section("who", "Who is shown", tuple(blocks))


def _marginal(content: InspectionContent, name: str, caption: str, head: str) -> Table:
    part = content.totals.filter(pl.col("what") == name)
    if name == "all":
        columns = (
            Column(head, numeric=False),
            *([Column("Patients")] if content.patient_known else []),
            Column("Images"),
        )
        rows = tuple(
            (Cell(label), *([_patients_cell(n)] if content.patient_known else []), Cell(count(images)))
            for label, n, images in part.select("label", "n_patients", "n_samples").iter_rows()
        )
        return Table(caption, columns, rows)
    cells = {(value, label): (n, images) for value, label, n, images in part.select(
        "value", "label", "n_patients", "n_samples").iter_rows()}  # fmt: skip
    values = part["value"].unique(maintain_order=True).sort().head(MOST_ROWS)
    labels = [*content.classes, *(["unknown"] if any(label == "unknown" for _, label in cells) else [])]
    rows = tuple((Cell(value), *(_cell(content, cells.get((value, label))) for label in labels)) for value in values)
    if content.patient_known:
        caption = f"{caption} Patients, and below them images; tinted: fewer than {FEW_PATIENTS} patients."
    return Table(caption, (Column(head, numeric=False), *map(Column, labels)), rows)


def _crossed(content: InspectionContent, told: Sequence[tuple[str, str]]) -> Table:
    names = [name for name, _ in told]
    labels = [*content.classes, *(["unknown"] if "unknown" in content.counts["label"] else [])]
    groups = content.counts.select(names).unique(maintain_order=True).sort(names).head(MOST_ROWS)
    cells = {
        (row[0], *row[1:-2]): row[-2:]
        for row in content.counts.select("label", *names, "n_patients", "n_samples").iter_rows()
    }
    rows = tuple(
        (*map(Cell, group), *(_cell(content, cells.get((label, *group))) for label in labels))
        for group in groups.iter_rows()
    )
    columns = (*(Column(title, numeric=False) for _, title in told), *map(Column, labels))
    return Table("Every group that somebody belongs to; an empty cell is nobody.", columns, rows)


def _cell(content: InspectionContent, found: tuple[int, int] | None) -> Cell:
    if found is None:
        return Cell("–")
    n_patients, n_samples = found
    if not content.patient_known:
        return Cell(count(n_samples))
    few = 1 - n_patients / FEW_PATIENTS
    return Cell(count(n_patients), many(n_samples, "image"), shade=few if few > 0 else None)


def _patients_cell(n_patients: int) -> Cell:
    return Cell(count(n_patients), tag="few" if n_patients < FEW_PATIENTS else "")


def _measures(content: InspectionContent) -> Section:
    blocks: list[Block] = []
    parts = content.spread.partition_by("what", maintain_order=True)
    if parts:
        panels = tuple(_histogram(part) for part in parts)
        blocks.append(
            Panels("How images differ. The height of a bar is a number of images; the tallest is written.", panels)
        )
    rows = tuple(
        (Cell(what), Cell(", ".join(f"{value} ({count(n)})" for value, n in list(tally.items())[:12])))
        for what, tally in content.tallies.items()
        if tally
    )
    if rows:
        columns = (Column("What", numeric=False), Column("Value (images)", numeric=False))
        blocks.append(Table("What the files say of themselves.", columns, rows))
    if not blocks:
        blocks.append(Prose(("All images have the same size and grey values, and the files say nothing else.",)))
    return Section("measures", "Sizes, spacing and intensity", tuple(blocks))


def _histogram(part: pl.DataFrame) -> Markup:
    """Return a small histogram of one quantity."""
    width, height, left, top = 270.0, 104.0, 6.0, 26.0
    name = part["what"][0]
    low, high, most = float(part["low"][0]), float(part["high"][-1]), int(part["n"].to_numpy().max())
    across = svg.Axis(low, high, left, width - left)
    foot = height - 20
    bars = [
        svg.tag("rect", x=across(a) + 0.4, y=foot - (foot - top) * n / most,
                width=max(across(b) - across(a) - 0.8, 0.6), height=(foot - top) * n / most, class_="bar c0")
        for _, a, b, n in part.iter_rows() if n
    ]  # fmt: skip
    ticks = [
        svg.tag("text", svg.tick_text(value), x=across(value), y=height - 5, text_anchor="middle", class_="tick")
        for value in across.ticks(4)
    ]
    title = svg.tag("text", name, x=left, y=13, class_="panel-title")
    peak = svg.tag("text", count(most), x=width - left, y=13, text_anchor="end", class_="tick")
    line = svg.tag("path", d=svg.path([(left, foot), (width - left, foot)]), class_="zero")
    label = f"{name}: {svg.tick_text(low)} to {svg.tick_text(high)}, the tallest bar holds {count(most)} images"
    return svg.drawing(width, height, label, [title, peak, *bars, line, *ticks], "hist")


def _alike(content: InspectionContent) -> Section:
    blocks: list[Block] = [Prose((*content.identical, *content.near))]
    if content.pairs:
        shown = tuple(
            Pictures(caption, _encoded((("first of the pair", one), ("second of the pair", other))), "jpeg")
            for caption, one, other in content.pairs
        )
        blocks.append(Prose(("The pairs that matter most; judge for yourself.",)))
        blocks += shown
    return Section("pairs", "Identical and nearly identical images", tuple(blocks))


def _patients(content: InspectionContent) -> Section | None:
    if content.patient_known or not content.groupings:
        return None
    intro = (
        "Nobody said whose images these are. This is what names and columns suggest, the best supported first; nothing "
        "of it is applied unless you say so. Patterns show letters as a, digits as 9, and what is taken in brackets."
    )
    titles = ("What is taken for the patient", "Groups", "Images of each", "Evidence", "How to use it")
    columns = tuple(Column(title, numeric=title == "Groups") for title in titles)
    rows = tuple(
        (
            Cell(row["what"], ", ".join(row["shapes"])), Cell(count(row["n_groups"])), Cell(row["sizes"]),
            Cell(row["evidence"]), Cell(row["option"]),
        )
        for row in content.groupings
    )  # fmt: skip
    return Section("patients", "Whose images could these be?", (Prose((intro,)), Table("Candidates.", columns, rows)))


def _probes(content: InspectionContent) -> Section | None:
    if content.probes is None or content.probes.is_empty():
        return None
    rows = tuple(
        (
            Cell(row["what"]),
            Cell("–" if row["estimate"] is None else share(row["estimate"]), _interval(row), tag=str(row["verdict"])),
            Cell(row["sentence"]),
        )
        for row in content.probes.iter_rows(named=True)
    )  # fmt: skip
    metric = ", ".join(content.probes["metric"].drop_nulls().unique(maintain_order=True))
    columns = (
        Column("Told from", numeric=False),
        Column(metric, "and the verdict"),
        Column("What it means", numeric=False),
    )
    intro = (
        "Can the label be told from what is not the finding? Each probe reads one such thing, by patient, in seconds."
    )
    return Section("shortcuts", "Shortcuts", (Prose((intro,)), Table("Shortcut probes.", columns, rows)))


def _interval(row: Mapping[str, Any]) -> str:
    return f"{share(row['low'])} to {share(row['high'])}" if row["low"] is not None and row["high"] is not None else ""


def _flow(content: InspectionContent) -> Section | None:
    return flow_section(content.flow, patient_known=content.patient_known)


def _bad(content: InspectionContent) -> Section | None:
    if not content.n_bad:
        return None
    columns = (Column("File", numeric=False), Column("Why", numeric=False))
    rows = tuple((Cell(place), Cell(reason)) for place, reason in content.bad[:MOST_ROWS])
    more = content.n_bad - len(rows)
    notes = (f"… and {count(more)} more; all are in fingerprint.json.",) if more > 0 else ()
    return Section(
        "bad", "Files that cannot be used", (Table(f"{count(content.n_bad)} in all.", columns, rows, notes),)
    )


def _notes(content: InspectionContent) -> Section | None:
    return Section("notes", "Notes", (Prose(content.notes, listed=True),)) if content.notes else None


def _encoded(images: Iterable[tuple[str, bytes]]) -> tuple[tuple[str, str], ...]:
    return tuple((words, base64.b64encode(data).decode()) for words, data in images)
