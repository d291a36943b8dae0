"""What one pass over the training images leaves behind; known without importing torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Epoch:
    """One pass over the training images.

    Args:
        epoch: Number of the pass, from 1.
        n_epochs: How many passes are planned.
        loss: Mean training loss.
        valid_metric: The metric that chooses the best epoch, on `valid`; greater is better.
        learning_rate: At the end of the pass.
        images_per_s: Training throughput.
        time_s: Since training began.
    """

    epoch: int
    n_epochs: int
    loss: float
    valid_metric: float
    learning_rate: float
    images_per_s: float
    time_s: float
