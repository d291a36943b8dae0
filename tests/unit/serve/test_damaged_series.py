"""A series of which a slice cannot be read is not answered from the others."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import SimpleITK

from grandrounds.data.pacs_copy import AXIAL, CORONAL, SeriesFacts, write_series
from grandrounds.errors import BadData
from grandrounds.serve.exams import found_in

HU = np.random.default_rng(0).integers(-1000, 1000, (6, 8, 7))


def series(folder: Path, exam: int = 1, number: int = 1, direction: tuple[float, ...] = AXIAL) -> list[Path]:
    """Write a series into a folder and return its files, as they lie."""
    return write_series(folder, SeriesFacts("SIM-001", exam, number, direction), HU)


def cut(path: Path, share: float) -> None:
    """Keep the beginning of a file."""
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])


@pytest.mark.parametrize("share", [0.0, 0.45, 0.9])
def test_a_series_with_a_slice_that_is_cut_off_is_refused(tmp_path, share):
    """Wherever the file ends; another series in its own folder is read."""
    files = series(tmp_path / "one")
    series(tmp_path / "two", number=2)
    cut(files[2], share)
    found = {one.where.path.parent.name: one for one in found_in(tmp_path, (), volumes=True)}

    with pytest.raises(BadData, match=f"slices may be missing, since {files[2].name} cannot be read"):
        found["one"].read()
    assert found["two"].read().pixels.shape == (1, *HU.shape)


def test_an_exam_lacks_a_series_of_which_nothing_can_be_read(tmp_path):
    """The folder of the damaged one names it, and what is read of the exam would be another exam."""
    series(tmp_path / "exam" / "axial")
    for path in series(tmp_path / "exam" / "coronal", number=2, direction=CORONAL):
        cut(path, 0.45)
    [exam] = found_in(tmp_path, ("axial", "coronal"), volumes=True)
    [alone] = [one for one in found_in(tmp_path, (), volumes=True) if "axial" in str(one.where.path)]

    assert exam.lacks is not None
    assert alone.lacks is None  # who reads series one by one misses nothing of this one


def test_a_file_that_is_near_nobody_has_a_row_of_its_own(tmp_path):
    """Two exams lie beside it in folders of their own, and it may be of neither."""
    for exam, name in enumerate(("one", "two"), start=1):
        files = series(tmp_path / name, exam)
    shutil.copy(files[0], tmp_path / "stray.dcm")
    cut(tmp_path / "stray.dcm", 0.9)
    found = found_in(tmp_path, ("axial",), volumes=True)

    assert [one.where.path.name for one in found if one.lacks] == ["stray.dcm"]
    assert len(found) == 3


def test_other_files_beside_the_slices_change_nothing(tmp_path):
    """However many there are, and although they come first: a viewer brings its own."""
    series(tmp_path / "scan")
    [before] = found_in(tmp_path, (), volumes=True)
    for number in range(60):
        (tmp_path / "scan" / f"00{number:02}.txt").write_text("not an image")
    [after] = found_in(tmp_path, (), volumes=True)

    assert after == before


def test_a_volume_of_another_format_has_a_row_as_well(tmp_path):
    """Every volume has one."""
    series(tmp_path / "scan")
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(HU.astype(np.int16)), str(tmp_path / "other.nii.gz"))
    found = found_in(tmp_path, (), volumes=True)

    assert [one.where.path.name for one in found][1:] == ["other.nii.gz"]
    assert found[1].read().pixels.shape == (1, *HU.shape)


def test_a_gap_between_slices_is_told(tmp_path):
    """A slice that is not there at all leaves a gap, and the answer says so."""
    series(tmp_path)[2].unlink()
    [found] = found_in(tmp_path, (), volumes=True)

    assert "after slice 2 of 5 the next is" in found.told
