"""The shallow network of Li et al. for patches of lung texture.

Reference: Li Q, Cai W, Wang X, Zhou Y, Feng DD, Chen M. Medical image classification with convolutional neural network.
ICARCV 2014. The paper gives layers and sizes; activation and dropout rate are our choice.
"""

from __future__ import annotations

from torch import Tensor, nn

MIN_SIDE_PX = 8  # a 7×7 kernel and a 2×2 pool must fit


class Li2014(nn.Module):
    """One wide convolution, one pool, three dense layers: 276,605 parameters at 32×32×1 and five classes."""

    def __init__(
        self, n_channels: int, height_px: int, width_px: int, n_classes: int, *, dropout: float, average: bool = False
    ) -> None:
        super().__init__()
        n_pooled = 16 * ((height_px - 6) // 2) * ((width_px - 6) // 2)
        self.texture = nn.Sequential(
            nn.Conv2d(n_channels, 16, kernel_size=7),  # (B, 16, H - 6, W - 6)
            # (B, 16, (H - 6) / 2, (W - 6) / 2); of the greatest value ReLU may as well be taken after, at less work
            *((nn.ReLU(), nn.AvgPool2d(2)) if average else (nn.MaxPool2d(2), nn.ReLU())),
        )
        self.decision = nn.Sequential(
            nn.Flatten(),  # (B, 2704) at 32×32
            nn.Linear(n_pooled, 100),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(100, 50),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(50, n_classes),  # (B, K)
        )

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (B, K) of images (B, C, H, W)."""
        logits: Tensor = self.decision(self.texture(images))
        return logits
