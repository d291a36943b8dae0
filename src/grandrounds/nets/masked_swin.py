"""A Swin transformer that reads only what a mask has kept of an image, such as the lungs, and computes nothing else.

Reference: Liu Z, Lin Y, Cao Y, et al. Swin Transformer. ICCV 2021:9992. Zhang and Wen cut lungs out by a U-Net before a
Swin transformer and set the rest to zero (github.com/leizhangtech/COVID19T); a review of such systems says that this
reduces computation, which by itself it would not. Our reading of it: a patch of an image belongs to the mask where any
of its pixels is brighter than the image's darkest value, which is what masking leaves outside. Other patches are
neither looked at nor counted in the mean before the last layer, and windows without a patch that belongs are left out.
That changes no result, for nothing depends on them.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812  (the name that everybody uses)
from torch import Tensor, nn

_DARK = 1e-4  # grey values nearer to the darkest one than this are as dark
_UNSEEN = -100.0  # added to the logits of attention, as timm does for patches of another region


class Grid(NamedTuple):
    """Tokens (B, H, W, C), zero outside of the mask, and which of them belong to it, (B, H, W)."""

    tokens: Tensor
    inside: Tensor


class MaskedSwin(nn.Module):
    """Images (B, C, H, W) to logits (B, K).

    Args:
        swin: timm's Swin transformer.
        patch_px: Side of its patches.
        skips: Whether windows outside of the mask are left out; otherwise they are computed in vain.
    """

    def __init__(self, swin: Any, patch_px: int, *, skips: bool = True) -> None:  # noqa: ANN401  (timm's)
        super().__init__()
        self.patch_px = patch_px
        self.patch_embed: nn.Module = swin.patch_embed
        self._stages = tuple(f"stage{number}" for number in range(1, len(swin.layers) + 1))
        for name, stage in zip(self._stages, swin.layers, strict=True):
            self.add_module(name, MaskedStage(stage, skips=skips))
        self.norm: nn.Module = swin.norm
        self.head = nn.Sequential(swin.head.drop, swin.head.fc)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (B, K)."""
        inside = belonging(images, self.patch_px)
        grid = Grid(self.patch_embed(images) * inside[..., None], inside)
        for name in self._stages:
            grid = self.get_submodule(name)(grid)
        features = self.norm(grid.tokens) * grid.inside[..., None]
        n_inside = grid.inside.sum(dim=(1, 2)).clamp(min=1)
        pooled = features.sum(dim=(1, 2)) / n_inside[:, None]  # (B, C)
        logits: Tensor = self.head(pooled)
        return logits


class MaskedStage(nn.Module):
    """Tokens through the blocks of one of timm's stages, after a quarter of them was made where it begins so.

    Args:
        stage: timm's.
        skips: Whether windows outside of the mask are left out.
    """

    def __init__(self, stage: Any, *, skips: bool) -> None:  # noqa: ANN401  (timm's)
        super().__init__()
        self.downsample: nn.Module = stage.downsample
        self.blocks: nn.Module = stage.blocks
        self.skips = skips

    def forward(self, grid: Grid) -> Grid:
        """Return the tokens, zero outside of the mask as before."""
        if not isinstance(self.downsample, nn.Identity):
            grid = _merged(self.downsample, grid)
        for block in self.blocks.children():
            grid = self._through(block, grid)
        return grid

    def _through(self, block: Any, grid: Grid) -> Grid:  # noqa: ANN401  (timm's)
        """Return what a block of attention makes of the tokens; all of it happens inside windows."""
        height, width = grid.inside.shape[1:]
        rows, columns = block.window_size
        shift_down, shift_right = block.shift_size
        below, right = -height % rows, -width % columns  # what the last windows lack
        tokens, inside = (
            _windows(F.pad(one.roll((-shift_down, -shift_right), (1, 2)), (0, 0, 0, right, 0, below)), rows, columns)
            for one in (grid.tokens, grid.inside[..., None])
        )  # (B, windows, rows · columns, C or 1)
        unseen = (~inside.transpose(2, 3)).to(tokens.dtype) * _UNSEEN  # (B, windows, 1, N)
        unseen = unseen.expand(-1, -1, tokens.shape[2], -1)
        unseen = unseen if block.attn_mask is None else unseen + block.attn_mask
        chosen = inside.any(dim=(2, 3)) if self.skips else torch.ones_like(inside[:, :, 0, 0])
        changed = torch.zeros_like(tokens)
        if chosen.any():
            some = tokens[chosen]  # (windows chosen, N, C)
            some = some + block.drop_path1(block.attn(block.norm1(some), mask=unseen[chosen]))
            some = some + block.drop_path2(block.mlp(block.norm2(some)))
            changed[chosen] = some * inside[chosen]
        whole = _grid(changed, height + below, width + right, rows, columns)[:, :height, :width]
        return Grid(whole.roll((shift_down, shift_right), (1, 2)), grid.inside)


def belonging(images: Tensor, patch_px: int) -> Tensor:
    """Return which patches of images (B, C, H, W) belong to what a mask has kept, (B, H / patch, W / patch)."""
    above = images - images.amin(dim=(2, 3), keepdim=True) > _DARK
    bright = above.any(dim=1, keepdim=True).to(images.dtype)  # (B, 1, H, W)
    return F.max_pool2d(bright, patch_px)[:, 0] > 0


def _merged(downsample: nn.Module, grid: Grid) -> Grid:
    """Return a quarter of the tokens; one that was made of any inside belongs to the mask."""
    inside = F.max_pool2d(grid.inside[:, None].to(grid.tokens.dtype), 2, ceil_mode=True)[:, 0] > 0
    return Grid(downsample(grid.tokens) * inside[..., None], inside)


def _windows(grid: Tensor, rows: int, columns: int) -> Tensor:
    """Return (B, H, W, C) as (B, windows, rows · columns, C)."""
    n_images, height, width, n_channels = grid.shape
    parts = grid.view(n_images, height // rows, rows, width // columns, columns, n_channels)
    return parts.transpose(2, 3).reshape(n_images, -1, rows * columns, n_channels)


def _grid(windows: Tensor, height: int, width: int, rows: int, columns: int) -> Tensor:
    """Return (B, windows, rows · columns, C) as (B, H, W, C)."""
    parts = windows.view(len(windows), height // rows, width // columns, rows, columns, -1)
    return parts.transpose(2, 3).reshape(len(windows), height, width, -1)
