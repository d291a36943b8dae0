"""The slices of each series in the order in which they lie, with what is doubled, missing or out of line.

What the order goes by is taken out of the table once, as columns of numbers for all series together; from then on a
part of them is an array of row numbers. A query for each part of each series would take longer than reading it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from grandrounds import formats
from grandrounds.data.dicom_drawn import NO_PIXELS, REASONS
from grandrounds.errors import Refusal
from grandrounds.geometry import plane_across

FAULTS = {
    "path": pl.String(),
    "member": pl.String(),
    "frame": pl.Int64(),
    "series": pl.String(),
    "fault": pl.String(),
    "reason": pl.String(),
}
NO_SERIES = "its series is not named, (0020,000E)"
# What a header can be refused for, by its reason, in a word.
REFUSED = {
    "this is not a DICOM file": "not DICOM",
    "this DICOM file holds no image": "no image",
    NO_PIXELS: "no image",
    "the file is cut off: its pixels are not all there": "cut off",
    "the file is empty": "empty",
    NO_SERIES: "no series",
}
_SAME_MM = 1e-2  # positions closer than this are one
_GAP = 1.5  # in medians of the distances between neighbours
_UNEVEN = 0.1
_PARALLEL = 0.02  # largest difference of cosines within one direction
_FEW = 0.2  # a direction with a smaller share of the slices than this is off the axis of its series
_NO_PLACE = "no slice tells its position, (0020,0032): they are ordered by number, (0020,0013)"
_PLACED = {
    "series": pl.String(),
    "row": pl.List(pl.Int64()),
    "order": pl.List(pl.Int64()),
    "plane": pl.String(),
    "kind": pl.String(),
}

_Rows = NDArray[np.int64]


class Sorted(NamedTuple):
    """The used slices of series with the columns `series, order, plane, kind`, and the faults as rows."""

    slices: pl.DataFrame
    faults: list[dict[str, Any]]


class _Frames(NamedTuple):
    """Facts of frames, and what their order goes by as columns of numbers; a part of them is an array of their rows.

    Args:
        facts: One row per frame.
        is_copy: Whether an earlier file of the series has the same SOPInstanceUID.
        is_drawn: Whether it is no image, but drawn on images or computed from them.
        is_scout: Whether it is a localiser.
        alike: The same number for frames of one size, spacing and echo.
        acquisition: The same number for frames of one acquisition.
        direction: (N, 6) cosines; not a number where no direction is told.
        normal: (N, 3) of the plane, likewise.
        position_mm: (N, 3), likewise.
    """

    facts: pl.DataFrame
    is_copy: NDArray[np.bool_]
    is_drawn: NDArray[np.bool_]
    is_scout: NDArray[np.bool_]
    alike: NDArray[np.int64]
    acquisition: NDArray[np.int64]
    direction: NDArray[np.float64]
    normal: NDArray[np.float64]
    position_mm: NDArray[np.float64]


class _Stack(NamedTuple):
    """A series in stacking order."""

    series: str
    rows: _Rows
    plane: str | None
    kind: str


def sort_series(facts: pl.DataFrame) -> Sorted:
    """Return the slices of each SeriesInstanceUID as one or several series in stacking order.

    Args:
        facts: Facts of frames, by the columns of `FACTS`.
    """
    frames, faults = _frames(facts), list[dict[str, Any]]()
    series = facts.select("uid").with_row_index("row").group_by("uid", maintain_order=True).agg("row")
    stacks = [stack for uid, rows in series.iter_rows() for stack in _of_series(frames, np.array(rows), uid, faults)]
    return Sorted(_slices(facts, stacks), faults)


def _frames(facts: pl.DataFrame) -> _Frames:
    place = pl.concat_str("path", pl.col("member").fill_null(""))
    spacing = (pl.col("pixel_mm").list.get(axis).round(3).alias(f"_{axis}") for axis in range(2))
    numbers = facts.select(
        is_copy=~pl.struct("uid", pl.col("sop").fill_null(place), "frame").is_first_distinct(),
        is_drawn=pl.col("drawn").is_not_null(),
        is_scout=pl.col("image_type").fill_null("").str.to_uppercase().str.contains("LOCALIZER"),
        alike=pl.struct("height_px", "width_px", "echo", *spacing).rank("dense").cast(pl.Int64),
        acquisition=pl.col("acquisition").rank("dense").fill_null(0).cast(pl.Int64),
        direction=pl.col("direction").list.to_array(6),
        position_mm=pl.col("position_mm").list.to_array(3),
    )
    columns = {name: numbers[name].to_numpy() for name in numbers.columns}
    normal = np.cross(columns["direction"][:, :3], columns["direction"][:, 3:])
    return _Frames(facts, normal=normal, **columns)


def _of_series(frames: _Frames, rows: _Rows, uid: str, faults: list[dict[str, Any]]) -> Iterator[_Stack]:
    copies, rows = _parted(rows, frames.is_copy)
    drawn, rows = _parted(rows, frames.is_drawn)
    scouts, rows = _parted(rows, frames.is_scout)
    groups = _grouped(frames, rows)
    across = _off_axis(frames, groups)
    faults += [
        *(_fault(frames, at, None, "duplicate", "another file is the same instance, (0008,0018)") for at in copies),
        *_drawn(frames, drawn, uid),
        *(_fault(frames, at, uid, "localiser", "a localiser is no part of the volume") for at in scouts),
        *(
            _fault(frames, at, uid, "off axis", "it lies across the other slices of its series")
            for group in across
            for at in groups[group]
        ),
    ]
    stacks = [stack for at, group in enumerate(groups) if at not in across for stack in _stacks(frames, group)]
    for at, stack in enumerate(sorted(stacks, key=lambda one: -len(one))):
        yield _ordered(frames, stack, uid if at == 0 else f"{uid}#{at + 1}", faults)


def _drawn(frames: _Frames, rows: _Rows, uid: str) -> Iterator[dict[str, Any]]:
    for at, what in zip(rows, frames.facts["drawn"][rows], strict=True):
        yield _fault(frames, at, uid, what, REASONS[what])


def _parted(rows: _Rows, is_one: NDArray[np.bool_]) -> tuple[_Rows, _Rows]:
    """Return the rows that are one, and the others."""
    return rows[is_one[rows]], rows[~is_one[rows]]


def _grouped(frames: _Frames, rows: _Rows) -> list[_Rows]:
    """Return the parts of a series that can be one volume: one size, spacing, echo and direction."""
    turns = _turns(frames.direction[rows])
    return _by(rows, frames.alike[rows] * (len(rows) + 1) + turns)  # one number for each pair of both


def _by(rows: _Rows, keys: NDArray[np.int64]) -> list[_Rows]:
    """Return the rows by a key, in the order in which each key comes first."""
    _, first, numbers = np.unique(keys, return_index=True, return_inverse=True)
    return [rows[numbers == number] for number in np.argsort(first)]


def _turns(direction: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return a number for each frame, the same for directions that agree within the tolerance; -1 for none told."""
    turns = np.full(len(direction), -1)
    left = np.flatnonzero(~np.isnan(direction[:, 0]))
    while len(left):
        agrees = np.abs(direction[left] - direction[left[0]]).max(axis=1) <= _PARALLEL
        turns[left[agrees]] = turns.max() + 1
        left = left[~agrees]
    return turns


def _off_axis(frames: _Frames, groups: Sequence[_Rows]) -> list[int]:
    """Return the places of groups that are a few slices across the main direction of their series."""
    n_main = max((len(group) for group in groups), default=0)
    turned = [_normal(frames, group) for group in groups]
    main = next((turn for group, turn in zip(groups, turned, strict=True) if len(group) == n_main), None)
    return [
        at
        for at, (group, turn) in enumerate(zip(groups, turned, strict=True))
        if main is not None and turn is not None and len(group) < max(_FEW * n_main, 2) and n_main > 2
        and abs(float(main @ turn)) < 1 - _PARALLEL
    ]  # fmt: skip


def _stacks(frames: _Frames, group: _Rows) -> list[_Rows]:
    """Return one stack, or one per acquisition where acquisitions repeat the same positions."""
    places = _places(frames, group)
    acquisitions = _by(group, frames.acquisition[group])
    if places is None or len(np.unique(np.round(places / _SAME_MM))) == len(places):
        return [group]
    return acquisitions


def _ordered(frames: _Frames, stack: _Rows, name: str, faults: list[dict[str, Any]]) -> _Stack:
    plane = plane_across(_normal(frames, stack))
    places = _places(frames, stack)
    if places is None:
        if len(stack) > 1 and plane is not None:
            faults.append({"series": name, "fault": "no position", "reason": _NO_PLACE})
        return _Stack(name, _numbered(frames, stack), plane, "images")
    order = np.argsort(places, kind="stable")
    stack, places = stack[order], places[order]
    doubled = _doubled(frames, stack, places, name, faults)
    stack, places = stack[~doubled], places[~doubled]
    faults += _gaps(name, places)
    return _Stack(name, stack, plane, "volume" if len(stack) > 1 else "images")


def _numbered(frames: _Frames, stack: _Rows) -> _Rows:
    """Return frames in the order of their numbers, (0020,0013)."""
    told = frames.facts[stack].select("number", "path", "member", "frame")
    by_number = told.with_row_index("at").sort(told.columns, nulls_last=True, maintain_order=True)
    order: _Rows = by_number["at"].to_numpy()
    return stack[order]


def _doubled(
    frames: _Frames, stack: _Rows, places: NDArray[np.float64], name: str, faults: list[dict[str, Any]]
) -> NDArray[np.bool_]:
    """Return which slices lie where the one before them lies; say whether their pixels are the same."""
    doubled = np.zeros(len(places), bool)
    first = 0
    for at in range(1, len(places)):
        if places[at] - places[first] > _SAME_MM:
            first = at
            continue
        doubled[at] = True
        same = _same_pixels(*(frames.facts.row(stack[one], named=True) for one in (at, first)))
        faults.append(
            _fault(frames, stack[at], name, "duplicate", "it repeats the pixels of the slice at the same position")
            if same
            else _fault(frames, stack[at], name, "same place", "another slice of the series lies at the same position")
        )
    return doubled


def _same_pixels(row: dict[str, Any], other: dict[str, Any]) -> bool:
    try:
        one, two = (
            formats.read(Path(place["path"]), member=place["member"], frame=place["frame"]).pixels
            for place in (row, other)
        )
    except Refusal:
        return False
    return one.shape == two.shape and bool(np.array_equal(one, two))


def _gaps(name: str, places: NDArray[np.float64]) -> Iterator[dict[str, Any]]:
    steps = np.diff(places)
    if len(steps) < 2:
        return
    usual = float(np.median(steps))
    wide = steps > _GAP * usual
    for at in np.flatnonzero(wide):
        reason = f"after slice {at + 1} of {len(places)} the next is {steps[at]:.4g} mm away, the others {usual:.4g} mm"
        yield {"series": name, "fault": "gap", "reason": reason}
    rest = steps[~wide]
    if len(rest) and np.abs(rest - usual).max() > _UNEVEN * usual:
        reason = f"slices lie {rest.min():.4g} to {rest.max():.4g} mm apart"
        yield {"series": name, "fault": "uneven spacing", "reason": reason}


def _normal(frames: _Frames, rows: _Rows) -> NDArray[np.float64] | None:
    """Return the normal of the first frame that tells a direction."""
    told = rows[~np.isnan(frames.direction[rows, 0])]
    return frames.normal[told[0]] if len(told) else None


def _places(frames: _Frames, rows: _Rows) -> NDArray[np.float64] | None:
    """Return where each slice lies along the normal, in mm; None unless all tell position and direction."""
    if np.isnan(frames.position_mm[rows]).any() or np.isnan(frames.direction[rows]).any():
        return None
    places: NDArray[np.float64] = frames.position_mm[rows] @ frames.normal[rows[0]]
    return places


def _fault(frames: _Frames, at: int, series: str | None, fault: str, reason: str) -> dict[str, Any]:
    place = frames.facts.select("path", "member", "frame").row(at, named=True)
    return place | {"series": series, "fault": fault, "reason": reason}


def _slices(facts: pl.DataFrame, stacks: Sequence[_Stack]) -> pl.DataFrame:
    rows = [
        (stack.series, stack.rows.tolist(), list(range(len(stack.rows))), stack.plane, stack.kind) for stack in stacks
    ]
    placed = pl.DataFrame(rows, schema=_PLACED, orient="row").explode("row", "order")
    return facts[placed["row"]].drop("uid", "drawn").hstack(placed.drop("row"))
