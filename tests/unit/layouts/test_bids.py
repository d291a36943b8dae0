from __future__ import annotations

import json

import pytest

from grandrounds.data import SourceOptions, open_dataset
from grandrounds.data.series_spec import SeriesSpec
from grandrounds.errors import BadData, BadSpec
from grandrounds.layouts import bids
from grandrounds.layouts.copies_bids import write_bids

VOLUMES = SourceOptions(unit="volume")


@pytest.fixture
def brains(tmp_path):
    return write_bids(tmp_path)


def rows_of(dataset, *columns):
    """Return some columns of the samples with the label of their case."""
    samples = dataset.samples.join(dataset.labels, on="case").sort("sample")
    return samples.select(*columns).rows()


def test_sessions_are_cases_of_a_participant(brains):
    """A case is a session, or the participant where there are none; a label may change between sessions."""
    dataset = open_dataset(brains, VOLUMES)

    assert rows_of(dataset, "sample", "case", "patient", "label") == [
        ("sub-01_ses-a_T1w", "sub-01/ses-a", "sub-01", "control"),
        ("sub-01_ses-b_T1w", "sub-01/ses-b", "sub-01", "patient"),
        ("sub-02_run-1_T1w", "sub-02", "sub-02", "patient"),
        ("sub-03_T1w", "sub-03", "sub-03", "control"),
        ("sub-04_T1w", "sub-04", "sub-04", None),
        ("sub-05_T1w", "sub-05", "sub-05", "control"),
        ("sub-06_T1w", "sub-06", "sub-06", None),
    ]
    assert (dataset.task.name, dataset.patient_known, dataset.licence) == ("group", True, "CC0")


def test_columns_in_any_order_with_values_that_are_none(brains):
    """`n/a` is no value, 89+ is 89 years, a sex may be a word, and the session's age goes before the participant's."""
    first = (brains / "participants.tsv").read_text().splitlines()[0]
    assert first.split("\t")[0] == "age"

    dataset = open_dataset(brains, VOLUMES)

    assert rows_of(dataset, "patient", "age_years", "sex", "site", "handedness") == [
        ("sub-01", 34.0, "F", "north", "right"),
        ("sub-01", 36.0, "F", "north", "right"),
        ("sub-02", 89.0, "M", "north", None),
        ("sub-03", None, "F", "south", "left"),
        ("sub-04", 41.0, None, "south", "right"),
        ("sub-05", 50.0, "M", "south", "right"),
        ("sub-06", None, None, "not where the table says it", None),
    ]


def test_participants_without_images_or_rows_are_counted(brains):
    """One row of the table has no folder, one folder has no row, one session has no T1w image; all three are said."""
    notes = open_dataset(brains, VOLUMES).notes

    assert "1 participants of the table have no images." in notes
    assert "1 participants with images are in no table." in notes
    assert "1 participants or sessions have no such image." in notes
    assert any(note.startswith("7 of 11 images are read: T1w") for note in notes)


def test_derivatives_are_not_read(brains):
    """What others computed of the images lies in `derivatives`."""
    assert (brains / "derivatives/smooth/sub-02/anat/sub-02_desc-smooth_T1w.nii.gz").is_file()

    samples = open_dataset(brains, SourceOptions(series=SeriesSpec(pick="all"))).samples

    assert not samples["sample"].str.contains("smooth").any()


def test_plain_and_compressed_files_keep_spacing_and_orientation(brains):
    """NIfTI counts to the right, front and top; positions are DICOM's, to the left, back and top."""
    dataset = open_dataset(brains, VOLUMES)

    for sample in ("sub-01_ses-a_T1w", "sub-02_run-1_T1w"):
        geometry = dataset.load(sample).geometry
        assert geometry.spacing_mm == (1.5, 1.0, 0.5)
        assert geometry.origin_mm == (10, 20, -30)
        assert geometry.direction == (-1, 0, 0, 0, -1, 0, 0, 0, 1)
    assert dataset.samples["modality"].unique().to_list() == ["MR"]


def test_a_slice_is_a_sample_by_default(brains):
    """Slices of a volume in the order of the file are samples of its case; the volume is not split."""
    dataset = open_dataset(brains)

    names = dataset.samples.filter(case="sub-01/ses-b")["sample"].to_list()
    assert names == ["sub-01_ses-b_T1w-0000", "sub-01_ses-b_T1w-0001", "sub-01_ses-b_T1w-0002"]
    assert dataset.load(names[0]).space == (5, 6)


def test_another_suffix_or_part_of_the_name(brains):
    """The series can be named by its suffix, in any case of letters, or by a part of the name, such as the run."""
    for wanted, names in (
        ("t2W", ["sub-01_ses-c_T2w", "sub-02_T2w"]),
        ("run-2", ["sub-02_run-2_T1w"]),
    ):
        draft = bids.draft(brains, SourceOptions(unit="volume", series=SeriesSpec(description=wanted)))
        assert draft.rows["sample"].to_list() == names
    with pytest.raises(BadSpec, match="FLAIR, T1w, T2w"):
        open_dataset(brains, SourceOptions(series=SeriesSpec(description="bold")))


def test_runs_of_a_session(brains):
    """The first run is read and the other is said to be left out; both are samples of the case if all are asked for."""
    assert any("first by name" in note for note in open_dataset(brains).notes)

    dataset = open_dataset(brains, SourceOptions(unit="volume", series=SeriesSpec(pick="all")))

    assert dataset.samples.filter(case="sub-02")["sample"].to_list() == ["sub-02_run-1_T1w", "sub-02_run-2_T1w"]


def test_json_beside_an_image_goes_before_the_one_above(brains):
    """What holds for all images stands above them, what holds for one beside it; neither goes before a table."""
    dataset = open_dataset(brains, VOLUMES)

    scanners = dict(dataset.samples.select("sample", "scanner").iter_rows())
    assert scanners["sub-02_run-1_T1w"] == "scanner beside"
    assert scanners["sub-03_T1w"] == "scanner above"


def test_damaged_json_is_no_obstacle(brains):
    """No image depends on it."""
    (brains / "T1w.json").write_text("{")
    (brains / "dataset_description.json").write_text("[" * 100_000)

    dataset = open_dataset(brains)

    assert dataset.licence is None


def test_the_label_is_a_column_that_is_named(brains):
    """Another column can be the label; what no table has is refused with what they have."""
    dataset = open_dataset(brains, SourceOptions(unit="volume", label="handedness"))

    assert dataset.task.classes == ("left", "right")
    assert "group" in dataset.samples.columns
    with pytest.raises(BadSpec, match="handedness"):
        open_dataset(brains, SourceOptions(label="dementia"))
    with pytest.raises(BadSpec, match="bids does not read the option patient"):
        open_dataset(brains, SourceOptions(patient="participant_id"))


def test_several_columns_that_could_be_the_label(brains):
    """It is not guessed which."""
    for name in ("participants.tsv", "sub-01/sub-01_sessions.tsv", "sub-05/sub-05_scans.tsv"):
        text = (brains / name).read_text()
        (brains / name).write_text(text.replace("group", "score").replace("handedness", "grip"))

    with pytest.raises(BadSpec, match=r"--label with one of: .*score"):
        open_dataset(brains)


def test_labels_from_another_table(brains, tmp_path):
    """A table elsewhere can take the place of `participants.tsv`."""
    (tmp_path / "mine.csv").write_text("Participant_ID,diagnosis\nsub-03,b\nsub-04,a\n")

    dataset = open_dataset(brains, SourceOptions(unit="volume", labels=str(tmp_path / "mine.csv"), label="diagnosis"))

    labels = dict(dataset.labels.select("case", "label").iter_rows())
    assert {case: label for case, label in labels.items() if label} == {"sub-03": "b", "sub-04": "a"}


def test_without_tables_it_can_be_looked_at(brains):
    """No table, no labels; the layout is told by the names."""
    for name in ("participants.tsv", "sub-01/sub-01_sessions.tsv", "sub-05/sub-05_scans.tsv"):
        (brains / name).unlink()

    dataset = open_dataset(brains)

    assert not dataset.is_labelled
    assert any("No table tells a label" in note for note in dataset.notes)


@pytest.mark.parametrize("name", ["sub-03/anat/sub-03_T1w.nii.gz", "sub-02/anat/sub-02_run-1_T1w.nii"])
@pytest.mark.parametrize("part", [0.2, 0.8, 0.99], ids=["in the header", "behind it", "near the end"])
def test_a_damaged_volume_is_listed_once(brains, name, part):
    """It becomes one row of what is bad, however many slices it would have; the others are read."""
    path = brains / name
    content = path.read_bytes()
    path.write_bytes(content[: int(part * len(content))])

    assert open_dataset(brains).bad["path"].to_list() == [str(path)]


@pytest.mark.parametrize("n_claimed", [200, 32767])
def test_slices_that_a_header_only_claims(brains, n_claimed):
    """A header that tells of more slices than the file holds is one bad image, not thousands."""
    path = brains / "sub-02/anat/sub-02_run-1_T1w.nii"
    content = path.read_bytes()
    path.write_bytes(content[:46] + n_claimed.to_bytes(2, "little") + content[48:])  # dim[3], NIfTI-1

    assert open_dataset(brains, SourceOptions(label="sex")).bad["path"].to_list() == [str(path)]


def test_images_that_were_not_fetched_are_listed(brains):
    """In a clone by DataLad they are links that lead nowhere; they are bad, not absent."""
    path = brains / "sub-03/anat/sub-03_T1w.nii.gz"
    path.unlink()
    path.symlink_to("../../.git/annex/objects/xx/yy")

    assert open_dataset(brains).bad.select("path", "reason").rows() == [(str(path), "the link leads nowhere")]


def test_a_participant_who_stands_twice(brains):
    """Rows that contradict each other are refused, whether or not the identifier has its `sub-`."""
    table = brains / "participants.tsv"
    table.write_text(table.read_text() + "70\tpatient\tsub-03\tleft\tF\tsouth\n")

    with pytest.raises(BadData, match="stands twice"):
        open_dataset(brains)


def test_participants_without_any_image(tmp_path):
    """A message says that the images are missing."""
    (tmp_path / "set/sub-01").mkdir(parents=True)
    (tmp_path / "set/participants.tsv").write_text("participant_id\tgroup\nsub-01\ta\n")
    (tmp_path / "set/dataset_description.json").write_text(json.dumps({"License": 7}))

    with pytest.raises(BadData, match="no images"):
        open_dataset(tmp_path / "set")
