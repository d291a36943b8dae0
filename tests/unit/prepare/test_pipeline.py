"""Pipelines as data, and the default one."""

from __future__ import annotations

import tomllib

import numpy as np
import polars as pl
import pytest

from grandrounds import specs, tables
from grandrounds.errors import BadData, BadSpec
from grandrounds.image import Image
from grandrounds.prepare import Pipeline, default_pipeline
from grandrounds.tables import Task

CONTENT = {"whole": [{"step": "scale"}], "each": [{"step": "resize", "height_px": 4, "width_px": 5}]}


def samples(encoding, sizes, modality=None, low=0, high=255, depths=(1,)):
    """A samples table of given sizes, stored in one way."""
    rows = [
        {"sample": f"s{k}", "case": f"s{k}", "patient": f"p{k}", "modality": modality, "low": low, "high": high}
        | {"encoding": encoding}
        | {"height_px": height, "width_px": width, "depth_px": depths[k % len(depths)]}
        for k, (height, width) in enumerate(sizes)
    ]
    return tables.check(pl.DataFrame(rows), tables.SAMPLES)


def steps(pipeline):
    """The names of all steps, in order."""
    return [step.step for step in (*pipeline.whole, *pipeline.each)]


def test_a_pipeline_goes_to_toml_and_back():
    """Nothing is lost, and the identity stays."""
    pipeline = specs.parse(Pipeline, CONTENT)
    again = specs.parse(Pipeline, tomllib.loads(specs.to_toml(pipeline)))

    assert again == pipeline
    assert again.identity() == pipeline.identity()
    assert pipeline.replaced(each=()).identity() != pipeline.identity()


def test_a_misspelt_step_in_a_study_is_explained():
    """The nearest name is offered."""
    with pytest.raises(BadSpec, match="no step called 'resise'"):
        specs.parse(Pipeline, {"each": [{"step": "resise"}]})


def test_a_pipeline_turns_an_image_into_pixels_for_a_model():
    """(C, H, W), float32."""
    pixels = specs.parse(Pipeline, CONTENT)(Image(np.full((1, 8, 8), 255, dtype=np.uint8)))

    assert (pixels.shape, pixels.dtype) == ((1, 4, 5), np.float32)
    np.testing.assert_allclose(pixels, 1)


def test_a_volume_stays_one():
    """(C, D, H, W), float32."""
    pixels = specs.parse(Pipeline, CONTENT)(Image(np.full((1, 3, 8, 8), 255, dtype=np.uint8)))

    assert (pixels.shape, pixels.dtype) == ((1, 3, 4, 5), np.float32)


def test_what_no_model_can_read_is_refused():
    """A NaN never reaches an array."""
    with pytest.raises(BadData, match="no numbers"):
        Pipeline()(Image(np.full((1, 8, 8), np.nan)))


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        (samples("uint8", [(28, 28)] * 3), ["scale"]),
        (samples("bool", [(28, 28)] * 3), ["scale"]),
        (samples("uint16", [(28, 28)] * 3), ["percentiles"]),
        (samples("hu", [(32, 32)] * 3, "CT"), ["window"]),
        (samples("uint8", [(32, 32)] * 3, "CT"), ["scale"]),
        (samples("uint8", [(512, 512)] * 3), ["scale", "resize"]),
        (samples("uint8", [(28, 28), (30, 40)]), ["scale", "resize"]),
    ],
)
def test_the_default_suits_the_encoding_and_says_why(table, expected):
    """Constants of modality and encoding, one sentence for each choice."""
    pipeline, reasons = default_pipeline(table)

    assert steps(pipeline) == expected
    assert len(reasons) == 2
    assert specs.parse(Pipeline, pipeline.model_dump()) == pipeline


@pytest.mark.parametrize(
    ("size", "depths", "expected"),
    [
        ((28, 28), (28,), []),
        ((512, 512), (60,), [16, 64, 64]),
        ((512, 256), (60, 61), [16, 64, 32]),
        ((200, 400), (9,), [9, 32, 64]),
    ],
)
def test_volumes_become_stacks_that_two_cores_can_train_on(size, depths, expected):
    """One sentence says why."""
    pipeline, reasons = default_pipeline(samples("uint8", [size] * 4, depths=depths))

    assert [list(step.model_dump().values())[1:4] for step in pipeline.each] == ([expected] if expected else [])
    assert "olumes" in reasons[1]


def test_the_default_keeps_proportions_where_all_sizes_agree():
    """The longer side becomes 64 pixels."""
    resize = default_pipeline(samples("uint8", [(200, 400)] * 2)).pipeline.each[0]

    assert resize.model_dump() == {"step": "resize", "height_px": 32, "width_px": 64}


def test_the_default_does_not_depend_on_grey_values():
    """Nothing measured on any image, so on no test patient either, enters the pipeline."""
    ranges = ((0, 255), (17, 201), (0, 256), (-3000, 90_000))
    found = {default_pipeline(samples("uint16", [(28, 28)], low=low, high=high)).pipeline for low, high in ranges}

    assert len(found) == 1


@pytest.mark.parametrize(
    ("sides", "classes", "depth", "expected"),
    [
        (["left", "right", "left"], ("0", "1"), 1, ["mirror_side", "scale"]),
        (["left", "right", "left"], ("left knee", "right knee"), 1, ["scale"]),
        (["left", "right", "left"], ("L", "R"), 1, ["scale"]),
        (["left", "left", "left"], ("0", "1"), 1, ["scale"]),
        (["left", None, "right"], ("0", "1"), 1, ["scale"]),
        (["left", "right", "left"], ("0", "1"), 20, ["scale"]),
    ],
)
def test_sides_are_made_alike_where_no_label_names_one(sides, classes, depth, expected):
    """Only where both sides were imaged, all planes tell theirs, and the classes are about something else."""
    table = samples("uint8", [(28, 28)] * 3).with_columns(
        side=pl.Series(sides, dtype=pl.String()), depth_px=pl.lit(depth, dtype=pl.Int64())
    )
    pipeline, reasons = default_pipeline(table, None, Task(kind="binary", classes=classes))

    assert [step.step for step in pipeline.whole] == expected
    assert any("mirrored" in reason for reason in reasons) == ("mirror_side" in expected)


@pytest.mark.parametrize(
    ("colours", "expected"),
    [
        ((("grey", 4),), []),
        ((("grey as RGB", 4),), []),
        ((("grey as RGB", 3), ("grey", 1)), ["grayscale"]),
        ((("RGB", 3), ("grey", 1)), ["rgb"]),
        ((("RGB", 2), ("grey", 1), ("grey as RGB", 1)), ["rgb"]),
        ((("RGB", 3), ("grey as RGB", 1)), []),
        ((("2 channels", 3), ("grey", 1)), []),
        (((None, 3), ("grey", 1)), []),
    ],
)
def test_grey_and_colour_in_one_set_get_as_many_channels(colours, expected):
    """One where no image needs three, else three; and a sentence says so."""
    table = samples("uint8", [(28, 28)] * 4)
    pipeline, reasons = default_pipeline(table, colours=colours)

    assert steps(pipeline) == [*expected, "scale"]
    assert len(reasons) == len(expected) + 2


def test_nothing_comes_after_a_canvas():
    """A step behind it would change what lies outside the images."""
    canvas, resize = ({"step": name, "height_px": 8, "width_px": 8} for name in ("canvas", "resize"))

    assert specs.parse(Pipeline, {"each": [resize, canvas]}).each[-1].step == "canvas"
    with pytest.raises(BadSpec, match="has to be the last one"):
        specs.parse(Pipeline, {"each": [canvas, resize]})


def test_nothing_changes_a_canvas():
    """A canvas is laid around a sample, not around what patches are cut out of."""
    canvas = {"step": "canvas", "height_px": 8, "width_px": 8}
    for steps in ({"whole": [canvas]}, {"each": [canvas, {"step": "scale"}]}):
        with pytest.raises(BadSpec, match="the last one of `each`"):
            specs.parse(Pipeline, steps)
