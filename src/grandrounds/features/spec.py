"""Settings of the features that learn; known without importing what learning needs."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from grandrounds.specs import Spec


class RbmSpec(Spec):
    """How a restricted Boltzmann machine is learned from windows, and how its answers are pooled.

    Args:
        side_px: Images with a longer side are reduced to it first.
        window_px: Side of a window; the shorter side of the image at most, and then there is one window for it all.
        n_hidden: Hidden units, that is features of a window.
        cells: Rows and columns of cells, in each of which the answers of the windows are averaged.
        whitening: `"zca"` removes what pixels of a window share, `"standardise"` divides each pixel by its standard
            deviation.
        chains: Where the machine's own images begin: `"cd"` at the data of each step (contrastive divergence),
            `"pcd"` where those of the last step ended (persistent contrastive divergence).
        passes: Passes over the windows.
        batch_size: Windows in a step.
        learning_rate: Of the first step; it falls to zero along a straight line.
        weight_decay: Part of the weights that a step takes away, times the learning rate.
        sparsity: Share of the windows that a hidden unit is drawn to answer to.
    """

    side_px: int = Field(default=64, ge=4)
    window_px: int = Field(default=8, ge=2)
    n_hidden: int = Field(default=128, ge=1)
    cells: int = Field(default=2, ge=1, le=8)
    whitening: Literal["zca", "standardise"] = "zca"
    chains: Literal["cd", "pcd"] = "cd"
    passes: int = Field(default=10, ge=1)
    batch_size: int = Field(default=128, ge=1)
    learning_rate: float = Field(default=0.01, gt=0)
    weight_decay: float = Field(default=1e-4, ge=0)
    sparsity: float = Field(default=0.1, gt=0, lt=1)
