"""The support vector machine of the handcrafted families: fitted on `train`, its settings chosen on `valid`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from grandrounds import seeds
from grandrounds.families.kernel import KernelMachine, fit_machine
from grandrounds.families.params import Kernel, SvmParams
from grandrounds.families.protocol import View
from grandrounds.families.selection import choose_by, labels_of, training_labels
from grandrounds.shapes import ClassIndex, Features
from grandrounds.training.imbalance import class_weights


def choose_machine(
    train: View, valid: View, train_features: Features, valid_features: Features, params: SvmParams, seed: int
) -> tuple[KernelMachine, tuple[str, ...]]:
    """Return the machine fitted on `train`, and notes; C, gamma and the sigmoid are chosen on `valid`."""
    labels, valid_labels = training_labels(train), labels_of(valid)
    choice = choose_by(valid)
    weighing = class_weights(labels, valid.n_classes, params.imbalance)
    some = tuning_rows(labels, train.samples["patient"].to_list(), params.max_rows_tuning, seed)
    n_features = train_features.shape[1]

    def fitted(which: NDArray[np.int64] | slice, width: float, cost: float) -> KernelMachine:
        machine = fit_machine(
            train_features[which], labels[which], weighing.weights, cost=cost, gamma=width / n_features
        )
        return machine.with_sigmoid(valid_features, valid_labels, weighing.weights, len(valid.patients))

    grid = [(width, cost) for kernel in params.kernels for cost in params.costs for width in _widths(kernel, params)]
    tried = [fitted(some, *settings) for settings in grid]
    scores = [choice.metric(valid_labels, one.probs(valid_features)) for one in tried]
    best = int(np.argmax(scores))  # the mildest machine among equals, for the grid goes from mild to strict
    width, cost = grid[best]
    machine = tried[best] if len(some) == len(labels) else fitted(slice(None), width, cost)
    kernel = f"Gaussian kernel with gamma = {width:g} / {n_features}" if width else "linear kernel"
    note = f"{kernel} and C = {cost:g} {choice.note}; the sigmoid too was fitted on valid"
    return machine, (weighing.note, note)


def _widths(kernel: Kernel, params: SvmParams) -> tuple[float, ...]:
    return (0.0,) if kernel == "linear" else params.widths


def tuning_rows(labels: ClassIndex, patients: Sequence[str], most: int, seed: int) -> NDArray[np.int64]:
    """Return some rows, all of each patient they are of, with about the same share of every class.

    Args:
        labels: (N,).
        patients: (N,) whose rows they are.
        most: Rows wanted; more only where one patient has more.
        seed: Decides which.
    """
    if len(labels) <= most:
        return np.arange(len(labels))
    random = seeds.generator(seed, "tuning rows")
    _, first, owner, n_rows = np.unique(patients, return_index=True, return_inverse=True, return_counts=True)
    # A patient with several classes counts as one of the rarest, so that rare classes have patients at all.
    by_owner = labels[np.lexsort((np.bincount(labels)[labels], owner))]
    rarest = by_owner[np.cumsum(n_rows) - n_rows]  # (patients,)
    taken: set[int] = set()
    for k in np.unique(labels):
        # In the order of the rows, so that images of one patient each are drawn as if nobody asked for patients.
        own = np.flatnonzero(rarest == k)
        drawn = random.permutation(own[np.argsort(first[own])])
        enough = max(2, round(most * float((rarest[owner] == k).mean())))
        taken.update(drawn[: max(1, int(np.searchsorted(np.cumsum(n_rows[drawn]), enough, side="right")))].tolist())
        if not np.isin(
            owner[labels == k], list(taken)
        ).any():  # its patients all have a rarer class, and were not drawn
            taken.add(int(owner[labels == k][0]))
    return np.flatnonzero(np.isin(owner, list(taken)))
