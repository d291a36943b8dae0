"""What every step of preparation must do, for each entry of the registry."""

from __future__ import annotations

import numpy as np
import pytest

from grandrounds import registry, specs
from grandrounds.image import Geometry, Image
from grandrounds.prepare import STEPS, build_step

# Parameters for steps that have fields without a default.
NEEDED = {"resize": {"height_px": 12, "width_px": 20}, "pad_crop": {"height_px": 12, "width_px": 20}}
GEOMETRY = {2: Geometry(spacing_mm=(0.5, 0.75)), 3: Geometry(spacing_mm=(2.0, 0.5, 0.75))}


def content(entry):
    return {"step": entry.name, **NEEDED.get(entry.name, {})}


def images():
    """One, three channels; planes, volumes; 8 and 16 bits and floats; Hounsfield units where a step wants them."""
    rng = np.random.default_rng(0)
    for shape in ((1, 16, 16), (3, 16, 16), (1, 3, 16, 16)):
        grey = rng.integers(0, 256, shape)
        yield Image(grey.astype(np.uint8), GEOMETRY[len(shape) - 1])
        yield Image((grey * 200).astype(np.uint16), GEOMETRY[len(shape) - 1])
        yield Image(grey / 255, GEOMETRY[len(shape) - 1])
    yield Image((rng.normal(-700, 200, (1, 16, 16))).astype(np.int16), GEOMETRY[2], unit="hu", modality="CT")


def suitable(entry):
    """The images that this step can work on; its own tests say that it refuses the others."""
    if entry.name == "window":
        return [image for image in images() if image.unit == "hu"]
    if entry.name in ("scale", "clahe"):  # signed pixels have no black and white
        return [image for image in images() if image.unit != "hu"]
    return list(images())


every_step = pytest.mark.parametrize("entry", list(STEPS), ids=lambda entry: entry.name)


@every_step
def test_a_step_does_the_same_each_time_and_leaves_its_input_alone(entry):
    """Pure and deterministic, finite, with a spacing for each axis and the header kept."""
    step = build_step(content(entry))
    for image in suitable(entry):
        before = image.pixels.copy()
        once, twice = step(image), step(image)

        np.testing.assert_array_equal(once.pixels, twice.pixels)
        np.testing.assert_array_equal(image.pixels, before)
        assert once.is_finite
        assert len(once.geometry.spacing_mm) == len(once.space)
        assert once.header == image.header


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
