"""A network for exams of several series with clinical columns: what each modality gives is joined before it is decided.

References: concatenation with modalities left out at random: Neverova, Wolf, Taylor, Nebout, ModDrop, IEEE TPAMI
2016;38:1692; gated attention: Ilse, Tomczak, Welling, ICML 2018.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

Way = Literal["concatenation", "attention"]


class Joint(nn.Module):
    """Exams (B, C, D, H, W) to logits (B, K).

    Of the channels, the first S are series, the next S, if there are more than series and columns, say of each whether
    it is there (0 or more for yes), and the last M hold a number each, in their middle.

    Args:
        network: Reads planes (B, 1, H, W) and gives features (B, F).
        n_features: F.
        n_classes: K.
        n_series: S.
        n_columns: M.
        way: How modalities are joined: one after another into a hidden layer, or by a mean whose weights are learned.
        hidden: Units of the hidden layer, or of the attention.
        left_out: How often a modality is left out in training, never all of them.
    """

    def __init__(
        self, network: nn.Module, n_features: int, n_classes: int, *,
        n_series: int, n_columns: int, way: Way, hidden: int, left_out: float,
    ) -> None:  # fmt: skip
        super().__init__()
        self.network = network
        self.n_series, self.n_columns, self.way, self.left_out = n_series, n_columns, way, left_out
        n_modalities = n_series + (n_columns > 0)
        self.of_columns = nn.Sequential(nn.Linear(n_columns, n_features), nn.ReLU()) if n_columns else None
        self.content, self.gate = nn.Linear(n_features, hidden), nn.Linear(n_features, hidden)
        self.weight = nn.Linear(hidden, 1)
        self.hidden = nn.Sequential(nn.Linear(n_modalities * n_features, hidden), nn.ReLU())
        self.head = nn.Linear(hidden if way == "concatenation" else n_features, n_classes)

    def forward(self, exams: Tensor) -> Tensor:
        """Return logits (B, K)."""
        tokens = self._of_series(exams[:, : self.n_series])  # (B, S, F)
        there = self._there(exams)  # (B, S)
        if self.of_columns is not None:
            depth, height, width = (size // 2 for size in exams.shape[2:])
            own = self.of_columns(exams[:, -self.n_columns :, depth, height, width])  # (B, F)
            tokens = torch.cat([tokens, own[:, None]], dim=1)  # (B, S + 1, F)
            there = torch.cat([there, torch.ones_like(there[:, :1])], dim=1)
        kept = self._kept(there) if self.training else there
        logits: Tensor = self.head(self._joined(tokens, kept))
        return logits

    def _of_series(self, series: Tensor) -> Tensor:
        """Return the features of each series, (B, S, F): of each the greatest over its slices."""
        n_exams, n_series, n_slices = series.shape[:3]
        features = self.network(series.flatten(0, 2)[:, None])  # (B·S·D, F)
        greatest: Tensor = features.view(n_exams, n_series, n_slices, -1).amax(dim=2)
        return greatest

    def _there(self, exams: Tensor) -> Tensor:
        """Return which series are there, (B, S)."""
        n_others = exams.shape[1] - self.n_series - self.n_columns
        if not n_others:
            return torch.ones((*exams.shape[:1], self.n_series), dtype=torch.bool, device=exams.device)
        return exams[:, self.n_series : self.n_series + n_others].flatten(2).mean(dim=2) >= 0

    def _kept(self, there: Tensor) -> Tensor:
        """Return which modalities a training step sees, (B, modalities)."""
        kept = there & (torch.rand(there.shape, device=there.device) >= self.left_out)
        return torch.where(kept.any(dim=1, keepdim=True), kept, there)

    def _joined(self, tokens: Tensor, kept: Tensor) -> Tensor:
        if self.way == "concatenation":
            joined: Tensor = self.hidden((tokens * kept[:, :, None]).flatten(1))  # (B, hidden)
            return joined
        gated = torch.tanh(self.content(tokens)) * torch.sigmoid(self.gate(tokens))
        scores = self.weight(gated).masked_fill(~kept[:, :, None], -torch.inf)  # (B, modalities, 1)
        return (torch.softmax(scores, dim=1) * tokens).sum(dim=1)  # (B, F)
