from __future__ import annotations

import unicodedata

import numpy as np
import pytest
from PIL import Image as Pillow

from grandrounds.data import open_dataset
from grandrounds.errors import BadData
from grandrounds.layouts.copies import write_covid_ct


def test_what_was_written_is_read(tmp_path):
    """Pixels, labels and roles come back; names may hold percent signs and blanks."""
    dataset = open_dataset(write_covid_ct(tmp_path))

    rng = np.random.default_rng(0)
    for sample in ("a%1", "b 2", "c", "d"):
        expected = rng.integers(0, 255, (24, 30), dtype=np.uint8)
        assert np.array_equal(dataset.load(f"covid/{sample}").pixels[0], expected)
    assert dict(dataset.official.rows()) == {
        "covid/a%1": "train", "covid/b 2": "train", "covid/c": "valid", "covid/d": "test",
        "non-covid/0": "train", "non-covid/1%1": "train", "non-covid/1%2": "valid", "non-covid/1%3": "test",
    }  # fmt: skip
    assert dataset.task.positive == "covid"
    assert all(case.startswith(f"{label}/") for case, label in dataset.labels.select("case", "label").iter_rows())


def test_blanks_and_line_ends_of_the_lists_are_no_part_of_names(tmp_path):
    """The copy ends each line with a blank and a carriage return, and nothing is missing."""
    folder = write_covid_ct(tmp_path)

    assert b" \r\n" in next(folder.rglob("trainCT_COVID.txt")).read_bytes()
    assert open_dataset(folder).bad.is_empty()


def test_patients_in_two_roles_are_counted_by_the_meta_table(tmp_path):
    """Patients are known for one class only, so they count as unknown; how many leak is told all the same."""
    dataset = open_dataset(write_covid_ct(tmp_path))

    assert not dataset.patient_known
    assert any(note.startswith("LEAKY") and "1 of 3 COVID patients" in note for note in dataset.notes)


def test_the_meta_table_may_leave_endings_out_or_be_absent(tmp_path):
    """A name without its ending is the same picture, dots and all; without the table a note says what is missing."""
    folder = write_covid_ct(tmp_path)
    assert "\nb 2,Patient 1" in (folder / "COVID-CT-MetaInfo.csv").read_text()
    (folder / "COVID-CT-MetaInfo.csv").unlink()

    assert any("save COVID-CT-MetaInfo.xlsx as" in note for note in open_dataset(folder).notes)


def test_a_name_in_another_unicode_form_is_the_same_name(tmp_path):
    """Archives unpacked on a Mac write an umlaut in two characters."""
    folder = write_covid_ct(tmp_path)
    picture = folder / "Images-processed" / "CT_COVID" / "c.png"
    picture.rename(picture.with_name(unicodedata.normalize("NFD", "ü.png")))
    listed = folder / "Data-split" / "COVID" / "valCT_COVID.txt"
    listed.write_text("ü.png\n", encoding="utf-8")

    assert "covid/ü" in open_dataset(folder).samples["sample"].to_list()


def test_what_is_listed_and_absent_or_there_and_unlisted_is_told(tmp_path):
    """Both ways are counted."""
    folder = write_covid_ct(tmp_path)
    covid = folder / "Images-processed" / "CT_COVID"
    (covid / "b 2.png").rename(covid / "new.png")

    dataset = open_dataset(folder)

    assert dataset.bad["reason"].to_list() == ["Data-split lists it, and there is no such file"]
    assert dataset.notes[0] == "1 pictures that Data-split does not list were left out."


def test_a_picture_in_two_lists_is_refused(tmp_path):
    """The same picture in train and test is no split."""
    folder = write_covid_ct(tmp_path)
    with (folder / "Data-split" / "COVID" / "testCT_COVID.txt").open("a") as file:
        file.write("c.png\n")

    with pytest.raises(BadData, match="two lists"):
        open_dataset(folder)


def test_archives_that_were_not_unpacked_are_named(tmp_path):
    """What to unpack is said."""
    folder = write_covid_ct(tmp_path)
    (folder / "Images-processed").rename(tmp_path / "elsewhere")

    with pytest.raises(BadData, match=r"CT_NonCOVID\.zip"):
        open_dataset(folder)


def test_the_folder_above_is_recognised(tmp_path):
    """Pictures and lists are found one folder further down."""
    write_covid_ct(tmp_path)

    assert open_dataset(tmp_path).name == "covid-ct"


def test_the_pictures_alone_are_class_folders(tmp_path):
    """Without the lists it is a folder of class folders, as before."""
    folder = write_covid_ct(tmp_path)
    Pillow.fromarray(np.zeros((5, 5), np.uint8)).save(folder / "Images-processed" / "CT_COVID" / "extra.png")

    dataset = open_dataset(folder / "Images-processed")

    assert (dataset.task.classes, dataset.samples.height) == (("CT_COVID", "CT_NonCOVID"), 9)
