"""Files with one thing wrong are read or refused: three thousand each time, thirty thousand of a format at night.

A mutant is its original and one thing wrong. Those that ever did harm stand in `mutants.csv`, and are read each time: a
file of pydicom's test sets, or a small image of ours, and the edit.
"""

import csv
import struct
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk  # noqa: N813  (the name that everybody knows it by)
from PIL import Image as Pillow
from pydicom.data import get_testdata_file

OTHERS = ("nii", "nii.gz", "nrrd", "mha", "png", "jpg", "tif", "bmp", "npy", "npz")
NIGHTLY = ("dcm", "nii", "nii.gz", "png", "npz")
HU = np.random.default_rng(0).integers(-1000, 1000, (48, 40))
LARGEST, HEAD, BLOCK = 200_000, 4096, 2000


class Edit(NamedTuple):
    """From which byte on how many go, and what comes in their place."""

    at: int
    n_removed: int
    inserted: bytes

    def of(self, content):
        """Return the content with the edit."""
        return content[: self.at] + self.inserted + content[self.at + self.n_removed :]


def edits(content, rng):
    """Return one thing that is wrong: bits, a cut, a length, a VR, bytes gone or put in, or a doubled part."""
    first = min(132, len(content) // 2)
    last = len(content) if rng.integers(2) else min(len(content), HEAD)  # headers are short and matter most
    at = int(rng.integers(first, max(last, first + 1)))
    kinds = (
        lambda: [Edit(int(one), 1, bytes([content[one] ^ 1 << rng.integers(8)])) for one in rng.integers(0, last, 8)],
        lambda: [Edit(at, len(content), b"")],
        lambda: [Edit(at, 4, struct.pack("<I", int(rng.integers(2**32))))],
        lambda: [Edit(at, 2, bytes(rng.choice([b"SQ", b"UN", b"OB", b"US", b"PN", b"\xff\xff"])))],
        lambda: [Edit(at, int(rng.integers(1, 40)), b"")],
        lambda: [Edit(at, 0, rng.bytes(int(rng.integers(1, 60))))],
        lambda: [Edit(at, 0, content[at // 2 : at])],
    )
    return kinds[rng.integers(len(kinds))]()


def mutant(content, rng):
    """Return the content with one thing wrong."""
    for edit in edits(content, rng):
        content = edit.of(content)
    return content


def real_files():
    """Return the files of pydicom's two test sets that hold pixels and are not too large to be read thousands of times.

    In every test run they are the same, whatever a newer package adds.
    """
    folders = (
        Path(pydicom.__file__).parent / "data" / "test_files",
        Path(pytest.importorskip("data_store").__file__).parent,
    )
    paths = (path for folder in folders for path in sorted(folder.rglob("*.dcm")))
    return [path for path in paths if path.stat().st_size < LARGEST]


def whole_file(folder, suffix):
    """Write a small image of a format and return its path."""
    path = folder / f"whole.{suffix}"
    if suffix in ("png", "jpg", "tif", "bmp"):
        Pillow.fromarray((HU % 256).astype(np.uint8)).save(path)
    elif suffix in ("npy", "npz"):
        (np.save if suffix == "npy" else np.savez_compressed)(path, HU)
    else:
        sitk.WriteImage(sitk.GetImageFromArray(HU.astype(np.int16)[None].repeat(3, 0)), str(path))
    return path


def read_mutants(originals, suffix, folder, n, seed, read_all):
    """Read so many mutants in turn of some originals, in blocks; return what was said of each.

    The file of a mutant that does harm is called by what it was made of.
    """
    rng, said = np.random.default_rng(seed), []
    contents = [path.read_bytes() for path in originals]
    for block in (range(start, min(start + BLOCK, n)) for start in range(0, n, BLOCK)):
        places = []
        for index in block:
            turn = index % len(contents)
            path = folder / f"{index:05d}-{originals[turn].stem}.{suffix}"
            path.write_bytes(mutant(contents[turn], rng))
            places.append((path, None))
        said += read_all(places, folder)
        for path, _ in places:
            path.unlink()
    return said


def test_mutants_that_did_harm_are_refused(tmp_path, read_all):
    """Whatever a mutant once did to a version of this package, it does no more."""
    places = []
    with Path(__file__).with_name("mutants.csv").open(newline="") as file:
        for number, row in enumerate(csv.DictReader(file)):
            name = row["original"]
            suffix = name.partition(".")[2]
            path = (
                whole_file(tmp_path, suffix)
                if name.startswith("whole.")
                else Path(get_testdata_file(name, download=False))
            )
            edit = Edit(int(row["at"]), int(row["n_removed"]), bytes.fromhex(row["inserted"]))
            content = path.read_bytes()
            (tmp_path / f"{number}.{suffix}").write_bytes(edit.of(content))
            assert edit.at < len(content)
            places.append((tmp_path / f"{number}.{suffix}", None))
    said = read_all(places, tmp_path)

    assert len(said) >= 5
    assert [path.name for (path, _), one in zip(places, said, strict=True) if one[0] == "read"] == []


def test_three_thousand_mutated_files(tmp_path, read_all):
    """Mutants of real DICOM files are read or refused; most damage outside of pixels is noticed."""
    said = read_mutants(real_files(), "dcm", tmp_path, 3000, 7, read_all)

    assert sum(one[0] != "read" for one in said) > 600


@pytest.mark.parametrize("suffix", OTHERS)
def test_mutants_of_the_other_formats(tmp_path, read_all, suffix):
    """Two hundred mutants of each other format are read or refused; damage outside of pixels is noticed."""
    said = read_mutants([whole_file(tmp_path, suffix)], suffix, tmp_path, 200, 3, read_all)

    assert len(said) == 200
    assert sum(one[0] != "read" for one in said) > 50


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("suffix", NIGHTLY)
def test_thirty_thousand_mutants(tmp_path, read_all, suffix):
    """None of thirty thousand escapes: by the rule of three fewer than one in ten thousand does, at 95 %."""
    originals = real_files() if suffix == "dcm" else [whole_file(tmp_path, suffix)]
    said = read_mutants(originals, suffix, tmp_path, 30_000, 11, read_all)

    assert len(said) == 30_000
