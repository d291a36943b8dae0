"""What a model knows of the images that it learned from, and what it does with others."""

import json

import numpy as np
import polars as pl
import pytest
import SimpleITK
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow

from grandrounds import families, prepare
from grandrounds.data import measuring
from grandrounds.families.price import noise_view
from grandrounds.families.protocol import Budget
from grandrounds.image import Image
from grandrounds.layouts.copies_volumes import write_nifti
from grandrounds.prepare import Pipeline
from grandrounds.serve import bundle
from grandrounds.serve.envelope import Envelope
from grandrounds.serve.predictor import Predictor

SIDE_PX = 8
SCALE = Pipeline(each=(prepare.build_step({"step": "scale", "low": 0, "high": 255}),))
OWN_LIMITS = Pipeline(each=(prepare.build_step({"step": "percentiles"}),))
TRAINED = [np.random.default_rng(seed).integers(20, 200, (SIDE_PX, SIDE_PX)).astype(np.uint8) for seed in range(12)]
FACTS = {"spacing_mm": None, "modality": None, "body_part": None}


def facts(pixels, **known):
    """Columns of the table `samples` of one image."""
    return FACTS | measuring.seen(Image(pixels.reshape(1, *pixels.shape[-3:]))) | known


def around(images, *, any_scale=False, **known):
    """The envelope of images, all of which state the same of themselves."""
    kinds = {"spacing_mm": pl.List(pl.Float64()), "modality": pl.String(), "body_part": pl.String()}
    frame = pl.DataFrame([facts(one, **known) for one in images], schema_overrides=kinds)
    return Envelope.around(frame, any_scale=any_scale)


def shipped(folder, pipeline, envelope):
    """A bundle of one small model of 8×8 pixels."""
    made = folder / "fitted"
    made.mkdir(parents=True)
    view = noise_view((1, SIDE_PX, SIDE_PX), 24, 2)
    families.build("thumbnail").fit(view, view, Budget(epochs=1), 0, lambda _: None).save(made)
    bundle.write(
        folder / "model", [made], family="thumbnail", task=view.task, pipeline=pipeline, shape=(1, SIDE_PX, SIDE_PX),
        fingerprint="x", envelope=envelope,
    )  # fmt: skip
    return folder / "model"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A model that learned from 8-bit images and reads them on one scale."""
    return shipped(tmp_path_factory.mktemp("model"), SCALE, around(TRAINED))


@settings(deadline=None)  # a busy machine says nothing of an envelope
@given(st.integers(0, 2**32 - 1), st.integers(1, 30))
def test_the_images_of_training_lie_within(seed, n_images):
    """Whatever they are, but one of a single grey value where hardly any other is."""
    rng = np.random.default_rng(seed)
    images = [rng.normal(rng.uniform(-500, 500), rng.uniform(50, 100), (SIDE_PX, SIDE_PX)) for _ in range(n_images)]
    envelope = around(images, spacing_mm=[0.7, 0.7], modality="CT")
    looks = [envelope.look(facts(one, spacing_mm=[0.7, 0.7], modality="CT")) for one in images]

    assert {look.refused for look in looks} == {None}
    assert {look.outside for look in looks} == {None}


@pytest.mark.parametrize("scale", ["16 bits", "12 bits", "0 to 1"])
def test_another_scale_gets_no_answer(model, tmp_path, scale):
    """The same pictures in another form would all be white, or all be black, to a model of 8 bits."""
    grey = TRAINED[0]
    if scale == "16 bits":
        Pillow.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "new.png")
    elif scale == "12 bits":
        np.save(tmp_path / "new.npy", grey.astype(np.uint16) * 16)
    else:
        np.save(tmp_path / "new.npy", (grey / 255).astype(np.float32))
    found = Predictor(model).predict([tmp_path])

    assert "it has another scale" in found["refused"][0]
    assert found.select("predicted", "prob_class 0", "prob_class 1").row(0) == (None, None, None)


def test_images_like_those_of_training_are_answered_without_a_word(model, tmp_path):
    """Neither refused nor said to be outside."""
    for at, grey in enumerate(TRAINED):
        Pillow.fromarray(grey).save(tmp_path / f"{at}.png")
    found = Predictor(model).predict([tmp_path])

    assert found["predicted"].null_count() == 0
    assert found.select("refused", "outside").null_count().row(0) == (12, 12)


def test_a_brighter_image_is_answered_and_said_to_be_brighter(model, tmp_path):
    """It is of the same scale, and no image of training was so bright."""
    Pillow.fromarray(TRAINED[0] // 4 + 180).save(tmp_path / "new.png")
    found = Predictor(model).predict([tmp_path])

    assert found["predicted"][0] is not None
    assert found["outside"][0].startswith("brighter than any image of training (mean ")


def test_an_image_of_one_grey_value_gets_no_answer(model, tmp_path):
    """A blank picture is no image of a patient, whatever a model says of it."""
    Pillow.fromarray(np.full((SIDE_PX, SIDE_PX), 90, np.uint8)).save(tmp_path / "new.png")

    assert Predictor(model).predict([tmp_path])["refused"][0] == "the image has one grey value throughout (90)"


def test_where_each_image_has_its_own_limits_the_scale_does_not_matter(tmp_path):
    """Preparation by percentiles gives the same pixels, hence the same answer."""
    forgets = shipped(tmp_path, OWN_LIMITS, around(TRAINED, any_scale=OWN_LIMITS.forgets_scale))
    (tmp_path / "new").mkdir()
    np.save(tmp_path / "new/a.npy", TRAINED[0])
    np.save(tmp_path / "new/b.npy", TRAINED[0].astype(np.float32) * 100)
    found = Predictor(forgets).predict([tmp_path / "new"])

    assert found.select("refused", "outside").null_count().row(0) == (2, 2)
    assert found["prob_class 1"][0] == pytest.approx(found["prob_class 1"][1], abs=1e-4)


@pytest.mark.parametrize(
    ("known", "said"),
    [
        ({"spacing_mm": [2.5, 0.7]}, "rows 2.5 mm apart, in training 0.7"),
        ({"modality": "MR"}, "modality MR, in training CT"),
        ({"body_part": "KNEE"}, "body part KNEE, in training CHEST"),
        ({"spacing_mm": [0.73, 0.7]}, None),
        ({"spacing_mm": None, "modality": None, "body_part": None}, None),
    ],
)
def test_what_headers_say_is_held_against_training(known, said):
    """Another distance of pixels, modality or part of the body is named; what a header leaves out is not."""
    stated = {"spacing_mm": [0.7, 0.7], "modality": "CT", "body_part": "CHEST"}
    look = around(TRAINED, **stated).look(facts(TRAINED[0], **stated | known))

    assert look == (None, said)


def test_what_is_not_known_of_training_is_not_held_against_anybody():
    """Where an image of training had no spacing or modality, no new one is outside by its own."""
    envelope = around(TRAINED)

    assert (envelope.spacing_mm, envelope.modalities, envelope.body_parts) == ((), (), ())
    assert envelope.look(facts(TRAINED[0], spacing_mm=[9.0, 9.0], modality="MR", body_part="KNEE")).outside is None


def test_a_set_keeps_the_rows_of_what_gets_no_answer(model, tmp_path):
    """One image on another scale in a table costs its own answer and no other's."""
    for at, grey in enumerate(TRAINED[:3]):
        Pillow.fromarray(grey.astype(np.uint16) * 257 if at == 1 else grey).save(tmp_path / f"{at}.png")
    (tmp_path / "new.csv").write_text("image\n0.png\n1.png\n2.png\n", encoding="utf-8")
    found = Predictor(model).answer([tmp_path / "new.csv"], None)

    assert found["refused"].is_not_null().to_list() == [False, True, False]
    assert found["prob_class 1"].is_null().to_list() == [False, True, False]
    assert found["predicted"].is_null().to_list() == [False, True, False]


def test_of_an_exam_any_image_can_lie_outside(tmp_path):
    """What is said of its series is said of the exam, each sentence once."""
    space = (5, SIDE_PX, SIDE_PX)
    view = noise_view((1, *space), 24, 2, kinds=("axial", "coronal"))
    stack = prepare.build_step({"step": "format_stack", "depth_px": 5, "height_px": SIDE_PX, "width_px": SIDE_PX})
    made = tmp_path / "fitted"
    made.mkdir()
    families.build("exams:thumbnail").fit(view, view, Budget(epochs=1), 0, lambda _: None).save(made)
    grey = np.random.default_rng(0).integers(20, 200, space).astype(np.uint8)
    bundle.write(
        tmp_path / "model", [made], family="exams:thumbnail", task=view.task, shape=(1, *space), fingerprint="x",
        pipeline=Pipeline(whole=SCALE.each, each=(stack,)), envelope=around([grey], spacing_mm=[1.0, 1.0, 1.0]),
    )  # fmt: skip
    for exam, spacing_mm in (("thick", (1.0, 1.0, 4.0)), ("thin", (1.0, 1.0, 1.0))):
        for plane in ("axial", "coronal"):
            write_nifti(tmp_path / "new" / f"{exam}_{plane}.nii.gz", grey, spacing_mm)
    predictor = Predictor(tmp_path / "model")
    found = predictor.predict([tmp_path / "new"]).sort("path")

    assert found["predicted"].null_count() == 0
    assert found["outside"].is_not_null().to_list() == [True, False]
    assert found["outside"][0].count("4 mm apart") == 1


def test_a_volume_that_was_turned_is_as_far_apart_as_it_was(tmp_path):
    """Spacings are compared along the same axes of the patient, however a file stores them."""
    space = (5, SIDE_PX, SIDE_PX)
    view = noise_view((1, *space), 24, 2)
    (tmp_path / "fitted").mkdir()
    families.build("thumbnail").fit(view, view, Budget(epochs=1), 0, lambda _: None).save(tmp_path / "fitted")
    grey = np.random.default_rng(0).integers(20, 200, space).astype(np.uint8)
    bundle.write(
        tmp_path / "model", [tmp_path / "fitted"], family="thumbnail", task=view.task, shape=(1, *space),
        fingerprint="x", envelope=around([grey], spacing_mm=[5.0, 1.0, 1.0]),
        pipeline=Pipeline(whole=(prepare.build_step({"step": "reorient"}), *SCALE.each)),
    )  # fmt: skip
    stored = SimpleITK.GetImageFromArray(grey)
    stored.SetSpacing((1.0, 1.0, 5.0))
    (tmp_path / "new").mkdir()
    for name, order in (("plain", (0, 1, 2)), ("turned", (2, 0, 1))):
        SimpleITK.WriteImage(SimpleITK.PermuteAxes(stored, order), str(tmp_path / "new" / f"{name}.nii.gz"))
    found = Predictor(tmp_path / "model").predict([tmp_path / "new"])

    assert found["outside"].to_list() == [None, None]
    assert found["prob_class 1"].n_unique() == 1


def test_a_model_of_an_earlier_version_answers_as_it_did(model, tmp_path):
    """A bundle without an envelope refuses nothing by it."""
    older = tmp_path / "older"
    older.mkdir()
    for path in (model / "member-0").rglob("*"):
        target = older / path.relative_to(model)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    manifest = json.loads((model / bundle.MANIFEST).read_text())
    manifest["format"] = 2
    del manifest["envelope"]
    (older / bundle.MANIFEST).write_text(json.dumps(manifest))
    np.save(tmp_path / "new.npy", TRAINED[0].astype(np.uint16) * 257)

    assert Predictor(older).predict([tmp_path / "new.npy"])["predicted"][0] is not None
