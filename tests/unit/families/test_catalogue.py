from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from grandrounds import families
from grandrounds.cli import listing
from grandrounds.errors import BadData, BadSpec, NotApplicable
from grandrounds.families.ensemble import mean_probs
from grandrounds.families.price import noise_view, time_batch
from grandrounds.families.protocol import Budget

DEAR = ("resnet-101", "resnet-152", "efficientnet-lite0")  # priced like resnet-50 and other networks, which stay


def test_listing_imports_nothing_heavy():
    """Names, summaries and parameters are known without torch, timm or scikit-learn."""
    code = (
        "import sys; from grandrounds import families\n"
        "[families.FAMILIES.get(name).summary for name in families.FAMILIES.names()]\n"
        "families.build('prior'); families.build('thumbnail'); families.build('metadata')\n"
        "print([one for one in ('torch', 'timm', 'sklearn', 'scipy.stats', 'skimage') if one in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)

    assert shown.stdout.strip() == "[]"


@pytest.mark.parametrize("kind", ["ensemble", "folds", "sweep", "exams", "fusion", "multitask"])
def test_a_family_that_is_made_of_another_is_listed_as_what_it_is(kind):
    """The list says planes and volumes where either can be read, and that packages are those of the other."""
    row = next(one for one in listing.rows("families") if one["name"].startswith(f"{kind}:<"))
    planes, volumes = (families.FAMILIES.get(name) for name in ("alexnet", "slices:alexnet"))
    of_planes, of_volumes = (families.FAMILIES.get(f"{kind}:{one.name}") for one in (planes, volumes))

    assert (of_planes.dims, of_volumes.dims) == ((2,), (3,))
    assert row["images"] == "2D, 3D"
    assert of_planes.requires == planes.requires
    assert row["needs"] in ("what the family needs", "what the network needs")


def test_misspelt_names_and_parameters():
    """A typing error gets the nearest known name."""
    with pytest.raises(BadSpec, match="resnet-18"):
        families.build("resnet18")
    with pytest.raises(BadSpec, match="dropout"):
        families.build("li2014", {"dropuot": 0.1})


def test_metadata_without_clinical_columns_is_not_applicable():
    """The refusal has a kind of its own, so that a study can go on."""
    view = noise_view((1, 8, 8), 12, 2)
    bare = type(view)(view.pixels, view.samples.drop("random"), view.labels, view.task)

    with pytest.raises(NotApplicable, match="no clinical columns"):
        families.build("metadata").fit(bare, bare, Budget(), 0, lambda epoch: None)


def test_damaged_model_is_one_message(tmp_path):
    """A truncated file is said to be damaged."""
    view = noise_view((1, 8, 8), 12, 2)
    families.build("prior").fit(view, view, Budget(), 0, lambda epoch: None).save(tmp_path)
    file = tmp_path / "fitted.safetensors"
    file.write_bytes(file.read_bytes()[:10])

    with pytest.raises(BadData, match="damaged"):
        families.load("prior", tmp_path)


def test_ensemble_is_the_mean_of_its_members():
    """It averages probabilities, and needs somebody to average."""
    train, new = noise_view((1, 8, 8), 30, 3), noise_view((1, 8, 8), 9, 3, seed=1)
    members = [
        families.build("thumbnail").fit(noise_view((1, 8, 8), 30, 3, seed), train, Budget(), 0, lambda epoch: None)
        for seed in (1, 2)
    ]

    assert np.allclose(mean_probs(members, new), (members[0].predict(new) + members[1].predict(new)) / 2)
    with pytest.raises(BadData, match="at least one"):
        mean_probs([], new)


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.long) if name in DEAR else name for name in families.FAMILIES.names()],
)
def test_price_of_each_family(name):
    """A price is finite, positive and grows with the images."""
    side_px = max(16, families.FAMILIES.get(name).smallest_px)
    few, many = (time_batch(name, {}, (1, side_px, side_px), n, n // 5, 2, Budget()) for n in (200, 20_000))

    assert many.fit_s(2) > few.fit_s(2) > 0
    assert min(many.peak_mib, few.peak_mib) > 0  # not ordered: in one process, an earlier family's memory is freed
    assert (many.seconds_per_epoch > 0) == families.FAMILIES.get(name).iterates
