"""From a fingerprint, as plain data, to the words and numbers that the page of `grandrounds inspect` shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

import polars as pl

from grandrounds.report.inspection import InspectionContent
from grandrounds.report.rounding import count, span
from grandrounds.wording import many

MOST_PAIRS = 12
_NUMBER_OF = {"modalities": "Modality", "planes": "Plane", "sides": "Side", "scanners": "Scanner"}
Pictures = Mapping[str, Sequence[tuple[str, bytes]]]


def content_of(
    found: Mapping[str, Any],
    *,
    classes: tuple[str, ...],
    counts: pl.DataFrame,
    totals: pl.DataFrame,
    spread: pl.DataFrame,
    sheet: Pictures,
    pairs: Mapping[str, bytes],
    probes: pl.DataFrame | None = None,
) -> InspectionContent:
    """Return the content of the page.

    Args:
        found: The fingerprint as plain data, as in `fingerprint.json`.
        classes: Class names in order.
        counts: Columns `label, site, sex, age, n_patients, n_samples`.
        totals: Columns `what, value, label, n_patients, n_samples`.
        spread: Columns `what, low, high, n`.
        sheet: Sample and JPEG of a few images of each class.
        pairs: JPEG of the samples of the first nearly identical pairs.
        probes: Shortcut probes; None where none ran.
    """
    tallies = {title: found[name] for name, title in _NUMBER_OF.items()}
    return InspectionContent(
        title=f"{found['name']}: what the data hold",
        sentences=_sentences(found),
        facts=_facts(found),
        classes=classes,
        patient_known=found["patient_known"],
        counts=counts,
        totals=totals,
        spread=spread,
        tallies=tallies,
        sheet={label: [(f"{label}, {sample}", jpeg) for sample, jpeg in images] for label, images in sheet.items()},
        identical=_identical(found["duplicates"]),
        near=_near(found["near"]),
        pairs=tuple(_pairs(found["near"] or (), pairs)),
        groupings=tuple(_grouping(row) for row in found["groupings"]),
        probes=probes,
        flow=pl.DataFrame(list(found["flow"])) if found["flow"] else None,
        bad=tuple((_place(row, turn, named=found["named"]), row["reason"]) for turn, row in enumerate(found["bad"], 1)),
        n_bad=found["n_bad"],
        notes=tuple(found["notes"]),
        warnings=tuple(found["warnings"]),
        simulated=found["simulated"],
    )


def _sentences(found: Mapping[str, Any]) -> tuple[str, ...]:
    patients = f" of {count(found['n_patients'])} patients" if found["patient_known"] else ", patients unknown"
    bad = found["n_bad"]
    first = f"{count(found['n_samples'])} images{patients}" + (f"; {count(bad)} more cannot be used." if bad else ".")
    n_warnings = len(found["warnings"])
    second = "Nothing was found that a careful reader would have to know first." if not n_warnings else (
        "One thing to know before anything is trained." if n_warnings == 1
        else f"{n_warnings} things to know before anything is trained."
    )  # fmt: skip
    return first, second


def _facts(found: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    def ends(name: str) -> str:
        values = found[name]
        return "" if values is None else span(values["low"], values["high"])

    slices = ends("depth_px") if found["depth_px"]["high"] > 1 else ""
    facts = (
        ("Images", count(found["n_samples"])),
        ("Cases", count(found["n_cases"])),
        ("Patients", count(found["n_patients"]) if found["patient_known"] else "unknown"),
        ("Images of a patient", ends("samples_per_patient")),
        ("Height × width, pixels", f"{ends('height_px')} × {ends('width_px')}"),
        ("Slices", slices),
        ("Pixel spacing, mm", ends("row_spacing_mm")),
        ("Grey values", span(found["low"]["low"], found["high"]["high"])),
        ("Modality", ", ".join(found["modalities"])),
        ("Sites", count(found["sites"]) if found["sites"] else ""),
        ("Fingerprint", found["dataset_hash"]),
    )
    return tuple((name, value) for name, value in facts if value)


def _identical(duplicates: Mapping[str, Any]) -> tuple[str, ...]:
    if not duplicates["n_groups"]:
        return ("No two images have the same pixels.",)
    text = (
        f"Sets of images with the very same pixels: {count(duplicates['n_groups'])}, with "
        f"{many(duplicates['n_surplus'], 'image')} more than needed"
    )
    spans = [
        f"across {what} {count(duplicates[f'across_{what}'])}"
        for what in ("labels", "patients", "roles") if duplicates[f"across_{what}"]
    ]  # fmt: skip
    return (f"{text}; {', '.join(spans)}." if spans else f"{text}.",)


def _near(near: Sequence[Mapping[str, Any]] | None) -> tuple[str, ...]:
    if near is None:
        return ()
    how = (
        "Looked for: another crop, shift, small turn, size, window, compression or noise of one picture, mirrored or "
        "turned by quarters as well. Coarse descriptions propose, laying one over the other confirms."
    )
    if not near:
        return ("No two images are nearly identical.", how)
    spans = [
        f"of different {what} {count(n)}"
        for what in ("labels", "patients", "roles") if (n := sum(pair[what] == "different" for pair in near))
    ]  # fmt: skip
    text = f"Pairs of nearly identical images: {count(len(near))}"
    return (f"{text}; {', '.join(spans)}." if spans else f"{text}.", how)


def _pairs(near: Sequence[Mapping[str, Any]], jpegs: Mapping[str, bytes]) -> list[tuple[str, bytes, bytes]]:
    shown = []
    for pair in near:
        if pair["a"] in jpegs and pair["b"] in jpegs:
            words = [f"different {what}" for what in ("labels", "patients", "roles") if pair[what] == "different"]
            words += ["mirrored"] if pair["mirrored"] else []
            words += [f"turned by {pair['turned_deg']}°"] if pair["turned_deg"] else []
            names = f"{pair['a']} and {pair['b']}"
            caption = ": ".join(part for part in (names, ", ".join(words)) if part) or "one picture"
            shown.append((caption, jpegs[pair["a"]], jpegs[pair["b"]]))
    return shown[:MOST_PAIRS]


def _grouping(row: Mapping[str, Any]) -> dict[str, Any]:
    if row["n_pairs"]:
        evidence = (
            f"{count(row['n_inside'])} of {count(row['n_pairs'])} alike pairs fall into one group; by chance "
            f"{row['n_by_chance']:.1f}"
        )
    else:
        evidence = "no alike pairs to tell by"
    evidence += f"; {many(row['n_one_label'], 'group', 'have')} one label"
    return {
        "what": row["what"], "shapes": row["shapes"], "n_groups": row["n_groups"],
        "sizes": span(row["smallest"], row["largest"]), "evidence": evidence, "option": row["option"],
    }  # fmt: skip


def _place(row: Mapping[str, Any], turn: int, *, named: bool) -> str:
    """Return what a file is called; a page that is passed on need not tell where data lie."""
    if not named:
        return f"file {turn}"
    parts = (PurePath(row["path"]).name, row["member"], None if row["frame"] is None else f"frame {row['frame']}")
    return " ".join(part for part in parts if part)
