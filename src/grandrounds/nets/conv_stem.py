"""A stem of convolutions in place of a transformer's cut into patches: neighbours are seen together from the start.

Reference: Xiao T, Singh M, Mintun E, Darrell T, Dollár P, Girshick R. Early convolutions help transformers see better.
NeurIPS 2021. There every one of these convolutions is followed by a normalisation and a ReLU, and the last of all, 1×1,
by neither; that one is the projection of timm's `HybridEmbed`. timm's own `ConvStem` leaves its last 3×3 convolution
bare instead, which with that projection behind it would be one linear map made of two.
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn


class ConvStem(nn.Module):
    """Maps (B, dim, H / 2ⁿ, W / 2ⁿ) of images (B, C, H, W), by n 3×3 convolutions that each halve the sides.

    Args:
        n_halvings: How many convolutions there are; a token then stands for 2ⁿ pixels a side.
        dim: Channels after the last one; each one before has half as many.
    """

    def __init__(self, n_channels: int, n_halvings: int, dim: int) -> None:
        super().__init__()
        widths = [n_channels, *(max(8, dim // 2 ** (n_halvings - 1 - turn)) for turn in range(n_halvings))]
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
        self.layers = nn.Sequential(*layers)

    def forward(self, images: Tensor) -> Tensor:
        """Return maps of images."""
        maps: Tensor = self.layers(images)
        return maps
