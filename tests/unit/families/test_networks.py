from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn
from torchvision import models

from grandrounds import families
from grandrounds.errors import BadData, BadSpec, Diverged
from grandrounds.families import network, plain
from grandrounds.families.architectures import resnet
from grandrounds.families.description import describe
from grandrounds.families.params import DeiTParams, GoogLeNetParams, ResNetParams, ViTParams
from grandrounds.families.price import noise_view, time_batch
from grandrounds.families.protocol import Budget
from grandrounds.families.transformers import deit, fitting_patch, vit

DEEP = ("resnet-101", "resnet-152")  # of the same blocks as resnet-50, which stays


def but_long(names, *long):
    """The names, of which some are left to the tests that take minutes."""
    return [pytest.param(name, marks=pytest.mark.long) if name in long else name for name in names]


NETWORKS = [entry.name for entry in families.FAMILIES if entry.iterates]


def readable(name, n_rows, n_channels=1, seed=0):
    """Random images of 16 pixels a side, or as large as the family needs."""
    side_px = max(16, families.FAMILIES.get(name).smallest_px)
    return noise_view((n_channels, side_px, side_px), n_rows, 2, seed)


@pytest.mark.parametrize("name", but_long(NETWORKS, *DEEP, "efficientnet-lite0"))
def test_overfits_one_batch(name):
    """Without regularisation, each network learns sixteen random labels by heart."""
    view = readable(name, 16, seed=1)
    still = {"shift": 0.0, "rotate_deg": 0.0, "gain": 0.0, "weight_decay": 0.0}
    plain = still | {"batch_size": 16, "learning_rate": 3e-3, "max_epochs": 60}
    if "dropout" in families.params_spec(name).model_fields:
        plain["dropout"] = 0.0
    if name.startswith("resnet-") and name != "resnet-18":
        plain |= {"width": 0.125, "max_epochs": 40}  # deep enough as they are
    epochs = []
    unmirrored = dataclasses.replace(view, flips=False)
    families.build(name, plain).fit(unmirrored, unmirrored, Budget(epochs=60), 0, epochs.append)

    assert epochs[-1].loss < 0.05


@pytest.mark.parametrize(("shape", "stride"), [((1, 28, 28), 1), ((3, 96, 96), 2)])
def test_resnet_stem_suits_the_image(shape, stride):
    """Small images keep their size in the stem; large ones are shrunk as published."""
    module, note, *_ = resnet(ResNetParams(), shape, 3)
    module.eval()

    assert module.conv1.stride == (stride, stride)
    assert isinstance(module.maxpool, nn.Identity) == (stride == 1)
    assert module(torch.zeros(2, *shape)).shape == (2, 3)
    assert "0.25" in note


def test_full_width_resnet_has_the_published_size():
    """At full width with the large stem and a thousand classes: 11,689,512 parameters."""
    module, *_ = resnet(ResNetParams(width=1, stem="large"), (3, 224, 224), 1000)

    assert sum(one.numel() for one in module.parameters()) == 11_689_512


def test_vit_patches_divide_the_image():
    """The patch is the divisor nearest to 8; what cannot be divided is refused with a remedy."""
    assert [fitting_patch(side, side) for side in (28, 32, 64, 224)] == [7, 8, 8, 16]
    with pytest.raises(BadData, match="do not divide"):
        vit(ViTParams(), (1, 31, 31), 2)
    with pytest.raises(BadSpec, match="heads"):
        vit(ViTParams(heads=5), (1, 32, 32), 2)


@pytest.mark.parametrize("name", ["swin-tiny", "unet-swin"])
def test_an_image_smaller_than_a_patch_is_refused(name):
    """Swin's patches need not divide an image, but one has to fit into it."""
    view = readable("thumbnail", 12)  # 16 × 16 pixels

    with pytest.raises(BadData, match="at least 20 pixels a side, these are 16 × 16"):
        families.build(name, {"patch_px": 20}).fit(view, view, Budget(), 0, lambda _: None)


AS_THEY_ARE = [name for name in NETWORKS if getattr(families.params_of(name), "side_px", None) is None]


@pytest.mark.parametrize("name", [*AS_THEY_ARE, "lbp-svm"])
def test_too_small_images_are_refused(name):
    """Images that a family cannot read, and does not enlarge, are refused before training."""
    view = noise_view((1, 5, 5), 12, 2)

    with pytest.raises(BadData, match="pixels"):
        families.build(name).fit(view, view, Budget(), 0, lambda epoch: None)


def test_other_shape_at_prediction_is_refused():
    """A network says which shape it reads."""
    view = noise_view((1, 16, 16), 12, 2)
    fitted = families.build("li2014").fit(view, view, Budget(), 0, lambda epoch: None)

    with pytest.raises(BadData, match="prepare"):
        fitted.predict(noise_view((1, 17, 16), 3, 2))


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_a_device_that_is_not_there_is_refused(device, monkeypatch):
    """Before anything is trained, with what to do instead."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    view = readable("li2014", 12)

    with pytest.raises(BadSpec, match=rf"no device called '{device}'(.|\n)*--device cpu"):
        families.build("li2014", {}).fit(view, view, Budget(device=device), 0, lambda _: None)


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


@pytest.mark.parametrize("name", but_long(families.FAMILIES.names(), *DEEP))
def test_images_of_any_channel_count(name):
    """Colour images are read as they are."""
    view = readable(name, 12, n_channels=3)
    probs = families.build(name).fit(view, view, Budget(), 0, lambda epoch: None).predict(view)

    assert np.allclose(probs.sum(axis=1), 1)


@pytest.mark.parametrize(
    ("params", "published"),
    [
        (ResNetParams(variant="resnet50", width=1, stem="large"), 25_557_032),
        (ResNetParams(variant="resnet101", width=1, stem="large"), 44_549_160),
        (ResNetParams(variant="resnet152", width=1, stem="large"), 60_192_808),
    ],
)
def test_deep_resnets_have_the_published_size(params, published):
    """He et al. give 25.6, 44.5 and 60.2 million parameters."""
    with torch.device("meta"):
        module, *_ = resnet(params, (3, 224, 224), 1000)

    assert sum(one.numel() for one in module.parameters()) == published


@pytest.mark.parametrize("pooling", ["max", "average"])
def test_full_width_googlenet_is_torchvisions(pooling):
    """At full width the layers are those of torchvision, auxiliary heads included."""
    ours, *_ = plain.googlenet(GoogLeNetParams(width=1, pooling=pooling), (3, 224, 224), 1000)
    theirs = models.googlenet(weights=None, init_weights=False)

    assert {name: value.shape for name, value in ours.state_dict().items()} == {
        name: value.shape for name, value in theirs.state_dict().items()
    }


POOLED = [name for name in NETWORKS if "pooling" in families.params_spec(name).model_fields]


@pytest.mark.parametrize("name", POOLED)
def test_the_pooling_can_be_chosen(name):
    """Asked for the mean, a network takes it everywhere where it takes the greatest value by default."""
    pools = {
        pooling: [
            (layer.kind.partition("Pool2d"), layer.size)
            for layer in describe(name, {"pooling": pooling}, (1, 64, 64), 2).layers
            if layer.kind.startswith(("MaxPool2d", "AvgPool2d"))
        ]
        for pooling in ("max", "average")
    }

    assert pools["max"]
    assert {of for (of, _, _), _ in pools["max"]} == {"Max"}
    assert pools["average"] == [(("Avg", *shape), size) for (_, *shape), size in pools["max"]]


def test_googlenet_shows_its_heads_in_training_only():
    """Three outputs to train on, one to use."""
    module, *_ = plain.googlenet(GoogLeNetParams(width=0.125), (1, 32, 32), 4)

    assert [head.shape for head in module(torch.zeros(2, 1, 32, 32))] == [(2, 4)] * 3
    assert module.eval()(torch.zeros(2, 1, 32, 32)).shape == (2, 4)


def test_the_pyramid_reads_any_size():
    """A fitted pyramid network predicts images of other sizes; every other family refuses them."""
    train, other = noise_view((1, 16, 16), 24, 2), noise_view((1, 24, 40), 5, 2)
    spp, li = (families.build(name, {}).fit(train, train, Budget(), 0, lambda _: None) for name in ("spp", "li2014"))

    assert spp.predict(other).shape == (5, 2)
    with pytest.raises(BadData, match="this model reads images"):
        li.predict(other)


def test_a_pyramid_refuses_images_that_it_would_not_train_on():
    """Where maps shrink to nothing there is nothing to look at."""
    view = noise_view((1, 16, 16), 24, 2)
    fitted = families.build("spp", {}).fit(view, view, Budget(), 0, lambda _: None)
    for side in (3, 15):
        with pytest.raises(BadData, match="at least 16 pixels a side"):
            fitted.predict(noise_view((1, side, 20), 2, 2))


def test_teacher_and_pupil_share_the_clock(monkeypatch):
    """The teacher has half of it at most, the pupil what is left."""
    caps, train = [], network.train
    monkeypatch.setattr(network, "train", lambda *args: caps.append(args[4].cap_s) or train(*args))
    view = noise_view((1, 16, 16), 24, 2)
    params = {"dim": 48, "depth": 1, "teacher": {"width": 0.125, "max_epochs": 1}, "max_epochs": 1}
    families.build("deit-tiny", params).fit(view, view, Budget(epochs=1, cap_s=600.0), 0, lambda _: None)

    assert 290 < caps[0] <= 300
    assert 300 < caps[1] < 600


def test_a_teacher_that_cannot_be_trained_is_named():
    """The advice is for its own table, not for the pupil's."""
    view = noise_view((1, 16, 16), 24, 2)
    params = {"dim": 48, "depth": 1, "teacher": {"width": 0.125, "learning_rate": 1e30}, "max_epochs": 1}
    with pytest.raises(Diverged, match="the teacher could not be trained") as caught:
        families.build("deit-tiny", params).fit(view, view, Budget(epochs=1), 0, lambda _: None)
    assert caught.value.remedy.startswith("in the table `teacher` of this recipe: lower learning_rate")


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("spp", {"levels": (0,)}), ("spp", {"levels": (2, -1)}), ("swin-tiny", {"depths": (-1,)}),
        ("swin-tiny", {"depths": (2, 0)}), ("swin-tiny", {"dim": 50, "head_dim": 16}),
    ],
)  # fmt: skip
def test_parameters_that_make_no_network_are_refused(name, params):
    """When they are read, and not in the trial."""
    with pytest.raises(BadSpec):
        families.params_of(name, params)


def test_an_ordinal_loss_without_an_order_has_no_price():
    """It is refused when the study is planned, for any number of classes."""
    for kind, n_classes in (("multiclass", 3), ("binary", 2)):
        with pytest.raises(BadData, match="an order"):
            time_batch("li2014", {"loss": "ordinal"}, (1, 16, 16), 64, 16, n_classes, Budget(), task_kind=kind)


def test_the_teacher_is_named_and_not_saved(tmp_path):
    """DeiT ships without its teacher, and says who it was."""
    view = noise_view((1, 16, 16), 24, 2)
    params = {"dim": 48, "depth": 1, "teacher": {"width": 0.125}, "max_epochs": 2}
    fitted = families.build("deit-tiny", params).fit(view, view, Budget(epochs=2), 0, lambda _: None)
    fitted.save(tmp_path)

    assert "teacher: resnet18 at 0.125" in " ".join(fitted.record.notes)
    assert np.array_equal(families.load("deit-tiny", tmp_path).predict(view), fitted.predict(view))


def test_what_went_otherwise_than_planned_with_a_teacher_is_told():
    """A teacher that stopped early is another teacher than was asked for."""
    view = noise_view((1, 16, 16), 24, 2)
    params = {"dim": 48, "depth": 1, "teacher": {"width": 0.125, "max_epochs": 9, "patience": 1}, "max_epochs": 9}
    fitted = families.build("deit-tiny", params).fit(view, view, Budget(epochs=9), 0, lambda _: None)

    assert "teacher: training stopped in epoch" in " ".join(fitted.record.departures)


def test_both_heads_of_deit_decide_by_the_mean_of_their_logits():
    """As its recipe says, and timm does; the paper adds their softmax."""
    module, *_ = deit(DeiTParams(dim=48, depth=1), (1, 16, 16), 3)
    images = torch.rand(4, 1, 16, 16)
    own, taught = module.train()(images)

    assert torch.allclose(module.eval()(images), (own + taught) / 2, atol=1e-6)
    assert not torch.allclose(own, taught)


def test_binary_loss_gives_probabilities_of_classes():
    """Each class's own probability, made to sum to one."""
    view = noise_view((1, 16, 16), 24, 3)
    fitted = families.build("li2014", {"loss": "binary"}).fit(view, view, Budget(epochs=2), 0, lambda _: None)
    network = fitted.module.network
    with torch.no_grad():
        own = torch.sigmoid(network(fitted.module.first(torch.from_numpy(view.pixels))).double()).numpy()

    assert np.allclose(fitted.predict(view), own / own.sum(axis=1, keepdims=True), atol=1e-5)


def test_the_ordinal_loss_wants_an_order():
    """Classes without one are refused before anything is trained."""
    view = readable("li2014", 12)

    with pytest.raises(BadData, match="an order"):
        families.build("li2014", {"loss": "ordinal"}).fit(view, view, Budget(), 0, lambda _: None)


def test_the_ordinal_loss_has_a_price():
    """A study with graded labels can be planned: what is timed on noise has an order too."""
    price = time_batch("li2014", {"loss": "ordinal"}, (1, 16, 16), 64, 16, 5, Budget())

    assert price.seconds_per_epoch > 0


@pytest.mark.parametrize(
    ("name", "wrapped"), [("li2014", lambda params: params), ("ensemble:li2014", lambda of: {"of": of})]
)
def test_mixed_precision_is_timed_against_single(name, wrapped):
    """Only a clock tells which is faster on a machine; where mixed precision is not asked for nothing is compared."""
    mixed, single = (
        time_batch(name, wrapped({"precision": kind}), (1, 16, 16), 64, 16, 2, Budget()) for kind in ("mixed", "single")
    )

    assert single.mixed_by_single == 1.0
    assert mixed.mixed_by_single not in (0.0, 1.0)


def test_mixed_precision_that_is_slower_is_spoken_of():
    """Who asked for it learns what it costs and how to leave it; a gain, or what may be noise, is no news."""
    price = time_batch("thumbnail", {}, (1, 16, 16), 64, 16, 2, Budget())
    (told,) = price.replaced(mixed_by_single=3.2).notes("li2014")

    assert told.startswith("li2014: ")
    assert "3.2 times as long" in told
    assert 'precision = "mixed"' in told
    assert not [*price.notes("li2014"), *price.replaced(mixed_by_single=1.1).notes("li2014")]


def test_a_rate_that_is_too_high_has_a_price_and_fails_in_its_own_trial():
    """The other families of a study go on: nothing is refused while it is planned."""
    hasty, view = {"learning_rate": 1e30, "optimiser": "sgd"}, readable("li2014", 12)

    assert time_batch("ensemble:li2014", {"of": hasty}, (1, 16, 16), 64, 16, 2, Budget()).seconds_per_epoch > 0
    with pytest.raises(BadData, match="not a number"):
        families.build("li2014", hasty).fit(view, view, Budget(), 0, lambda _: None)
