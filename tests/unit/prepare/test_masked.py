"""Masks as an artefact: put only on the images that they were made for, and never where their model had learned."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from grandrounds import tables
from grandrounds.errors import BadData, Leak
from grandrounds.image import Geometry, Image
from grandrounds.prepare import Pipeline, artefact, build_step

MODEL = "00112233aabbccdd"


def chest(seed=0):
    hu = np.random.default_rng(seed).normal(-300, 200, (1, 6, 8)).astype(np.int16)
    return Image(hu, Geometry((2.0, 2.0)), unit="hu", modality="CT")


def upper(image):
    mask = np.zeros(image.space, dtype=np.bool_)
    mask[:3] = True
    return mask


def made(folder, images, *, model=MODEL, patients=()):
    rows = [{"sample": f"image-{k}", **artefact.save(folder, image, upper(image))} for k, image in enumerate(images, 1)]
    hashes = tables.patient_hashes(pl.Series("patient", list(patients), dtype=pl.String))
    artefact.write(folder, pl.DataFrame(rows), model, frozenset(hashes))
    return folder


def step(folder, **fields):
    return build_step({"step": "masked", "masks": str(folder), **fields})


def test_what_the_mask_shows_stays_and_the_rest_becomes_air(tmp_path):
    """The mask of an image is found by its pixels."""
    image = chest()
    masked = step(made(tmp_path, [chest(1), image]))(image)

    np.testing.assert_array_equal(masked.pixels[:, :3], image.pixels[:, :3])
    assert (masked.pixels[:, 3:] == -1000).all()


def test_the_box_about_the_mask_is_cut_out(tmp_path):
    """With `crop` the image shrinks to the mask and a margin in millimetres."""
    assert step(made(tmp_path, [chest()]), crop=True, margin_mm=2.0)(chest()).space == (4, 8)


def test_the_step_names_the_model_whose_masks_it_found(tmp_path):
    """The hash of the model is part of the study, so that other masks make another study."""
    assert step(made(tmp_path, [chest()])).model == MODEL


def test_an_image_without_a_mask_is_refused(tmp_path):
    """Samples that do not match are said, with the command that makes the mask that is missing."""
    masked = step(made(tmp_path, [chest()]))
    with pytest.raises(BadData, match=r"no mask was made for this image[^$]*grandrounds mask"):
        masked(chest(2))


def test_masks_of_another_model_are_refused(tmp_path):
    """A folder that was made anew since the study was planned gives other images."""
    folder = made(tmp_path, [chest()])
    masked = step(folder, model="ffffffffffffffff")
    with pytest.raises(BadData, match="another model"):
        masked(chest())


def test_a_folder_grows_by_images_of_the_same_model_alone(tmp_path):
    """Masks of new images join the old ones; those of another model would change what a study meant."""
    made(tmp_path, [chest()])
    made(tmp_path, [chest(1)])

    assert step(tmp_path)(chest()).pixels.shape == step(tmp_path)(chest(1)).pixels.shape
    with pytest.raises(BadData, match="another model"):
        made(tmp_path, [chest(2)], model="ffffffffffffffff")


def test_a_changed_mask_is_refused(tmp_path):
    """A file that does not hold what the table says is not put on any image."""
    folder = made(tmp_path, [chest()])
    path = next((folder / "masks").glob("*.npz"))
    np.savez_compressed(path, mask=np.packbits(~upper(chest())), space=np.array([6, 8]))
    with pytest.raises(BadData, match="not what the table says"):
        step(folder)(chest())


def test_a_truncated_mask_is_refused(tmp_path):
    """A damaged file is a refusal that names it."""
    folder = made(tmp_path, [chest()])
    path = next((folder / "masks").glob("*.npz"))
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(BadData, match="cannot be read"):
        step(folder)(chest())


def test_no_masks_is_said_when_the_study_is_read(tmp_path):
    """A folder without a table is refused before any image is opened."""
    with pytest.raises(BadData, match="no masks here"):
        step(tmp_path)


def test_a_patient_whom_the_model_had_seen_is_not_judged(tmp_path):
    """A pipeline refuses patients of valid and test among those behind its masks; others pass."""
    pipeline = Pipeline(whole=(step(made(tmp_path, [chest()], patients=["SIM-1", "SIM-2"])),))

    pipeline.refuse_tested(pl.Series(["SIM-3"]))
    with pytest.raises(Leak, match="1 patient of valid or test"):
        pipeline.refuse_tested(pl.Series(["sim-2", "SIM-3"]))
