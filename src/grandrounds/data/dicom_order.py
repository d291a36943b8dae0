"""The slices of one series in the order in which they lie, with what is doubled, missing or out of line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from grandrounds import formats
from grandrounds.errors import Refusal

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
    "the file is cut off: its pixels are not all there": "cut off",
    "the file is empty": "empty",
    NO_SERIES: "no series",
}
_SAME_MM = 1e-2  # positions closer than this are one
_GAP = 1.5  # in medians of the distances between neighbours
_UNEVEN = 0.1
_PARALLEL = 0.02  # largest difference of cosines within one direction
_FEW = 0.2  # a direction with a smaller share of the slices than this is off the axis of its series
_STRAIGHT = 0.9  # of the largest cosine, for a plane to have a name
_NO_PLACE = "no slice tells its position, (0020,0032): they are ordered by number, (0020,0013)"
_PLANES = ("sagittal", "coronal", "axial")  # normal to the patient's left, posterior and superior axes


class Sorted(NamedTuple):
    """The used slices of series with the columns `series, order, plane, kind`, and the faults as rows."""

    slices: pl.DataFrame
    faults: list[dict[str, Any]]


def sort_series(uid: str, frames: pl.DataFrame) -> Sorted:
    """Return the slices of one SeriesInstanceUID as one or several series in stacking order.

    Args:
        uid: The series.
        frames: Facts of its frames.
    """
    faults: list[dict[str, Any]] = []
    frames = _without_copies(frames, faults)
    is_scout = frames["image_type"].fill_null("").str.to_uppercase().str.contains("LOCALIZER")
    groups = [part for _, part in _grouped(frames.filter(~is_scout))]
    off = _off_axis(groups)
    kept = [group for at, group in enumerate(groups) if at not in off]
    faults += [
        _fault(row, uid, "localiser", "a localiser is no part of the volume")
        for row in frames.filter(is_scout).iter_rows(named=True)
    ]
    faults += [
        _fault(row, uid, "off axis", "it lies across the other slices of its series")
        for at in off
        for row in groups[at].iter_rows(named=True)
    ]
    stacks = [stack for group in kept for stack in _stacks(group)]
    done = []
    for at, stack in enumerate(sorted(stacks, key=lambda one: -one.height)):
        name = uid if at == 0 else f"{uid}#{at + 1}"
        done.append(_ordered(name, stack, faults))
    return Sorted(pl.concat(done) if done else pl.DataFrame(), faults)


def _without_copies(frames: pl.DataFrame, faults: list[dict[str, Any]]) -> pl.DataFrame:
    """Return the frames without files that carry the SOPInstanceUID of an earlier one."""
    keys = pl.struct(pl.col("sop").fill_null(pl.concat_str("path", pl.col("member").fill_null(""))), "frame")
    again = frames.select(~keys.is_first_distinct()).to_series()
    faults += [
        _fault(row, None, "duplicate", "another file is the same instance, (0008,0018)")
        for row in frames.filter(again).iter_rows(named=True)
    ]
    return frames.filter(~again)


def _grouped(frames: pl.DataFrame) -> Iterator[tuple[Any, pl.DataFrame]]:
    """Yield the parts of a series that can be one volume: one size, spacing, echo and direction."""
    rounded = frames.with_columns(
        _spacing=pl.col("pixel_mm").list.eval(pl.element().round(3)),
        _turn=pl.Series(_directions(frames), dtype=pl.Int64()),
    )
    for key, part in rounded.group_by("height_px", "width_px", "_spacing", "echo", "_turn", maintain_order=True):
        yield key, part.drop("_spacing", "_turn")


def _directions(frames: pl.DataFrame) -> list[int]:
    """Return a number for each frame, the same for directions that agree within the tolerance."""
    known: list[NDArray[np.float64]] = []
    numbers = []
    for cosines in frames["direction"]:
        if cosines is None:
            numbers.append(-1)
            continue
        turn = np.array(cosines)
        at = next((at for at, one in enumerate(known) if np.abs(one - turn).max() <= _PARALLEL), len(known))
        if at == len(known):
            known.append(turn)
        numbers.append(at)
    return numbers


def _off_axis(groups: list[pl.DataFrame]) -> list[int]:
    """Return the places of groups that are a few slices across the main direction of their series."""
    n_main = max((group.height for group in groups), default=0)
    turned = [_normal(group) for group in groups]
    main = next((turn for group, turn in zip(groups, turned, strict=True) if group.height == n_main), None)
    return [
        at
        for at, (group, turn) in enumerate(zip(groups, turned, strict=True))
        if main is not None and turn is not None and group.height < max(_FEW * n_main, 2) and n_main > 2
        and abs(float(main @ turn)) < 1 - _PARALLEL
    ]  # fmt: skip


def _stacks(group: pl.DataFrame) -> list[pl.DataFrame]:
    """Return one stack, or one per acquisition where acquisitions repeat the same positions."""
    places = _places(group)
    if places is None or group["acquisition"].n_unique() < 2:
        return [group]
    if len(np.unique(np.round(places / _SAME_MM))) == len(places):
        return [group]
    return [part for _, part in group.group_by("acquisition", maintain_order=True)]


def _ordered(name: str, stack: pl.DataFrame, faults: list[dict[str, Any]]) -> pl.DataFrame:
    places = _places(stack)
    n_planes = stack.height
    if places is None:
        stack = stack.sort("number", "path", "member", "frame", nulls_last=True, maintain_order=True)
        if n_planes > 1 and stack["direction"].null_count() < n_planes:
            faults.append({"series": name, "fault": "no position", "reason": _NO_PLACE})
        kind = "images"
    else:
        order = np.argsort(places, kind="stable")
        stack, places = stack[order], places[order]
        doubled = _doubled(stack, places, name, faults)
        stack, places = stack.filter(~pl.Series(doubled)), places[~doubled]
        faults += _gaps(name, places)
        kind = "volume" if stack.height > 1 else "images"
    return stack.with_columns(
        pl.lit(name).alias("series"),
        pl.int_range(pl.len(), dtype=pl.Int64()).alias("order"),
        pl.lit(_plane(stack), dtype=pl.String()).alias("plane"),
        pl.lit(kind).alias("kind"),
    )


def _doubled(
    stack: pl.DataFrame, places: NDArray[np.float64], name: str, faults: list[dict[str, Any]]
) -> NDArray[np.bool_]:
    """Return which slices lie where the one before them lies; say whether their pixels are the same."""
    doubled = np.zeros(len(places), bool)
    first = 0
    for at in range(1, len(places)):
        if places[at] - places[first] > _SAME_MM:
            first = at
            continue
        doubled[at] = True
        row, other = stack.row(at, named=True), stack.row(first, named=True)
        same = _same_pixels(row, other)
        faults.append(
            _fault(row, name, "duplicate", "it repeats the pixels of the slice at the same position")
            if same
            else _fault(row, name, "same place", "another slice of the series lies at the same position")
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


def _normal(frames: pl.DataFrame) -> NDArray[np.float64] | None:
    cosines = frames["direction"].drop_nulls()
    if cosines.is_empty():
        return None
    row, column = np.array(cosines[0][:3]), np.array(cosines[0][3:])
    normal: NDArray[np.float64] = np.cross(row, column)
    return normal


def _places(frames: pl.DataFrame) -> NDArray[np.float64] | None:
    """Return where each slice lies along the normal, in mm; None unless all tell position and direction."""
    normal = _normal(frames)
    if normal is None or frames["position_mm"].null_count() or frames["direction"].null_count():
        return None
    places: NDArray[np.float64] = np.array(frames["position_mm"].to_list()) @ normal
    return places


def _plane(frames: pl.DataFrame) -> str | None:
    normal = _normal(frames)
    if normal is None:
        return None
    strongest = int(np.abs(normal).argmax())
    return _PLANES[strongest] if abs(normal[strongest]) >= _STRAIGHT else "oblique"


def _fault(row: dict[str, Any], series: str | None, fault: str, reason: str) -> dict[str, Any]:
    return {name: row[name] for name in ("path", "member", "frame")} | {
        "series": series,
        "fault": fault,
        "reason": reason,
    }
