"""The steps of a training: batches that are drawn, changed and learned from, in parts where memory is too small."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from grandrounds import seeds
from grandrounds.training import augment, machine
from grandrounds.training.canvas import OfOneSize, by_size, changed_inside
from grandrounds.training.layout import as_channels_first, laid_out, reader_of
from grandrounds.training.losses import Mixed, Outputs, Truth
from grandrounds.training.optimiser import WeightMean, learning_rate, optimiser_of
from grandrounds.training.parts import n_batches_of, n_parts, n_series_of, n_slices
from grandrounds.training.plan import Labelled, Plan
from grandrounds.training.ranks import Ranks
from grandrounds.training.spec import TrainingSpec

_AUGMENT_ABREAST = 128  # images changed in one go: many enough to be cheap, few enough to stay in the cache


class Steps:
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
        wanted = n_parts(whole.space, spec.batch_size, n_series_of(network))
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
    def awaits_mean(self) -> bool:
        """Whether the weights that are to be kept are a mean that has not begun yet."""
        return self._mean.is_awaited

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
        return n_batches_of(len(group.rows), self._spec.batch_size)

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
        n_abreast = max(1, _AUGMENT_ABREAST // (len(batches[0]) * n_slices(group.space)))
        inside, of_group = (slice(None), *(slice(side) for side in group.space)), torch.from_numpy(group.rows)
        for start in range(0, len(batches), n_abreast):
            whole = batches[start : start + n_abreast]
            some = [self._ranks.part(batch) for batch in whole]
            places = torch.cat(some)
            rows = of_group[places]
            pixels = self._read(rows)[inside]  # (B, H, W, C)
            change = partial(augment.apply, change=changes.of(places), generator=self._augment)
            images = changed_inside(as_channels_first(pixels), change)
            images = laid_out(images)
            sizes = [len(batch) for batch in some]
            weights = [
                self._ranks.n * self._share(self._labels[of_group[own]], self._labels[of_group[batch]])
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
                if (
                    not machine.is_out_of_memory(error) or too_small or self._ranks.n > 1
                ):  # the others would wait for ever
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
