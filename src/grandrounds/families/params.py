"""Parameters of the families; known without importing what the families need.

The defaults of the networks were chosen on training and validation parts alone, so that a few hundred small images
suffice within a minute of one thread.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from grandrounds.specs import Spec
from grandrounds.training.spec import Imbalance, TrainingSpec


class PriorParams(Spec):
    """The prior has nothing to choose."""


class MetadataParams(Spec):
    """Logistic regression on clinical columns.

    Args:
        penalties: Inverse strengths of the L2 penalty to try; the best on `valid` is kept.
        imbalance: As for networks, see `TrainingSpec`.
    """

    penalties: tuple[float, ...] = (0.01, 0.1, 1.0)
    imbalance: Imbalance = "auto"


class ThumbnailParams(Spec):
    """Logistic regression on a thumbnail.

    Args:
        side_px: Side of the thumbnail.
        penalties: Inverse strengths of the L2 penalty to try; the best on `valid` is kept.
        imbalance: As for networks, see `TrainingSpec`.
    """

    side_px: int = Field(default=8, ge=1)
    penalties: tuple[float, ...] = (0.001, 0.01, 0.1, 1.0)
    imbalance: Imbalance = "auto"


class LbpSvmParams(Spec):
    """Pattern histograms and a support vector machine with a Gaussian kernel.

    Args:
        cells: Rows and columns of cells with histograms of their own; None: 1 up to 32 pixels, then one per 32.
        costs: Values of C to try on `valid`.
        widths: Values of gamma to try, in units of 1 / (number of features).
        max_rows_tuning: C and gamma are chosen with no more training images than these; the last fit uses all.
        imbalance: As for networks, see `TrainingSpec`.
    """

    cells: int | None = Field(default=None, ge=1, le=8)
    costs: tuple[float, ...] = (1.0, 10.0, 100.0)
    widths: tuple[float, ...] = (0.1, 0.3, 1.0)
    max_rows_tuning: int = Field(default=3000, ge=50)
    imbalance: Imbalance = "auto"


class Li2014Params(TrainingSpec):
    """The network of Li et al.; dropout rate and schedule are our choice, for the paper does not give them."""

    dropout: float = Field(default=0.5, ge=0, lt=1)
    max_epochs: int = Field(default=80, ge=1)
    batch_size: int = Field(default=16, ge=2)
    learning_rate: float = Field(default=5e-4, gt=0)


class ResNetParams(TrainingSpec):
    """A residual network of timm.

    Args:
        variant: timm's name; one with basic blocks.
        width: Channels as a part of the published ones.
        stem: `"small"` is one 3×3 convolution without pooling, `"large"` the published 7×7 with stride and pooling;
            `"auto"` takes the small one up to 64 pixels.
    """

    variant: Literal["resnet18", "resnet34"] = "resnet18"
    width: float = Field(default=0.25, gt=0, le=2)
    stem: Literal["auto", "small", "large"] = "auto"
    max_epochs: int = Field(default=15, ge=1)
    batch_size: int = Field(default=32, ge=2)
    learning_rate: float = Field(default=3e-3, gt=0)


class ViTParams(TrainingSpec):
    """A vision transformer of timm.

    Args:
        patch_px: Side of a patch; None: the divisor of the image's sides nearest to 8, or to 16 beyond 64 pixels.
        dim: Length of a token.
        depth: Number of blocks.
        heads: Attention heads in a block; they divide `dim`.
    """

    patch_px: int | None = Field(default=None, ge=1)
    dim: int = Field(default=96, ge=8)
    depth: int = Field(default=4, ge=1)
    heads: int = Field(default=3, ge=1)
    max_epochs: int = Field(default=60, ge=1)
    batch_size: int = Field(default=32, ge=2)
    learning_rate: float = Field(default=5e-4, gt=0)
    rotate_deg: float = Field(default=10.0, ge=0, le=180)
    gain: float = Field(default=0.1, ge=0, lt=1)
