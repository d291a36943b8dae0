"""Registries and fingerprints as rows that a terminal or a program can read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal

import polars as pl
from rich.table import Table

from grandrounds.audits import AUDITS
from grandrounds.cli.folding import Dotted
from grandrounds.data.catalogue import SOURCES
from grandrounds.data.fingerprint import Fingerprint
from grandrounds.data.fingerprint_text import lines
from grandrounds.evaluate import METRICS
from grandrounds.families import FAMILIES, recipes
from grandrounds.families.prefixed import PREFIXED
from grandrounds.families.protocol import FamilyEntry
from grandrounds.wording import many, with_sign

if TYPE_CHECKING:
    from grandrounds.families.description import Description

_CAPTION = "For one image. All parameters include heads that are left out after training, and tokens."
_UNCOUNTED = (
    "Parameters are for grey images of 64 pixels a side and two classes. A family without a number has no network, or "
    "one whose size depends on what its name is completed with. Of one for your images "
    "`grandrounds describe NAME --size 1x64x64` tells it."
)
_NONE = "–"
_OF_RECIPES = ("taken from it", "our choice", "expected time", "expected result")
_MOST_NAMED = 6  # trials that failed; all of them stand in trials.parquet
_OUTCOMES = ("finding", "tip", "not applicable", "passed")
Kind = Literal["families", "recipes", "datasets", "metrics", "audits"]


def rows(kind: Kind) -> list[dict[str, str]]:
    """Return one row per entry of a registry."""
    if kind == "families":
        return [
            {
                "name": entry.name,
                "kind": entry.kind,
                "images": ", ".join(f"{axes}D" for axes in entry.dims),
                "parameters": f"{entry.n_parameters:,}" if entry.n_parameters else "–",
                "summary": entry.summary,
                "needs": _needs(entry),
                "reference": entry.reference,
            }
            for entry in (*FAMILIES, *PREFIXED)
        ]
    if kind == "recipes":
        said = {name: recipes.head(path) for name, path in recipes.shipped().items()}
        columns = {"recipe": "what it is"} | dict.fromkeys((*_OF_RECIPES, "reference"))
        return [
            {"name": name, **{column or key: head.get(key, _NONE) for key, column in columns.items()}}
            for name, head in said.items()
        ]
    if kind == "datasets":
        return [
            {
                "name": entry.name,
                "summary": entry.summary,
                "how": entry.how,
                "licence": entry.licence or "your own",
                "ask": entry.ask or _NONE,
            }
            for entry in SOURCES
        ]
    if kind == "metrics":
        return [
            {"name": entry.name, "summary": entry.label, "better": entry.better, "reference": entry.reference}
            for entry in METRICS
        ]
    return [{"name": entry.name, "title": entry.title, "summary": entry.summary} for entry in AUDITS]


def _needs(entry: FamilyEntry) -> str:
    """Return the packages that a family needs; one that is made of another needs those of the other."""
    other = entry.name.partition("<")[2].rstrip(">")
    return ", ".join(entry.requires) or (f"what the {other} needs" if other else _NONE)


def table(kind: Kind, content: list[dict[str, str]]) -> Table:
    """Return the rows as a table for the terminal."""
    drawn = Table(title=kind.capitalize(), title_justify="left", show_lines=kind in ("datasets", "families", "recipes"))
    if kind == "families":
        drawn.caption, drawn.caption_justify = _UNCOUNTED, "left"
    if kind == "datasets":
        content = [_stacked(row) for row in content]
    if kind in ("families", "recipes"):
        content = [_narrow(row) for row in content]
    for name in content[0]:
        drawn.add_column(name, overflow="fold", no_wrap=name == "name")
    for row in content:
        drawn.add_row(*row.values())
    return drawn


def _stacked(row: dict[str, str]) -> dict[str, str]:
    """Return a row of two columns: an address that is folded into a narrow one cannot be copied."""
    told = [value for key, value in row.items() if key != "name" and value != _NONE]
    return {"name": row["name"], "what it is, how to open it, licence, where to ask": "\n".join(told)}


def _narrow(row: dict[str, str]) -> dict[str, str]:
    """Return a row of two columns: what is short stands below the name, what is long in the other."""
    short = [", ".join(row[key] for key in ("kind", "images") if key in row)]
    if row.get("parameters", _NONE) != _NONE:
        short.append(f"{row['parameters']} parameters")
    told = [f"{key}: {row[key]}" for key in (*_OF_RECIPES, "reference", "needs") if row.get(key, _NONE) != _NONE]
    what = row.get("summary") or row["what it is"]
    return {"name": "\n".join([row["name"], *filter(None, short)]), "what it is": "\n".join([what, *told])}


def layer_table(family: str, found: Description) -> Table:
    """Return the layers of a network as a table, with its sums in the last line."""
    drawn = Table(title=f"{family}: {found.note}", caption=_CAPTION)
    for column in ("layer", "kind"):
        drawn.add_column(column, overflow="fold")
    for column in ("gives", "parameters", "mult-adds"):
        drawn.add_column(column, justify="right", overflow="fold")
    drawn.add_row("image", "", "×".join(map(str, found.shape)), "", "")
    for layer in found.layers:
        size, cost = "×".join(map(str, layer.size)), (layer.n_parameters, layer.n_multiply_adds)
        drawn.add_row(Dotted(layer.name), layer.kind, size, *(f"{number:,}" if number else "" for number in cost))
    drawn.add_section()
    drawn.add_row("all", "", "", f"{found.n_parameters:,}", f"{found.n_multiply_adds:,}")
    return drawn


def recipe_lines(family: str) -> Iterator[str]:
    """Yield what the recipe of a family says of itself; nothing of a family without one."""
    if family in recipes.shipped():
        said = recipes.head(recipes.shipped()[family])
        yield "Its recipe:"
        yield from (f"  {key}: {said[key]}" for key in ("reference", *_OF_RECIPES) if key in said)


def external_lines(found: pl.DataFrame) -> Iterator[str]:
    """Yield what a model is worth elsewhere, a line for each metric of performance and of what its thresholds call."""
    for row in found.filter(pl.col("kind").is_in(["performance", "threshold"])).iter_rows(named=True):
        if row["external"] is None:
            continue
        of_class = f"{row['what']} of {row['label']}" if row["label"] else row["what"]
        what = f"{row['label']}, {row['what']}" if row["kind"] == "threshold" else of_class
        span = f" ({row['external_low']:.3f} to {row['external_high']:.3f})" if row["external_low"] is not None else ""
        lost = row["difference"]
        home = f"; at home {row['home']:.3f}, {with_sign(lost)}" if lost is not None else ""
        yield f"{row['family']}, {what}: {row['external']:.3f}{span}{home}"


def finding_lines(findings: pl.DataFrame) -> Iterator[str]:
    """Yield the findings as plain lines, what there is to act on first, with a count at the end.

    Where several tasks were audited, each line begins with its task.
    """
    for outcome in _OUTCOMES:
        for row in findings.filter(outcome=outcome).iter_rows(named=True):
            task = f"{row['task']}, " if row["task"] else ""
            yield f"{task}{row['audit']} {row['title']}: {row['outcome']}. {_without(row['sentence'])}"
            yield from (f"  {line}" for line in row["rows"])
    counts = [f"{outcome} {findings.filter(outcome=outcome).height}" for outcome in _OUTCOMES]
    n_tasks = findings["task"].n_unique()
    of = f" of {n_tasks} tasks" if n_tasks > 1 else ""
    yield f"\n{findings.height} audits{of}: {', '.join(counts)}."


def failed_lines(places: Sequence[str]) -> Iterator[str]:
    """Yield which trials failed, and that they are tried again; nothing where none has."""
    if places:
        more = f" and {len(places) - _MOST_NAMED} more" if len(places) > _MOST_NAMED else ""
        yield (
            f"{many(len(places), 'trial')} failed: {', '.join(places[:_MOST_NAMED])}{more}. "
            "Why stands there in error.txt; the same command tries again what failed, and nothing else."
        )


def _without(sentence: str) -> str:
    # The outcome stands before the sentence already.
    text = sentence.removeprefix("Not applicable: ")
    return text[:1].upper() + text[1:]


def fingerprint_lines(found: Fingerprint) -> list[str]:
    """Return a fingerprint as plain lines."""
    return lines(found)
