"""Human readers as families: ratings on an ordinal scale and plain decisions, and what these leave undefined.

A rating orders images and is no probability, whatever its numbers are. It is carried as a number between 0 and 1 in
the same order, so that everything that reads ranks works; with a cutoff, what is at or above it lies above one half,
so that everything that reads calls works too. What needs probabilities is then undefined, and says why.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from grandrounds.errors import BadData, BadSpec
from grandrounds.evaluate.catalogue import METRICS
from grandrounds.evaluate.columns import Columns, refuse_row
from grandrounds.tables import PROB, Task

Scale = Literal["probability", "rating with a cutoff", "rating", "decision"]
_NO_PROBABILITY: dict[Scale, str] = {
    "rating with a cutoff": "a rating is not a probability",
    "rating": "a rating is not a probability",
    "decision": "a decision is not a probability",
}
_NO_CALL = "nobody said from which rating on an image is called positive"
_CURVES = {"calibration": "probabilities", "decision": "probabilities", "confusion": "labels"}


def from_ratings(frame: pl.DataFrame, task: Task, columns: Columns, path: Path) -> pl.DataFrame:
    """Return the rows with columns `prob_<class>` that keep the order of the ratings.

    Raises:
        BadData: There are more than two classes, or a rating is neither a number nor one of the levels.
        BadSpec: The cutoff is neither.
    """
    if task.kind != "binary" or task.positive is None:
        raise BadData(
            f"a rating cannot tell {len(task.classes)} classes", where=path,
            remedy="give a decision, or one probability for each class",
        )  # fmt: skip
    ratings = _numbers(frame, columns.levels or (), path)
    cutoff = None if columns.cutoff is None else _cutoff(columns)
    likely = _in_order(ratings, cutoff)
    other = next(name for name in task.classes if name != task.positive)
    return frame.drop("rating").with_columns(
        pl.Series(f"{PROB}{task.positive}", likely), pl.Series(f"{PROB}{other}", 1 - likely)
    )


def from_decisions(frame: pl.DataFrame, task: Task, path: Path) -> pl.DataFrame:
    """Return the rows with 1 in the column of the named class and 0 in the others.

    Raises:
        BadData: A decision is none of the classes.
    """
    named = frame["decision"].cast(pl.String).str.strip_chars()
    strange = ~named.is_in(task.classes).fill_null(value=False)
    if strange.any():
        refuse_row(
            frame, path, int(strange.arg_max() or 0), "the decision is none of the classes",
            f"decisions must be one of: {', '.join(task.classes)}",
        )  # fmt: skip
    return frame.drop("decision").with_columns(
        (named == name).cast(pl.Float64).alias(f"{PROB}{name}") for name in task.classes
    )


def scale_of(frame: pl.DataFrame, columns: Columns) -> Scale:
    """Return on which scale the rows of a file speak."""
    if any(name.startswith(PROB) for name in frame.columns):
        return "probability"
    if "rating" in frame.columns:
        return "rating" if columns.cutoff is None else "rating with a cutoff"
    return "decision"


def undefined(scores: pl.DataFrame, scales: Mapping[str, Scale]) -> pl.DataFrame:
    """Return the scores without those that a family's scale does not carry; their note says why."""
    reasons = {(family, metric): why for family, scale in scales.items() for metric, why in _missing(scale)}
    if not reasons:
        return scores
    pairs = pl.DataFrame(
        [(family, metric, why) for (family, metric), why in reasons.items()],
        schema={"family": pl.String(), "metric": pl.String(), "why": pl.String()}, orient="row",
    )  # fmt: skip
    joined = scores.join(pairs, on=["family", "metric"], how="left", maintain_order="left")
    gone = pl.col("why").is_not_null()
    numbers = [pl.when(~gone).then(pl.col(name)).alias(name) for name in ("estimate", "low", "high")]
    return joined.with_columns(*numbers, note=pl.coalesce("why", "note")).drop("why")


def without_curves(curves: pl.DataFrame, scales: Mapping[str, Scale]) -> pl.DataFrame:
    """Return the curves without those that a family's scale does not carry."""
    gone = [
        (pl.col("family") == family) & (pl.col("curve") == curve)
        for family, scale in scales.items()
        for curve, needs in _CURVES.items()
        if needs in _hidden(scale)
    ]
    return curves.filter(~pl.any_horizontal(gone)) if gone else curves


def check_primary(primary: str, scales: Mapping[str, Scale]) -> None:
    """Raise BadSpec where a family cannot be compared on the primary metric."""
    entry = METRICS.get(primary)
    lacking = [family for family, scale in scales.items() if entry.needs in _hidden(scale)]
    if lacking:
        why = _NO_CALL if entry.needs == "labels" else _NO_PROBABILITY[scales[lacking[0]]]
        raise BadSpec(
            f"{entry.label} is undefined for {lacking[0]}: {why}",
            remedy="declare another primary metric, such as auc" + (", or a cutoff" if entry.needs == "labels" else ""),
        )


def _missing(scale: Scale) -> Iterator[tuple[str, str]]:
    for entry in METRICS:
        if entry.needs in _hidden(scale):
            yield entry.name, _NO_CALL if entry.needs == "labels" else _NO_PROBABILITY[scale]


def _hidden(scale: Scale) -> tuple[str, ...]:
    """Return what metrics may need that a scale does not have."""
    if scale == "probability":
        return ()
    return ("probabilities", "labels") if scale == "rating" else ("probabilities",)


def _numbers(frame: pl.DataFrame, levels: tuple[str, ...], path: Path) -> NDArray[np.float64]:
    words = frame["rating"].cast(pl.String).str.strip_chars()
    if levels:
        numbers = words.replace_strict(levels, range(len(levels)), default=None, return_dtype=pl.Float64)
    else:
        numbers = words.cast(pl.Float64, strict=False)
    bad = numbers.is_null() | ~numbers.is_finite().fill_null(value=False)
    if bad.any():
        what = f"the rating is none of: {', '.join(levels)}" if levels else "the rating is empty or not a number"
        remedy = (
            None
            if levels
            else "name the words of the scale from least to most suspicious: --levels no --levels maybe --levels yes"
        )
        refuse_row(frame, path, int(bad.arg_max() or 0), what, remedy)
    return numbers.to_numpy()


def _cutoff(columns: Columns) -> float:
    text = str(columns.cutoff)
    if columns.levels:
        if text not in columns.levels:
            raise BadSpec(f"the cutoff {text!r} is no level", remedy=f"there are: {', '.join(columns.levels)}")
        return float(columns.levels.index(text))
    try:
        return float(text)
    except ValueError:
        raise BadSpec(f"the cutoff {text!r} is not a number", remedy="for example: --cutoff 3") from None


def _in_order(ratings: NDArray[np.float64], cutoff: float | None) -> NDArray[np.float64]:
    """Return numbers between 0 and 1 in the order of the ratings; those from the cutoff on are above one half.

    >>> _in_order(np.array([1.0, 5.0, 2.0]), 2.0).tolist()
    [0.25, 0.875, 0.625]
    """
    levels, place = np.unique(ratings, return_inverse=True)
    if cutoff is None:
        return np.asarray((place + 0.5) / len(levels))
    n_below = int((levels < cutoff).sum())
    below = (place + 0.5) / max(n_below, 1) / 2
    above = 0.5 + (place - n_below + 0.5) / max(len(levels) - n_below, 1) / 2
    return np.where(place < n_below, below, above)
