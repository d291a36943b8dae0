"""A network of planes that reads the slices of a volume one by one, and makes one decision of them.

References: greatest value over slices: Bien et al., PLoS Med 2018;15:e1002699 (MRNet); gated attention: Ilse, Tomczak,
Welling, Attention-based deep multiple instance learning, ICML 2018. There, a slice is what its last convolution gives,
averaged over the plane; here it is what the network's last layer gives, so that any network will do.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

Pooling = Literal["max", "mean", "attention"]
_ATTENTION_UNITS = 32


class Slices(nn.Module):
    """Volumes (B, C, D, H, W) to logits (B, K).

    Args:
        network: Reads planes (B, C, H, W) and gives features (B, F).
        n_features: F.
        n_classes: K.
        pooling: How the features of the slices become those of the volume.
    """

    def __init__(self, network: nn.Module, n_features: int, n_classes: int, pooling: Pooling) -> None:
        super().__init__()
        self.network = network
        self.pooling = pooling
        self.attention = GatedAttention(n_features) if pooling == "attention" else None
        self.head = nn.Linear(n_features, n_classes)

    def forward(self, volumes: Tensor) -> Tensor:
        """Return logits (B, K)."""
        n_volumes, n_slices = volumes.shape[0], volumes.shape[2]
        planes = volumes.transpose(1, 2).flatten(0, 1)  # (B·D, C, H, W)
        features: Tensor = self.network(planes).unflatten(0, (n_volumes, n_slices))  # (B, D, F)
        logits: Tensor = self.head(self._pooled(features))
        return logits

    def _pooled(self, features: Tensor) -> Tensor:
        """Return the features of each volume, (B, F)."""
        if self.attention is not None:
            weights: Tensor = self.attention(features)
            return (weights * features).sum(dim=1)
        return features.amax(dim=1) if self.pooling == "max" else features.mean(dim=1)


class GatedAttention(nn.Module):
    """Features of slices (B, D, F) to the weight of each slice in its volume, (B, D, 1); weights sum to one."""

    def __init__(self, n_features: int) -> None:
        super().__init__()
        self.content = nn.Linear(n_features, _ATTENTION_UNITS)
        self.gate = nn.Linear(n_features, _ATTENTION_UNITS)
        self.weight = nn.Linear(_ATTENTION_UNITS, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Return weights (B, D, 1)."""
        gated = torch.tanh(self.content(features)) * torch.sigmoid(self.gate(features))
        weights: Tensor = torch.softmax(self.weight(gated), dim=1)
        return weights
