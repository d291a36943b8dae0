"""What a model that ships makes of new volumes and exams, in the ways in which they lie on a disk."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import polars as pl
import pytest
from PIL import Image as Pillow

from grandrounds import families, formats, prepare
from grandrounds.data import SourceOptions
from grandrounds.errors import BadData, BadSpec
from grandrounds.evaluate.called import Threshold
from grandrounds.families.price import noise_view
from grandrounds.families.protocol import Budget, View
from grandrounds.image import Geometry, Image
from grandrounds.layouts.copies_volumes import write_nifti
from grandrounds.prepare import Pipeline, artefact
from grandrounds.serve import bundle
from grandrounds.serve.predictor import Predictor

SPACE = (5, 8, 8)  # an array of three slices could be a colour picture
DARK, BRIGHT = 60, 180
SCALE = prepare.build_step({"step": "scale", "low": 0, "high": 255})
STACK = prepare.build_step({"step": "format_stack", "depth_px": 5, "height_px": 8, "width_px": 8})
STRAIGHT = Pipeline(whole=(SCALE,), each=(STACK,))


def grey(level, seed=0, space=SPACE):
    """Noise about a level, of which class 1 is bright."""
    return np.random.default_rng(seed).normal(level, 8, space).clip(0, 255).astype(np.uint8)


def planted(n, kinds):
    """Prepared exams of these series, each bright in class 1."""
    view = noise_view((1, *SPACE), n * len(kinds), 2, kinds=kinds)
    levels = np.where(view.labels == 1, BRIGHT, DARK)
    pixels = np.stack([grey(level, seed)[None] for seed, level in enumerate(levels)]).astype(np.float32) / 255
    return dataclasses.replace(view, pixels=pixels, samples=view.samples.drop("random"), flips=False)


def shipped(folder, name, kinds=(), pipeline=STRAIGHT, unit="case"):
    """A bundle of one small model."""
    made = folder / "fitted"
    made.mkdir(parents=True)
    view = planted(20, kinds) if kinds else planted(20, ("images",))
    families.build(name).fit(view, view, Budget(epochs=1), 0, lambda _: None).save(made)
    bundle.write(
        folder / "model", [made], family=name, task=view.task, pipeline=pipeline, shape=(1, *SPACE), fingerprint="x",
        unit=unit, thresholds=(Threshold(rule="Youden", label="class 1", at=0.5),),
    )  # fmt: skip
    return folder / "model"


@pytest.fixture(scope="module")
def of_volumes(tmp_path_factory):
    """A model that reads one volume at a time."""
    return shipped(tmp_path_factory.mktemp("volumes"), "thumbnail")


@pytest.fixture(scope="module", params=["exams:thumbnail", "fusion:thumbnail"])
def of_exams(request, tmp_path_factory):
    """A model that reads exams of two series."""
    return shipped(tmp_path_factory.mktemp("exams"), request.param, ("axial", "coronal"))


def slices(folder, pixels):
    """Write a volume as pictures that count without zeros in front, the last ones of ten and more."""
    folder.mkdir(parents=True)
    for at, plane in enumerate(pixels, start=8):
        Pillow.fromarray(plane).save(folder / f"{at}.png")


def lay(folder, layout):
    """Write a dark and a bright exam of two series each, in one of the ways that people have them."""
    for exam, plane in itertools.product(("dark", "bright"), ("axial", "coronal")):
        pixels = grey(BRIGHT if exam == "bright" else DARK, seed=len(exam) + len(plane))
        if layout == "files":
            write_nifti(folder / f"{exam}_{plane.upper()}.nii.gz", pixels, (1.0, 1.0, 1.0))
        elif layout == "slices":
            slices(folder / exam / plane, pixels)
        else:
            (folder / plane).mkdir(parents=True, exist_ok=True)
            np.save(folder / plane / f"{exam}.npy", pixels)


def test_a_folder_of_slices_is_one_volume(of_volumes, tmp_path):
    """Each folder has a row, its slices in the order in which people count; a volume in one file has one, too."""
    slices(tmp_path / "new" / "scan 1", grey(BRIGHT))
    write_nifti(tmp_path / "new" / "scan 2.nii.gz", grey(DARK), (1.0, 1.0, 1.0))
    np.save(tmp_path / "same.npy", grey(BRIGHT))
    found = Predictor(of_volumes).predict([tmp_path / "new", tmp_path / "same.npy"])

    assert [path.rpartition("/")[2] for path in found["path"]] == ["scan 2.nii.gz", "scan 1", "same.npy"]
    assert found["predicted"].to_list() == ["class 0", "class 1", "class 1"]
    assert found["prob_class 1"][1] == found["prob_class 1"][2]
    assert "class 1: Youden" not in found.columns  # the study compared cases, and a volume may be a part of one


def test_a_slice_alone_is_no_volume(of_volumes, tmp_path):
    """It keeps its row, with what to give instead."""
    slices(tmp_path / "scan", grey(BRIGHT))
    found = Predictor(of_volumes).predict([tmp_path / "scan" / "8.png"])

    assert "give the folder that its slices lie in" in found["refused"][0]
    assert found["prob_class 1"].null_count() == 1


@pytest.mark.parametrize("layout", ["files", "slices", "folders of series"])
def test_series_are_known_by_their_places(of_exams, tmp_path, layout):
    """A row is an exam, called by what its place says besides the series; as the study compared cases, it is called."""
    lay(tmp_path / "new", layout)
    found = Predictor(of_exams).predict([tmp_path / "new"]).sort("predicted")

    assert found["path"].to_list() == [str(tmp_path / "new" / one) for one in ("dark", "bright")]
    assert found["predicted"].to_list() == ["class 0", "class 1"]
    assert found["class 1: Youden"].to_list() == [False, True]
    assert found["refused"].null_count() == 2


def test_the_folder_of_one_exam(of_exams, tmp_path):
    """It may be named itself, and so may its files; an exam that lacks a series is read without it."""
    lay(tmp_path / "new", "slices")
    predictor, exam = Predictor(of_exams), tmp_path / "new" / "bright"
    whole, lacking = predictor.predict([exam]), predictor.predict([exam / "axial"])

    assert whole["path"].to_list() == [str(exam)]
    assert whole["predicted"].to_list() == ["class 1"]
    assert lacking["refused"].to_list() == [None]


def test_exams_that_cannot_be_read_say_what_is_wanted(of_exams, tmp_path):
    """No series that the model knows; a series that is damaged, without which the exam would be another."""
    slices(tmp_path / "new" / "strange" / "oblique", grey(BRIGHT))
    slices(tmp_path / "new" / "torn" / "axial", grey(BRIGHT))
    slices(tmp_path / "new" / "torn" / "coronal", grey(BRIGHT))
    (tmp_path / "new" / "torn" / "coronal" / "9.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    found = Predictor(of_exams).predict([tmp_path / "new"]).sort("path")

    assert "the model reads: axial, coronal" in found["refused"][0]
    assert "cannot be read" in found["refused"][1]
    assert found["prob_class 1"].null_count() == 2


def test_a_set_is_read_as_for_a_study(of_exams, of_volumes, tmp_path):
    """A table, which needs no labels, has a row for each case, or for each volume where those are read."""
    lay(tmp_path / "new", "folders of series")
    rows = [(f"{plane}/{exam}.npy", plane, exam) for exam in ("dark", "bright") for plane in ("axial", "coronal")]
    table = pl.DataFrame(rows, schema=["image", "plane", "case"], orient="row")
    table.write_csv(tmp_path / "new" / "exams.csv")
    cases = Predictor(of_exams).answer([tmp_path / "new" / "exams.csv"], None)
    volumes = Predictor(of_volumes).answer([tmp_path / "new" / "exams.csv"], SourceOptions(unit="volume"))

    assert "literal" not in {*cases.columns, *volumes.columns}
    assert cases["refused"].null_count() == 2
    assert cases.select("case", "predicted").rows() == [("dark", "class 0"), ("bright", "class 1")]
    assert volumes.select("case", "predicted").rows() == 2 * [("dark", "class 0")] + 2 * [("bright", "class 1")]
    with pytest.raises(BadSpec, match="stands alone"):
        Predictor(of_exams).answer([tmp_path / "new" / "exams.csv", tmp_path / "new"], None)


def masks(folder, model, *images):
    """Write masks of everything for volumes, by a model of that hash."""
    rows = [
        {"sample": str(k), **artefact.save(folder, one, np.ones(one.space, np.bool_))} for k, one in enumerate(images)
    ]
    artefact.write(folder, pl.DataFrame(rows), model, frozenset())
    return folder


@pytest.fixture(scope="module")
def of_planes(tmp_path_factory):
    """A model that reads grey pictures of 8 × 8 pixels."""
    folder = tmp_path_factory.mktemp("planes")
    view = dataclasses.replace(planted(20, ("images",)), flips=False)
    view = dataclasses.replace(view, pixels=np.ascontiguousarray(view.pixels[:, :, 0]))
    families.build("thumbnail").fit(view, view, Budget(epochs=1), 0, lambda _: None).save(folder)
    bundle.write(
        folder / "model", [folder], family="thumbnail", task=view.task, pipeline=Pipeline(whole=(SCALE,)),
        shape=(1, 8, 8), fingerprint="x", unit="sample", thresholds=(),
    )  # fmt: skip
    return folder / "model"


def test_a_picture_that_says_the_same_grey_thrice_is_grey(of_planes, tmp_path):
    """A model of grey pictures reads it, alone or in a table; a picture in colour is refused, with what to do."""
    plane = grey(BRIGHT, space=(8, 8))
    for name, channels in (
        ("grey", plane),
        ("rgb", np.stack([plane] * 3, -1)),
        ("red", np.eye(3)[0] * plane[..., None]),
    ):
        Pillow.fromarray(channels.astype(np.uint8)).save(tmp_path / f"{name}.png")
    (tmp_path / "new.csv").write_text("image\ngrey.png\nrgb.png\n")
    predictor = Predictor(of_planes)
    found = predictor.predict([tmp_path / f"{name}.png" for name in ("grey", "rgb", "red")])
    of_table = predictor.answer([tmp_path / "new.csv"], None)

    assert found["prob_class 1"][0] == found["prob_class 1"][1] == of_table["prob_class 1"][1]
    assert found["refused"].to_list()[:2] == [None, None]
    assert "(3, 8, 8)" in found["refused"][2]
    assert "what to do: " in found["refused"][2]


def test_masks_of_new_images_lie_where_the_user_says(tmp_path):
    """The model's own folder knows none of them; masks of another model, or for a model without, are refused."""
    new = Image(grey(BRIGHT, 1)[None], Geometry((1.0, 1.0, 1.0)))
    ours = masks(tmp_path / "ours", "a", Image(grey(DARK)[None], Geometry((1.0, 1.0, 1.0))))
    step = prepare.build_step({"step": "masked", "masks": str(ours), "model": "a", "fill_hu": 0})
    model = shipped(tmp_path, "thumbnail", pipeline=Pipeline(whole=(step, SCALE), each=(STACK,)))
    np.save(tmp_path / "new.npy", new.pixels[0])
    theirs, strange = masks(tmp_path / "theirs", "a", new), masks(tmp_path / "strange", "b", new)

    assert "no mask was made" in Predictor(model).predict([tmp_path / "new.npy"])["refused"][0]
    assert Predictor(model, theirs).predict([tmp_path / "new.npy"])["predicted"].to_list() == ["class 1"]
    with pytest.raises(BadData, match="another model"):
        Predictor(model, strange)


def test_masks_for_a_model_that_reads_none(of_volumes, tmp_path):
    """They are refused rather than passed over."""
    with pytest.raises(BadSpec, match="without the step"):
        Predictor(of_volumes, tmp_path)


def test_an_exam_with_two_series_of_one_kind_says_so(of_exams, tmp_path):
    """Both count, which whoever reads the answer may not expect."""
    slices(tmp_path / "other" / "7" / "axial", grey(BRIGHT))
    np.save(tmp_path / "other" / "7_axial.npy", grey(BRIGHT, seed=2))
    found = Predictor(of_exams).predict([tmp_path / "other"])

    assert found["outside"].to_list() == ["2 series of the exam are axial, and all were read"]


def test_a_volume_is_read_slice_by_slice_where_the_model_reads_planes(of_planes, tmp_path, monkeypatch):
    """Each slice has a row, as it had in the study, and the file is decoded once; a plane has one of its own."""
    pixels = np.stack([grey(level, seed, (8, 8)) for seed, level in enumerate((DARK, BRIGHT, DARK))])
    write_nifti(tmp_path / "scan.nii.gz", pixels, (1.0, 1.0, 1.0))
    Pillow.fromarray(pixels[1]).save(tmp_path / "slice.png")
    opened, before = [], formats.read_frames

    def counted(path, **asked):
        opened.append(path)
        return before(path, **asked)

    monkeypatch.setattr(formats, "read_frames", counted)
    found = Predictor(of_planes).predict([tmp_path])

    assert found["frame"].to_list() == [0, 1, 2, None]
    assert found["predicted"].to_list() == ["class 0", "class 1", "class 0", "class 1"]
    assert found["prob_class 1"][1] == pytest.approx(found["prob_class 1"][3])
    assert len(opened) == 1


@pytest.fixture(scope="module")
def of_slices(tmp_path_factory):
    """Two members that read planes, of a study that compared cases: one combines slices by their mean, one by most."""
    folder = tmp_path_factory.mktemp("slices")
    fitted = []
    for seed in range(2):
        view = dataclasses.replace(planted(20 + seed, ("images",)), flips=False)
        view = dataclasses.replace(view, pixels=np.ascontiguousarray(view.pixels[:, :, 0]))
        fitted.append(folder / f"fitted {seed}")
        fitted[-1].mkdir()
        families.build("thumbnail").fit(view, view, Budget(epochs=1), seed, lambda _: None).save(fitted[-1])
    youden = Threshold(rule="Youden", label="class 1", at=0.4)
    bundle.write(
        folder / "model", fitted, family="thumbnail", task=view.task, pipeline=Pipeline(whole=(SCALE,)),
        shape=(1, 8, 8), fingerprint="x", unit="case", thresholds=(youden,), rules=({"name": "mean"}, {"name": "max"}),
    )  # fmt: skip
    return folder / "model"


def scans(folder):
    """Write a bright, a mixed and a damaged volume."""
    for name, levels in (("bright", [BRIGHT] * 3), ("mixed", [DARK, BRIGHT, DARK])):
        pixels = np.stack([grey(level, seed, (8, 8)) for seed, level in enumerate(levels)])
        write_nifti(folder / f"{name}.nii.gz", pixels, (1.0, 1.0, 1.0))
    flat = np.stack([grey(BRIGHT, 0, (8, 8)), np.full((8, 8), 7, np.uint8)])
    write_nifti(folder / "torn.nii.gz", flat, (1.0, 1.0, 1.0))
    content = (folder / "torn.nii.gz").read_bytes()
    (folder / "torn.nii.gz").write_bytes(content[: len(content) // 2])


def test_cases_are_answered_without_labels(of_slices, tmp_path):
    """Each member combines the slices by its own rule, the mean of both is called, and a damaged volume is refused."""
    scans(tmp_path / "new")
    predictor = Predictor(of_slices)
    found = predictor.answer([tmp_path / "new"], None, "case").sort("path")
    slices = predictor.predict([tmp_path / "new" / "mixed.nii.gz"])
    pixels = np.stack([grey(level, seed, (8, 8))[None] for seed, level in enumerate((DARK, BRIGHT, DARK))])
    samples = slices.select(sample=pl.col("frame").cast(pl.String))
    view = View(pixels.astype(np.float32) / 255, samples, None, predictor.bundle.task)
    one, other = predictor.members_on(view)
    most = other.max(axis=0) / other.max(axis=0).sum()  # without a positive class each is combined, and made 1 again

    assert [path.rpartition("/")[2] for path in found["path"]] == ["bright.nii.gz", "mixed.nii.gz", "torn.nii.gz"]
    assert found["refused"].is_not_null().to_list() == [False, False, True]
    assert found["prob_class 1"][1] == pytest.approx((one.mean(axis=0)[1] + most[1]) / 2, abs=1e-6)
    assert found["class 1: Youden"].to_list() == [True, found["prob_class 1"][1] >= 0.4, None]
    assert "class 1: Youden" not in slices.columns


def test_cases_of_a_table_are_answered_and_patients_are_not_what_was_compared(of_slices, tmp_path):
    """The column names the case; without an image of it nothing is answered."""
    (tmp_path / "new").mkdir()
    for at, level in enumerate((BRIGHT, BRIGHT, DARK, DARK)):
        Pillow.fromarray(grey(level, at, (8, 8))).save(tmp_path / "new" / f"{at}.png")
    table = tmp_path / "new" / "scans.csv"
    table.write_text("image,case\n0.png,one\n1.png,one\n2.png,two\n3.png,two\n")
    predictor = Predictor(of_slices)
    found = predictor.answer([table], None, "case")

    assert found.select("case", "predicted").rows() == [("one", "class 1"), ("two", "class 0")]
    with pytest.raises(BadSpec, match="the study compared cases, and not patients"):
        predictor.answer([table], None, "patient")
    (tmp_path / "new" / "3.png").write_bytes(b"\x89PNG")
    with pytest.raises(BadData, match="1 image cannot be read, so that a case may lack one"):
        predictor.answer([table], None, "case")
