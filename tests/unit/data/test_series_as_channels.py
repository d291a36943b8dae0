"""Series of one exam in a DICOM export become channels of one volume, laid on the first."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial.transform import Rotation

from grandrounds.data import SourceOptions, open_dataset
from grandrounds.data.pacs_copy import SeriesFacts, write_series
from grandrounds.data.series_spec import SeriesSpec
from grandrounds.errors import BadData, BadSpec
from grandrounds.prepare import Pipeline, materialise

SHAPE, MM = (20, 48, 48), (4.0, 2.0, 2.0)
LANDMARK = (12, 16, 30)  # bright in the first series, dark in the second
MOVED_MM, TURNED_DEG = (4.0, 8.0, -6.0), 7.0  # the patient, between the two; the headers do not know
CHANNELS = SourceOptions(unit="volume", series=SeriesSpec(channels=("t1", "t2 fat sat")))


def body():
    """A smooth thing of several parts with a small landmark."""
    place = np.indices(SHAPE).T * MM  # (W, H, D, 3)
    pixels = np.zeros(SHAPE)
    for centre, size_mm, value in (
        ((10, 24, 24), 24, 300),
        ((7, 17, 30), 8, 400),
        ((13, 31, 18), 10, -250),
        (LANDMARK, 4, 600),
    ):
        away_mm = np.linalg.norm(place - np.array(centre) * MM, axis=-1).T
        pixels += value * np.exp(-(away_mm**2) / (2 * size_mm**2))
    return pixels


def moved(pixels):
    """The same body, turned about the axis of the slices and shifted."""
    turn = Rotation.from_euler("z", TURNED_DEG, degrees=True).as_matrix()[
        ::-1, ::-1
    ]  # in the order of the array's axes
    matrix = np.linalg.inv(np.diag(MM)) @ turn @ np.diag(MM)
    centre = (np.array(SHAPE) - 1) / 2
    return ndimage.affine_transform(pixels, matrix, centre - matrix @ (centre + np.array(MOVED_MM) / MM), order=1)


def write(folder, patient, number, description, pixels, step=1):
    """Write one series, its rows and columns thinned out by a step."""
    facts = SeriesFacts(
        patient, int(patient[-1]), number, pixel_mm=MM[1] * step, slice_mm=MM[0], description=description
    )
    write_series(folder, facts, pixels[:, ::step, ::step].astype(int))


@pytest.fixture(scope="module")
def export(tmp_path_factory):
    """Two exams with two series that can be laid on each other and one that is not asked for; one lacks the second."""
    folder = tmp_path_factory.mktemp("exams")
    for patient in ("SIM-1", "SIM-2"):
        write(folder, patient, 1, "AX T2 FAT SAT", 700 - moved(body()), step=2)
        write(folder, patient, 2, "AX T1", body())
        write(folder, patient, 3, "AX T2 haste", body())
    write(folder, "SIM-3", 2, "AX T1", body())
    (folder / "labels.csv").write_text("patient,finding\nSIM-1,absent\nSIM-2,present\nSIM-3,absent\n")
    return folder


def test_an_exam_is_one_sample_with_a_channel_for_each_series(export, tmp_path):
    """The second channel lies on the pixels of the first, and the landmark of the moved patient is where it was."""
    dataset = open_dataset(export, CHANNELS)
    prepared = materialise(dataset.samples, dataset.files, Pipeline(), tmp_path)
    search = tuple(slice(at - 5, at + 6) for at in LANDMARK)
    first, second = prepared.pixels[0]
    found = np.unravel_index(second[search].argmin(), second[search].shape)
    before = np.unravel_index((700 - moved(body()))[search].argmin(), second[search].shape)

    assert dataset.samples.height == 2
    assert prepared.pixels.shape == (2, 2, *SHAPE)
    assert np.unravel_index(first.argmax(), SHAPE) == LANDMARK
    assert np.linalg.norm((np.array(before) - 5) * MM) > 6
    assert np.linalg.norm((np.array(found) - 5) * MM) <= 4


def test_what_an_exam_looks_like_is_its_first_series(export):
    """One image of a sample with several series is that of the first, in the order asked for, not of the files."""
    dataset = open_dataset(export, CHANNELS)
    image = dataset.load(dataset.samples["sample"][0])

    np.testing.assert_allclose(image.pixels[0], body().astype(int))
    assert dataset.samples["sha256"].n_unique() == 1  # both exams have the same pixels
    assert dataset.files.group_by("sample").len()["len"].to_list() == [40, 40]


def test_an_exam_without_one_of_the_channels_is_left_out_with_the_reason(export):
    """Who lacks a series is said, and so is a series that is none of the channels."""
    notes = " ".join(open_dataset(export, CHANNELS).notes)

    assert "1 series is not read: the exam lacks one of the channels." in notes
    assert "2 series are not read: none of the channels." in notes
    assert "its channels are t1, t2 fat sat, laid on the first" in notes


def test_channels_are_of_volumes(export):
    """Slices have no channels of other series; the message says how to ask for volumes."""
    with pytest.raises(BadSpec, match="channels of volumes") as caught:
        open_dataset(export, CHANNELS.replaced(unit="slice"))
    assert "--unit volume" in caught.value.remedy


def test_channels_that_no_exam_has_are_refused(export):
    """Nothing fits: the reasons are counted."""
    with pytest.raises(BadData, match="no series fits") as caught:
        open_dataset(export, SourceOptions(unit="volume", series=SeriesSpec(channels=("t1", "flair"))))
    assert "lacks one of the channels" in caught.value.remedy
