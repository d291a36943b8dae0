"""Which of MONAI's networks of volumes can be named, and their parameters; known without importing MONAI."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Self

from pydantic import Field, model_validator

from grandrounds.registry import nearest
from grandrounds.training.spec import TrainingSpec

_NETS = "monai.networks.nets."
_OF_RESNET = ("widen_factor", "conv1_t_size", "conv1_t_stride", "no_max_pool", "shortcut_type")
_OF_DENSENET = ("init_features", "growth_rate", "block_config", "bn_size", "dropout_prob")
_OF_SENET = ("dropout_prob", "inplanes", "reduction")
_OF_VIT = ("patch_size", "hidden_size", "mlp_dim", "num_layers", "num_heads", "dropout_rate", "qkv_bias")


class OfMonai(NamedTuple):
    """How a network is built.

    Args:
        path: `"module:function"` of MONAI.
        channels: What it calls the channels of the images.
        classes: What it calls the number of classes.
        options: What a study may set; whatever would fetch or open files is not among it.
        fixed: What it is given besides.
    """

    path: str
    channels: str
    classes: str
    options: tuple[str, ...]
    fixed: Mapping[str, Any] = {}


MONAI: Mapping[str, OfMonai] = {
    **{
        f"resnet{depth}": OfMonai(f"{_NETS}resnet:resnet{depth}", "n_input_channels", "num_classes", _OF_RESNET)
        for depth in (10, 18, 34, 50, 101, 152, 200)
    },
    **{
        f"densenet{depth}": OfMonai(f"{_NETS}densenet:DenseNet{depth}", "in_channels", "out_channels", _OF_DENSENET)
        for depth in (121, 169, 201, 264)
    },
    **{
        name.lower(): OfMonai(f"{_NETS}senet:{name}", "in_channels", "num_classes", _OF_SENET)
        for name in ("SENet154", "SEResNet50", "SEResNet101", "SEResNet152", "SEResNext50", "SEResNext101")
    },
    **{
        f"efficientnet-b{size}": OfMonai(
            f"{_NETS}efficientnet:EfficientNetBN", "in_channels", "num_classes", (),
            {"model_name": f"efficientnet-b{size}", "pretrained": False},
        )
        for size in range(8)
    },
    "vit": OfMonai(
        f"{_NETS}vit:ViT", "in_channels", "num_classes", _OF_VIT, {"classification": True, "post_activation": ""}
    ),
}  # fmt: skip


class MonaiParams(TrainingSpec):
    """A network of volumes, as MONAI builds it in three dimensions, from scratch.

    Args:
        model: The network; the family's name sets it.
        of: Its own options under MONAI's names, such as `widen_factor` of a residual network, `growth_rate` of a
            DenseNet or `patch_size` of a transformer.
    """

    model: str = "resnet18"
    of: dict[str, Any] = Field(default_factory=dict)
    max_epochs: int = Field(default=20, ge=1)
    batch_size: int = Field(default=8, ge=2)

    @model_validator(mode="after")
    def _its_own_options(self) -> Self:
        if self.model not in MONAI:
            raise ValueError(f"there is no {self.model!r}; {nearest(self.model, list(MONAI)) or ', '.join(MONAI)}")
        options = MONAI[self.model].options
        if unknown := sorted(set(self.of) - set(options)):
            hint = nearest(unknown[0], options) or f"it has: {', '.join(options) or 'none'}"
            raise ValueError(f"{self.model} has no option {unknown[0]!r} that may be set; {hint}")
        return self
