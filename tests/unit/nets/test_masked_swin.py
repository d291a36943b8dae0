"""A Swin transformer that reads only what a mask has kept."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from grandrounds import families
from grandrounds.errors import BadSpec
from grandrounds.families.params import UNetSwinParams
from grandrounds.families.transformers import unet_swin
from grandrounds.nets.masked_swin import belonging

SMALL = {"dim": 16, "head_dim": 8}


def network(side_px=64, **fields):
    torch.manual_seed(0)
    return unet_swin(UNetSwinParams(**SMALL, **fields), (1, side_px, side_px), 3).module.eval()


def masked(side_px=64, n=2, seed=1):
    """Images that are dark but for two boxes of noise."""
    images = torch.zeros(n, 1, side_px, side_px)
    generator = torch.Generator().manual_seed(seed)
    noise = 0.1 + torch.rand(images.shape, generator=generator)
    for top, left in ((8, 6), (10, 38)):
        images[:, :, top : top + 30, left : left + 16] = noise[:, :, top : top + 30, left : left + 16]
    return images


def n_operations(module, images):
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module(images)
    return counter.get_total_flops()


@pytest.mark.parametrize("side_px", [64, 40])
def test_leaving_windows_out_changes_no_answer(side_px):
    """The same weights give the same logits whether windows outside of the mask are computed or not."""
    skipping, complete = network(side_px), network(side_px, skips=False)
    images = masked(64)[:, :, :side_px, :side_px]
    with torch.no_grad():
        torch.testing.assert_close(skipping(images), complete(images), atol=1e-5, rtol=1e-5)


def test_what_is_outside_does_not_matter_to_the_mean():
    """An image on a larger dark background, moved by whole windows of every stage, gets the same answer."""
    module = network(128)
    image = torch.zeros(1, 1, 128, 128)
    image[..., :64, :64] = masked(64, n=1)
    moved = image.roll((64, 64), (2, 3))
    with torch.no_grad():
        torch.testing.assert_close(module(image), module(moved), atol=1e-4, rtol=1e-4)


def test_masked_images_cost_less():
    """What is left out is not computed; an image without a mask costs what it did."""
    skipping, complete = network(), network(skips=False)
    full, one_lung = torch.rand(2, 1, 64, 64), masked()
    one_lung[..., 32:] = 0

    assert n_operations(skipping, one_lung) < 0.75 * n_operations(complete, one_lung)
    assert n_operations(skipping, full) == n_operations(complete, full)


def test_an_image_of_nothing_has_an_answer():
    """A slice above the lungs is dark throughout; its logits are finite."""
    assert torch.isfinite(network()(torch.zeros(1, 1, 64, 64))).all()


def test_patches_belong_by_any_pixel_that_is_not_dark():
    """The darkest value is that of the image, whatever the input layer has made of zero."""
    image = torch.full((1, 2, 8, 8), -1.7)
    image[0, 1, 5, 2] = -1.6

    assert belonging(image, 4).tolist() == [[[False, False], [True, False]]]


def test_what_would_light_up_the_outside_is_refused():
    """Noise and whitening leave no pixel as dark as another."""
    with pytest.raises(BadSpec, match="would light up"):
        families.params_of("unet-swin", {"noise": 0.1})
    with pytest.raises(BadSpec, match="would light up"):
        families.params_of("unet-swin", {"input": "zca"})
