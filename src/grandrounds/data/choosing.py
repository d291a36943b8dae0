"""Which series of each exam is read, and why not the others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import polars as pl

from grandrounds.data.series_spec import SeriesSpec

OUTDONE = "another series of the exam has thinner slices, or more of them"
EQUALLED = "another series of the exam, no thinner and no longer, comes first by UID"


def choose(series: pl.DataFrame, spec: SeriesSpec) -> pl.DataFrame:
    """Return the series with the columns `chosen`, `reason` and `part`, the number of the part its description has.

    Args:
        series: One row per series, with `exam, plane, thickness_mm, kernel, contrast, description, n_slices, kind`.
        spec: What fits.
    """
    reasons = [_misfit(row, spec) for row in series.iter_rows(named=True)]
    parts = [part_in(row["description"], spec.parts) for row in series.iter_rows(named=True)]
    fitting = series.with_columns(reason=pl.Series(reasons, dtype=pl.String()), part=pl.Series(parts, dtype=pl.Int64()))
    fits = pl.col("reason").is_null()
    if spec.pick == "one" or spec.channels:
        fitting = _with_losers(fitting, fits)
    n_channels = pl.col("part").filter(fits).n_unique().over("exam")
    if spec.channels:
        lacks = pl.when(fits & (n_channels < len(spec.channels))).then(pl.lit("the exam lacks one of the channels"))
        fitting = fitting.with_columns(reason=lacks.otherwise("reason"))
    return fitting.with_columns(
        chosen=pl.col("reason").is_null(), reason=pl.col("reason").fill_null(pl.lit(_praise(spec)))
    )


def _with_losers(fitting: pl.DataFrame, fits: pl.Expr) -> pl.DataFrame:
    """Return the series with the reason of those that lose to another one of their exam, and of their part."""
    worth = pl.col("thickness_mm").fill_null(float("inf")), -pl.col("n_slices")
    among = ["exam", "part", fits]
    ranked = fitting.with_columns(
        rank=pl.struct(*worth, "series").rank("ordinal").over(among), level=pl.struct(*worth).rank("min").over(among)
    )
    why = pl.when(pl.col("level") > 1).then(pl.lit(OUTDONE)).otherwise(pl.lit(EQUALLED))
    return ranked.with_columns(reason=pl.when(fits & (pl.col("rank") > 1)).then(why).otherwise("reason")).drop(
        "rank", "level"
    )


def part_in(description: object, parts: Sequence[str]) -> int | None:
    """Return the number of the longest of these parts that a description has; None where it has none.

    >>> part_in("AX T2 FAT SAT", ("t1", "t2", "t2 fat sat")), part_in("scout", ("t1", "t2")), part_in(None, ("t1",))
    (2, None, None)
    """
    fitting = [at for at, part in enumerate(parts) if _holds(description, part)]
    return max(fitting, key=lambda at: len(parts[at]), default=None)


def _holds(text: object, part: str) -> bool:
    return part.lower() in str(text or "").lower()


def _misfit(row: dict[str, object], spec: SeriesSpec) -> str | None:
    return next(_misfits(row, spec), None)


def _misfits(row: dict[str, object], spec: SeriesSpec) -> Iterator[str]:
    thickness, contrast = row["thickness_mm"], row["contrast"]
    if spec.plane is not None and row["plane"] != spec.plane:
        yield f"not {spec.plane}"
    if spec.thickest_mm is not None and (not isinstance(thickness, float) or thickness > spec.thickest_mm):
        yield f"slices thicker than {spec.thickest_mm:g} mm, or of unknown thickness"
    if spec.contrast is not None and contrast != spec.contrast:
        yield "without contrast medium" if spec.contrast else "with contrast medium"
    for name, part in (("kernel", spec.kernel), ("description", spec.description)):
        if part is not None and not _holds(row[name], part):
            yield f"another {name}"
    if spec.parts and part_in(row["description"], spec.parts) is None:
        yield "none of the channels" if spec.channels else "none of the kinds"


def _praise(spec: SeriesSpec) -> str:
    asked = spec.model_dump(exclude_defaults=True, exclude={"pick"})
    told = f"they fit what was asked ({', '.join(asked)})" if asked else "no series was asked for"
    return (
        f"{told}; of each exam the thinnest slices, then the most of them"
        if spec.pick == "one" or spec.channels
        else told
    )
