from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from grandrounds import families
from grandrounds.errors import BadData, BadSpec
from grandrounds.families.architectures import fitting_patch, resnet, vit
from grandrounds.families.params import ResNetParams, ViTParams
from grandrounds.families.price import noise_view
from grandrounds.families.protocol import Budget

NETWORKS = [entry.name for entry in families.FAMILIES if entry.iterates]


def readable(name, n_rows, n_channels=1, seed=0):
    """Random images of 16 pixels a side, or as large as the family needs."""
    side_px = max(16, families.FAMILIES.get(name).smallest_px)
    return noise_view((n_channels, side_px, side_px), n_rows, 2, seed)


@pytest.mark.parametrize("name", NETWORKS)
def test_overfits_one_batch(name):
    """Without regularisation, each network learns sixteen random labels by heart."""
    view = readable(name, 16, seed=1)
    still = {"shift": 0.0, "rotate_deg": 0.0, "gain": 0.0, "weight_decay": 0.0}
    plain = still | {"batch_size": 16, "learning_rate": 3e-3, "max_epochs": 60}
    if "dropout" in families.params_spec(name).model_fields:
        plain["dropout"] = 0.0
    if name in ("resnet-34", "resnet-50"):
        plain |= {"width": 0.125, "max_epochs": 40}  # deep enough as they are
    epochs = []
    unmirrored = dataclasses.replace(view, flips=False)
    families.build(name, plain).fit(unmirrored, unmirrored, Budget(epochs=60), 0, epochs.append)

    assert epochs[-1].loss < 0.05


@pytest.mark.parametrize(("shape", "stride"), [((1, 28, 28), 1), ((3, 96, 96), 2)])
def test_resnet_stem_suits_the_image(shape, stride):
    """Small images keep their size in the stem; large ones are shrunk as published."""
    module, note = resnet(ResNetParams(), shape, 3)
    module.eval()

    assert module.conv1.stride == (stride, stride)
    assert isinstance(module.maxpool, nn.Identity) == (stride == 1)
    assert module(torch.zeros(2, *shape)).shape == (2, 3)
    assert "0.25" in note


def test_full_width_resnet_has_the_published_size():
    """At full width with the large stem and a thousand classes: 11,689,512 parameters."""
    module, _ = resnet(ResNetParams(width=1, stem="large"), (3, 224, 224), 1000)

    assert sum(one.numel() for one in module.parameters()) == 11_689_512


def test_vit_patches_divide_the_image():
    """The patch is the divisor nearest to 8; what cannot be divided is refused with a remedy."""
    assert [fitting_patch(side, side) for side in (28, 32, 64, 224)] == [7, 8, 8, 16]
    with pytest.raises(BadData, match="do not divide"):
        vit(ViTParams(), (1, 31, 31), 2)
    with pytest.raises(BadSpec, match="heads"):
        vit(ViTParams(heads=5), (1, 32, 32), 2)


@pytest.mark.parametrize("name", [*NETWORKS, "lbp-svm"])
def test_too_small_images_are_refused(name):
    """Images that a family cannot read are refused before training."""
    view = noise_view((1, 5, 5), 12, 2)

    with pytest.raises(BadData, match="pixels"):
        families.build(name).fit(view, view, Budget(), 0, lambda epoch: None)


def test_other_shape_at_prediction_is_refused():
    """A network says which shape it reads."""
    view = noise_view((1, 16, 16), 12, 2)
    fitted = families.build("li2014").fit(view, view, Budget(), 0, lambda epoch: None)

    with pytest.raises(BadData, match="prepare"):
        fitted.predict(noise_view((1, 17, 16), 3, 2))


def test_epochs_never_exceed_what_is_enough():
    """The budget is capped by the family's own `max_epochs`."""
    view = noise_view((1, 16, 16), 12, 2)
    fitted = families.build("li2014", {"max_epochs": 2}).fit(view, view, Budget(epochs=9), 0, lambda epoch: None)

    assert fitted.record.epochs == 2


def test_threads_and_random_state_are_put_back():
    """A fit leaves torch's threads and its random numbers as they were."""
    view = noise_view((1, 16, 16), 12, 2)
    before = torch.get_num_threads(), torch.random.get_rng_state()
    families.build("vit-tiny").fit(view, view, Budget(threads=1), 0, lambda epoch: None)

    assert torch.get_num_threads() == before[0]
    assert torch.equal(torch.random.get_rng_state(), before[1])


def test_images_of_any_channel_count():
    """Colour images are read as they are."""
    for name in families.FAMILIES.names():
        view = readable(name, 12, n_channels=3)
        probs = families.build(name).fit(view, view, Budget(), 0, lambda epoch: None).predict(view)
        assert np.allclose(probs.sum(axis=1), 1)
