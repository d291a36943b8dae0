"""Several readers, several cases: are two ways of reading equally good for readers and patients like these?

Each reader has a figure of merit, here the AUC, for each way of reading (a modality: with and without a model, film
and screen). Readers differ, and all of them read the same cases, so that their figures go up and down together. The
model of Obuchowski and Rockette has a random effect of the reader and errors that are correlated by the cases; its
tests need nothing but the figures and their covariance, whatever made it: the jackknife, or DeLong's placements.
Hillis gave it the degrees of freedom that are used here, and showed that it and the method of Dorfman, Berbaum and
Metz, an analysis of variance of jackknife pseudovalues, are the same where the covariance is the jackknife's.

A stand-alone model is compared with readers through the differences, reader minus model: one way of reading whose mean
is 0 if they are equally good. This is what two modalities give in which the model stands for each reader once more.

Assumes: every reader reads every case in every modality; the figures are about normal; covariances do not depend on
who reads. A negative estimate of a covariance's excess counts as 0, as in the papers.

Reference: Obuchowski & Rockette, Communications in Statistics 24:285 (1995); Hillis et al., Statistics in Medicine
24:1579 (2005); Hillis, Statistics in Medicine 26:596 (2007) and 33:330 (2014); Chakraborty, Observer Performance
Methods for Diagnostic Imaging (2017), ch. 22, for a stand-alone model.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import fdtrc, ndtri, stdtr, stdtrit

Numbers = NDArray[np.float64]
LEVEL = 0.05


@dataclass(frozen=True, slots=True)
class Components:
    """Mean squares and error covariances of t modalities and r readers.

    Args:
        n_modalities: t.
        n_readers: r.
        ms_modality: Mean square of modalities; NaN for one alone.
        ms_reader: Mean square of readers; NaN for one alone.
        ms_interaction: Mean square of modality by reader; NaN for one of either.
        variance: Mean error variance of a figure.
        cov1: Mean covariance of one reader's figures in two modalities; NaN for one modality.
        cov2: Mean covariance of two readers' figures in one modality; NaN for one reader.
        cov3: Mean covariance of two readers' figures in two modalities; NaN for one of either.
    """

    n_modalities: int
    n_readers: int
    ms_modality: float
    ms_reader: float
    ms_interaction: float
    variance: float
    cov1: float
    cov2: float
    cov3: float

    @property
    def var_reader(self) -> float:
        """Variance between readers; an estimate, which may be negative."""
        return (self.ms_reader - self.ms_interaction) / self.n_modalities - self.cov1 + self.cov3

    @property
    def var_interaction(self) -> float:
        """Variance of the reader's own advantage from a modality; an estimate, which may be negative."""
        return self.ms_interaction - self.variance + self.cov1 + self.excess

    @property
    def excess(self) -> float:
        """By how much covariance within a modality exceeds that between two; at least 0."""
        return max(self.cov2 - self.cov3, 0.0)


@dataclass(frozen=True, slots=True)
class Inference:
    """An estimate that holds for a population.

    Args:
        estimate: A mean over readers, or a difference of two.
        error: Its standard error.
        df: Degrees of freedom; infinite for a normal interval.
        low: Lower bound at 95 %; NaN where there is no error.
        high: Upper bound.
        p: Two-sided, of the estimate being 0; NaN where there is no error.
    """

    estimate: float
    error: float
    df: float
    low: float
    high: float
    p: float


def components(figures: Numbers, covariance: Numbers) -> Components:
    """Return what the tests need.

    Args:
        figures: (t, r) figure of merit of each modality and reader.
        covariance: (t, r, t, r) of the figures.
    """
    t, r = figures.shape
    centred = figures - figures.mean(axis=1, keepdims=True) - figures.mean(axis=0) + figures.mean()
    same_modality, same_reader = np.eye(t, dtype=bool)[:, None, :, None], np.eye(r, dtype=bool)[None, :, None, :]
    return Components(
        n_modalities=t,
        n_readers=r,
        ms_modality=_mean_square(r * (figures.mean(axis=1) - figures.mean()) ** 2, t - 1),
        ms_reader=_mean_square(t * (figures.mean(axis=0) - figures.mean()) ** 2, r - 1),
        ms_interaction=_mean_square(centred**2, (t - 1) * (r - 1)),
        variance=_mean_where(covariance, same_modality & same_reader),
        cov1=_mean_where(covariance, ~same_modality & same_reader),
        cov2=_mean_where(covariance, same_modality & ~same_reader),
        cov3=_mean_where(covariance, ~same_modality & ~same_reader),
    )


def modalities_differ(found: Components) -> tuple[float, float, float]:
    """Return F, its denominator's degrees of freedom, and p of all modalities being equal, readers and cases random."""
    denominator = found.ms_interaction + found.n_readers * found.excess
    f, df = found.ms_modality / denominator, _df(denominator, found.ms_interaction, _interactions(found))
    return f, df, float(fdtrc(found.n_modalities - 1, df if np.isfinite(df) else 1e9, f))


def difference(figures: Numbers, covariance: Numbers, *, readers_random: bool = True) -> Inference:
    """Return the first modality's mean figure minus the second's.

    Args:
        figures: (2, r).
        covariance: (2, r, 2, r).
        readers_random: Whether the result is to hold for other readers too, or for these alone.
    """
    found = components(figures, covariance)
    estimate = float(figures[0].mean() - figures[1].mean())
    r = found.n_readers
    if readers_random:
        term = found.ms_interaction + r * found.excess
        return _inference(estimate, 2 / r * term, _df(term, found.ms_interaction, _interactions(found)))
    term = found.variance - found.cov1 + ((r - 1) * found.excess if r > 1 else 0.0)
    return _inference(estimate, 2 / r * term, np.inf)


def mean_figure(figures: Numbers, covariance: Numbers, *, readers_random: bool = True) -> Inference:
    """Return the mean figure of one modality over readers.

    Args:
        figures: (r,).
        covariance: (r, r).
        readers_random: Whether the result is to hold for other readers too, or for these alone.
    """
    found = components(figures[None], covariance[None, :, None, :])
    r, shared = found.n_readers, max(found.cov2, 0.0) if len(figures) > 1 else 0.0
    if readers_random:
        term = found.ms_reader + r * shared
        return _inference(float(figures.mean()), term / r, _df(term, found.ms_reader, r - 1))
    return _inference(float(figures.mean()), (found.variance + (r - 1) * shared) / r, np.inf)


def readers_minus_model(figures: Numbers, covariance: Numbers, *, readers_random: bool = True) -> Inference:
    """Return the readers' mean figure minus that of a stand-alone model on the same cases.

    Args:
        figures: (r + 1,) of the readers, and last of the model.
        covariance: (r + 1, r + 1).
        readers_random: Whether the result is to hold for other readers too, or for these alone.
    """
    minus = np.hstack([np.eye(len(figures) - 1), -np.ones((len(figures) - 1, 1))])  # (r, r + 1)
    return mean_figure(minus @ figures, minus @ covariance @ minus.T, readers_random=readers_random)


def _mean_square(squares: Numbers, df: int) -> float:
    return float(squares.sum() / df) if df > 0 else np.nan


def _mean_where(covariance: Numbers, where: NDArray[np.bool_]) -> float:
    wanted = np.broadcast_to(where, covariance.shape)
    return float(covariance[wanted].mean()) if wanted.any() else np.nan


def _interactions(found: Components) -> int:
    return (found.n_modalities - 1) * (found.n_readers - 1)


def _df(term: float, mean_square: float, df: int) -> float:
    """Return Hillis' degrees of freedom of a term that holds one mean square and a covariance taken as known."""
    if not df > 0:
        return np.nan
    return float(term**2 / (mean_square**2 / df)) if mean_square > 0 else np.inf


def _inference(estimate: float, variance: float, df: float) -> Inference:
    if not variance > 0 or np.isnan(df):
        return Inference(estimate, np.nan, df, np.nan, np.nan, np.nan)
    error = float(np.sqrt(variance))
    normal = np.isinf(df)
    half = error * float(ndtri(1 - LEVEL / 2) if normal else stdtrit(df, 1 - LEVEL / 2))
    p = 2 * float(stdtr(1e9 if normal else df, -abs(estimate) / error))
    return Inference(estimate, error, df, estimate - half, estimate + half, p)
