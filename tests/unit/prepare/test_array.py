"""The prepared array: one row a sample, made once."""

from __future__ import annotations

import hashlib
import os
import resource
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy import ndimage

from grandrounds import formats, tables
from grandrounds.errors import BadData, StoreTrouble
from grandrounds.prepare import Pipeline, PreparedArray, materialise

PIPELINE = Pipeline(whole=({"step": "scale"},))


@pytest.fixture
def source(tmp_path):
    """An archive of six 8-bit images as samples and files; samples are not in the order of the frames."""
    images = np.random.default_rng(0).integers(0, 256, (6, 12, 10), dtype=np.uint8)
    path = tmp_path / "images.npz"
    np.savez(path, train_images=images)
    order = [4, 0, 5, 1, 3, 2]
    names = [f"image {k}" for k in order]
    samples = pl.DataFrame(
        {
            "sample": names,
            "case": names,
            "patient": names,
            "sha256": [hashlib.sha256(images[k].tobytes()).hexdigest() for k in order],
        }
    )
    files = pl.DataFrame({"sample": names, "path": str(path), "member": "train_images", "frame": order})
    return images[order], tables.check(samples, tables.SAMPLES), tables.check(files, tables.FILES)


def test_rows_stand_in_the_order_of_the_samples(source, tmp_path):
    """Row n of the array is row n of the table."""
    images, samples, files = source
    calls = []
    prepared = materialise(samples, files, PIPELINE, tmp_path / "cache", progress=lambda *done: calls.append(done))

    np.testing.assert_allclose(prepared.pixels, images[:, None] / np.float32(255))
    assert prepared.pixels.dtype == np.float32
    assert calls[-1] == (6, 6)
    with pytest.raises(ValueError, match="read-only"):
        prepared.pixels[0] = 0


def test_a_second_call_reads_no_image(source, tmp_path):
    """The array is found by its identity even when the images are gone."""
    _, samples, files = source
    first = materialise(samples, files, PIPELINE, tmp_path / "cache")
    Path(files["path"][0]).unlink()
    second = materialise(samples, files, PIPELINE, tmp_path / "cache")

    assert second.path == first.path
    np.testing.assert_array_equal(second.pixels, PreparedArray.load(first.path).pixels)


def test_other_pixels_another_order_or_another_pipeline_make_another_array(source, tmp_path):
    """What decides the array decides its name."""
    _, samples, files = source
    variants = [
        (samples, files, PIPELINE),
        (samples.with_columns(sha256=pl.lit("changed")), files, PIPELINE),
        (samples.reverse(), files, PIPELINE),
        (samples, files.with_columns(box=pl.lit([0, 0, 4, 4])), PIPELINE),
        (samples, files, Pipeline(whole=({"step": "scale", "high": 100},))),
    ]
    paths = {materialise(*variant, tmp_path / "cache").path for variant in variants}

    assert len(paths) == len(variants)


def test_patches_are_cut_after_the_whole_and_before_each(source, tmp_path):
    """A box speaks of the pixels that the steps on the whole image give."""
    images, samples, files = source
    boxes = files.with_columns(box=pl.lit([2, 3, 6, 7]))
    halves = {"step": "resize", "height_px": 2, "width_px": 2}
    prepared = materialise(samples, boxes, PIPELINE.replaced(each=(halves,)), tmp_path / "cache")
    expected = images[:, 2:6, 3:7].reshape(6, 2, 2, 2, 2).mean(axis=(2, 4)) / 255

    np.testing.assert_allclose(prepared.pixels[:, 0], expected, rtol=1e-5)


def test_a_file_with_several_samples_is_read_once(source, tmp_path, monkeypatch):
    """Patches of one slice share its reading and its preparation."""
    _, samples, files = source
    files = files.with_columns(frame=pl.lit(0, dtype=pl.Int64), box=pl.Series([[k, k, k + 4, k + 4] for k in range(6)]))
    reads = []
    original = formats.read_frames
    monkeypatch.setattr(
        formats, "read_frames", lambda *args, **kwargs: reads.append(kwargs) or original(*args, **kwargs)
    )
    materialise(samples, files, PIPELINE, tmp_path / "cache")

    assert [one["frames"] for one in reads] == [[0]]


def test_differing_shapes_are_refused_with_both_sizes_and_a_remedy(source, tmp_path):
    """The study says how to make them alike; no file is left."""
    _, samples, files = source
    boxes = files.with_columns(box=pl.Series([None, [0, 0, 4, 4], None, None, None, None], dtype=pl.List(pl.Int64)))

    with pytest.raises(BadData, match=r"differ in size: 12 × 10 pixels in image 4, 4 × 4 pixels here") as caught:
        materialise(samples, boxes, PIPELINE, tmp_path / "cache")
    assert caught.value.where == "image 0"
    assert '"resize"' in caught.value.remedy
    assert "rgb" not in caught.value.remedy
    assert list((tmp_path / "cache").iterdir()) == []


def test_differing_channels_are_refused_with_their_numbers_and_a_remedy(tmp_path):
    """Another size would not help: the study says how to make them alike."""
    for k, shape in enumerate([(12, 10), (12, 10, 3)]):
        np.save(tmp_path / f"{k}.npy", np.zeros(shape, np.uint8))
    names = ["0", "1"]
    samples = tables.check(pl.DataFrame({"sample": names, "case": names, "patient": names}), tables.SAMPLES)
    files = pl.DataFrame({"sample": names, "path": [str(tmp_path / f"{k}.npy") for k in names]})

    with pytest.raises(BadData, match="differ in channels: 1 in 0, 3 here") as caught:
        materialise(samples, tables.check(files, tables.FILES), PIPELINE, tmp_path / "cache")
    assert '"grayscale" or "rgb"' in caught.value.remedy
    assert "resize" not in caught.value.remedy


def test_a_step_that_does_not_suit_names_the_sample(source, tmp_path):
    """So that the image can be found among thousands."""
    _, samples, files = source

    with pytest.raises(BadData, match="Hounsfield") as caught:
        materialise(samples, files, Pipeline(whole=({"step": "window"},)), tmp_path / "cache")
    assert caught.value.where == "image 4"


def test_samples_without_a_file_are_refused(source, tmp_path):
    """Each sample needs one."""
    _, samples, files = source

    with pytest.raises(BadData, match="no file is named"):
        materialise(samples, files[1:], PIPELINE, tmp_path)
    with pytest.raises(BadData, match="no images"):
        materialise(samples.clear(), files, PIPELINE, tmp_path)


def test_a_sample_of_several_files_is_a_volume(tmp_path):
    """Slices in the order of the table, one file or frame each; the header's place follows."""
    images = np.random.default_rng(0).integers(0, 256, (6, 12, 10), dtype=np.uint8)
    np.savez(tmp_path / "a.npz", images=images)
    samples = tables.check(
        pl.DataFrame({"sample": ["u", "v"], "case": ["u", "v"], "patient": ["u", "v"]}), tables.SAMPLES
    )
    files = pl.DataFrame({"sample": list("uuuvvv"), "series": "s", "order": [0, 1, 2] * 2, "frame": [2, 0, 1, 5, 4, 3]})
    files = files.with_columns(path=pl.lit(str(tmp_path / "a.npz")), member=pl.lit("images"))
    prepared = materialise(samples, tables.check(files, tables.FILES), PIPELINE, tmp_path / "cache")

    assert prepared.pixels.shape == (2, 1, 3, 12, 10)
    np.testing.assert_allclose(prepared.pixels[1, 0], images[[5, 4, 3]] / np.float32(255))
    np.testing.assert_array_equal(PreparedArray.load(prepared.path).pixels, prepared.pixels)


def test_series_of_one_exam_become_channels_on_one_grid(tmp_path):
    """The second is aligned with the first, where files say how they lie."""
    import SimpleITK as sitk  # noqa: N813  (the name that everybody knows it by)

    volume = np.random.default_rng(0).normal(size=(24, 40, 40))
    volume = ndimage.gaussian_filter(volume, 4) * 1000
    for name, spacing in (("one", 1.0), ("two", 2.0)):
        image = sitk.GetImageFromArray(volume[:: int(spacing), :: int(spacing), :: int(spacing)].astype(np.float32))
        image.SetSpacing([spacing] * 3)
        sitk.WriteImage(image, str(tmp_path / f"{name}.nrrd"))
    samples = tables.check(pl.DataFrame({"sample": ["u"], "case": ["u"], "patient": ["u"]}), tables.SAMPLES)
    files = pl.DataFrame({"sample": ["u", "u"], "series": ["one", "two"], "order": [0, 0]})
    files = files.with_columns(path=pl.format(f"{tmp_path}/{{}}.nrrd", "series"))
    prepared = materialise(samples, tables.check(files, tables.FILES), Pipeline(), tmp_path / "cache").pixels[0]

    assert prepared.shape == (2, 24, 40, 40)
    inner = (slice(4, -4),) * 3
    assert np.corrcoef(prepared[0][inner].ravel(), prepared[1][inner].ravel())[0, 1] > 0.9


def test_the_side_of_the_table_goes_before_that_of_the_file(source, tmp_path):
    """Two patches of one frame may be of two sides; another side makes another array."""
    images, samples, files = source
    sides = samples.with_columns(side=pl.Series(["left", "right", "left", "right", "left", "right"]))
    same = files.with_columns(frame=pl.lit(4, dtype=pl.Int64))
    prepared = materialise(sides, same, PIPELINE.replaced(each=({"step": "mirror_side"},)), tmp_path / "cache")

    np.testing.assert_allclose(prepared.pixels[1], images[0][None] / np.float32(255))
    np.testing.assert_allclose(prepared.pixels[0], images[0][None, :, ::-1] / np.float32(255))
    one, other = (materialise(each, same, PIPELINE, tmp_path / "cache").path for each in (sides, samples))
    assert one != other


def test_a_damaged_array_is_refused(source, tmp_path):
    """A truncated cache never becomes training data."""
    _, samples, files = source
    prepared = materialise(samples, files, PIPELINE, tmp_path / "cache")
    prepared.path.write_bytes(prepared.path.read_bytes()[:200])

    with pytest.raises(BadData, match="delete the file"):
        PreparedArray.load(prepared.path)


def test_an_unwritable_folder_is_refused(source, tmp_path):
    """One message that says where."""
    _, samples, files = source
    (tmp_path / "cache").touch()

    with pytest.raises(StoreTrouble, match="cannot write"):
        materialise(samples, files, PIPELINE, tmp_path / "cache")


def test_a_full_disk_is_one_message_and_leaves_nothing_behind(source, tmp_path):
    """Writing beyond what the system allows fails like a full disk: no crash, no half an array."""
    _, samples, files = source
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(StoreTrouble, match="cannot write"):
            materialise(samples, files, PIPELINE, tmp_path / "cache")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list((tmp_path / "cache").iterdir()) == []


def test_what_killed_processes_left_goes_after_a_day(tmp_path, source):
    """What was written to since may be another machine's; what is called otherwise is somebody's."""
    folder = tmp_path / "prepared"
    folder.mkdir()
    old, new, other = (folder / name for name in (".abc.npy.x1.tmp", ".abd.npy.x2.tmp", "mine.tmp"))
    for path in (old, new, other):
        path.touch()
    (folder / ".dir.npy.x.tmp").mkdir()
    for path in (old, other, folder / ".dir.npy.x.tmp"):
        os.utime(path, (0, 0))
    materialise(*source[1:], PIPELINE, folder)

    assert not old.exists()
    assert new.exists()
    assert other.exists()
