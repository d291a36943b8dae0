"""Planes for families that read planes, volumes for those that read volumes."""

from __future__ import annotations

from concurrent.futures import Future

import numpy as np
import polars as pl
import pytest
from PIL import Image as Pillow

from grandrounds import families
from grandrounds.errors import BadData
from grandrounds.prepare import Pipeline, PreparedArray, build_step
from grandrounds.specs import parse
from grandrounds.study import pictures, planning, reading
from grandrounds.study.spec import Ask, DataSpec, Recipe, Study


def test_volumes_are_refused_before_training_by_families_that_read_planes():
    """With the sizes, the families and what to do; families that look at no pixel go on."""
    with pytest.raises(BadData, match=r"volumes of 16×64×64.*resnet-18, lbp-svm") as caught:
        reading.refuse_misread(["prior", "resnet-18", "lbp-svm"], (1, 16, 64, 64))
    assert "--unit slice" in caught.value.remedy
    reading.refuse_misread(["prior", "metadata"], (1, 16, 64, 64))
    reading.refuse_misread(["prior", "resnet-18"], (1, 64, 64))


def test_a_refusal_while_families_are_timed_says_which_it_is_of():
    """A study may hold several recipes of one network."""
    timed = Future()
    timed.set_exception(BadData("patches of 128 pixels do not divide images of 64 × 64", where="vit", remedy="resize"))

    with pytest.raises(BadData, match="do not divide") as caught:
        planning._priced("vit-tiny@patch", timed)
    assert (caught.value.where, caught.value.remedy) == ("vit-tiny@patch: vit", "resize")


def test_the_plan_says_where_a_batch_of_whole_stacks_is_read_in_parts():
    """Default volumes fit at once; stacks as the surveyed knee networks read them do not, and floors read none."""
    recipes = {name: parse(Recipe, {"family": name}) for name in ("prior", "slices:resnet-18")}
    nothing_said = pl.DataFrame({"series_kind": [None, None]}, schema={"series_kind": pl.String})
    (said,) = reading._in_parts(recipes, nothing_said, (36, 448, 448))

    assert said.startswith("slices:resnet-18: a batch of 8 volumes of 36×448×448 is read in 8 parts")
    assert not list(reading._in_parts(recipes, nothing_said, (16, 64, 64)))


def test_the_plan_counts_all_series_of_an_exam_that_are_read_side_by_side():
    """Three of them take the memory of three volumes; a family that reads each by itself has room for a batch."""
    samples = pl.DataFrame({"series_kind": ["axial", "coronal", "sagittal", "axial"]})
    recipes = {name: parse(Recipe, {"family": name}) for name in ("exams:joint:resnet-18", "slices:resnet-18")}
    (said,) = reading._in_parts(recipes, samples, (16, 256, 256))

    assert said.startswith("exams:joint:resnet-18: a batch of 8 exams with 3 series of 16×256×256 is read in 4 parts")


def test_the_plan_counts_only_the_series_that_are_read():
    """Of three series two are named, and two fit into half as many parts."""
    samples = pl.DataFrame({"series_kind": ["axial", "coronal", "sagittal", "axial"]})
    family = "exams:joint:resnet-18"
    recipe = parse(Recipe, {"family": family, "params": {"only": ["axial", "coronal"]}})
    (said,) = reading._in_parts({family: recipe}, samples, (16, 256, 256))

    assert "exams with 2 series of 16×256×256 is read in 2 parts" in said


def test_networks_of_exams_are_refused_on_a_canvas():
    """What lies outside one series lies inside another; a fusion reads each by itself, and slices find their own."""
    canvas = Pipeline(each=(build_step({"step": "canvas", "height_px": 8, "width_px": 8, "depth_px": 4}),))
    exams, others = (
        {name: parse(Recipe, {"family": name}) for name in names}
        for names in (("prior", "exams:slices:spp"), ("fusion:slices:spp", "slices:spp"))
    )
    with pytest.raises(BadData, match="on a canvas: exams:slices:spp"):
        reading.refuse_canvas(exams, canvas)
    reading.refuse_canvas(others, canvas)
    reading.refuse_canvas(exams, Pipeline())


def test_the_plan_counts_exams_that_hold_a_series_twice():
    """And says what families that read exams make of it; others read every volume for itself."""
    rows = [("1", "axial"), ("1", "axial"), ("1", "coronal"), ("2", "axial"), ("2", "coronal")]
    samples = pl.DataFrame(rows, schema=["case", "series_kind"], orient="row")
    exams, volumes = ({name: parse(Recipe, {"family": name})} for name in ("exams:slices:spp", "slices:spp"))
    (said,) = reading._repeated(exams, samples, (4, 8, 8))

    assert said.startswith("1 case has axial more than once, of 2: families behind exams: read the first")
    assert "--series.kinds" in said
    assert not list(reading._repeated(volumes, samples, (4, 8, 8)))
    assert not list(reading._repeated(exams, samples.tail(2), (4, 8, 8)))


def test_volumes_and_images_of_two_series_have_pictures(tmp_path):
    """The middle slice of the first series."""
    samples = pl.DataFrame({"sample": ["a", "b"], "case": ["a", "b"], "patient": ["a", "b"]})
    labels = pl.DataFrame({"case": ["a", "b"], "label": ["x", "y"]})
    pixels = np.zeros((2, 2, 5, 8, 8), dtype=np.float32)
    folder = pictures.write(tmp_path / "pictures", samples, labels, PreparedArray(pixels, tmp_path), 0)

    assert len(list(folder.glob("*.png"))) == 2


def test_pictures_of_an_earlier_judgement_go(tmp_path):
    """Samples that are shown no longer leave no files behind; colours stay as they are."""
    labels = pl.DataFrame({"case": ["a", "b"], "label": ["x", "y"]})
    pixels = np.zeros((2, 3, 8, 8), dtype=np.float32)
    pixels[:, 0] = 1  # red
    for names in (["a", "b"], ["b"]):
        samples = pl.DataFrame({"sample": names, "case": names, "patient": names})
        folder = pictures.write(tmp_path / "pictures", samples, labels, PreparedArray(pixels, tmp_path), 0)

    (shown,) = folder.glob("*.png")
    assert Pillow.open(shown).convert("RGB").getpixel((0, 0)) == (255, 0, 0)


def test_a_study_that_names_no_family_gets_those_that_read_its_images(monkeypatch):
    """Volumes have a ladder of their own, without what is not installed; named families stay as they are."""
    ask = Ask(name="x", data=DataSpec(source="x"))
    found = [one for one in ask.suiting(3).families if not one.startswith("monai")]

    assert found == ["prior", "metadata", "thumbnail", "slices:resnet-18", "slices:resnet-18@attention"]
    assert all(3 in families.FAMILIES.get(name).dims for name in ask.suiting(3).families)
    assert ask.suiting(2) == ask
    assert ask.replaced(families=("prior",)).suiting(3).families == ("prior",)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "monai" else object())
    assert "monai:resnet18" not in ask.suiting(3).families


def test_a_study_of_volumes_is_gone_on_with():
    """The request that named no family is still the one that it came from; one that names another is not."""
    ask = Ask(name="x", data=DataSpec(source="x"))
    recipes = [{"family": name} for name in ask.suiting(3).families]
    study = parse(Study, {"name": "x", "data": {"source": "x"}, "prepare": {}, "recipes": recipes})
    planned = ", ".join(ask.suiting(3).families)

    assert study.differences(ask) == []
    assert study.differences(ask.replaced(families=("prior",))) == [f"families are {planned}, not prior"]
