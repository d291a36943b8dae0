"""Families that train a network: one way to fit, save and apply any of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import torch
import torch.nn.functional as F  # noqa: N812  (the name that everybody uses)
from torch import Tensor, nn

from grandrounds import seeds
from grandrounds.errors import BadData
from grandrounds.families import input_layer, state
from grandrounds.families.architectures import ARCHITECTURES, Teaching
from grandrounds.families.built import Shape
from grandrounds.families.input_layer import InputLayer
from grandrounds.families.protocol import Budget, FitRecord, View, Watch
from grandrounds.families.selection import choose_by, labels_of, patients_of, training_labels
from grandrounds.shapes import Probs
from grandrounds.specs import parse
from grandrounds.training import machine
from grandrounds.training.imbalance import class_weights
from grandrounds.training.loop import Labelled, Plan, drive, predict, train
from grandrounds.training.losses import Distilled, Loss, LossKind, OfLabels
from grandrounds.training.spec import TrainingSpec

_FIRST = "first."  # where the numbers of the input layer are kept among the weights


class WithInput(nn.Module):
    """A network behind its input layer: images (B, C, H, W) to logits (B, K), in training perhaps of several heads.

    Args:
        loss: What the network is trained with.
    """

    def __init__(self, first: InputLayer, network: nn.Module, loss: LossKind) -> None:
        super().__init__()
        self.first = first
        self.network = network
        self.loss = loss

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (B, K)."""
        logits: Tensor = self.network(self.first(images))
        if self.loss == "binary" and not self.training:
            return F.logsigmoid(logits)  # so that softmax gives each class's own probability, made to sum to one
        return logits


@dataclass(frozen=True, slots=True)
class FittedNetwork:
    """A trained network with what is needed to build it again.

    Args:
        architecture: A name in `ARCHITECTURES`.
        params: Its parameters.
        shape: (C, H, W) that it reads.
        n_classes: How many classes it tells apart.
        module: The network, on the CPU.
    """

    record: FitRecord
    architecture: str
    params: TrainingSpec
    shape: Shape
    n_classes: int
    module: WithInput

    def predict(self, view: View) -> Probs:
        """Return probabilities (N, K).

        Raises:
            BadData: The images have another shape than those it was trained on.
        """
        others = () if ARCHITECTURES[self.architecture].any_size else view.pixels.shape[2:]
        if (*view.pixels.shape[1:2], *others) != self.shape[: 1 + len(others)]:
            raise BadData(
                f"this model reads images of (C, H, W) = {self.shape}, these have {view.pixels.shape[1:]}",
                remedy="prepare them as the training images were",
            )
        return predict(self.module, view.pixels)

    def save(self, folder: Path) -> None:
        """Write the weights and how to build the network."""
        content = {
            "architecture": self.architecture,
            "params": self.params.model_dump(mode="json"),
            "shape": self.shape,
            "n_classes": self.n_classes,
        }
        arrays = {name: value.numpy() for name, value in self.module.state_dict().items()}
        state.save(folder, self.record, content, arrays)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Return what `save` wrote."""
        saved = state.load(folder)
        name, n_classes = saved.content["architecture"], saved.content["n_classes"]
        shape: Shape = tuple(saved.content["shape"])
        params = parse(ARCHITECTURES[name].params, saved.content["params"], where=folder)
        built = ARCHITECTURES[name].network(params, shape, n_classes).module
        fitted = {key.removeprefix(_FIRST): value for key, value in saved.arrays.items() if key.startswith(_FIRST)}
        module = WithInput(InputLayer(params.input, fitted), built, params.loss)
        module.to(memory_format=torch.channels_last)  # as it was when trained, so that no last bit differs
        module.load_state_dict({key: torch.from_numpy(value) for key, value in saved.arrays.items()})
        return cls(saved.record, name, params, shape, n_classes, module.eval())


@dataclass(frozen=True, slots=True)
class NetworkFamily:
    """The family of the network that these parameters describe."""

    params: TrainingSpec

    def fit(self, train: View, valid: View, budget: Budget, seed: int, watch: Watch) -> FittedNetwork:
        """Return the network of the best epoch on `valid`.

        It makes `budget.epochs` passes, but no more than the `max_epochs` of its parameters.

        Raises:
            BadData: The images are too small for it.
        """
        with machine.reserved(budget.threads, seeds.derive(seed, "network")):
            return self._fit(train, valid, budget, seed, watch)

    def _fit(self, train_view: View, valid: View, budget: Budget, seed: int, watch: Watch) -> FittedNetwork:
        name = next(name for name, one in ARCHITECTURES.items() if one.params is type(self.params))
        labels, choice = training_labels(train_view), choose_by(valid)
        shape: Shape = train_view.pixels.shape[1:]
        architecture = ARCHITECTURES[name]
        built = architecture.network(self.params, shape, train_view.n_classes)
        if architecture.start is not None:
            built = architecture.start(self.params, shape, built)
        first = input_layer.fitted(self.params.input, train_view.pixels)
        module = WithInput(first, built.module, self.params.loss).to(budget.device)
        module.to(memory_format=torch.channels_last)
        weighing = class_weights(labels, train_view.n_classes, self.params.imbalance)
        of_labels = OfLabels.weighed(self.params.loss, weighing.weights, self.params.label_smoothing, budget.device)
        loss: Loss = of_labels
        taught: tuple[str, ...] = ()
        if architecture.teaching is not None:
            teaching = architecture.teaching(self.params)
            teacher = NetworkFamily(teaching.teacher)._fit(train_view, valid, budget, seed, lambda _: None)  # noqa: SLF001  (its own kind)
            loss = _distilled(of_labels, teaching, teacher, budget.device)
            taught = (f"teacher: {teacher.record.notes[0]}, epoch {teacher.record.best_epoch} on valid",)
        plan = Plan(
            n_epochs=min(budget.epochs, self.params.max_epochs),
            cap_s=budget.cap_s,
            seed=seed,
            device=budget.device,
            flips=train_view.flips,
            loss=loss,
        )
        outcome = drive(
            train(
                module, Labelled(train_view.pixels, labels), Labelled(valid.pixels, labels_of(valid)),
                self.params, plan, choice.metric,
            ),
            watch,
        )  # fmt: skip
        module.load_state_dict(outcome.weights)
        record = FitRecord(
            patients=patients_of(train_view, valid),
            n_parameters=sum(one.numel() for one in module.parameters()),
            epochs=outcome.epochs,
            best_epoch=outcome.best_epoch,
            truncated=outcome.truncated,
            notes=(built.note, *taught, first.note, weighing.note, f"epoch {choice.note}", *outcome.notes),
        )
        return FittedNetwork(record, name, self.params, shape, train_view.n_classes, module.cpu().eval())


def _distilled(of_labels: OfLabels, teaching: Teaching, teacher: FittedNetwork, device: str) -> Distilled:
    return Distilled(of_labels, teacher.module.to(device), teaching.hard, teaching.temperature, teaching.share)
