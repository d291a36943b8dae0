"""Resampling to a spacing or to a stack of fixed size."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from grandrounds.errors import BadData, BadSpec
from grandrounds.image import Geometry, Image
from grandrounds.prepare import build_step
from grandrounds.prepare.sampling import stretched_to

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


def noise(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("size", [(7, 9), (16, 21), (40, 50), (7, 50)])
def test_it_is_what_torch_calls_antialiased(size):
    """The same values as another program's linear interpolation with antialiasing."""
    pixels = noise(1, 16, 21)
    ours, _, _ = stretched_to(pixels, size)
    theirs = torch.nn.functional.interpolate(
        torch.from_numpy(pixels)[None], size=size, mode="bilinear", antialias=True, align_corners=False
    )

    np.testing.assert_allclose(ours, theirs[0].numpy(), atol=1e-5)


def test_shrinking_lets_no_fine_pattern_alias():
    """A chequerboard of half a millimetre is even grey at two millimetres, in every axis."""
    board = (np.indices((32, 32, 32)).sum(axis=0)[None] % 2).astype(np.float32)
    done = build_step({"step": "resample", "spacing_mm": 2.0})(Image(board, Geometry((0.5, 0.5, 0.5))))

    assert done.space == (8, 8, 8)
    np.testing.assert_allclose(done.pixels, 0.5, atol=0.02)


def test_the_spacing_is_the_one_asked_for_and_the_middle_stays():
    """Exactly, even where the extent is no multiple of it."""
    image = Image(noise(1, 10, 33, 47), Geometry((3.0, 0.7, 0.9), (0.0, 0.0, 0.0), AXIAL))
    done = build_step({"step": "resample", "spacing_mm": (2.0, 1.0, 1.0)})(image)

    def middle(one):
        steps = [(n - 1) / 2 * mm for n, mm in zip(one.space, one.geometry.spacing_mm, strict=True)]
        return np.array(one.geometry.origin_mm) + steps[::-1]

    assert done.geometry.spacing_mm == (2.0, 1.0, 1.0)
    assert done.space == (15, 23, 42)
    np.testing.assert_allclose(middle(done), middle(image))


def test_a_constant_stays_constant():
    """Edges do not darken."""
    image = Image(np.full((1, 5, 9, 11), 7, dtype=np.int16), Geometry((2.0, 1.0, 1.0)))

    assert np.ptp(build_step({"step": "resample", "spacing_mm": 0.8})(image).pixels) < 1e-5


def test_distances_must_fit_the_axes():
    """Three for a volume."""
    with pytest.raises(BadData, match="2 distances, this image 3 axes"):
        build_step({"step": "resample", "spacing_mm": (1.0, 1.0)})(Image(noise(1, 3, 4, 5), Geometry((1.0, 1.0, 1.0))))
    with pytest.raises(BadSpec):
        build_step({"step": "resample", "spacing_mm": 0})


def test_a_stack_takes_the_size_of_the_surveyed_networks():
    """36×448×448 unless asked otherwise."""
    done = build_step({"step": "format_stack"})(Image(noise(1, 4, 8, 8), Geometry((9.0, 56.0, 56.0))))

    assert done.space == (36, 448, 448)
    assert done.geometry.spacing_mm == (1.0, 1.0, 1.0)


def test_a_stack_may_be_cut_and_padded_instead():
    """The middle stays, value for value; slices and planes each their own way."""
    image = Image(noise(2, 6, 10, 10))
    cut = {"step": "format_stack", "depth_px": 4, "height_px": 6, "width_px": 12, "depth": "pad_crop", "value": -9}
    both = build_step(cut | {"plane": "pad_crop"})(image)

    np.testing.assert_array_equal(both.pixels[..., 1:-1], image.pixels[:, 1:5, 2:8])
    assert (both.pixels[..., [0, -1]] == -9).all()
    np.testing.assert_allclose(build_step(cut)(image).pixels, stretched_to(image.pixels[:, 1:5], (6, 12))[0], atol=1e-6)


def test_a_plane_is_no_stack():
    """It says which step is meant."""
    with pytest.raises(BadData, match="needs a volume") as caught:
        build_step({"step": "format_stack"})(Image(noise(1, 8, 8)))
    assert "resize" in caught.value.remedy


def test_slices_of_a_volume_may_be_cut_or_padded():
    """`pad_crop` keeps the depth unless one is given, and refuses one for planes."""
    step = {"step": "pad_crop", "height_px": 4, "width_px": 4}

    assert build_step(step)(Image(noise(1, 7, 6, 6))).space == (7, 4, 4)
    assert build_step(step | {"depth_px": 9})(Image(noise(1, 7, 6, 6))).space == (9, 4, 4)
    with pytest.raises(BadData, match="leave depth_px out"):
        build_step(step | {"depth_px": 9})(Image(noise(1, 6, 6)))


def test_contrast_is_evened_out_slice_by_slice():
    """CLAHE of a volume is CLAHE of its slices."""
    volume = (noise(1, 3, 32, 32) * 20 + 120).clip(0, 255).astype(np.uint8)
    step = build_step({"step": "clahe"})

    for k in range(3):
        np.testing.assert_array_equal(step(Image(volume)).pixels[:, k], step(Image(volume[:, k])).pixels)
