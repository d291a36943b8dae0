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
    """Volumes (B, C, D, H, W) to logits (B, K); what is no number is no slice, so that volumes may differ in depth.

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
        inside = ~volumes[:, 0, :, 0, 0].isnan()  # (B, D)
        planes = volumes.transpose(1, 2)  # (B, D, C, H, W)
        if inside.all():
            features: Tensor = self.network(planes.flatten(0, 1)).unflatten(0, inside.shape)  # (B, D, F)
        else:
            read = self.network(planes[inside])  # (slices, F)
            features = read.new_zeros(*inside.shape, read.shape[1]).index_put(inside.nonzero(as_tuple=True), read)
        logits: Tensor = self.head(self._pooled(features, inside[..., None]))
        return logits

    def _pooled(self, features: Tensor, inside: Tensor) -> Tensor:
        """Return the features of each volume, (B, F), from those of its slices (B, D, F), as far as they are inside."""
        if self.attention is not None:
            weights: Tensor = self.attention(features, inside)
            return (weights * features).sum(dim=1)
        if self.pooling == "max":
            return features.masked_fill(~inside, -torch.inf).amax(dim=1)
        return features.sum(dim=1) / inside.sum(dim=1)


class GatedAttention(nn.Module):
    """Features of slices (B, D, F) to the weight of each in its volume, (B, D, 1); those inside sum to one."""

    def __init__(self, n_features: int) -> None:
        super().__init__()
        self.content = nn.Linear(n_features, _ATTENTION_UNITS)
        self.gate = nn.Linear(n_features, _ATTENTION_UNITS)
        self.weight = nn.Linear(_ATTENTION_UNITS, 1)

    def forward(self, features: Tensor, inside: Tensor) -> Tensor:
        """Return weights (B, D, 1); `inside` says of each slice, (B, D, 1), whether there is one."""
        gated = torch.tanh(self.content(features)) * torch.sigmoid(self.gate(features))
        weights: Tensor = torch.softmax(self.weight(gated).masked_fill(~inside, -torch.inf), dim=1)
        return weights
