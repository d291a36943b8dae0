"""Images are prepared while they are read for the first time, and the array is the same."""

from __future__ import annotations

import shutil

import numpy as np
import polars as pl
import pytest

from grandrounds.data import Draft, open_dataset
from grandrounds.data.manifest import scan
from grandrounds.errors import BadData
from grandrounds.prepare import Ahead, Pipeline, materialise


@pytest.fixture
def folder(picture, tmp_path):
    """Two classes of three images, and a file that is none."""
    for turn in range(6):
        picture(f"set/{'ab'[turn % 2]}/{turn}.png", turn)
    (tmp_path / "set/a/bad.png").write_text("no picture")
    return tmp_path / "set"


def test_what_was_prepared_while_it_was_read_is_not_read_again(folder, tmp_path):
    """The array is the same, byte by byte, and the files are not needed any more."""
    pipeline = Pipeline(whole=({"step": "scale"},), each=({"step": "resize", "height_px": 5, "width_px": 4},))
    early = Ahead(pipeline, tmp_path / "early")
    opened = open_dataset(folder, also=early)
    late = materialise(opened.samples, opened.files, pipeline, tmp_path / "late")
    shutil.rmtree(folder)
    found = materialise(opened.samples, opened.files, pipeline, tmp_path / "early", ahead=early)

    assert found.path.name == late.path.name
    assert found.path.read_bytes() == late.path.read_bytes()
    assert [path.name for path in (tmp_path / "early").iterdir()] == [found.path.name]


def test_boxes_and_sides_are_respected(picture, tmp_path):
    """Patches of one image and the side that a table tells come out as without."""
    path = str(picture("one.png", 1))
    rows = {
        "sample": ["a", "b", "c"], "path": [path] * 3, "label": ["x", "y", "x"], "side": ["left", "right", "left"],
        "box": [[0, 0, 3, 4], [3, 4, 6, 8], [1, 2, 4, 6]],
    }  # fmt: skip
    draft = Draft(name="own", root=tmp_path, rows=pl.DataFrame(rows))
    pipeline = Pipeline(whole=({"step": "scale"}, {"step": "mirror_side"}))
    early = Ahead(pipeline, tmp_path / "early")
    opened = scan(draft, also=early)
    found, late = (
        materialise(opened.samples, opened.files, pipeline, tmp_path / name, ahead=ahead)
        for name, ahead in (("early", early), ("late", None))
    )

    np.testing.assert_array_equal(found.pixels, late.pixels)
    assert not np.array_equal(found.pixels[0], found.pixels[2])


def test_what_could_not_be_prepared_early_is_said_in_its_turn(folder, tmp_path):
    """Nothing is refused while images are read; another pipeline, or a refusal, is a matter of `materialise`."""
    wants_hu = Pipeline(whole=({"step": "window"},))
    other = Pipeline(each=({"step": "resize", "height_px": 2, "width_px": 2},))
    early = Ahead(wants_hu, tmp_path)
    opened = open_dataset(folder, also=early)

    assert materialise(opened.samples, opened.files, other, tmp_path, ahead=early).pixels.shape[1:] == (1, 2, 2)
    with pytest.raises(BadData, match="Hounsfield"):
        materialise(opened.samples, opened.files, wants_hu, tmp_path, ahead=early)


def test_early_is_only_where_nothing_is_prepared(tmp_path):
    """A run that goes on does not prepare its images again."""
    assert Ahead.where_new(None, tmp_path) is None
    assert Ahead.where_new(Pipeline(), tmp_path) is not None
    np.save(tmp_path / "there.npy", np.zeros(1))
    assert Ahead.where_new(Pipeline(), tmp_path) is None
