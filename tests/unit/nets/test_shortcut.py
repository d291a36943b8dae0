from __future__ import annotations

import torch

from grandrounds.nets.shortcut import PaddedIdentity


def test_keeps_every_second_pixel_and_adds_zeros():
    """Old channels are copied, new ones are zero, and there is nothing to learn."""
    shortcut, maps = PaddedIdentity(2, 3), torch.rand(2, 4, 7, 8)
    out = shortcut(maps)

    assert torch.equal(out[:, :4], maps[:, :, ::2, ::2])
    assert torch.equal(out[:, 4:], torch.zeros(2, 3, 4, 4))
    assert list(shortcut.parameters()) == []
