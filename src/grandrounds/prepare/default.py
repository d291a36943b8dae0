"""The preparation that is used unless a study says otherwise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import polars as pl

from grandrounds.prepare.pipeline import Pipeline, build_step
from grandrounds.prepare.step import Step
from grandrounds.tables import Task
from grandrounds.wording import many

LARGEST_PX = 64  # longest side that two cores can train on in minutes
DEPTH_PX = 16  # slices of a volume, for the same reason
_SMALL_PX = 32
_LUNG_HU = (-1000.0, 400.0)


class Default(NamedTuple):
    """A pipeline and, in sentences, why it is what it is."""

    pipeline: Pipeline
    reasons: tuple[str, ...]


def default_pipeline(
    samples: pl.DataFrame,
    grey_range: tuple[float, float] | None = None,
    task: Task | None = None,
    lies: Sequence[tuple[str | None, int]] = (),
    colours: Sequence[tuple[str | None, int]] = (),
) -> Default:
    """Return the pipeline for these samples: constants of the modality and of the encoding, nothing measured.

    Sizes and the encoding (8 bits or more, Hounsfield units or not, grey or in colour) are read off all samples; no
    grey value of any image enters the pipeline, so nothing of a test patient reaches training through it.

    Args:
        samples: Table `samples`.
        grey_range: Black and white of every image where the source fixes them; None to tell from the encoding.
        task: What is to be told; None where no label can name a side.
        lies: How volumes lie in the patient, and how many lie so, most of them first; see `Dataset`.
        colours: How images are coloured, and how many are so; see `Dataset`.
    """
    mirror, why_mirror = _mirror(samples, names_side=task is not None and task.names_side)
    intensity, why_intensity = _intensity(samples) if grey_range is None else _fixed(*grey_range)
    is_volume = (samples["depth_px"].max() or 1) != 1
    resize, why_resize = _format_stack(samples) if is_volume else _resize(samples)
    n_planes = samples.filter(pl.col("depth_px") == 1).height
    turn, why_turn = _reorient((*lies, (None, n_planes)) if lies and n_planes else lies)
    one_kind, why_one_kind = _colours(dict(colours))
    # Grey values come first: resizing makes floats, which no longer say what white is.
    return Default(
        Pipeline(whole=(*one_kind, *turn, *mirror, intensity), each=resize),
        (*why_one_kind, *why_turn, *why_mirror, why_intensity, why_resize),
    )


def _mirror(samples: pl.DataFrame, *, names_side: bool) -> tuple[tuple[Step, ...], tuple[str, ...]]:
    """Return the step that makes one side of two, where planes of both sides were imaged and no label tells them."""
    sides = samples["side"]
    if sides.null_count() or set(sides) != {"left", "right"} or samples["depth_px"].max() != 1:
        return (), ()
    if names_side:
        return (), ("The label names a side: left and right stay as they are.",)
    why = (
        "Left and right sides were imaged, and no label names one: left ones are mirrored, so that nothing has to be "
        'learned twice. Delete the step "mirror_side" to keep them apart.'
    )
    return (build_step({"step": "mirror_side"}),), (why,)


def _reorient(lies: Sequence[tuple[str | None, int]]) -> tuple[tuple[Step, ...], tuple[str, ...]]:
    """Return the step that makes all volumes lie as most do, where all say how; later ones may lie otherwise."""
    if set(dict(lies)) <= {None}:
        return (), ()
    if len(lies) == 1:
        way = lies[0][0]
        why = f"All volumes lie as {way} in the patient: what is read later is turned so, and has to say how it lies."
        return (build_step({"step": "reorient", "orientation": way}),), (why,)
    ways = ", ".join(f"{way or 'unknown'} {n}" for way, n in lies)
    if any(way is None for way, _ in lies):
        why = f"Volumes lie in {len(lies)} ways in the patient ({ways}): some do not say how, so all stay as they are."
        return (), (why,)
    most = lies[0][0]
    why = f"Volumes lie in {len(lies)} ways in the patient ({ways}): all are turned to {most}, as most lie already."
    return (build_step({"step": "reorient", "orientation": most}),), (why,)


def _colours(counts: Mapping[str | None, int]) -> tuple[tuple[Step, ...], tuple[str, ...]]:
    """Return the step that gives all images as many channels, where some are grey and others red, green and blue."""
    if len(counts) < 2 or "grey" not in counts or not set(counts) <= {"grey", "grey as RGB", "RGB"}:
        return (), ()
    n_colour, n_stored = counts.get("RGB", 0), counts.get("grey as RGB", 0)
    if not n_colour:
        why = (
            f"{many(n_stored, 'image', 'have')} the same grey in red, green and blue, the others are grey: "
            "one channel is kept of each."
        )
        return (build_step({"step": "grayscale"}),), (why,)
    why = (
        f"{many(n_colour, 'image', 'are')} in colour and {n_stored + counts['grey']} grey: grey ones become red, green "
        'and blue of the same value. Whether an image has colours may give its label away; the step "grayscale" in '
        'place of "rgb" makes all grey.'
    )
    return (build_step({"step": "rgb"}),), (why,)


def _fixed(low: float, high: float) -> tuple[Step, str]:
    why = f"The source has one scale for all images: {low:g} to {high:g} become 0 to 1."
    return build_step({"step": "scale", "low": low, "high": high}), why


def _intensity(samples: pl.DataFrame) -> tuple[Step, str]:
    encodings = set(samples["encoding"].drop_nulls())
    if encodings == {"hu"} and set(samples["modality"]) == {"CT"}:
        window = build_step({"step": "window", "low_hu": _LUNG_HU[0], "high_hu": _LUNG_HU[1]})
        return window, "CT: -1000 to 400 HU become 0 to 1, from air to dense soft tissue, a window for the chest."
    if encodings == {"bool"}:
        return build_step({"step": "scale", "low": 0, "high": 1}), "Black and white: 0 and 1 stay so."
    if encodings <= {"uint8"}:
        return build_step({"step": "scale", "low": 0, "high": 255}), "8-bit grey values: 0 to 255 become 0 to 1."
    return build_step({"step": "percentiles"}), (
        "Grey values without a common scale: each image's own 0.5th to 99.5th percentiles become 0 to 1."
    )


def _format_stack(samples: pl.DataFrame) -> tuple[tuple[Step, ...], str]:
    depths = samples["depth_px"].drop_nulls().unique()
    planes = samples.select("height_px", "width_px").drop_nulls().unique().rows()
    longest = max(max(plane) for plane in planes)
    depth = depths[0] if len(depths) == 1 else DEPTH_PX
    height, width = planes[0] if len(planes) == 1 else (longest, longest)
    if len(depths) == len(planes) == 1 and longest <= LARGEST_PX and depth <= _SMALL_PX:
        return (), f"All volumes are {depth}×{height}×{width} (slices, rows, columns) and stay so."
    shrink = min(1.0, LARGEST_PX / longest)
    stack = {
        "depth_px": min(depth, DEPTH_PX),
        "height_px": max(1, round(height * shrink)),
        "width_px": max(1, round(width * shrink)),
    }
    why = (
        f"Volumes of {_span(samples['depth_px'])} slices of {_span(samples['height_px'])}×{_span(samples['width_px'])} "
        f"become {'×'.join(map(str, stack.values()))} (slices, rows, columns), which a CPU can train on; "
        "the surveyed knee networks read 36×448×448."
    )
    why += "".join(remark(samples) for remark in (_of_depths, _of_one_slice, _of_spacings))
    return (build_step({"step": "format_stack", **stack}),), why


def _span(counts: pl.Series) -> str:
    low, high = int(str(counts.min())), int(str(counts.max()))
    return f"{low}" if low == high else f"{low} to {high}"


def _of_depths(samples: pl.DataFrame) -> str:
    """Return a sentence on the step that keeps all slices of volumes of different depths, where these are such."""
    depths = samples["depth_px"].drop_nulls()
    if depths.n_unique() < 2:
        return ""
    deepest = int(str(depths.max()))
    return f' The step "canvas" with depth_px = {deepest} would keep every slice, for networks behind slices:.'


def _of_one_slice(samples: pl.DataFrame) -> str:
    n = samples.filter(depth_px=1).height
    return f" {n} {'has' if n == 1 else 'have'} a single slice, which is repeated." if n else ""


def _resize(samples: pl.DataFrame) -> tuple[tuple[Step, ...], str]:
    sizes = samples.select("height_px", "width_px").drop_nulls().unique().rows()
    longest = max((max(size) for size in sizes), default=0)
    if len(sizes) == 1 and longest <= LARGEST_PX:
        height, width = sizes[0]
        return (), f"All images are {height}×{width} pixels and stay so."
    if len(sizes) == 1:
        height, width = (max(1, round(side * LARGEST_PX / longest)) for side in sizes[0])
        why = (
            f"All images are {sizes[0][0]}×{sizes[0][1]} pixels: shrunk to {height}×{width}, which a CPU can train on."
        )
    else:
        height = width = _SMALL_PX if longest <= _SMALL_PX else LARGEST_PX
        why = f"The images come in {len(sizes)} sizes: all become {height}×{width} pixels, proportions not kept."
    return (build_step({"step": "resize", "height_px": height, "width_px": width}),), why


def _of_spacings(samples: pl.DataFrame) -> str:
    """Return a sentence on slices of different distances, which come to lie equally far apart."""
    between_mm = samples.filter(pl.col("spacing_mm").list.len() == 3)["spacing_mm"].list.first()
    if between_mm.n_unique() < 2:
        return ""
    low, high = (float(str(one)) for one in (between_mm.min(), between_mm.max()))
    return (
        f" Slices lie {low:.3g} to {high:.3g} mm apart and are stretched alike; "
        'the step "resample" would keep proportions.'
    )
