"""Network in Network: small dense layers at every pixel, and one map per class whose mean is the class's score.

Reference: Lin M, Chen Q, Yan S. Network in network. ICLR 2014; layers as in the authors' network for 32×32 images.
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

MIN_SIDE_PX = 8  # two poolings leave 2×2


class NetworkInNetwork(nn.Module):
    """Three blocks of one wide and two 1×1 convolutions: 966,986 parameters at full width, 3 channels and 10 classes.

    Args:
        width: Channels as a part of the published ones.
        norm: Whether a batch norm follows each convolution but the last; published without.
    """

    def __init__(self, n_channels: int, n_classes: int, *, width: float, dropout: float, norm: bool) -> None:
        super().__init__()
        wide, middle, narrow = (max(8, 8 * round(channels * width / 8)) for channels in (192, 160, 96))
        self.texture = nn.Sequential(
            *_block(5, (n_channels, wide, middle, narrow), norm=norm),  # (B, 96, H, W)
            nn.MaxPool2d(3, stride=2, padding=1),  # (B, 96, ⌈H / 2⌉, ⌈W / 2⌉)
            nn.Dropout(dropout),
            *_block(5, (narrow, wide, wide, wide), norm=norm),
            nn.AvgPool2d(3, stride=2, padding=1),  # (B, 192, ⌈H / 4⌉, ⌈W / 4⌉)
            nn.Dropout(dropout),
            *_block(3, (wide, wide, wide), norm=norm),
        )
        self.maps = nn.Conv2d(wide, n_classes, 1)  # (B, K, ⌈H / 4⌉, ⌈W / 4⌉)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (B, K) of images (B, C, H, W): the mean of each class's map."""
        # The published network ends with a ReLU on the maps; without it a class can also be argued against.
        logits: Tensor = self.maps(self.texture(images)).mean(dim=(2, 3))
        return logits


def _block(side_px: int, channels: tuple[int, ...], *, norm: bool) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for number, (before, after) in enumerate(pairwise(channels)):
        side = 1 if number else side_px
        layers.append(nn.Conv2d(before, after, side, padding=side // 2, bias=not norm))
        layers += [nn.BatchNorm2d(after)] if norm else []
        layers.append(nn.ReLU())
    return layers
