"""The residual shortcut without parameters: option A of He et al.

Reference: He K, Zhang X, Ren S, Sun J. Deep residual learning for image recognition. CVPR 2016, section 4.1.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


class PaddedIdentity(nn.Module):
    """Every `stride`-th pixel, and zeros in the channels that are new."""

    def __init__(self, stride: int, n_new: int) -> None:
        super().__init__()
        self.stride, self.n_new = stride, n_new

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps (B, C + n_new, ⌈H / stride⌉, ⌈W / stride⌉) of maps (B, C, H, W)."""
        kept = maps[:, :, :: self.stride, :: self.stride]
        return functional.pad(kept, (0, 0, 0, 0, 0, self.n_new))  # pairs for W, H and C
