"""MONAI's networks of volumes."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from grandrounds import families
from grandrounds.errors import BadData, BadSpec, MissingExtra
from grandrounds.families.params_of_monai import MONAI
from grandrounds.families.price import noise_view
from grandrounds.families.protocol import Budget

SPACE = (8, 32, 32)
SMALLEST = {  # what makes each kind small enough for a test, and the volumes that it reads
    "resnet10": ({"widen_factor": 0.125, "conv1_t_size": 3}, SPACE),
    "densenet121": ({"init_features": 8, "growth_rate": 4}, (32, 32, 32)),
    "seresnet50": ({"inplanes": 8}, SPACE),
    "vit": ({"hidden_size": 24, "mlp_dim": 48, "num_layers": 1, "num_heads": 2}, (6, 20, 28)),
}
QUICK = {"of": SMALLEST["resnet10"][0], "learning_rate": 3e-3, "shift": 0.0}


def volumes(n, seed):
    """Noise; in those of class 1, a bright ball that spans slices lies anywhere."""
    view = noise_view((1, *SPACE), n, 2, seed)
    pixels = 0.2 * view.pixels
    for row in np.flatnonzero(view.labels == 1):
        at = np.random.default_rng([seed, row]).integers(0, [SPACE[0] - 4, SPACE[1] - 10, SPACE[2] - 10])
        pixels[row, 0, at[0] : at[0] + 4, at[1] : at[1] + 10, at[2] : at[2] + 10] += 0.8
    return dataclasses.replace(view, pixels=pixels, flips=False)


@pytest.fixture(scope="module")
def model():
    """A small residual network that was trained on planted volumes."""
    pytest.importorskip("monai")
    family = families.build("monai:resnet10", QUICK)
    return family.fit(volumes(32, 1), volumes(16, 2), Budget(epochs=8), 0, lambda _: None)


def test_finds_what_spans_slices(model):
    """A planted ball is found, and the record says what was built."""
    test = volumes(40, 3)

    assert np.mean(model.predict(test).argmax(axis=1) == test.labels) > 0.85
    assert model.record.notes[0].startswith("monai:resnet10 as published with conv1_t_size 3, widen_factor 0.125")


def test_saves_and_loads(model, tmp_path):
    """What was saved decides as before, to the last bit."""
    test = volumes(8, 3)
    model.save(tmp_path)

    assert np.array_equal(families.load("monai:resnet10", tmp_path).predict(test), model.predict(test))


@pytest.mark.parametrize("name", sorted(SMALLEST))
def test_each_kind_is_built_for_the_volumes_at_hand(name):
    """Two channels, three classes; a transformer's patches divide the volume."""
    pytest.importorskip("monai")
    options, space = SMALLEST[name]
    view = noise_view((2, *space), 8, 3)
    fitted = families.build(f"monai:{name}", {"of": options}).fit(view, view, Budget(), 0, lambda _: None)

    assert fitted.predict(view).shape == (8, 3)


@pytest.mark.parametrize(
    ("name", "space", "enough"), [("densenet121", SPACE, "32×32×32"), ("efficientnet-b0", (16, 64, 64), "32×64×64")]
)
def test_volumes_that_are_too_small_are_refused_before_training(name, space, enough):
    """With their shape, and with the least that would do along the axis that is too short."""
    pytest.importorskip("monai")
    view = noise_view((1, *space), 4, 2)

    with pytest.raises(BadData, match=rf"\(C, D, H, W\) = \(1, {space[0]}, ") as caught:
        families.build(f"monai:{name}").fit(view, view, Budget(), 0, lambda _: None)
    assert f"volumes of {enough}" in caught.value.remedy


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"of": {"widen_facto": 1}}, "did you mean 'widen_factor'"),
        ({"of": {"pretrained": True}}, "no option 'pretrained' that may be set"),
        ({"model": "resnet17"}, "did you mean"),
    ],
)
def test_an_option_that_the_network_does_not_have_is_refused(params, said):
    """Nothing is passed over, and nothing that would fetch weights can be asked for."""
    with pytest.raises(BadSpec, match=said):
        families.params_of("monai:resnet18", params)


def test_an_unknown_network_names_the_nearest():
    """Also where MONAI is not installed."""
    with pytest.raises(BadSpec, match="resnet18"):
        families.FAMILIES.get("monai:resnet19")


def test_reads_volumes_alone_and_needs_monai(monkeypatch):
    """A study of planes refuses it by its axes; without MONAI one sentence says what is missing."""
    entry = families.FAMILIES.get("monai:vit")
    monkeypatch.setattr(
        "grandrounds.registry.importlib.util.find_spec", lambda name: None if name == "monai" else object()
    )

    assert (entry.dims, entry.iterates) == ((3,), True)
    with pytest.raises(MissingExtra, match=r"monai, which is not installed"):
        families.build("monai:vit")


def test_every_name_leads_to_a_network_of_monai():
    """Names that were renamed there would fail when a user asks for them."""
    nets = pytest.importorskip("monai.networks.nets")

    assert all(hasattr(nets, one.path.rpartition(":")[2]) for one in MONAI.values())
