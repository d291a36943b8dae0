"""What every step of preparation must do, for each entry of the registry."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from grandrounds import registry, specs
from grandrounds.errors import BadData
from grandrounds.image import Geometry, Image
from grandrounds.prepare import STEPS, artefact, build_step

# Parameters for steps that have fields without a default, or whose defaults would be slow here.
NEEDED = {
    "resize": {"height_px": 12, "width_px": 20},
    "pad_crop": {"height_px": 12, "width_px": 20},
    "canvas": {"height_px": 50, "width_px": 60},
    "resample": {"spacing_mm": 0.6},
    "format_stack": {"depth_px": 5, "height_px": 12, "width_px": 20},
}
PLACE = {
    2: Geometry((0.5, 0.75), (5.0, -7.0, 11.0), (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)),
    3: Geometry((2.0, 0.5, 0.75), (5.0, -7.0, 11.0), (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)),
}
LEFT = {"side": "left"}


def content(entry):
    needed = {"masks": str(some_masks()), "fill_hu": 0} if entry.name == "masked" else NEEDED.get(entry.name, {})
    return {"step": entry.name, **needed}


@functools.cache
def some_masks():
    """A folder with masks of the images below, each of which shows the upper half."""
    folder = Path(tempfile.mkdtemp())
    rows = []
    for k, image in enumerate(images()):
        mask = np.zeros(image.space, dtype=np.bool_)
        mask[..., : image.space[-2] // 2, :] = True
        rows.append({"sample": f"image-{k}", **artefact.save(folder, image, mask)})
    artefact.write(folder, pl.DataFrame(rows), model="0123456789abcdef", patients=frozenset())
    return folder


def images():
    """One, three channels; planes, volumes; 8 and 16 bits, floats, Hounsfield units; with a geometry and without."""
    rng = np.random.default_rng(0)
    for shape in ((1, 16, 16), (3, 16, 16), (1, 3, 16, 16)):
        grey = rng.integers(0, 256, shape)
        place = PLACE[len(shape) - 1]
        yield Image(grey.astype(np.uint8), place, header=LEFT)
        yield Image((grey * 200).astype(np.uint16), place, header=LEFT)
        yield Image(grey / 255, place, header=LEFT)
        yield Image(grey.astype(np.uint8))
    for shape in ((1, 16, 16), (1, 3, 16, 16)):
        hu = rng.normal(-700, 200, shape).astype(np.int16)
        yield Image(hu, PLACE[len(shape) - 1], unit="hu", modality="CT", header=LEFT)
        yield Image(hu, PLACE[len(shape) - 1], header=LEFT)
    yield Image(chest(), Geometry((10.0, 10.0, 10.0)), unit="hu", modality="CT")
    yield Image(chest()[:, 10], Geometry((10.0, 10.0)), unit="hu", modality="CT")


def chest():
    """A box of tissue in air with two boxes of lung, (1, 20, 40, 40) pixels of a centimetre."""
    hu = np.full((1, 20, 40, 40), -1000, dtype=np.int16)
    hu[:, :, 5:35, 3:37] = 40
    hu[:, 3:17, 10:30, 6:17] = -850
    hu[:, 3:17, 10:30, 23:34] = -850
    return hu


every_step = pytest.mark.parametrize("entry", list(STEPS), ids=lambda entry: entry.name)


@every_step
def test_a_step_does_the_same_each_time_and_leaves_its_input_alone(entry):
    """Pure and deterministic, finite, with a spacing for each axis and the header kept; or refused with a reason."""
    step = build_step(content(entry))
    n_done = 0
    for image in images():
        before = image.pixels.copy()
        image.pixels.flags.writeable = False
        try:
            once, twice = step(image), step(image)
        except BadData:
            continue
        n_done += 1

        np.testing.assert_array_equal(once.pixels, twice.pixels)
        np.testing.assert_array_equal(image.pixels, before)
        assert once.is_finite
        assert once.pixels.dtype in (image.pixels.dtype, np.float32)
        assert len(once.space) == len(image.space)
        if image.geometry.spacing_mm is not None:
            assert len(once.geometry.spacing_mm) == len(once.space)
        assert once.header == image.header
        assert once.modality == image.modality
    assert n_done > 0


@every_step
def test_a_pipeline_of_one_step_gives_float32(entry):
    """Whatever a step gives, a model reads 32-bit floats."""
    from grandrounds.prepare import Pipeline

    pipeline = Pipeline(each=(build_step(content(entry)),))
    for image in images():
        try:
            pixels = pipeline(image)
        except BadData:
            continue
        assert pixels.dtype == np.float32


@every_step
def test_a_step_survives_being_data(entry):
    """A step goes to plain data and back, and its identity with it."""
    step = build_step(content(entry))
    again = build_step(step.model_dump(mode="json"))

    assert again == step
    assert again.identity() == step.identity()


@every_step
def test_an_entry_tells_the_truth(entry):
    """Its class carries its name, and lists say what it does."""
    kind = registry.load(entry.build)

    assert issubclass(kind, specs.Spec)
    assert kind.model_fields["step"].default == entry.name
    assert entry.summary
    assert entry.reference
    assert entry.stage in ("whole", "each", "both")
