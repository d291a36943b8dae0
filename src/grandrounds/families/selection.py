"""How a family chooses on `valid`: the metric, and the checks before anything is fitted."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from grandrounds.errors import BadData
from grandrounds.families.protocol import View
from grandrounds.shapes import ClassIndex, Probs
from grandrounds.training.spec import Chosen

_TINY = 1e-12


class Choice(NamedTuple):
    """The metric that chooses on `valid` (greater is better), and the sentence that a report prints about it."""

    metric: Callable[[ClassIndex, Probs], float]
    note: str


def labels_of(view: View) -> ClassIndex:
    """Return the labels of a view to fit on.

    Raises:
        BadData: It has no images, or no labels.
    """
    if view.labels is None or len(view.labels) == 0:
        raise BadData("there are no labelled images to fit on", remedy="give each fold train and valid images")
    return view.labels


def training_labels(view: View) -> ClassIndex:
    """Return the labels of the training view.

    Raises:
        BadData: It holds fewer than two classes.
    """
    labels = labels_of(view)
    if len(np.unique(labels)) < 2:
        raise BadData("all training images of a fold have the same class", remedy="use fewer folds, or more cases")
    return labels


def patients_of(train: View, valid: View) -> frozenset[str]:
    """Return everyone whose pixels a fit sees."""
    return frozenset().union(*(one.patients for one in (train, valid, *train.others)))


def choose_by(valid: View, how: Chosen = "auto") -> Choice:
    """Return the metric that chooses; log loss where `valid` lacks a class and AUC, if wanted, is not defined.

    Args:
        valid: Whose labels it will be asked about.
        how: As `TrainingSpec.choose` has it; `"last"` is shown AUC, though it chooses nothing.

    Raises:
        BadData: Kappa is wanted of classes without an order, or there are no labels.
    """
    if how == "kappa" and valid.task.kind != "ordinal":
        raise BadData("the kappa that chooses is for classes that have an order", remedy='set choose = "auto"')
    complete = len(np.unique(labels_of(valid))) == valid.n_classes
    if how in ("log loss", "balanced accuracy", "kappa"):
        return Choice(_METRICS[how], f"chosen by {how} on valid")
    if how == "last":
        return Choice(macro_auc if complete else minus_log_loss, "not chosen: the last one is kept")
    if complete:
        return Choice(macro_auc, "chosen by macro AUC on valid")
    return Choice(minus_log_loss, "chosen by log loss on valid, for AUC is undefined there: a class is missing")


def macro_auc(labels: ClassIndex, probs: Probs) -> float:
    """Return the unweighted mean of one-vs-rest areas under the ROC curve; ties count half."""
    if not np.isfinite(probs).all():
        return float("nan")  # ranks would make chance of it
    areas = [_auc(labels == k, probs[:, k]) for k in range(probs.shape[1])]
    return float(np.mean(areas))


def minus_log_loss(labels: ClassIndex, probs: Probs) -> float:
    """Return the mean log probability of the true class."""
    return float(np.log(np.maximum(probs[np.arange(len(labels)), labels], _TINY)).mean())


def balanced_accuracy(labels: ClassIndex, probs: Probs) -> float:
    """Return the mean over the classes that are there of how many of their images are told rightly."""
    if not np.isfinite(probs).all():
        return float("nan")
    right = probs.argmax(axis=1) == labels
    return float(np.mean([right[labels == k].mean() for k in np.unique(labels)]))


def quadratic_kappa(labels: ClassIndex, probs: Probs) -> float:
    """Return how far ordered classes are agreed on beyond chance, misses weighed by their squared distance.

    Reference: Cohen, Weighted kappa, Psychol Bull 1968;70:213.
    """
    if not np.isfinite(probs).all():
        return float("nan")
    told = probs.argmax(axis=1)
    missed = np.mean((labels - told) ** 2.0)
    by_chance = np.var(labels) + np.var(told) + (labels.mean() - told.mean()) ** 2  # of all pairs
    return float(1 - missed / by_chance) if by_chance else 0.0


def _auc(positive: NDArray[np.bool_], score: NDArray[np.float64]) -> float:
    # Mann and Whitney's statistic from mid-ranks.
    _, level, count = np.unique(score, return_inverse=True, return_counts=True)
    mid_rank = (np.cumsum(count) - (count - 1) / 2)[level]
    n_positive = int(positive.sum())
    n_negative = len(positive) - n_positive
    return float((mid_rank[positive].sum() - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative))


_METRICS: dict[str, Callable[[ClassIndex, Probs], float]] = {
    "log loss": minus_log_loss,
    "balanced accuracy": balanced_accuracy,
    "kappa": quadratic_kappa,
}
