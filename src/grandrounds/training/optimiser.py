"""How weights move: the optimiser, its learning rate over the steps, and the mean of the weights that is kept."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from grandrounds.training.spec import TrainingSpec

_MILESTONES = (0.5, 0.75)  # of the schedule by steps: a tenth after each


def learning_rate(step: int, n_steps: int, spec: TrainingSpec) -> float:
    """Return the learning rate of a step counted from 0: a linear warm-up, then what the schedule says."""
    n_warm = math.ceil(spec.warmup * n_steps)
    if step < n_warm:
        return spec.learning_rate * (step + 1) / n_warm
    if spec.schedule == "flat":
        return spec.learning_rate
    if spec.schedule == "steps":
        return spec.learning_rate * 0.1 ** sum(step >= part * n_steps for part in _MILESTONES)
    return spec.learning_rate * (1 + math.cos(math.pi * (step - n_warm) / max(1, n_steps - n_warm))) / 2


def optimiser_of(
    network: nn.Module, spec: TrainingSpec, trunk: Collection[str] = (), trunk_rate: float = 1.0
) -> torch.optim.Optimizer:
    """Return the optimiser; each of its groups has `scale`, by which the learning rate of a step is multiplied.

    Args:
        network: What is trained.
        spec: How.
        trunk: Names of parameters that started from published weights.
        trunk_rate: Their learning rate, as a part of the others'.
    """
    groups: dict[tuple[bool, bool], dict[str, Any]] = {}
    for name, parameter in network.named_parameters():
        decays, slow = parameter.ndim > 1, name in trunk
        group = {
            "params": [],
            "weight_decay": spec.weight_decay if decays else 0.0,
            "scale": trunk_rate if slow else 1.0,
        }
        groups.setdefault((decays, slow), group)["params"].append(parameter)
    if spec.optimiser == "sgd":
        return torch.optim.SGD(
            list(groups.values()), lr=spec.learning_rate, momentum=spec.momentum, nesterov=spec.momentum > 0, fused=True
        )
    return torch.optim.AdamW(list(groups.values()), lr=spec.learning_rate, fused=True)


class WeightMean:
    """The weights that are kept: those of the network, or their mean over steps, running means of norms included.

    Reference: Izmailov, Podoprikhin, Garipov, Vetrov, Wilson, Averaging weights leads to wider optima and better
    generalization, UAI 2018, for `swa`.
    """

    def __init__(self, network: nn.Module, spec: TrainingSpec, n_steps: int) -> None:
        self._network, self._starts = network, 0
        self._mean: AveragedModel | None = None
        if spec.averaging:
            follow = get_ema_multi_avg_fn(spec.averaging)  # type: ignore[no-untyped-call]
            self._mean = AveragedModel(network, multi_avg_fn=follow, use_buffers=True)
        elif spec.swa:
            self._mean, self._starts = AveragedModel(network, use_buffers=True), math.floor((1 - spec.swa) * n_steps)
        self._stepped = 0

    def after_step(self) -> None:
        """Take the weights of a step into the mean."""
        self._stepped += 1
        if self._mean is not None and self._stepped > self._starts:
            self._mean.update_parameters(self._network)

    @property
    def is_awaited(self) -> bool:
        """Whether there will be a mean, and is none yet."""
        return self._mean is not None and self._stepped <= self._starts

    @property
    def network(self) -> nn.Module:
        """The network with the weights to keep."""
        return self._network if self._mean is None or self.is_awaited else self._mean.module
