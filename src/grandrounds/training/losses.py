"""What training makes small: losses of a network's outputs against labels, and against what a teacher says."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  (the name that everybody uses)
from torch import Tensor, nn

from grandrounds.shapes import Weights


class Mixed(NamedTuple):
    """Labels of images that were mixed from two.

    Args:
        labels: (B,), of the one image.
        others: (B,), of the other.
        share: Of the one, 0 to 1.
    """

    labels: Tensor
    others: Tensor
    share: float


Outputs = Tensor | tuple[Tensor, ...]  # logits (B, K), of several heads where a network has them
Truth = Tensor | Mixed  # labels (B,), or two of each image
LossKind = Literal["cross-entropy", "binary", "ordinal"]
UNKNOWN = -1  # a label that nobody knows, in one of several tasks
_AUXILIARY = 0.3  # weight of each further head: Szegedy et al., CVPR 2015
_RANKED = 0.7  # part of the ranked probability score in the ordinal loss: our choice, made on valid


class Loss(Protocol):
    """What training makes small: a mean over the labels of some images."""

    def __call__(self, outputs: Outputs, images: Tensor, truth: Truth) -> Tensor:
        """Return the loss of outputs for images (B, C, H, W), and what is true of them."""

    def mass(self, labels: Tensor) -> float:
        """Return what the mean is over; parts of a batch count by it, or weights of classes would be lost in them."""


@dataclass(frozen=True, slots=True)
class OfLabels:
    """Cross-entropy, the binary cross-entropy of each class against the rest, or a loss for ordered classes.

    The ordinal loss adds to the cross-entropy a ranked probability score, the squared distance of the cumulated
    probabilities from what is true: a miss by two classes costs more than a miss by one.

    Reference: Epstein, Journal of Applied Meteorology 8:985 (1969), the score; Hou, Yu, Samaras, arXiv 1611.05916, as
    a loss.

    Args:
        kind: Which of them.
        weights: (K,) of the classes; None where all count alike, which costs a small network less time.
        smoothing: Part of the target that is spread over all classes.
    """

    kind: LossKind = "cross-entropy"
    weights: Tensor | None = None
    smoothing: float = 0.0

    @classmethod
    def weighed(cls, kind: LossKind, weights: Weights, smoothing: float, device: str) -> OfLabels:
        """Return the loss with these weights of the classes, on a device."""
        unequal = bool(np.ptp(weights))
        return cls(kind, torch.tensor(weights, dtype=torch.float32, device=device) if unequal else None, smoothing)

    def __call__(self, outputs: Outputs, images: Tensor, truth: Truth) -> Tensor:
        """Return the mean loss; of further heads a part."""
        if isinstance(truth, Mixed):
            one, other = (self(outputs, images, labels) for labels in (truth.labels, truth.others))
            return truth.share * one + (1 - truth.share) * other
        if isinstance(outputs, Tensor):
            return self._of(outputs, truth)
        main, *others = (self._of(head, truth) for head in outputs)
        return main + _AUXILIARY * torch.stack(others).sum()

    def mass(self, labels: Tensor) -> float:
        """Return the weights of the labels' classes, added up."""
        return len(labels) if self.weights is None else float(self.weights[labels].sum())

    def _of(self, logits: Tensor, labels: Tensor) -> Tensor:
        if self.kind == "binary":
            return self._mean(_one_against_rest(logits, labels, self.smoothing), labels)
        entropy = F.cross_entropy(logits, labels, weight=self.weights, label_smoothing=self.smoothing)
        if self.kind == "cross-entropy":
            return entropy
        ranked = self._mean(_ranked_probability_score(logits, labels), labels)
        return (1 - _RANKED) * entropy + 2 * _RANKED * ranked

    def _mean(self, rows: Tensor, labels: Tensor) -> Tensor:
        if self.weights is None:
            return rows.mean()
        weights = self.weights[labels]
        return (rows * weights).sum() / weights.sum()


@dataclass(frozen=True, slots=True)
class OfTasks:
    """The loss of one network with outputs for several tasks: the mean over all labels that are known.

    Reference: Caruana, Multitask learning, Machine Learning 28:41 (1997).

    Args:
        losses: Of each task.
        sizes: How many of the outputs, one after another, are each task's.
    """

    losses: tuple[OfLabels, ...]
    sizes: tuple[int, ...]

    def __call__(self, outputs: Outputs, images: Tensor, truth: Truth) -> Tensor:
        """Return the mean loss; labels are (B, tasks), with `UNKNOWN` where nobody knows."""
        if isinstance(truth, Mixed):
            one, other = (self(outputs, images, labels) for labels in (truth.labels, truth.others))
            return truth.share * one + (1 - truth.share) * other
        if not isinstance(outputs, Tensor):
            raise TypeError("the outputs of several tasks are one tensor")
        total = outputs.sum() * 0  # has a gradient also where a part of a batch knows nothing
        n_known = (truth != UNKNOWN).sum().clamp(min=1)
        parts = outputs.split_with_sizes(self.sizes, 1)
        for loss, logits, labels in zip(self.losses, parts, truth.unbind(1), strict=True):
            known = labels != UNKNOWN
            if known.any():
                total = total + loss(logits[known], images, labels[known]) * known.sum() / n_known
        return total

    def mass(self, labels: Tensor) -> float:
        """Return how many of the labels (B, tasks) are known."""
        return float((labels != UNKNOWN).sum())


def _one_against_rest(logits: Tensor, labels: Tensor, smoothing: float) -> Tensor:
    target = F.one_hot(labels, logits.shape[1]).to(logits.dtype)  # (B, K)
    target = target * (1 - smoothing) + smoothing / logits.shape[1]
    return F.binary_cross_entropy_with_logits(logits, target, reduction="none").sum(dim=1)  # (B,)


def _ranked_probability_score(logits: Tensor, labels: Tensor) -> Tensor:
    at_most = logits.softmax(dim=1).cumsum(dim=1)  # (B, K)
    truly = (torch.arange(logits.shape[1], device=labels.device) >= labels[:, None]).to(logits.dtype)  # (B, K)
    return (at_most - truly).square().sum(dim=1)  # (B,)


@dataclass(frozen=True, slots=True)
class Distilled:
    """Learning from labels by one head and from a teacher by another.

    Reference: Touvron et al., Training data-efficient image transformers & distillation through attention, ICML 2021;
    soft: Hinton, Vinyals, Dean, arXiv 1503.02531.

    Args:
        of_labels: Loss of the first head.
        teacher: Gives logits (B, K) of images; it is not trained.
        hard: Whether the second head learns the teacher's decision, else its probabilities.
        temperature: By which logits are divided before probabilities are compared.
        share: Of the second head in the loss.
        precision: The context in which the teacher is applied, as when it was trained.
    """

    of_labels: OfLabels
    teacher: nn.Module
    hard: bool
    temperature: float
    share: float
    precision: AbstractContextManager[object] = field(default_factory=nullcontext)

    def __call__(self, outputs: Outputs, images: Tensor, truth: Truth) -> Tensor:
        """Return the mean loss of the two heads."""
        own, taught = outputs
        with torch.no_grad(), self.precision:
            teacher: Tensor = self.teacher(images).float()
        if self.hard:
            second = F.cross_entropy(taught, teacher.argmax(dim=1))
        else:
            second = self.temperature**2 * F.kl_div(
                F.log_softmax(taught / self.temperature, dim=1),
                F.log_softmax(teacher / self.temperature, dim=1),
                reduction="batchmean",
                log_target=True,
            )
        return (1 - self.share) * self.of_labels(own, images, truth) + self.share * second

    def mass(self, labels: Tensor) -> float:
        """Return how many images there are: of the teacher's decisions none counts more than another."""
        return len(labels)
