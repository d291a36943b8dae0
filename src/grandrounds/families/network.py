"""Families that train a network: one way to fit, save and apply any of them."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  (the name that everybody uses)
from torch import Tensor, nn

from grandrounds import seeds
from grandrounds.errors import BadData, Refusal
from grandrounds.families import input_layer, state
from grandrounds.families.architectures import ARCHITECTURES, Architecture, Teaching
from grandrounds.families.built import Network, Shape, resize, resized_to
from grandrounds.families.input_layer import InputLayer
from grandrounds.families.protocol import Budget, FitRecord, View, Watch
from grandrounds.families.selection import choose_by, labels_of, patients_of
from grandrounds.families.several_heads import learned
from grandrounds.nets.slices import Slices
from grandrounds.shapes import Images, Probs
from grandrounds.specs import parse
from grandrounds.training import machine, simsiam
from grandrounds.training.canvas import by_size, outside_slices
from grandrounds.training.epoch import Epoch
from grandrounds.training.imbalance import ClassWeights, class_weights
from grandrounds.training.layout import lay_out
from grandrounds.training.loop import drive, train
from grandrounds.training.losses import Distilled, Loss, OfLabels, OfTasks
from grandrounds.training.plan import Labelled, Plan
from grandrounds.training.prediction import predict
from grandrounds.training.spec import TrainingSpec

_FIRST = "first."  # where the numbers of the input layer are kept among the weights


class WithInput(nn.Module):
    """A network behind its input layer: images (B, C, H, W) to logits (B, K), in training perhaps of several heads.

    Args:
        first: What is done to the images before they are resized.
        network: What reads them.
        params: How they are resized, and what the network was trained with.
        mirrors: Whether images may be mirrored.
        n_classes: How many outputs, from the first on, it answers with; those after them are learned along for other
            tasks. None for all.
    """

    def __init__(
        self,
        first: InputLayer,
        network: nn.Module,
        params: TrainingSpec,
        *,
        mirrors: bool,
        n_classes: int | None = None,
    ) -> None:
        super().__init__()
        self.n_classes = n_classes
        self.first = first
        self.network = network
        self.loss, self.side_px = params.loss, params.side_px
        self.mirrors = mirrors and params.test_mirror

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (B, K)."""
        outside = outside_slices(images) if _reads_any_depth(self.network) else None
        images = resize(self.first(images), self.side_px)
        if outside is not None:
            images = images.masked_fill(outside[:, None, :, None, None], math.nan)  # no slice
        logits: Tensor = self.network(images)
        if self.training:
            return logits
        if self.mirrors:
            both = self._log_probs(logits), self._log_probs(self.network(images.flip(-1)))
            return torch.logaddexp(*both)  # but for a constant the logarithm of the mean probability
        return self._own(logits)

    def _own(self, logits: Tensor) -> Tensor:
        logits = logits[:, : self.n_classes]
        # With the binary loss, softmax then gives each class's own probability, made to sum to one.
        return F.logsigmoid(logits) if self.loss == "binary" else logits

    def _log_probs(self, logits: Tensor) -> Tensor:
        return F.log_softmax(self._own(logits), dim=1)


@dataclass(frozen=True, slots=True)
class FittedNetwork:
    """A trained network with what is needed to build it again.

    Args:
        architecture: A name in `ARCHITECTURES`.
        params: Its parameters.
        shape: (C, H, W) that it reads.
        n_classes: How many classes it tells apart.
        module: The network, on the CPU.
        mirrors: Whether the images that it was trained on may be mirrored.
        n_outputs: Its classes, and those of other tasks that it learned along.
    """

    record: FitRecord
    architecture: str
    params: TrainingSpec
    shape: Shape
    n_classes: int
    module: WithInput
    mirrors: bool
    n_outputs: int

    def predict(self, view: View) -> Probs:
        """Return probabilities (N, K).

        Raises:
            BadData: The images have another shape than those it was trained on, or are too small for it.
        """
        any_size = _reads_any_size(ARCHITECTURES[self.architecture], self.params)
        others = () if any_size else view.pixels.shape[2:]
        if (*view.pixels.shape[1:2], *others) != self.shape[: 1 + len(others)]:
            raise BadData(
                f"this model reads images of (C, H, W) = {self.shape}, these have {view.pixels.shape[1:]}",
                remedy="prepare them as the training images were",
            )
        if any_size:
            smallest = _smallest(ARCHITECTURES[self.architecture], self.params, view.pixels)
            with torch.device("meta"):  # only what it refuses is asked
                ARCHITECTURES[self.architecture].network(self.params, smallest, self.n_outputs)
        return predict(self.module, view.pixels, any_size=any_size)

    def save(self, folder: Path) -> None:
        """Write the weights and how to build the network."""
        content = {
            "architecture": self.architecture,
            "params": self.params.model_dump(mode="json"),
            "shape": self.shape,
            "n_classes": self.n_classes,
            "mirrors": self.mirrors,
            "n_outputs": self.n_outputs,
        }
        arrays = {name: value.numpy() for name, value in self.module.state_dict().items()}
        state.save(folder, self.record, content, arrays)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Return what `save` wrote."""
        saved = state.load(folder)
        name, n_classes, mirrors = (saved.content[key] for key in ("architecture", "n_classes", "mirrors"))
        shape: Shape = tuple(saved.content["shape"])
        params = parse(ARCHITECTURES[name].params, saved.content["params"], where=folder)
        n_outputs = saved.content.get("n_outputs", n_classes)  # models of an earlier version had one task
        built = ARCHITECTURES[name].network(params, resized_to(params.side_px, shape), n_outputs).module
        fitted = {key.removeprefix(_FIRST): value for key, value in saved.arrays.items() if key.startswith(_FIRST)}
        module = WithInput(InputLayer(params.input, fitted), built, params, mirrors=mirrors, n_classes=n_classes)
        lay_out(module)  # as it was when trained, so that no last bit differs
        module.load_state_dict({key: torch.from_numpy(value) for key, value in saved.arrays.items()})
        return cls(saved.record, name, params, shape, n_classes, module.eval(), mirrors, n_outputs)


@dataclass(frozen=True, slots=True)
class NetworkFamily:
    """The family of the network that these parameters describe."""

    params: TrainingSpec

    def fit(self, train: View, valid: View, budget: Budget, seed: int, watch: Watch) -> FittedNetwork:
        """Return the network of the best epoch on `valid`.

        It makes `budget.epochs` passes, but no more than the `max_epochs` of its parameters.

        Raises:
            BadData: The images are too small for it.
            BadSpec: This machine has no such device.
        """
        machine.require(budget.device)
        with machine.reserved(budget.threads, seeds.derive(seed, "network")):
            return self._fit(train, valid, budget, seed, watch)

    def _fit(self, train_view: View, valid: View, budget: Budget, seed: int, watch: Watch) -> FittedNetwork:
        began = time.perf_counter()
        name = next(name for name, one in ARCHITECTURES.items() if one.params is type(self.params))
        taught, choice = learned(train_view), choose_by(valid, self.params.choose)
        shape: Shape = train_view.pixels.shape[1:]
        smallest = _smallest(ARCHITECTURES[name], self.params, taught.pixels, valid.pixels)
        built = self._built(ARCHITECTURES[name], smallest, sum(taught.sizes))
        any_size = _reads_any_size(ARCHITECTURES[name], self.params)
        canvas = smallest != shape or _reads_any_depth(built.module)
        if _reads_any_depth(built.module):
            input_layer.refuse_canvas(self.params.input, taught.pixels, valid.pixels)
        first = input_layer.fitted(self.params.input, taught.pixels, canvas=canvas)
        module = WithInput(
            first, built.module, self.params, mirrors=train_view.flips, n_classes=train_view.n_classes
        ).to(budget.device)
        lay_out(module)
        weighings = [class_weights(labels_of(one), one.n_classes, self.params.imbalance) for one in taught.views]
        loss, teacher = self._loss(ARCHITECTURES[name], weighings, taught.views, valid, budget, seed)
        left = budget if budget.cap_s is None else budget.replaced(cap_s=_left_s(budget.cap_s, began))
        plan = self._plan(built, train_view, left, seed, loss, any_size=any_size)
        start = self._begun(ARCHITECTURES[name], smallest, module, train_view, plan)
        outcome = drive(
            train(
                module, Labelled(taught.pixels, taught.labels), Labelled(valid.pixels, labels_of(valid)),
                self.params, start.rest(plan), choice.metric,
            ),
            lambda epoch: watch(_after(start, epoch)),
        )  # fmt: skip
        module.load_state_dict(outcome.weights)
        record = FitRecord(
            patients=patients_of(train_view, valid),
            n_parameters=sum(one.numel() for one in module.parameters()),
            epochs=start.epochs + outcome.epochs,
            best_epoch=start.epochs + outcome.best_epoch,
            truncated=outcome.truncated,
            notes=(
                built.note,
                *taught.notes,
                *_taught(teacher),
                first.note,
                *start.notes,
                weighings[0].note,
                f"epoch {choice.note}",
            ),
            departures=(() if teacher is None else teacher.departures_of("teacher")) + outcome.notes,
            licences=((built.licence,) if built.licence else ()) + (teacher.licences if teacher else ()),
        )
        return FittedNetwork(
            record, name, self.params, shape, train_view.n_classes, module.cpu().eval(), train_view.flips,
            sum(taught.sizes),
        )  # fmt: skip

    def _built(self, architecture: Architecture, shape: Shape, n_classes: int) -> Network:
        """Return the network, with other weights than random ones where the parameters say so."""
        inner = resized_to(self.params.side_px, shape)
        built = architecture.network(self.params, inner, n_classes)
        started = built if architecture.start is None else architecture.start(self.params, inner, built)
        return started if inner == shape else started._replace(note=f"{started.note}, {_resizing(shape, inner)}")

    def _plan(self, built: Network, view: View, budget: Budget, seed: int, loss: Loss, *, any_size: bool) -> Plan:
        return Plan(
            n_epochs=min(budget.epochs, self.params.max_epochs),
            cap_s=budget.cap_s,
            seed=seed,
            device=budget.device,
            flips=view.flips,
            loss=loss,
            trunk=frozenset(f"network.{one}" for one in built.trunk),
            trunk_rate=getattr(self.params, "trunk_rate", 1.0),
            any_size=any_size,
        )

    def _begun(
        self, architecture: Architecture, shape: Shape, module: WithInput, view: View, plan: Plan
    ) -> simsiam.Start:
        """Let the network learn from the training images without their labels, where its parameters say so."""
        if not self.params.self_supervised:
            return simsiam.NONE
        if plan.any_size and shape != view.pixels.shape[1:]:
            raise BadData(
                "a self-supervised start needs images of one size, these have several",
                remedy="set self_supervised = 0, or resize the images in the preparation",
            )
        encoder = WithInput(
            module.first, self._built(architecture, shape, simsiam.N_FEATURES).module, self.params, mirrors=False
        )
        return simsiam.begin(module, encoder, view.pixels, self.params, plan)

    def _loss(
        self, architecture: Architecture, weighings: Sequence[ClassWeights], views: Sequence[View], valid: View,
        budget: Budget, seed: int,
    ) -> tuple[Loss, FitRecord | None]:  # fmt: skip
        """Return what is made small, and the record of a teacher."""
        if self.params.loss == "ordinal" and any(one.task.kind != "ordinal" for one in views):
            raise BadData("the ordinal loss is for classes that have an order", remedy='set loss = "cross-entropy"')
        of_labels, *of_others = (
            OfLabels.weighed(self.params.loss, one.weights, self.params.label_smoothing, budget.device)
            for one in weighings
        )
        if of_others:
            if architecture.teaching is not None or architecture.side_heads:
                raise BadData("this network has several outputs of its own", remedy="name another behind multitask:")
            return OfTasks((of_labels, *of_others), tuple(one.n_classes for one in views)), None
        if architecture.teaching is None:
            return of_labels, None
        teaching = architecture.teaching(self.params)
        half = budget if budget.cap_s is None else budget.replaced(cap_s=budget.cap_s / 2)  # the rest is the pupil's
        try:
            teacher = NetworkFamily(teaching.teacher)._fit(views[0], valid, half, seed, lambda _: None)  # noqa: SLF001  (its own kind)
        except Refusal as error:
            raise type(error)(f"the teacher could not be trained: {error.what}", remedy=_of_teacher(error)) from None
        return _distilled(of_labels, teaching, teacher, budget.device), teacher.record


def _reads_any_depth(network: nn.Module) -> bool:
    return isinstance(network, Slices)


def _reads_any_size(architecture: Architecture, params: TrainingSpec) -> bool:
    return architecture.any_size and params.input in input_layer.ANY_SIZE


def _smallest(architecture: Architecture, params: TrainingSpec, *images: Images) -> Shape:
    """Return (C, H, W) of the images: of several sizes on a canvas, the least rows and columns of any.

    Raises:
        BadData: They have several sizes, and the input layer wants one.
    """
    shape: Shape = images[0].shape[1:]
    if not architecture.any_size:
        return shape
    spaces = {group.space for some in images for group in by_size(np.asarray(some))}
    if len(spaces) > 1 and not _reads_any_size(architecture, params):
        raise BadData(
            f'input = "{params.input}" needs images of one size, these have {len(spaces)}',
            remedy='set input = "channel", "half" or "none" for this family',
        )
    return shape[0], min(height for height, _ in spaces), min(width for _, width in spaces)


def _after(start: simsiam.Start, epoch: Epoch) -> Epoch:
    """Return an epoch counted from the beginning of the start before it."""
    return replace(epoch, epoch=start.epochs + epoch.epoch, n_epochs=start.epochs + epoch.n_epochs)


def _taught(teacher: FitRecord | None) -> tuple[str, ...]:
    return () if teacher is None else (f"teacher: {teacher.notes[0]}, epoch {teacher.best_epoch} on valid",)


def _of_teacher(error: Refusal) -> str:
    return f"in the table `teacher` of this recipe: {error.remedy}" if error.remedy else "choose another teacher"


def _resizing(shape: Shape, inner: Shape) -> str:
    return f"reading images of {shape[-2]} × {shape[-1]} resized to {inner[-2]} × {inner[-1]}"


def _distilled(of_labels: OfLabels, teaching: Teaching, teacher: FittedNetwork, device: str) -> Distilled:
    precision = machine.precision(teaching.teacher.precision, device)
    return Distilled(
        of_labels, teacher.module.to(device), teaching.hard, teaching.temperature, teaching.share, precision
    )


def _left_s(cap_s: float, began: float) -> float:
    return max(0.0, cap_s - (time.perf_counter() - began))
