"""A self-supervised start: before it sees a label, a network learns that two views of one image show the same.

Reference: Chen X, He K. Exploring simple Siamese representation learning. CVPR 2021:15745 (SimSiam).

Of the methods that need no labels it asks least: no pairs of different images, no large batch, no decoder, and of the
network nothing but an output, so that convolutions and transformers, planes and volumes, begin alike. The libraries
that have it bring a training framework along, for what is one loss and two small networks.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812  (the name that everybody uses)
from torch import Tensor, nn

from grandrounds import seeds
from grandrounds.shapes import Images
from grandrounds.training import augment
from grandrounds.training.layout import as_channels_first, reader_of
from grandrounds.training.losses import Outputs
from grandrounds.training.optimiser import learning_rate, optimiser_of
from grandrounds.training.parts import n_batches_of
from grandrounds.training.plan import Plan
from grandrounds.training.ranks import mean_of_all
from grandrounds.training.spec import TrainingSpec

N_FEATURES = 128  # numbers that the network gives for an image while it has no classes
VIEWS = 2  # of each image in a pass, which therefore counts as so many
_HIDDEN = 32
_CHANGES = TrainingSpec(shift=0.1, rotate_deg=15.0, zoom=0.3, gain=0.3, noise=0.02, erase=0.5)


class Start(NamedTuple):
    """What a self-supervised start did.

    Args:
        epochs: Of the budget that it used.
        time_s: That it took.
        notes: What a reader should be told.
    """

    epochs: int
    time_s: float
    notes: tuple[str, ...]

    def rest(self, plan: Plan) -> Plan:
        """Return what is left of a plan for training with labels."""
        cap_s = None if plan.cap_s is None else max(0.0, plan.cap_s - self.time_s)
        return replace(plan, n_epochs=plan.n_epochs - self.epochs, cap_s=cap_s)


NONE = Start(0, 0.0, ())


class Siamese(nn.Module):
    """Two views (B, C, …) of the same images to the loss: from each view, the other's features are predicted.

    Args:
        network: Gives features (B, F).
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.projector = nn.Sequential(
            nn.BatchNorm1d(N_FEATURES), nn.ReLU(),
            nn.Linear(N_FEATURES, N_FEATURES, bias=False), nn.BatchNorm1d(N_FEATURES, affine=False),
        )  # fmt: skip
        self.predictor = nn.Sequential(
            nn.Linear(N_FEATURES, _HIDDEN, bias=False), nn.BatchNorm1d(_HIDDEN), nn.ReLU(),
            nn.Linear(_HIDDEN, N_FEATURES),
        )  # fmt: skip

    def forward(self, one: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss, from 0 to its best at -1, and the projections of the first view, (B, F)."""
        first, second = (self.projector(_features(self.network(view))) for view in (one, other))
        towards = [(self.predictor(first), second), (self.predictor(second), first)]
        # Without the detached side all images would end in one point, which predicts itself perfectly.
        cosines = [F.cosine_similarity(guess, goal.detach(), dim=1).mean() for guess, goal in towards]
        return -torch.stack(cosines).mean(), first.detach()


def begin(network: nn.Module, encoder: nn.Module, pixels: Images, spec: TrainingSpec, plan: Plan) -> Start:
    """Train an encoder without labels, give its weights to the network, and return what that took of the plan.

    Args:
        network: What is trained afterwards; all of it but its last layer begins with the encoder's weights.
        encoder: The same network with `N_FEATURES` outputs.
        pixels: The training images, (N, C, …).
        spec: How the network is trained; `self_supervised` is the part of the epochs that this may take.
        plan: What the whole training may do.
    """
    n_passes = int(spec.self_supervised * plan.n_epochs / VIEWS)
    if not n_passes:
        note = f"no self-supervised start: {plan.n_epochs} epochs are too few for a pass over two views"
        return NONE._replace(notes=(note,))
    siamese, measured = Siamese(encoder).to(plan.device).train(), list[tuple[float, float]]()
    began = time.perf_counter()
    for one in _passes(siamese, pixels, spec, plan, n_passes):
        measured.append(one)
        if plan.cap_s is not None:
            is_late = time.perf_counter() - began > spec.self_supervised * plan.cap_s
            if mean_of_all(float(is_late), torch.device(plan.device)) > 0:  # for any process, or they would part ways
                break
    _hand_over(encoder, network)
    loss, spread = measured[-1]
    note = (
        f"self-supervised start (SimSiam) on the {len(pixels)} training images without their labels: {len(measured)} "
        f"passes over two views count as {VIEWS * len(measured)} of {plan.n_epochs} epochs; "
        f"loss {loss:.2f} of -1, spread {spread:.2f} of 1"
    )
    return Start(VIEWS * len(measured), time.perf_counter() - began, (note,))


def _passes(
    siamese: Siamese, pixels: Images, spec: TrainingSpec, plan: Plan, n_passes: int
) -> Iterator[tuple[float, float]]:
    """Yield loss and spread of the features after each pass; a spread of 0 means that all images became one point."""
    read, space = reader_of(pixels, plan.device), pixels.shape[2:]
    draws = torch.Generator().manual_seed(seeds.derive(plan.seed, "views"))
    optimiser = optimiser_of(siamese, spec)
    n_batches = n_batches_of(len(pixels), spec.batch_size)
    for turn in range(n_passes):
        losses, spreads = [], []
        for k, rows in enumerate(torch.tensor_split(torch.randperm(len(pixels), generator=draws), n_batches)):
            images = as_channels_first(read(rows))
            views = [
                augment.apply(images, augment.draw(space, len(rows), _CHANGES, draws, flips=plan.flips), draws)
                for _ in range(VIEWS)
            ]
            rate = learning_rate(turn * n_batches + k, n_passes * n_batches, spec)
            for group in optimiser.param_groups:
                group["lr"] = rate * group["scale"]
            loss, projected = siamese(*views)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            losses.append(loss.detach())
            spreads.append(F.normalize(projected, dim=1).std(dim=0).mean() * N_FEATURES**0.5)
        yield float(torch.stack(losses).mean()), float(torch.stack(spreads).mean())


def _features(outputs: Outputs) -> Tensor:
    return outputs.float() if isinstance(outputs, Tensor) else outputs[0].float()  # the first of several heads


def _hand_over(encoder: nn.Module, network: nn.Module) -> None:
    """Give the network all weights of the encoder but those of layers that tell classes apart."""
    own = network.state_dict()
    learned = {name: value for name, value in encoder.state_dict().items() if own[name].shape == value.shape}
    network.load_state_dict(own | learned)
