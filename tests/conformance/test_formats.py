"""Every format of the registry reads what was written, and refuses every file that was cut short."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk  # noqa: N813  (the name that everybody knows it by)
from PIL import Image as Pillow
from pydicom.uid import SecondaryCaptureImageStorage

from grandrounds import formats, registry
from grandrounds.errors import BadData
from grandrounds.formats.catalogue import FORMATS

PIXELS = np.random.default_rng(0).integers(0, 255, (24, 40), dtype=np.uint8)


def _dicom(path: Path) -> None:
    dataset = pydicom.Dataset()
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID = SecondaryCaptureImageStorage, "1.2.826.0.1.3680043.8.498.1"
    dataset.set_pixel_data(PIXELS, "MONOCHROME2", 8, generate_instance_uid=False)
    dataset.save_as(path, enforce_file_format=True)


WRITERS: dict[str, Callable[[Path], object]] = {
    ".dcm": _dicom,
    ".png": lambda path: Pillow.fromarray(PIXELS).save(path),
    ".tif": lambda path: Pillow.fromarray(PIXELS).save(path),
    ".bmp": lambda path: Pillow.fromarray(PIXELS).save(path),
    ".gif": lambda path: Pillow.fromarray(PIXELS).save(path, optimize=False),  # so that grey stays grey
    ".npy": lambda path: np.save(path, PIXELS),
    ".npz": lambda path: np.savez_compressed(path, image=PIXELS),
    ".nrrd": lambda path: sitk.WriteImage(sitk.GetImageFromArray(PIXELS), str(path), useCompression=True),
    ".mha": lambda path: sitk.WriteImage(sitk.GetImageFromArray(PIXELS), str(path)),
    ".nii": lambda path: sitk.WriteImage(sitk.GetImageFromArray(PIXELS), str(path)),
    ".nii.gz": lambda path: sitk.WriteImage(sitk.GetImageFromArray(PIXELS), str(path)),
    ".packed.mha": lambda path: sitk.WriteImage(sitk.GetImageFromArray(PIXELS), str(path), useCompression=True),
    ".raw.nrrd": lambda path: sitk.WriteImage(sitk.GetImageFromArray(PIXELS), str(path), useCompression=False),
}


@pytest.fixture(params=list(WRITERS))
def file(request, tmp_path) -> Path:
    """One written file of each format."""
    path = tmp_path / f"one{request.param}"
    WRITERS[request.param](path)
    return path


def test_every_format_has_a_writer_here():
    """A new format is tested by adding the line that writes one file of it."""
    for entry in FORMATS:
        assert set(entry.suffixes) & set(WRITERS), f"add a writer for {entry.name}"
        assert callable(registry.load(entry.read))


def test_round_trip(file):
    """What was written is read, twice the same, in memory of its own."""
    first, second = formats.read(file), formats.read(file)

    np.testing.assert_array_equal(first.pixels, PIXELS[None])
    np.testing.assert_array_equal(second.pixels, first.pixels)
    assert first.is_finite
    assert formats.names_image(file) == (file.suffix != ".npz")


def test_truncated(file):
    """A file cut anywhere is refused, and never read as if whole."""
    content = file.read_bytes()
    for part in (0.05, 0.3, 0.6, 0.9, 0.97):
        file.write_bytes(content[: int(len(content) * part)])
        with pytest.raises(BadData):
            formats.read(file)


@pytest.mark.parametrize("suffix", [entry.suffixes[0] for entry in FORMATS])
def test_under_another_name(file, suffix):
    """A file whose name says another format is refused with what it seems to be."""
    named = next(entry for entry in FORMATS if suffix in entry.suffixes)
    if file.name.endswith(named.suffixes):
        pytest.skip("this is its own name")
    wrong = file.with_name(f"wrong{suffix}")
    file.rename(wrong)

    with pytest.raises(BadData, match="seems to be"):
        formats.read(wrong)


def test_noise_after_the_magic(file):
    """Random bytes behind a right beginning give an image, or nothing but a `BadData` that names the file."""
    content = file.read_bytes()
    noise = np.random.default_rng(1)
    for _ in range(30):
        mutant = bytearray(content)
        for place in noise.integers(8, len(content), 6):
            mutant[place] = noise.integers(256)
        file.write_bytes(bytes(mutant))
        assert str(file) in _place_of_refusal(file)


def _place_of_refusal(file):
    """Return where reading a file is refused, the file itself where it gives an image with pixels, else nothing."""
    try:
        return str(file) if formats.read(file).pixels.size else ""
    except BadData as refusal:
        return str(refusal.where)


def test_box_is_a_crop(file):
    """Reading a box equals cutting it out of the whole."""
    if file.suffix == ".npz":
        box = formats.read(file, member="image", box=(2, 3, 20, 30))
    else:
        box = formats.read(file, box=(2, 3, 20, 30))

    np.testing.assert_array_equal(box.pixels[0], PIXELS[2:20, 3:30])
