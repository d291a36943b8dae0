from __future__ import annotations

import unicodedata

import numpy as np
import pytest
from PIL import Image as Pillow

from grandrounds.data import open_dataset
from grandrounds.errors import BadData
from grandrounds.layouts.copies_covid_ct import write_covid_ct


def test_lists_tell_class_and_role(tmp_path):
    """Names hold dots, percent signs and blanks; `val` is valid; the ending is no part of a sample's name."""
    dataset = open_dataset(write_covid_ct(tmp_path))

    assert dict(dataset.official.rows()) == {
        "covid/2020.01.24.919183-p27-132": "train", "covid/a%1": "train", "covid/b 2": "valid",
        "covid/PIIS0140%0": "test", "non-covid/0": "train", "non-covid/1%1": "train", "non-covid/1%2": "valid",
        "non-covid/1%3": "test",
    }  # fmt: skip
    assert dataset.task.positive == "covid"
    assert all(case.startswith(f"{label}/") for case, label in dataset.labels.select("case", "label").iter_rows())


def test_blanks_and_line_ends_of_the_lists_are_no_part_of_names(tmp_path):
    """The copy ends each line with a blank and a carriage return, and nothing is missing."""
    folder = write_covid_ct(tmp_path)

    assert b" \r\n" in next(folder.rglob("trainCT_COVID.txt")).read_bytes()
    assert open_dataset(folder).bad.is_empty()


def test_the_meta_table_is_read_as_it_comes(tmp_path):
    """The XLSX tells whose the COVID pictures are: the copy's first patient is in train and in test."""
    folder = write_covid_ct(tmp_path)

    dataset = open_dataset(folder)

    assert (folder / "COVID-CT-MetaInfo.xlsx").is_file()
    assert not dataset.patient_known  # of one class only
    assert (
        "LEAKY by its meta table: 1 of 3 COVID patients stand in more than one part of the official split."
        in dataset.notes
    )


def test_the_meta_table_may_be_saved_as_text(tmp_path):
    """A CSV in its place is read as well; a name without its ending is the same picture, dots and all."""
    folder = write_covid_ct(tmp_path)
    (folder / "COVID-CT-MetaInfo.xlsx").unlink()
    rows = "2020.01.24.919183-p27-132,P1\na%1,P2\nb 2.png,P1\nPIIS0140%0,P3\n"
    (folder / "COVID-CT-MetaInfo.csv").write_text(f"Image name,Patient ID\n{rows}")

    assert any(note.startswith("LEAKY") and "1 of 3" in note for note in open_dataset(folder).notes)


@pytest.mark.parametrize("content", [None, b"no spreadsheet"])
def test_without_a_meta_table_a_note_says_what_is_missing(tmp_path, content):
    """A table that is absent, or that cannot be read, keeps nobody from the pictures."""
    folder = write_covid_ct(tmp_path)
    (folder / "COVID-CT-MetaInfo.xlsx").unlink()
    if content is not None:
        (folder / "COVID-CT-MetaInfo.xlsx").write_bytes(content)

    dataset = open_dataset(folder)

    assert dataset.samples.height == 8
    assert any("COVID-CT-MetaInfo.xlsx" in note and "not counted" in note for note in dataset.notes)


def test_a_name_in_another_unicode_form_is_the_same_name(tmp_path):
    """Archives unpacked on a Mac write an umlaut in two characters."""
    folder = write_covid_ct(tmp_path)
    picture = folder / "Images-processed" / "CT_COVID" / "b 2.png"
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
        file.write("b 2.png\n")

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
