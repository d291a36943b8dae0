"""The training loop: a generator that yields one `Epoch` record after each pass.

Training images stay in memory as one tensor, or on the disk where they lie as volumes; a step takes its batch by index
and never touches single images.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from grandrounds import seeds
from grandrounds.errors import Diverged
from grandrounds.shapes import ClassIndex, Images, Probs
from grandrounds.training import augment, machine
from grandrounds.training.canvas import OfOneSize, by_size, changed_inside
from grandrounds.training.epoch import Epoch
from grandrounds.training.losses import Loss, Mixed, Outputs, Truth
from grandrounds.training.optimiser import WeightMean, learning_rate, optimiser_of
from grandrounds.training.parts import at_once, n_parts
from grandrounds.training.ranks import Ranks
from grandrounds.training.spec import TrainingSpec

Metric = Callable[[ClassIndex, Probs], float]
_AUGMENT_ABREAST = 128  # images changed in one go: many enough to be cheap, few enough to stay in the cache
_PREDICT_BATCH = 256
_LAYOUT = {4: torch.channels_last, 5: torch.channels_last_3d}


@dataclass(frozen=True, slots=True)
class Labelled:
    """Images (N, C, H, W) and their classes (N,)."""

    pixels: Images
    labels: ClassIndex


@dataclass(frozen=True, slots=True)
class Plan:
    """What one training may do.

    Args:
        n_epochs: Passes over the training images.
        cap_s: Seconds after which it stops early; None for no cap.
        seed: Fixes the order of images and their augmentation.
        device: Where it runs.
        flips: Whether images may be mirrored.
        loss: What it makes small.
        trunk: Names of parameters that started from published weights.
        trunk_rate: Their learning rate, as a part of the others'.
        any_size: Whether each image is read at its own size, without what lies outside it on its canvas.
    """

    n_epochs: int
    cap_s: float | None
    seed: int
    device: str
    flips: bool
    loss: Loss
    trunk: frozenset[str] = frozenset()
    trunk_rate: float = 1.0
    any_size: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What training leaves: the weights of the best epoch and how it went."""

    weights: dict[str, Tensor]
    epochs: int
    best_epoch: int
    truncated: bool
    notes: tuple[str, ...]


def lay_out(network: nn.Module) -> None:
    """Bring the weights of convolutions, of planes and of volumes, into the order that batches have in memory."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Conv3d):
            layer.to(memory_format=_LAYOUT[layer.weight.ndim])


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

    Among equals the later epoch wins: its learning rate is lower. A loss that is no longer a number stops the training;
    the best epoch before it is kept.

    Raises:
        Diverged: The loss was no number in the first epoch already, so that there is nothing to keep.
    """
    steps, kept = _Steps(network, train_set, spec, plan), _Kept(last=spec.choose == "last")
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
        kept.offer(shown, score, done)
        now_s = time.perf_counter() - began
        yield Epoch(done, plan.n_epochs, loss, score, steps.learning_rate, images_per_s, now_s)
        if spec.patience and done - kept.gained >= spec.patience and done < plan.n_epochs:
            notes.append(f"training stopped in epoch {done}: no gain on valid in {spec.patience} epochs")
            break
    notes += steps.remarks
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

    def offer(self, network: nn.Module, score: float, epoch: int) -> None:
        """Keep the weights of an epoch if they are as good as the best before, or in any case the last are wanted."""
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


@torch.inference_mode()
def predict(network: nn.Module, pixels: Images, device: str = "cpu", *, any_size: bool = False) -> Probs:
    """Return probabilities (N, K); rows sum to 1.

    Args:
        network: Gives logits.
        pixels: (N, C, H, W).
        device: Where it runs.
        any_size: Whether each image is read at its own size, without what lies outside it on its canvas.
    """
    network.eval()
    if not any_size:
        return _probs(network, pixels, device)
    canvas = np.asarray(pixels)
    groups = by_size(canvas)
    parts = [_probs(network, canvas[rows, :, :height, :width], device) for (height, width), rows in groups]
    order = np.argsort(np.concatenate([group.rows for group in groups]))
    probs: Probs = np.concatenate(parts)[order]
    return probs


def _probs(network: nn.Module, pixels: Images, device: str) -> Probs:
    space = pixels.shape[2:]
    n_abreast = at_once(space, max(1, _PREDICT_BATCH // _n_slices(space)), _n_series(network))
    rows = [
        network(as_channels_first(_resident(pixels[at : at + n_abreast], device))).cpu()
        for at in range(0, len(pixels), n_abreast)
    ]
    return torch.softmax(torch.cat(rows).double(), dim=1).numpy()  # (N, K); not every device has doubles


class _Steps:
    """The training images, the optimiser and the random state of one training."""

    def __init__(self, network: nn.Module, train_set: Labelled, spec: TrainingSpec, plan: Plan) -> None:
        self._network, self._spec, self._plan = network, spec, plan
        self._ranks = Ranks(network)
        self._flips = plan.flips and spec.mirror == "auto"
        self._read = reader_of(train_set.pixels, plan.device)
        self._labels = torch.tensor(train_set.labels, device=plan.device)
        self._order = torch.Generator().manual_seed(seeds.derive(plan.seed, "order"))
        self._augment = torch.Generator().manual_seed(seeds.derive(plan.seed, "augment"))
        self._precision = machine.precision(spec.precision, plan.device)
        self._mixing = seeds.generator(plan.seed, "mixup")
        self._optimiser = optimiser_of(network, spec, plan.trunk, plan.trunk_rate)
        whole = OfOneSize(train_set.pixels.shape[2:], np.arange(len(self._labels)))
        self._groups = by_size(np.asarray(train_set.pixels)) if plan.any_size else [whole]
        self._step, self._n_steps = 0, plan.n_epochs * sum(self._n_batches(group) for group in self._groups)
        self._mean = WeightMean(network, spec, self._n_steps)
        smallest = min(len(group.rows) // self._n_batches(group) for group in self._groups) // self._ranks.n
        wanted = n_parts(whole.space, spec.batch_size, _n_series(network))
        self._n_parts = max(1, min(wanted, smallest))  # of a batch, whose gradients are added up

    @property
    def learning_rate(self) -> float:
        """The rate of the last step."""
        return learning_rate(max(0, self._step - 1), self._n_steps, self._spec)

    @property
    def remarks(self) -> list[str]:
        """What a reader should be told of how batches were read."""
        remarks = []
        if self._n_parts > 1:
            remarks.append(
                f"memory does not hold a batch: each was read in {self._n_parts} parts, and norms saw one part at once"
            )
        if self._ranks.n > 1:
            remarks.append(f"trained by {self._ranks.n} processes, each with its part of every batch")
        return remarks

    @property
    def averaged(self) -> nn.Module:
        """The network with its averaged weights, or as it is where none are averaged."""
        return self._mean.network

    @property
    def complete(self) -> bool:
        """Whether every planned step was made."""
        return self._step == self._n_steps

    def one_pass(self, began: float) -> tuple[float, float, bool]:
        """Return mean loss, images per second and whether the clock ran out, after a pass over the images."""
        self._network.train()
        start, losses, n_seen, out_of_time = time.perf_counter(), [], 0, False
        for images, labels, weight in self._batches():
            losses.append(self._one_step(images, labels, weight))
            n_seen += len(labels)
            out_of_time = self._is_late(began)
            if out_of_time:
                break
        self._ranks.alike(self._network)
        self._ranks.alike(self.averaged)
        loss = self._ranks.mean(float(torch.stack(losses).mean()))
        return loss, self._ranks.n * n_seen / (time.perf_counter() - start), out_of_time

    def _is_late(self, began: float) -> bool:
        """Whether the clock has run out, for any of the processes."""
        cap_s = self._plan.cap_s
        return cap_s is not None and self._ranks.mean(float(time.perf_counter() - began > cap_s)) > 0

    def _n_batches(self, group: OfOneSize) -> int:
        return max(1, round(len(group.rows) / self._spec.batch_size))

    def _batches(self) -> Iterator[tuple[Tensor, Tensor, float]]:
        """Yield our changed images (B, C, H, W) and labels (B,) of each batch of one pass, and our part's weight.

        All images of a batch have one size; which size comes next is drawn.
        """
        parts = [self._of_one_size(group) for group in self._groups]
        turns = [turn for turn, group in enumerate(self._groups) for _ in range(self._n_batches(group))]
        if len(parts) > 1:
            turns = [turns[at] for at in torch.randperm(len(turns), generator=self._order)]
        for turn in turns:
            yield next(parts[turn])

    def _of_one_size(self, group: OfOneSize) -> Iterator[tuple[Tensor, Tensor, float]]:
        # Drawn for the whole pass and applied to many batches at once: for a small network, small draws and small
        # resamplings would cost as much as its step.
        changes = augment.draw(group.space, len(group.rows), self._spec, self._augment, flips=self._flips)
        # Batches of nearly equal size: a left-over of one image would break batch normalisation.
        order = torch.randperm(len(group.rows), generator=self._order)
        batches = torch.tensor_split(order, self._n_batches(group))
        n_abreast = max(1, _AUGMENT_ABREAST // (len(batches[0]) * _n_slices(group.space)))
        inside = (slice(None), *(slice(side) for side in group.space))
        for start in range(0, len(batches), n_abreast):
            whole = batches[start : start + n_abreast]
            some = [self._ranks.part(batch) for batch in whole]
            places = torch.cat(some)
            rows = torch.from_numpy(group.rows)[places]
            pixels = self._read(rows)[inside]  # (B, H, W, C)
            change = partial(augment.apply, change=changes.of(places), generator=self._augment)
            images = changed_inside(as_channels_first(pixels), change)
            images = images.contiguous(memory_format=_LAYOUT[images.ndim])
            sizes = [len(batch) for batch in some]
            weights = [
                self._ranks.n * self._share(self._labels[group.rows[own]], self._labels[group.rows[batch]])
                for own, batch in zip(some, whole, strict=True)
            ]
            yield from zip(torch.split(images, sizes), torch.split(self._labels[rows], sizes), weights, strict=True)

    def _one_step(self, images: Tensor, labels: Tensor, weight: float) -> Tensor:
        rate = learning_rate(self._step, self._n_steps, self._spec)
        for group in self._optimiser.param_groups:
            group["lr"] = rate * group["scale"]
        loss = self._backward(images, labels, weight)
        if self._spec.clip:
            nn.utils.clip_grad_norm_(self._network.parameters(), self._spec.clip)
        self._optimiser.step()
        self._mean.after_step()
        self._step += 1
        return loss

    def _backward(self, images: Tensor, labels: Tensor, weight: float) -> Tensor:
        """Return the loss of a batch whose gradients are ready; in smaller parts where memory does not hold it all."""
        share = float(self._mixing.beta(self._spec.mixup, self._spec.mixup)) if self._spec.mixup else None
        while True:
            self._optimiser.zero_grad(set_to_none=True)
            try:
                return self._accumulated(images, labels, weight, share)
            except RuntimeError as error:
                fewest = 2 if images.ndim == 4 else 1  # norms need two planes, or one volume
                too_small = 2 * fewest * self._n_parts > len(labels)
                if not _out_of_memory(error) or too_small or self._ranks.n > 1:  # the others would wait for ever
                    raise
            self._n_parts *= 2

    def _accumulated(self, images: Tensor, labels: Tensor, weight: float, share: float | None) -> Tensor:
        total = torch.zeros((), device=labels.device)
        for some, of_some in zip(images.tensor_split(self._n_parts), labels.tensor_split(self._n_parts), strict=True):
            given, truth = (some, of_some) if share is None else _mixed(some, of_some, share)
            with self._precision:
                outputs = self._ranks.wrapped(given)
            loss = self._plan.loss(_single(outputs), given, truth) * (weight * self._share(of_some, labels))
            loss.backward()  # type: ignore[no-untyped-call]
            total += loss.detach()
        return total

    def _share(self, labels: Tensor, whole: Tensor) -> float:
        """Return which part of a batch's loss these of its labels make up."""
        if len(labels) == len(whole):
            return 1.0
        mass = self._plan.loss.mass(whole)
        return self._plan.loss.mass(labels) / mass if mass else 0.0


def _mixed(images: Tensor, labels: Tensor, share: float) -> tuple[Tensor, Truth]:
    """Return each image mixed with its neighbour, which in a shuffled batch is any other, and both labels.

    Reference: Zhang, Cisse, Dauphin, Lopez-Paz, mixup: beyond empirical risk minimization, ICLR 2018.
    """
    return share * images + (1 - share) * images.roll(1, 0), Mixed(labels, labels.roll(1, 0), share)


def _single(outputs: Outputs) -> Outputs:
    return outputs.float() if isinstance(outputs, Tensor) else tuple(head.float() for head in outputs)


def _out_of_memory(error: RuntimeError) -> bool:
    # Of devices without an error of their own only the words tell.
    said = str(error)
    return isinstance(error, torch.OutOfMemoryError) or "DefaultCPUAllocator" in said or "out of memory" in said


def _n_slices(space: tuple[int, ...]) -> int:
    """Return how many planes an image of that space, (H, W) or (D, H, W), is."""
    return math.prod(space[:-2])


def _n_series(network: nn.Module) -> int:
    """Return how many series of an exam a network reads side by side, each with all of its slices."""
    return max(getattr(part, "n_series", 1) for part in network.modules())


def reader_of(pixels: Images, device: str) -> Callable[[Tensor], Tensor]:
    """Return what gives images (B, H, W, C) by their rows: from memory, or read anew each time."""
    if not isinstance(pixels, np.ndarray):
        return lambda rows: _resident(pixels[rows.numpy()], device)
    images = _resident(pixels, device)
    return lambda rows: images[rows]


def _resident(pixels: Images, device: str) -> Tensor:
    # Channels last in memory, so that a batch taken by index is already in the layout that convolutions want.
    return torch.tensor(np.ascontiguousarray(np.moveaxis(np.asarray(pixels), 1, -1)), device=device)  # (N, H, W, C)


def as_channels_first(images: Tensor) -> Tensor:
    """Return images (B, H, W, C) as (B, C, H, W), or (B, D, H, W, C) as (B, C, D, H, W), without a copy."""
    return images.movedim(-1, 1)


def _copy(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().cpu().clone() for name, value in network.state_dict().items()}
