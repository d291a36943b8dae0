"""A header that was corrected makes other data of the same pixels: another fingerprint, and images prepared anew."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK

from grandrounds.data import SourceOptions, open_dataset
from grandrounds.formats import read
from grandrounds.image import geometry_hash
from grandrounds.prepare import Pipeline, materialise

_RNG = np.random.default_rng(0)
_VOLUMES = [_RNG.integers(0, 200, (4, 12, 12), dtype=np.int16) for _ in range(4)]
_PIPELINE = Pipeline(
    whole=({"step": "resample", "spacing_mm": 1.0}, {"step": "scale", "low": 0, "high": 200}),
    each=({"step": "pad_crop", "height_px": 12, "width_px": 12, "depth_px": 4},),
)


def _written(folder, spacing=(1.0, 1.0, 1.0), origin=(0.0, 0.0, 0.0), direction=None, kind="nii.gz"):
    for number, volume in enumerate(_VOLUMES):
        image = SimpleITK.GetImageFromArray(volume)
        image.SetSpacing(spacing)
        image.SetOrigin(origin)
        if direction is not None:
            image.SetDirection(direction)
        path = folder / "images" / ("ill" if number % 2 else "well") / f"{number}.{kind}"
        path.parent.mkdir(parents=True, exist_ok=True)
        SimpleITK.WriteImage(image, str(path))
    return open_dataset(folder / "images", SourceOptions(unit="volume"))


@pytest.mark.parametrize(
    "corrected",
    [
        {"spacing": (2.0, 2.0, 2.0)},
        {"spacing": (1.0, 1.0, 1.00001)},
        {"origin": (0.0, 0.0, -40.5)},
        {"direction": (-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0)},
    ],
)
def test_a_corrected_header_makes_other_data(tmp_path, corrected):
    """Fingerprint and prepared images are those of the new header; the hash of the pixels stays."""
    before = _written(tmp_path)
    first = materialise(before.samples, before.files, _PIPELINE, tmp_path / "cache")
    after = _written(tmp_path, **corrected)
    second = materialise(after.samples, after.files, _PIPELINE, tmp_path / "cache")

    assert after.samples["sha256"].equals(before.samples["sha256"])
    assert after.fingerprint != before.fingerprint
    assert second.path != first.path


def test_a_corrected_spacing_is_what_a_model_reads(tmp_path):
    """The same pixels at two millimetres fill twice as many of one."""
    before = _written(tmp_path)
    first = np.array(materialise(before.samples, before.files, _PIPELINE, tmp_path / "cache").pixels)
    after = _written(tmp_path, spacing=(2.0, 2.0, 2.0))
    second = materialise(after.samples, after.files, _PIPELINE, tmp_path / "cache").pixels

    assert not np.allclose(first, second)
    np.testing.assert_array_equal(second, materialise(after.samples, after.files, _PIPELINE, tmp_path / "new").pixels)


def test_the_same_header_is_the_same_data(tmp_path):
    """Written again, and in another format, it is what it was: numbers that differ in their last digit do not count."""
    placed = {"spacing": (0.703125, 0.703125, 1.2), "origin": (-180.1234567, 12.3456789, -1022.75)}
    before = _written(tmp_path / "a", **placed)
    assert _written(tmp_path / "b", **placed).samples["geometry"].equals(before.samples["geometry"])
    _written(tmp_path / "c", **placed, kind="nrrd")
    hashes = [geometry_hash(read(path)) for path in sorted((tmp_path / "c" / "images").rglob("*.nrrd"))]
    assert set(hashes) == set(before.samples["geometry"])


def test_images_without_a_place_have_the_fingerprint_that_they_had(tmp_path, picture):
    """Where no file says where its pixels lie there is nothing to hash."""
    for label in ("a", "b"):
        for number in range(2):
            picture(f"images/{label}/{number}.png")
    opened = open_dataset(tmp_path / "images")
    assert opened.samples["geometry"].null_count() == opened.samples.height == 4
