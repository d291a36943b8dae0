"""A linear probe: a published network as it is, and logistic regression on what its last layer would have seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch import Tensor, nn

from grandrounds import seeds
from grandrounds.errors import BadData
from grandrounds.families import state, weights, zoo
from grandrounds.families.built import Network, Shape, at_least, resize, resized_to
from grandrounds.families.params import ProbeParams
from grandrounds.families.protocol import Budget, FitRecord, View, Watch
from grandrounds.families.selection import patients_of
from grandrounds.families.softmax import Softmax, regress
from grandrounds.families.weights import Published
from grandrounds.features.kept import kept
from grandrounds.shapes import Batch, Features, Probs
from grandrounds.specs import digest, parse
from grandrounds.training import machine

_BATCH = 64
_SMALLEST_PX = 32
_TRUNK = "trunk."  # where the network's tensors are kept among the arrays


@dataclass(frozen=True, slots=True)
class FittedProbe:
    """A regression on the features of a published network.

    Args:
        params: How the network is built and what it reads.
        shape: (C, H, W) of the images.
        trunk: The network's tensors, so that the model needs its source no more.
        softmax: What was learned.
    """

    record: FitRecord
    params: ProbeParams
    shape: Shape
    trunk: dict[str, Tensor]
    softmax: Softmax

    def predict(self, view: View) -> Probs:
        """Return probabilities (N, K).

        Raises:
            BadData: The images have another shape than those it was fitted on.
        """
        if view.pixels.shape[1:] != self.shape:
            raise BadData(
                f"this model reads images of (C, H, W) = {self.shape}, these have {view.pixels.shape[1:]}",
                remedy="prepare them as the training images were",
            )
        return self.softmax.probs(_features(self.params, self.trunk, view))

    def save(self, folder: Path) -> None:
        """Write the network's tensors and the regression."""
        arrays = {_TRUNK + name: value.numpy() for name, value in self.trunk.items()}
        content = {"params": self.params.model_dump(mode="json"), "shape": self.shape}
        state.save(folder, self.record, content, arrays | self.softmax.arrays())

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Return what `save` wrote."""
        saved = state.load(folder)
        arrays = {name: value for name, value in saved.arrays.items() if name.startswith(_TRUNK)}
        trunk = {name.removeprefix(_TRUNK): torch.from_numpy(value) for name, value in arrays.items()}
        params = parse(ProbeParams, saved.content["params"], where=folder)
        return cls(saved.record, params, tuple(saved.content["shape"]), trunk, Softmax.of(saved.arrays))


@dataclass(frozen=True, slots=True)
class ProbeFamily:
    """The family of the probe that these parameters describe."""

    params: ProbeParams

    def fit(self, train: View, valid: View, budget: Budget, seed: int, watch: Watch) -> FittedProbe:  # noqa: ARG002  (the contract's arguments)
        """Return the regression fitted on the features of `train`, its penalty chosen on `valid`.

        Raises:
            BadData: The images are too small for the network, or the weights are of another one.
        """
        shape: Shape = train.pixels.shape[1:]
        at_least(self.params.model, _SMALLEST_PX, resized_to(self.params.side_px, shape))
        given = weights.published(self.params.weights, self.params.model, self.params.weights_licence)
        with machine.reserved(budget.threads, seeds.derive(seed, "probe")):
            trunk = _published_trunk(self.params, shape, given)
            train_features, valid_features = (_features(self.params, trunk, view) for view in (train, valid))
        fit = regress(
            train, valid, train_features, valid_features,
            penalties=self.params.penalties, imbalance=self.params.imbalance,
        )  # fmt: skip
        record = FitRecord(
            patients_of(train, valid),
            n_parameters=(train_features.shape[1] + 1) * train.n_classes,
            notes=(f"linear probe on {self.params.model} as published, {given.note}", *fit.notes),
            licences=(given.licence,) if given.licence else (),
        )
        return FittedProbe(record, self.params, shape, trunk, fit.softmax)


def network(params: ProbeParams, shape: Shape, n_classes: int) -> Network:
    """Return the network with a last layer, which stands for the regression: it has as many numbers."""
    at_least(params.model, _SMALLEST_PX, shape)
    module = _network(params, shape, n_classes=n_classes)
    return Network(module, f"linear probe on {params.model}, of which the last layer alone learns")


def _network(params: ProbeParams, shape: Shape, n_classes: int = 0) -> nn.Module:
    """Return the network, by default without its last layer."""
    zoo.require("timm", params.model)
    return zoo.create_timm(params.model, resized_to(params.side_px, shape), num_classes=n_classes).eval()


def _published_trunk(params: ProbeParams, shape: Shape, given: Published) -> dict[str, Tensor]:
    """Return the tensors of the network without its last layer, all of them published."""
    own = _network(params, shape).state_dict()
    create = zoo.published_trunk(params.model, resized_to(params.side_px, shape), given)
    return zoo.whole_of(own, given, create)


def _features(params: ProbeParams, trunk: Mapping[str, Tensor], view: View) -> Features:
    """Return what the network makes of each image, (N, any); kept where the view says."""
    built = _network(params, view.pixels.shape[1:])
    built.load_state_dict(trunk)
    wanted = params.model_dump(include={"model", "weights", "side_px"})
    key = digest([wanted, {name: value.shape for name, value in trunk.items()}, float(sum(
        value.double().abs().sum() for value in trunk.values()
    ))])  # fmt: skip

    def compute(pixels: Batch) -> Features:
        return _seen(built, pixels, params.side_px)

    return kept(view.cache, key, view.array, compute)


@torch.inference_mode()
def _seen(trunk: nn.Module, pixels: Batch, side_px: int | None) -> Features:
    published = zoo.published_range(trunk, pixels.shape[1])
    rows = []
    for at in range(0, len(pixels), _BATCH):
        images = resize(torch.tensor(np.ascontiguousarray(pixels[at : at + _BATCH])), side_px)
        rows.append(trunk((images - published.mean) / published.sd))
    return torch.cat(rows).numpy()  # (N, any)
