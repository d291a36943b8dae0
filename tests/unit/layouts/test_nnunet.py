from __future__ import annotations

import json

import pytest

from grandrounds.data import SourceOptions, open_dataset
from grandrounds.data.series_spec import SeriesSpec
from grandrounds.errors import BadData, BadSpec
from grandrounds.layouts.copies_nnunet import write_nnunet, write_nnunet_masks

VOLUMES = SourceOptions(unit="volume")


@pytest.fixture
def glands(tmp_path):
    return write_nnunet(tmp_path)


@pytest.fixture
def lungs(tmp_path):
    return write_nnunet_masks(tmp_path)


def labels_of(dataset):
    return dict(dataset.labels.select("case", "label").sort("case").iter_rows())


def rewrite(root, **changes):
    """Change what `dataset.json` says."""
    told = json.loads((root / "dataset.json").read_text()) | changes
    (root / "dataset.json").write_text(json.dumps(told))


def test_labels_patients_and_parts(glands):
    """The table gives label and patient, the folder gives the part."""
    dataset = open_dataset(glands, VOLUMES)

    assert labels_of(dataset) == {
        "gland_0001": "benign",
        "gland_0002": "malignant",
        "gland_0003": "malignant",
        "gland_0004": None,
        "gland_0005": "benign",
        "gland_0006": "malignant",
    }
    assert dataset.samples["patient"].to_list() == ["P1", "P1", "P2", "P3", "P4", "P5"]
    roles = dict(dataset.official.rows())
    assert [case for case, role in roles.items() if role == "test"] == ["gland_0005", "gland_0006"]
    assert dataset.patient_known


def test_cells_may_be_cases_or_files(glands):
    """A cell is a case, or a file with a channel or without; a case whose name ends in four digits keeps them."""
    text = (glands / "labels.csv").read_text()

    assert " gland_0001," in text
    assert " gland_0002_0000.nii.gz," in text
    assert " gland_0003.nii.gz," in text
    assert not any("no row" in note or "no images" in note for note in open_dataset(glands).notes)


def test_the_first_channel_is_read_unless_another_is_named(glands):
    """A channel is known by its name in `dataset.json`; what is read is said."""
    first = open_dataset(glands, VOLUMES)
    other = open_dataset(glands, SourceOptions(unit="volume", series=SeriesSpec(description="adc")))

    assert first.files["series"].unique().to_list() == ["T2"]
    assert first.samples["sample"].to_list()[0] == "gland_0001_0000"
    assert other.samples["sample"].to_list()[0] == "gland_0001_0001"
    assert other.samples.height == 5
    assert any("the channel T2 of 2" in note for note in first.notes)
    with pytest.raises(BadSpec, match="ADC, T2"):
        open_dataset(glands, SourceOptions(series=SeriesSpec(description="DWI")))


def test_all_channels_are_series_of_one_case(glands):
    """Each gives a sample of its own; a case that lacks one has the other."""
    dataset = open_dataset(glands, SourceOptions(unit="volume", series=SeriesSpec(pick="all")))

    files = dataset.files.join(dataset.samples.select("sample", "case"), on="sample")
    assert files.filter(case="gland_0001")["series"].to_list() == ["T2", "ADC"]
    assert files.filter(case="gland_0002")["series"].to_list() == ["T2"]
    assert any("samples of its own" in note for note in dataset.notes)


def test_channels_of_one_name_are_told_apart(glands):
    """Two channels called alike get their number."""
    rewrite(glands, channel_names={"0": "MRI", "1": "MRI"})

    dataset = open_dataset(glands, SourceOptions(unit="volume", series=SeriesSpec(description="MRI 1")))

    assert dataset.samples["sample"].to_list()[0] == "gland_0001_0001"


def test_four_digits_are_no_channel_where_they_count_cases(lungs):
    """In the Decathlon `lung_0003.nii.gz` is case 3, not channel 3."""
    dataset = open_dataset(lungs, VOLUMES)

    assert dataset.samples["case"].to_list() == [f"lung_000{number}" for number in range(7)]
    assert dataset.samples["modality"].unique().to_list() == ["CT"]
    assert dataset.licence == "CC BY-SA 4.0"


def test_hidden_files_are_no_images(lungs):
    """Archives that were packed on a Mac hold `._` files; they are neither images nor bad."""
    assert (lungs / "imagesTr/._lung_0000.nii.gz").is_file()

    assert open_dataset(lungs).bad.is_empty()


def test_masks_tell_whether_a_structure_is_present(lungs):
    """Without a table a case is present if any slice of its mask has foreground; without a mask it is unknown."""
    dataset = open_dataset(lungs)

    assert labels_of(dataset) == {
        "lung_0000": "absent",
        "lung_0001": "present",
        "lung_0002": "present",
        "lung_0003": "present",
        "lung_0004": "absent",
        "lung_0005": None,
        "lung_0006": None,
    }
    assert (dataset.task.positive, dataset.patient_known, dataset.official) == ("present", False, None)
    assert any("2 cases have no mask" in note for note in dataset.notes)


def test_a_case_may_have_any_name(lungs):
    """Brackets in a name are letters like others."""
    for part in ("imagesTr", "labelsTr"):
        (lungs / part / "lung_0003.nii.gz").rename(lungs / part / "lung[3].nii.gz")

    labels = dict(open_dataset(lungs).labels.select("case", "label").iter_rows())

    assert labels["lung[3]"] == "present"


def test_the_structure_can_be_named(lungs):
    """Version 1 writes number to name; other structures do not count."""
    dataset = open_dataset(lungs, SourceOptions(label="vessel"))

    assert [case for case, label in labels_of(dataset).items() if label == "present"] == ["lung_0002"]
    assert dataset.task.name == "vessel"
    with pytest.raises(BadSpec, match="nodule, vessel"):
        open_dataset(lungs, SourceOptions(label="heart"))


def test_regions_and_what_is_ignored(lungs):
    """Version 2 writes name to number or numbers; what is to be ignored is no structure."""
    rewrite(lungs, labels={"background": 0, "whole": [1, 2], "ignore": 3})

    anything = labels_of(open_dataset(lungs))
    whole = labels_of(open_dataset(lungs, SourceOptions(label="whole")))

    wanted = ["lung_0001", "lung_0002"]
    assert [case for case, label in anything.items() if label == "present"] == wanted
    assert [case for case, label in whole.items() if label == "present"] == wanted


def test_masks_that_tell_no_classes(glands):
    """Where every mask has the structure, the set can be looked at, and a note says what is needed."""
    (glands / "labels.csv").unlink()

    dataset = open_dataset(glands)

    assert not dataset.is_labelled
    assert any("--labels" in note for note in dataset.notes)


def test_a_case_without_a_patient_counts_for_itself(lungs):
    """Slices of a case are one patient's, even if nobody knows whose."""
    samples = open_dataset(lungs).samples

    assert samples["patient"].to_list() == samples["case"].to_list()


def test_a_listed_image_that_is_not_there_is_bad(lungs):
    """Version 1 lists its images."""
    (lungs / "imagesTr/lung_0004.nii.gz").unlink()

    bad = open_dataset(lungs).bad

    assert bad["reason"].to_list() == ["dataset.json names it, and there is no such file"]


def test_a_damaged_mask_is_bad(lungs):
    """The reason says that it is the mask."""
    path = lungs / "labelsTr/lung_0004.nii.gz"
    path.write_bytes(path.read_bytes()[:40])

    dataset = open_dataset(lungs)

    assert dataset.bad["path"].to_list() == [str(path)]
    assert dataset.bad["reason"][0].startswith("the mask: ")
    assert labels_of(dataset)["lung_0004"] is None


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"channel_names": ["T2"]}', '{"modality": {"x": "CT"}}', "[" * 100_000], ids=range(5)
)
def test_a_damaged_description(lungs, text):
    """It is refused with a reason of its own."""
    (lungs / "dataset.json").write_text(text)

    with pytest.raises(BadData, match=r"dataset\.json"):
        open_dataset(lungs)


def test_an_ending_leads_nowhere(lungs, tmp_path):
    """An ending in `dataset.json` is an ending, not a path."""
    rewrite(lungs, file_ending="/../labelsTr/lung_0001.nii.gz")

    with pytest.raises(BadData, match="no images"):
        open_dataset(lungs)


def test_without_a_description(glands):
    """Nothing tells which numbers are channels, and the folders are no classes."""
    (glands / "dataset.json").unlink()

    with pytest.raises(BadData, match="names the channels"):
        open_dataset(glands)


def test_a_case_with_two_labels(glands):
    """Two rows that contradict each other are refused."""
    with (glands / "labels.csv").open("a") as file:
        file.write("malignant,gland_0001,P1\n")

    with pytest.raises(BadData, match="two labels"):
        open_dataset(glands)
