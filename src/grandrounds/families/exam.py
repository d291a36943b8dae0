"""The samples of an exam taken together: which series each shows, and what they say of their case."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from grandrounds import seeds
from grandrounds.errors import BadData
from grandrounds.families.params_of_others import ModalitiesParams
from grandrounds.families.protocol import Fitted, View
from grandrounds.features.clinical import learn_columns
from grandrounds.shapes import Mask, Probs
from grandrounds.tables import IMAGES, OF_COLUMNS
from grandrounds.wording import many

READS_COLUMNS = "metadata"  # the family that reads clinical columns where nothing is read beside them
_TINY = 1e-6
_IDENTITY = ("sample", "case", "patient")


class Cases(NamedTuple):
    """The cases of a view, in the order in which they first come; each name once."""

    names: pl.Series

    @classmethod
    def of(cls, view: View) -> Cases:
        """Return the cases of a view."""
        return cls(view.samples["case"].unique(maintain_order=True))

    def place(self, view: View) -> NDArray[np.int64]:
        """Return which of these cases each row of a view is of, (N,)."""
        numbers = pl.int_range(len(self.names), eager=True)
        return view.samples["case"].replace_strict(self.names, numbers, return_dtype=pl.Int64).to_numpy()


def one_each(view: View) -> View:
    """Return the view of the first sample of each case."""
    return view.rows(_first(view))


def _first(view: View) -> Mask:
    return view.samples["case"].is_first_distinct().to_numpy()


def kinds(samples: pl.DataFrame) -> pl.Series:
    """Return which series of its exam each row of the table `samples` shows."""
    if "series_kind" in samples.columns:
        return samples["series_kind"].fill_null(IMAGES)
    return pl.repeat(IMAGES, samples.height, eager=True)


def modalities(samples: pl.DataFrame, params: ModalitiesParams) -> list[str]:
    """Return what a family reads of exams, in order: series, and `"columns"` where it reads the clinical ones.

    Raises:
        BadData: Its parameters name a series that no row of the table `samples` shows, or deal out what is not read.
    """
    there = kinds(samples).unique().sort().to_list()
    if params.reads_columns and learn_columns(samples):
        there.append(OF_COLUMNS)
    read = there if params.only is None else list(params.only)
    if absent := [one for one in read if one not in there]:
        raise BadData(f"no series is called {absent[0]!r}", remedy=f"name one of: {', '.join(there)}")
    if params.shuffled is not None and params.shuffled not in read:
        raise BadData(f"{params.shuffled!r} is not read, so it cannot be dealt out anew", remedy="name it in only, too")
    return read


def of_modality(view: View, name: str) -> View:
    """Return what a modality reads: the samples of a series, or the first of each case for the clinical columns."""
    return view.rows(_first(view) if name == OF_COLUMNS else (kinds(view.samples) == name).to_numpy())


def lacking(view: View, series: Sequence[str]) -> Iterator[str]:
    """Yield a sentence for each series, or the clinical columns, that some training cases lack."""
    n_cases = len(Cases.of(view).names)
    for name in series:
        n_there = of_modality(view, name).samples["case"].n_unique()
        if n_there < n_cases:
            yield f"{n_cases - n_there} of {n_cases} training cases lack {name}"


def repeated(samples: pl.DataFrame, series: Sequence[str]) -> Iterator[str]:
    """Yield a sentence for each series of which some cases have several volumes.

    Args:
        samples: Table `samples`.
        series: Which are looked for.
    """
    named = samples.select("case", kind=pl.col("series_kind").fill_null(IMAGES))
    n_cases = samples["case"].n_unique()
    for name in series:
        twice = named.filter(kind=name)["case"].value_counts().filter(pl.col("count") > 1).height
        if twice:
            yield f"{many(twice, 'case', 'have')} {name} more than once, of {n_cases}"


def none_known(series: Sequence[str]) -> BadData:
    """Return the refusal of images that show none of the series that a model knows."""
    return BadData(
        f"no image shows a series that this model knows: {', '.join(series)}",
        remedy="give whole exams, whose samples say which series they show (column series_kind)",
    )


def series_of(fitted: Fitted) -> tuple[str, ...]:
    """Return what the series are called that a fitted model of exams knows; of a committee, those of its members."""
    own: tuple[str, ...] | None = getattr(fitted, "series", None)
    if own is not None:
        return own
    return tuple(dict.fromkeys(one for member in getattr(fitted, "members", ()) for one in series_of(member)))


def evidence(probs: Probs, place: NDArray[np.int64], n_cases: int) -> NDArray[np.float64]:
    """Return what a model says of each case, (cases, K): log probabilities less their mean, averaged over its samples.

    For two classes they are minus and plus half of the log-odds. A case without a sample has NaN.

    >>> evidence(np.array([[0.5, 0.5], [0.2, 0.8]]), np.array([0, 2]), 3).round(2).tolist()
    [[0.0, 0.0], [nan, nan], [-0.69, 0.69]]
    """
    logs = np.log(np.maximum(probs, _TINY))
    sums, counts = np.zeros((n_cases, probs.shape[1])), np.zeros((n_cases, 1))
    np.add.at(sums, place, logs - logs.mean(axis=1, keepdims=True))
    np.add.at(counts, place, 1)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def dealt_out_anew(view: View, seed: int) -> View:
    """Return the view with its images dealt out anew: each is said to be of another case, and has that one's label.

    Images stay where they are, and clinical columns stay with them: it is the names that move.
    """
    order = seeds.generator(seed, "dealt out anew").permutation(view.samples.height)
    moved = (view.samples[name].gather(order) for name in _IDENTITY)
    labels = None if view.labels is None else view.labels[order]
    return replace(view, samples=view.samples.with_columns(moved), labels=labels)
