from __future__ import annotations

import pytest
import torch

from grandrounds.nets.li2014 import Li2014


def test_published_size():
    """At 32×32×1 and five classes the network has the 276,605 parameters that its layers imply."""
    network = Li2014(1, 32, 32, 5, dropout=0.5)

    assert sum(one.numel() for one in network.parameters()) == 276_605


@pytest.mark.parametrize("shape", [(1, 32, 32), (3, 28, 28), (1, 33, 40), (1, 8, 8)])
def test_any_shape(shape):
    """Channels and odd or oblong sides give one row of logits per image."""
    assert Li2014(*shape, 4, dropout=0.0)(torch.zeros(2, *shape)).shape == (2, 4)
