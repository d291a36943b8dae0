"""A network for exams of several series: convolutions make tokens of groups of slices, a transformer weighs them.

Reference: Dai, Gao, Liu, TransMed: transformers advance multi-modal medical image classification, Diagnostics
2021;11:1384. There, neighbouring slices of each modality are laid over each other as the colours of one picture, a
residual network makes a token of it, and a transformer encoder with a class token decides. This is our reading of it:
sizes are those of small networks trained from scratch, and a series that an exam lacks is masked from the attention.

So that few exams teach what two series show together, a token has to tell from the first step on which series it is of:
tokens are brought to one scale, and positions begin half as large, where vision transformers begin with a fiftieth.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812  (the name that everybody uses)
from torch import Tensor, nn

_WIDER = 2  # the encoder's hidden layer, in lengths of a token
_PLACED = 0.5  # standard deviation of the positions at the start, where that of tokens is 1


class TransMed(nn.Module):
    """Exams (B, C, D, H, W) to logits (B, K).

    Of the channels, the first S are series and the others, if there are any, say of each of them whether it is there:
    0 or more for yes.

    Args:
        network: Reads pictures of `n_group` neighbouring slices (B, n_group, H, W) and gives features (B, F).
        n_features: F.
        n_classes: K.
        n_series: S.
        n_groups: Groups of slices of a series.
        n_group: Slices of a group.
        dim: Length of a token.
        depth: Layers of the encoder.
        heads: Attention heads of a layer; they divide `dim`.
        dropout: Part of the values that is dropped in the encoder.
    """

    def __init__(
        self, network: nn.Module, n_features: int, n_classes: int, *,
        n_series: int, n_groups: int, n_group: int, dim: int, depth: int, heads: int, dropout: float,
    ) -> None:  # fmt: skip
        super().__init__()
        self.network = network
        self.n_series, self.n_groups, self.n_group = n_series, n_groups, n_group
        self.project = nn.Sequential(nn.Linear(n_features, dim), nn.LayerNorm(dim))
        self.class_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.position = nn.Parameter(_PLACED * torch.randn(1, n_series * n_groups, dim))
        layer = nn.TransformerEncoderLayer(
            dim, heads, _WIDER * dim, dropout, activation="gelu", batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, n_classes)

    def forward(self, exams: Tensor) -> Tensor:
        """Return logits (B, K)."""
        series, flags = exams[:, : self.n_series], exams[:, self.n_series :]
        tokens = self.project(self.network(self._pictures(series)))  # (B·S·G, dim)
        tokens = tokens.view(len(exams), *self.position.shape[1:]) + self.position  # (B, S·G, dim)
        tokens = torch.cat([self.class_token.expand(len(exams), -1, -1), tokens], dim=1)
        encoded: Tensor = self.encoder(tokens, src_key_padding_mask=self._absent(flags))
        logits: Tensor = self.head(self.norm(encoded[:, 0]))
        return logits

    def _pictures(self, series: Tensor) -> Tensor:
        """Return groups of slices as channels of pictures (B·S·G, n_group, H, W); the last slice fills up the last."""
        lacking = self.n_groups * self.n_group - series.shape[2]
        filled = F.pad(series, (0, 0, 0, 0, 0, lacking), mode="replicate") if lacking else series
        return filled.reshape(-1, self.n_group, *filled.shape[3:])

    def _absent(self, flags: Tensor) -> Tensor | None:
        """Return which tokens the attention leaves out, (B, 1 + S·G); never the class token."""
        if not flags.shape[1]:
            return None
        absent = (flags.flatten(2).mean(dim=2) < 0).repeat_interleave(self.n_groups, dim=1)  # (B, S·G)
        return F.pad(absent, (1, 0), value=False)
