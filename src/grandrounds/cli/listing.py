"""Registries and fingerprints as rows that a terminal or a program can read."""

from __future__ import annotations

from typing import Literal

from rich.table import Table

from grandrounds.audits import AUDITS
from grandrounds.data.catalogue import SOURCES
from grandrounds.data.fingerprint import Fingerprint, lines
from grandrounds.evaluate import METRICS
from grandrounds.families import FAMILIES

Kind = Literal["families", "datasets", "metrics", "audits"]


def rows(kind: Kind) -> list[dict[str, str]]:
    """Return one row per entry of a registry."""
    if kind == "families":
        return [
            {
                "name": entry.name,
                "kind": entry.kind,
                "summary": entry.summary,
                "needs": ", ".join(entry.requires) or "–",
                "reference": entry.reference,
            }
            for entry in FAMILIES
        ]
    if kind == "datasets":
        return [
            {
                "name": entry.name,
                "summary": entry.summary,
                "how": entry.how,
                "licence": entry.licence or "your own",
            }
            for entry in SOURCES
        ]
    if kind == "metrics":
        return [
            {"name": entry.name, "summary": entry.label, "better": entry.better, "reference": entry.reference}
            for entry in METRICS
        ]
    return [{"name": entry.name, "title": entry.title, "summary": entry.summary} for entry in AUDITS]


def table(kind: Kind, content: list[dict[str, str]]) -> Table:
    """Return the rows as a table for the terminal."""
    drawn = Table(title=kind.capitalize(), title_justify="left")
    for name in content[0]:
        drawn.add_column(name, overflow="fold", no_wrap=name == "name")
    for row in content:
        drawn.add_row(*row.values())
    return drawn


def fingerprint_lines(found: Fingerprint) -> list[str]:
    """Return a fingerprint as plain lines."""
    return lines(found)
