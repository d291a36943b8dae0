from __future__ import annotations

import pytest
import torch

from grandrounds.nets.nin import NetworkInNetwork


def test_published_size():
    """At full width without norm, colour images and ten classes: the 966,986 parameters that the layers imply."""
    network = NetworkInNetwork(3, 10, width=1, dropout=0.5, norm=False)

    assert sum(one.numel() for one in network.parameters()) == 966_986


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 28, 28), (1, 33, 40)])
@pytest.mark.parametrize("norm", [True, False])
def test_any_shape(shape, norm):
    """Channels and odd or oblong sides give one row of logits per image: the mean of each class's map."""
    network = NetworkInNetwork(shape[0], 4, width=0.05, dropout=0.0, norm=norm).eval()
    images = torch.rand(2, *shape)
    maps = network.maps(network.texture(images))

    assert maps.shape == (2, 4, -(-shape[1] // 4), -(-shape[2] // 4))
    assert torch.allclose(network(images), maps.mean(dim=(2, 3)))
