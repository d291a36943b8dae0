"""The training loop: a generator that yields one `Epoch` record after each pass."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass

from torch import Tensor, nn

from grandrounds.errors import Diverged
from grandrounds.shapes import ClassIndex, Probs
from grandrounds.training.epoch import Epoch
from grandrounds.training.plan import Labelled, Plan
from grandrounds.training.prediction import predict
from grandrounds.training.spec import TrainingSpec
from grandrounds.training.steps import Steps

Metric = Callable[[ClassIndex, Probs], float]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What training leaves: the weights of the best epoch and how it went."""

    weights: dict[str, Tensor]
    epochs: int
    best_epoch: int
    truncated: bool
    notes: tuple[str, ...]


def drive(epochs: Generator[Epoch, None, Outcome], watch: Callable[[Epoch], None]) -> Outcome:
    """Return the outcome of a training, with every epoch shown to `watch` on the way."""
    while True:
        try:
            epoch = next(epochs)
        except StopIteration as end:
            outcome: Outcome = end.value
            return outcome
        watch(epoch)


def train(
    network: nn.Module, train_set: Labelled, valid: Labelled, spec: TrainingSpec, plan: Plan, metric: Metric
) -> Generator[Epoch, None, Outcome]:
    """Yield a record per epoch and return the best epoch's weights, chosen by `metric` on `valid`.

    Among equals the later epoch wins: its learning rate is lower. Where weights are averaged at the end, an epoch from
    before is kept only if training does not get there. A loss that is no longer a number stops the training;
    the best epoch before it is kept.

    Raises:
        Diverged: The loss was no number in the first epoch already, so that there is nothing to keep.
    """
    steps, kept = Steps(network, train_set, spec, plan), _Kept(last=spec.choose == "last")
    began, notes, done, out_of_time = time.perf_counter(), list[str](), 0, False
    while done < plan.n_epochs and not out_of_time:
        done += 1
        loss, images_per_s, out_of_time = steps.one_pass(began)
        shown = steps.averaged
        score = math.nan
        if math.isfinite(loss):
            score = metric(valid.labels, predict(shown, valid.pixels, plan.device, any_size=plan.any_size))
        if not math.isfinite(score):
            notes.append(_no_number(done, kept))
            break
        kept.offer(shown, score, done, awaits_mean=steps.awaits_mean)
        now_s = time.perf_counter() - began
        yield Epoch(done, plan.n_epochs, loss, score, steps.learning_rate, images_per_s, now_s)
        if spec.patience and done - kept.gained >= spec.patience and done < plan.n_epochs:
            notes.append(f"training stopped in epoch {done}: no gain on valid in {spec.patience} epochs")
            break
    notes += steps.remarks
    if steps.awaits_mean:
        notes.append("training ended before weights were averaged: those of a single epoch are kept")
    truncated = out_of_time and (done < plan.n_epochs or not steps.complete)
    if truncated:
        notes.append(f"the clock stopped training in epoch {done} of {plan.n_epochs}")
    return Outcome(kept.weights, done, kept.epoch, truncated, tuple(notes))


class _Kept:
    """The weights that a training has kept so far."""

    def __init__(self, *, last: bool) -> None:
        self._last, self._best = last, -math.inf
        self.weights: dict[str, Tensor] = {}
        self.epoch = self.gained = 0  # whose weights are kept, and when the metric last grew
        self._awaits_mean = False

    def offer(self, network: nn.Module, score: float, epoch: int, *, awaits_mean: bool = False) -> None:
        """Keep the weights of an epoch if they are as good as the best before, or in any case the last are wanted.

        The first mean of weights takes the place of whatever was kept while it was awaited.
        """
        if self._awaits_mean and not awaits_mean:
            self._best = -math.inf
        self._awaits_mean = awaits_mean
        if score > self._best:
            self.gained = epoch
        if score >= self._best or self._last:
            self.weights, self.epoch = _copy(network), epoch
        self._best = max(score, self._best)


def _no_number(epoch: int, kept: _Kept) -> str:
    """Return the sentence on a loss that is no longer a number, or refuse where nothing good came before it."""
    if not kept.epoch:
        raise Diverged(
            "the loss was not a number in the first epoch, so there is no network to keep",
            remedy="lower learning_rate, or set clip",
        )
    return f"training stopped in epoch {epoch}: the loss was no longer a number; epoch {kept.epoch} is kept"


def _copy(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().cpu().clone() for name, value in network.state_dict().items()}
