from __future__ import annotations

from pathlib import Path

import pytest

from grandrounds.data import SourceOptions, open_dataset
from grandrounds.errors import BadData
from grandrounds.layouts.copies_cov19_ct_db import write_cov19_ct_db

VOLUMES = SourceOptions(unit="volume")
TEST = "test/3fa1c2d0-5b6e-4f70-8a91-b2c3d4e5f607"


@pytest.fixture
def chests(tmp_path):
    return write_cov19_ct_db(tmp_path)


def labels_of(dataset):
    return dict(dataset.labels.select("case", "label").iter_rows())


def numbers_of(dataset, case):
    """Return the numbers in the names of a scan's slices, in the order in which they are read."""
    files = dataset.files.join(dataset.samples.select("sample", "case"), on="sample").filter(case=case)
    return [int(Path(path).stem) for path in files.sort("order")["path"]]


@pytest.mark.parametrize("unit", ["slice", "volume"])
def test_slices_are_ordered_as_people_count(chests, unit):
    """Slice 2 comes before slice 10, and a number that is missing is no obstacle."""
    dataset = open_dataset(chests, SourceOptions(unit=unit))

    assert numbers_of(dataset, "train/covid/ct_scan_0") == [0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11]
    assert numbers_of(dataset, "train/non-covid/ct_scan_0") == [8, 9, 10]


def test_scans_of_one_name_are_different_scans(chests):
    """Numbers begin anew in each part and class, so that four scans are called `ct_scan_0`."""
    cases = open_dataset(chests).labels["case"].to_list()

    assert sorted(case for case in cases if case.endswith("/ct_scan_0")) == [
        "train/covid/ct_scan_0",
        "train/non-covid/ct_scan_0",
        "val/covid/ct_scan_0",
        "val/non-covid/ct_scan_0",
    ]


def test_non_covid_is_not_covid(chests):
    """The name of one class holds that of the other."""
    labels = labels_of(open_dataset(chests))

    assert {label for case, label in labels.items() if "/non-covid/" in case} == {"non-covid"}
    assert {label for case, label in labels.items() if "/covid/" in case} == {"covid"}


def test_the_test_has_no_labels(chests):
    """Its scans can be looked at and predicted, and enter no split; `val` is what there is to test on."""
    dataset = open_dataset(chests)

    assert labels_of(dataset)[TEST] is None
    assert TEST not in dict(dataset.official.iter_rows())
    assert dict(dataset.official.iter_rows())["val/covid/ct_scan_0"] == "test"
    assert any("1 scans in the part test are unknown" in note for note in dataset.notes)


def test_scans_of_several_sizes_and_lengths(chests):
    """Each keeps its own; nothing tells how far apart slices lie."""
    samples = open_dataset(chests, VOLUMES).samples

    sizes = {
        row["sample"]: (row["depth_px"], row["height_px"], row["width_px"]) for row in samples.iter_rows(named=True)
    }
    assert sizes["train/covid/ct_scan_0"] == (11, 16, 24)
    assert sizes["train/covid/ct_scan_1"] == (3, 16, 16)
    assert sizes["train/non-covid/ct_scan_1"] == (1, 24, 16)
    assert samples["spacing_mm"].null_count() == samples.height


def test_what_computers_leave_behind_is_no_slice(chests):
    """Thumbnails of Windows and shadow files of a Mac lie among the slices of each scan."""
    assert (chests / "train/covid/ct_scan_0/._0.jpg").is_file()
    assert (chests / "train/covid/ct_scan_0/Thumbs.db").is_file()

    dataset = open_dataset(chests)

    assert dataset.bad.is_empty()
    assert dataset.samples.filter(case="train/covid/ct_scan_0").height == 11


def test_scans_are_not_patients(chests):
    """Nothing tells whose a scan is."""
    dataset = open_dataset(chests)

    assert not dataset.patient_known
    assert any("Whose scan it is" in note for note in dataset.notes)


def test_parts_and_classes_under_other_names(chests):
    """Later editions and other people write `validation` and `non_covid`."""
    (chests / "val").rename(chests / "validation")
    (chests / "train/non-covid").rename(chests / "train/NON_COVID")

    dataset = open_dataset(chests)

    assert labels_of(dataset)["train/NON_COVID/ct_scan_0"] == "non-covid"
    assert dict(dataset.official.iter_rows())["validation/covid/ct_scan_0"] == "test"


def test_an_empty_scan_is_listed(chests):
    """An archive that was unpacked in part has folders without slices."""
    (chests / "train/covid/ct_scan_99").mkdir()

    bad = open_dataset(chests).bad

    assert bad.select("path", "reason").rows() == [(str(chests / "train/covid/ct_scan_99"), "the scan has no slices")]


def test_a_damaged_slice_is_listed(chests):
    """The other slices of its scan are read; a scan that is read as a whole is left out."""
    path = chests / "train/covid/ct_scan_1/1.jpg"
    path.write_bytes(path.read_bytes()[:100])

    slices, volumes = open_dataset(chests), open_dataset(chests, VOLUMES)

    assert slices.bad["path"].to_list() == [str(path)]
    assert slices.samples.filter(case="train/covid/ct_scan_1").height == 2
    assert volumes.bad.height == 1
    assert "train/covid/ct_scan_1" not in volumes.samples["case"].to_list()


def test_the_folder_around_it_is_recognised(chests):
    """It does not matter whether the folder or the one around it is given."""
    assert open_dataset(chests.parent).fingerprint == open_dataset(chests).fingerprint


def test_no_slices_at_all(tmp_path):
    """A message says how the folder has to look."""
    (tmp_path / "set/train/covid/ct_scan_0").mkdir(parents=True)

    with pytest.raises(BadData, match="covid and non-covid inside"):
        open_dataset(tmp_path / "set")
