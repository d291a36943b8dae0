"""A report is passed on, and need not tell where somebody's data lie."""

from __future__ import annotations

import tomllib

from grandrounds.report.paths import without_folders

STUDY = """# what is read
[data]
source = "/srv/ward3/images"  # the images
names = false

[data.options]
labels = "/srv/ward3/by-doctor/labels.csv"
context = ["ages.csv", "/srv/ward3/sex.csv"]
patient_pattern = "(P[0-9]+)/x"

[[prepare.whole]]
step = "masked"
masks = "C:\\\\ward\\\\masks"

[[recipes]]
family = "resnet-18"
[recipes.params]
template = "/w/t.nrrd"
weights = "../weights/resnet.safetensors"
context = [1.0, 2.0]
"""


def test_every_path_is_told_by_its_last_part() -> None:
    """Of any system and in any table; comments, patterns and file names stay."""
    shown = without_folders(STUDY)
    study = tomllib.loads(shown)

    assert study["data"]["source"] == "…/images"
    assert study["data"]["options"] == {
        "labels": "…/labels.csv", "context": ["ages.csv", "…/sex.csv"], "patient_pattern": "(P[0-9]+)/x",
    }  # fmt: skip
    assert study["prepare"]["whole"][0]["masks"] == "…/masks"
    assert study["recipes"][0]["params"] == {
        "template": "…/t.nrrd", "weights": "…/resnet.safetensors", "context": [1.0, 2.0],
    }  # fmt: skip
    assert "# what is read" in shown
    assert "ward" not in shown


def test_a_study_that_keeps_names_keeps_its_paths() -> None:
    """Whoever asks for names has them."""
    study = STUDY.replace("names = false", "names = true")

    assert without_folders(study) == study
