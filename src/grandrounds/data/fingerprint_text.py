"""A fingerprint as plain text for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from grandrounds.data.fingerprint import BadFile, Fingerprint, NearPair, Range
from grandrounds.data.flow import lines as flow_lines
from grandrounds.wording import many

_VERDICTS = (("finding", "tip"), ("passed",), ("not applicable",))


def lines(found: Fingerprint) -> list[str]:
    """Return the fingerprint as plain text for a terminal, one line each."""
    patients = many(found.n_patients, "patient") if found.patient_known else "patients unknown"
    text = [
        f"{found.name}  ({found.dataset_hash}){'  SIMULATED' if found.simulated else ''}",
        f"  {patients}, {many(found.n_cases, 'case')}, {many(found.n_samples, 'sample')}, {found.n_bad:,} unusable",
    ]
    if found.samples_per_patient is not None:
        text.append(f"  samples per patient   {_span(found.samples_per_patient)}")
    text.append(f"  size in pixels        {_span(found.height_px)} high, {_span(found.width_px)} wide")
    if found.depth_px.high > 1:
        text.append(f"  slices                {_span(found.depth_px)}")
    if found.row_spacing_mm is not None:
        text.append(f"  pixel spacing         {_span(found.row_spacing_mm)} mm")
    text.append(
        f"  pixel values          {found.low.low:g} to {found.high.high:g}, mean of an image {_span(found.mean)}"
    )
    kinds = (
        ("modality", found.modalities),
        ("plane", found.planes),
        ("scanner", found.scanners),
        ("side", found.sides),
    )
    for title, counts in kinds:
        if counts:
            text.append(f"  {title:<21} {', '.join(f'{name} {n:,}' for name, n in counts.items())}")
    text += ["", *_class_lines(found), "", *_duplicate_lines(found), *_near_lines(found)]
    if not found.named and (found.duplicates.n_groups or found.near):
        text.append("    (rows in the order of the source; --names tells the names)")
    text += [f"  patients?  {grouping.sentence}" for grouping in found.groupings[:2]]
    text += _probe_lines(found)
    if {row["stage"] for row in found.flow} - {"found", "analysed"}:
        text += ["", *flow_lines(pl.DataFrame(list(found.flow)))]
    text += [f"  bad: {_place(bad)}: {bad.reason}" for bad in found.bad[:20]]
    if found.n_bad > 20:
        text.append(f"  … and {found.n_bad - 20:,} more")
    text += [f"  no row: {path}" for path in found.unmatched]
    text += [f"  note: {note}" for note in found.notes]
    return text + [f"  warning: {warning}" for warning in found.warnings]


def _class_lines(found: Fingerprint) -> list[str]:
    width = max(len(word) for word in ("class", *(count.label for count in found.classes)))
    head = f"  {'class':<{width}}  {'role':<8}  {'samples':>8}"
    rows = [f"  {count.label:<{width}}  {count.role:<8}  {count.n_samples:>8,}" for count in found.classes]
    if not found.patient_known:
        return [head, *rows]
    patients = [f"  {count.n_patients:>8,}" for count in found.classes]
    return [f"{head}  patients", *(row + n for row, n in zip(rows, patients, strict=True))]


def _duplicate_lines(found: Fingerprint) -> list[str]:
    duplicates = found.duplicates
    if not duplicates.n_groups:
        return ["  identical images      none"]
    spans = [f"{duplicates.across_labels} across labels"]
    if duplicates.across_patients is not None:
        spans.append(f"{duplicates.across_patients} across patients")
    if duplicates.across_roles is not None:
        spans.append(f"{duplicates.across_roles} across roles")
    text = [
        f"  identical images      {many(duplicates.n_groups, 'set')}, {duplicates.n_surplus} surplus",
        f"                        of which {', '.join(spans)}",
    ]
    return text + [f"    {' = '.join(group[:6])}" for group in duplicates.groups[:10]]


def _near_lines(found: Fingerprint) -> list[str]:
    if found.near is None:
        return []
    if not found.near:
        return ["  nearly identical      none"]
    text = [f"  nearly identical      {many(len(found.near), 'pair')}, {turned_of(found.near)}"]
    text += [f"                        of which {spans_of(found.near)}"] if spans_of(found.near) else []
    pairs = sorted(found.near, key=lambda pair: not pair.crosses)[:10]
    return text + [f"    {pair.a} ~ {pair.b}{_turned(pair)}" for pair in pairs]


def _probe_lines(found: Fingerprint) -> list[str]:
    """Return what could tell the label besides the finding: alarms in full, the rest in a line."""
    if not found.probes:
        return []
    alarms, quiet, unasked = ([one for one in found.probes if one["verdict"] in verdicts] for verdicts in _VERDICTS)
    title, reasons = f"  {'shortcuts':<21}", {_reason(one) for one in unasked}
    if not alarms and not quiet and len(reasons) == 1:
        return [f"{title} nothing was probed: {reasons.pop()}"]
    told = [f"    {one['verdict']}: {one['sentence']}" for one in alarms]
    areas = [f"{one['what']} {one['estimate']:.2f} ({one['low']:.2f} to {one['high']:.2f})" for one in quiet]
    told += [f"    not shown to tell it: {', '.join(areas)}"] if areas else []
    told += [f"    {one['sentence']}" for one in unasked]
    said = f"{len(alarms) or 'none'} found" if alarms or quiet else "nothing was probed"
    return [f"{title} {said}", *told]


def _reason(probe: Mapping[str, Any]) -> str:
    return str(probe["sentence"]).partition(": ")[2]


def turned_of(pairs: Sequence[NearPair]) -> str:
    """Return how many of the pairs are mirrored or turned, in words."""
    return f"{sum(pair.mirrored or pair.turned_deg > 0 for pair in pairs):,} of them mirrored or turned"


def _turned(pair: NearPair) -> str:
    return (" mirrored" if pair.mirrored else "") + (f" turned by {pair.turned_deg}°" if pair.turned_deg else "")


def spans_of(pairs: Sequence[NearPair]) -> str:
    """Return how many of the pairs stand across labels, patients and roles, in words; nothing where none can."""
    kinds = [(what, [getattr(pair, what) for pair in pairs]) for what in ("labels", "patients", "roles")]
    return ", ".join(f"{states.count('different'):,} across {what}" for what, states in kinds if any(states))


def _span(values: Range) -> str:
    if values.low == values.high:
        return f"{values.low:g}"
    return f"{values.low:.4g} to {values.high:.4g} (median {values.median:.4g})"


def _place(bad: BadFile) -> str:
    return " ".join(str(part) for part in (bad.path, bad.member, bad.frame) if part is not None)
