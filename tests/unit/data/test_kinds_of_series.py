"""Series of one exam in a DICOM export are told apart by their descriptions, where planes do not."""

from __future__ import annotations

import numpy as np
import pytest

from grandrounds import api
from grandrounds.data import SourceOptions, open_dataset
from grandrounds.data.pacs_copy import SeriesFacts, write_series
from grandrounds.data.series_spec import SeriesSpec
from grandrounds.errors import BadData, BadSpec
from grandrounds.serve import bundle
from grandrounds.serve.exams import found_in
from grandrounds.serve.predictor import Predictor
from grandrounds.specs import parse
from grandrounds.splits import SplitSpec
from grandrounds.study.spec import Ask, DataSpec, JudgeSpec, Means

KINDS = SourceOptions(unit="volume", series=SeriesSpec(kinds=("t1", "t2", "t2 fat sat")))
DARK, BRIGHT = 100, 300


def write(folder, patient, number, description, grey=DARK, n_slices=3):
    facts = SeriesFacts(f"SIM-{patient}", patient, number, pixel_mm=1.0, slice_mm=3.0, description=description)
    random = np.random.default_rng(100 * patient + number)
    write_series(folder, facts, grey + random.integers(0, 50, (n_slices, 16, 16)))


@pytest.fixture(scope="module")
def export(tmp_path_factory):
    """Three exams: all in one plane, one with its T2 twice, one without it."""
    folder = tmp_path_factory.mktemp("kinds")
    for patient in (1, 2, 3):
        write(folder, patient, 1, "AX T1")
        write(folder, patient, 2, "AX T2 FAT SAT")
        write(folder, patient, 3, "scout")
    write(folder, 1, 4, "AX T2 haste")
    write(folder, 2, 4, "AX T2 haste")
    write(folder, 2, 5, "AX T2 repeated", n_slices=5)
    (folder / "labels.csv").write_text("patient,finding\nSIM-1,absent\nSIM-2,present\nSIM-3,absent\n")
    return folder


def kinds_of(dataset):
    """The kinds of series of each patient."""
    rows = dataset.samples.sort("patient", "series_kind").select("patient", "series_kind").rows()
    return {patient: [kind for owner, kind in rows if owner == patient] for patient, _ in rows}


def test_a_series_is_called_by_the_part_its_description_has(export):
    """The longest part counts; of two with the same part the one with more slices is read; who lacks one stays."""
    dataset = open_dataset(export, KINDS)
    notes = " ".join(dataset.notes)

    assert kinds_of(dataset) == {
        "SIM-1": ["t1", "t2", "t2 fat sat"],
        "SIM-2": ["t1", "t2", "t2 fat sat"],
        "SIM-3": ["t1", "t2 fat sat"],
    }
    assert dataset.files.group_by("sample").len()["len"].sort().to_list() == [3, 3, 3, 3, 3, 3, 3, 5]
    assert "3 series are not read: none of the kinds." in notes
    assert "1 series is not read: another series of the exam has thinner slices, or more of them." in notes


def test_who_reads_one_series_of_an_exam_is_told_of_the_others(export):
    """The note names the options that read more; who told the series apart knows them."""
    one, apart = (" ".join(open_dataset(export, options).notes) for options in (SourceOptions(unit="volume"), KINDS))

    assert "another series of the exam" in one
    assert "--series.pick all" in one
    assert "--series.kinds" in one
    assert "--series." not in apart


def test_of_equal_series_of_an_exam_none_is_said_to_be_better(tmp_path):
    """The two views of a radiograph are as thick and as long as each other; the note says so, and how both are read."""
    for patient in (1, 2):
        write(tmp_path, patient, 1, "pa", n_slices=1)
        write(tmp_path, patient, 2, "lateral", n_slices=1)
    (tmp_path / "labels.csv").write_text("patient,finding\nSIM-1,absent\nSIM-2,present\n")
    notes = " ".join(open_dataset(tmp_path).notes)

    assert "2 series are not read: another series of the exam, no thinner and no longer, comes first by UID." in notes
    assert "has thinner slices" not in notes
    assert "--series.pick all" in notes


def test_who_does_not_know_the_series_of_an_export_is_told_what_they_are_called(export):
    """Most patients first, in words that are known; whatever else a description holds may be a name and is not said."""
    with pytest.raises(BadData, match="no series fits") as refused:
        open_dataset(export, SourceOptions(series=SeriesSpec(description="sagittal")))
    notes = " ".join(open_dataset(export, SourceOptions(unit="volume")).notes)
    told = "ax t1 (3 patients), ax t2 fat sat (3), scout (3), ax t2 haste (2), ax t2 … (1)"

    assert told in notes
    assert told in str(refused.value.remedy)
    assert "repeated" not in notes + str(refused.value)


def test_all_series_of_a_kind_are_read_where_that_is_asked_for(export):
    """`pick` chooses among those that are called the same."""
    every = SourceOptions(unit="volume", series=SeriesSpec(kinds=("t1", "t2"), pick="all"))

    assert kinds_of(open_dataset(export, every))["SIM-2"] == ["t1", "t2", "t2", "t2"]


def test_slices_of_several_kinds_are_samples_too(export):
    """A sample may be a slice, which says which series it is of."""
    slices = open_dataset(export, KINDS.replaced(unit="slice")).samples

    assert slices.filter(patient="SIM-3")["series_kind"].to_list() == 3 * ["t1"] + 3 * ["t2 fat sat"]


def test_channels_and_kinds_are_two_ways():
    """A series is a channel of one volume, or a volume that is called something."""
    with pytest.raises(BadSpec, match="give channels or kinds"):
        parse(SeriesSpec, {"channels": ["t1"], "kinds": ["t2"]})


def test_a_series_of_new_exams_is_called_as_the_study_called_it(export):
    """Of all parts that the study told apart, also those that a model does not read: fat sat is no T2."""
    found = found_in(export, ("t2",), volumes=True, kinds=KINDS.series.kinds)
    called = sorted((one.kind or "none", len(one.slices)) for one in found)

    assert [kind for kind, _ in called] == 3 * ["none"] + 3 * ["t1"] + 3 * ["t2"] + 3 * ["t2 fat sat"]


def test_what_ships_tells_the_series_of_an_export_apart_again(tmp_path):
    """Only T2 says the class: a model of exams finds it by its description in an export that nobody described."""
    for patient in range(1, 25):
        write(tmp_path / "export", patient, 1, "AX T1", grey=BRIGHT if patient // 2 % 2 else DARK)
        write(tmp_path / "export", patient, 2, "AX T2", grey=BRIGHT if patient % 2 else DARK)
    rows = [f"SIM-{one},{'bright' if one % 2 else 'dark'}" for one in range(1, 25)]
    (tmp_path / "export" / "labels.csv").write_text("\n".join(["patient,finding", *rows]) + "\n")
    options = SourceOptions(unit="volume", label="finding", series=SeriesSpec(kinds=("t1", "t2")))
    ask = Ask(
        name="kinds", data=DataSpec(source=str(tmp_path / "export"), options=options), seeds=1,
        families=("prior", "exams:thumbnail"), split=SplitSpec(scheme="holdout"), judge=JudgeSpec(resamples=200),
        means=Means(workers=1),
    )  # fmt: skip
    outcome = api.run(ask, tmp_path / "run")
    for patient, t1, t2 in ((31, DARK, BRIGHT), (32, BRIGHT, DARK)):
        write(tmp_path / str(patient), patient, 1, "Axial T2 tse", grey=t2)
        write(tmp_path / str(patient), patient, 2, "Axial T1 tse", grey=t1)
    found = Predictor(outcome.folder / "model").predict([tmp_path / "31", tmp_path / "32"])

    assert bundle.read(outcome.folder / "model").kinds == ("t1", "t2")
    assert outcome.ships.startswith("exams:thumbnail")  # all series or T2 alone
    assert found["predicted"].to_list() == ["bright", "dark"]
