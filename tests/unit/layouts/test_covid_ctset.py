from __future__ import annotations

import numpy as np
import polars as pl
from PIL import Image as Pillow

from grandrounds import splits
from grandrounds.data import open_dataset
from grandrounds.layouts.copies_covid_ctset import write_covid_ctset, write_covid_ctset_folds
from grandrounds.prepare import default_pipeline
from grandrounds.splits import SplitSpec


def write(folder, *names, high=3000):
    """Write 16-bit sections of one grey value under these names."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Pillow.fromarray(np.full((8, 9), high, np.uint16)).save(folder / name)


def test_patients_sequences_and_table(tmp_path):
    """Three sequences of a patient have images of the same name; label, sex and age come from the table, no date."""
    dataset = open_dataset(write_covid_ctset(tmp_path))

    assert dataset.samples.filter(patient="patient3").select("sample", "case", "sex", "age_years").rows() == [
        ("patient3-SR_2-IM00010", "patient3", "M", 53.0),
        ("patient3-SR_3-IM00010", "patient3", "M", 53.0),
        ("patient3-SR_4-IM00010", "patient3", "M", 53.0),
    ]
    assert dict(dataset.labels.select("case", "label").iter_rows()) == {
        "patient1": "covid", "patient3": "covid", "patient146": "normal", "patient147": "normal",
    }  # fmt: skip
    assert dict(dataset.samples.select("patient", "age_years").iter_rows()) == {
        "patient1": 50.0, "patient3": 53.0, "patient146": None, "patient147": 9.0,
    }  # fmt: skip
    assert "Date" not in dataset.samples.columns


def test_sixteen_bits_with_their_own_maxima_stay(tmp_path):
    """Values beyond 255 come back, and each image has another maximum."""
    samples = open_dataset(write_covid_ctset(tmp_path)).samples

    assert samples["encoding"].unique().to_list() == ["uint16"]
    assert samples["high"].min() == 2600
    assert samples["high"].max() == 4700
    assert samples["high"].n_unique() > 8


def test_one_scale_serves_all_images_whatever_their_maxima(tmp_path):
    """Two images that differ in their maximum alone keep their grey values apart: no image sets its own white."""
    write(tmp_path, "covid_patient1_SR_2_IM00001.tif", high=724)
    write(tmp_path, "normal1_patient146_SR_2_IM00001.tif", high=374)
    dataset = open_dataset(tmp_path)

    pipeline = default_pipeline(dataset.samples, dataset.grey_range).pipeline
    first, second = (pipeline(dataset.load(sample)).max() for sample in dataset.samples["sample"])

    assert pipeline.whole[0].model_dump() == {"step": "scale", "low": 24.0, "high": 1424.0}
    assert (first, second) == (0.5, 0.25)


def test_sequences_of_a_patient_stay_together(tmp_path):
    """A patient is one case, so that no split parts SR_2 from SR_3, not even one by sample."""
    names = [f"{word}_patient{n}_SR_{k}_IM1.tif" for n, word in enumerate(("covid", "normal") * 6) for k in (2, 3)]
    write(tmp_path, *names)
    dataset = open_dataset(tmp_path)
    cases = dataset.samples.select("case", "patient").unique().join(dataset.labels, on="case")

    plan = splits.draw(cases, SplitSpec(folds=2, group="sample"), 0, fingerprint="x")

    assert dataset.samples.group_by("case").agg(pl.col("sample").n_unique())["sample"].to_list() == [2] * 12
    assert not plan.leaky


def test_copies_in_the_folders_of_folds_count_once(tmp_path):
    """The archive of five folds holds a file up to five times, and its folders make no official split."""
    for fold in ("train1", "train2", "validation3"):
        write(tmp_path, f"{fold}/covid/137covid_patient1_SR_2_IM00010.tif")
        write(tmp_path, f"{fold}/normal/normalcd1_patient411_SR_2_IM00014.tif")

    dataset = open_dataset(tmp_path)

    assert (dataset.samples.height, dataset.official) == (2, None)
    assert any(note.startswith("4 copies") for note in dataset.notes)
    assert dict(dataset.labels.select("case", "label").iter_rows()) == {"patient1": "covid", "patient411": "normal"}


def test_the_readme_with_its_shuffled_columns_is_not_read(tmp_path):
    """Labels and counts come from names and the table of patients alone."""
    folder = write_covid_ctset(tmp_path)
    before = open_dataset(folder).fingerprint
    assert "| 95 | 282 | 15589 | 48260 |" in (folder / "README.md").read_text()
    (folder / "README.md").unlink()

    assert open_dataset(folder).fingerprint == before


def test_the_archive_of_folds(tmp_path):
    """Names tell class, patient and sequence; two of six files are copies in another fold."""
    dataset = open_dataset(write_covid_ctset_folds(tmp_path))

    assert dict(dataset.samples.select("sample", "patient").iter_rows()) == {
        "patient1-SR_2-IM00010": "patient1", "patient146-SR_2-IM00014": "patient146",
        "patient147-SR_3-IM00011": "patient147", "patient3-SR_4-IM00002": "patient3",
    }  # fmt: skip
    assert any(note.startswith("2 copies in the folders of other folds") for note in dataset.notes)
    assert dict(dataset.labels["label"].value_counts().rows()) == {"covid": 2, "normal": 2}


def test_a_parent_called_covid_is_no_label(tmp_path):
    """Only the folders below the one that is opened speak, and only whole words."""
    outer = tmp_path / "covid" / "set"
    write(outer, "COVID-CTset/normal/patient146/SR_2/IM1.tif", "COVID-CTset/covid/patient1/SR_2/IM1.tif")

    labels = open_dataset(outer / "COVID-CTset").labels

    assert dict(labels.select("case", "label").iter_rows()) == {"patient1": "covid", "patient146": "normal"}


def test_contradictions_and_unknown_labels_are_listed(tmp_path):
    """Where name and table disagree, or nothing tells, the section is left out with its reason."""
    folder = write_covid_ctset(tmp_path)
    write(folder, "normal1_patient1_SR_2_IM00011.tif", "patient999/SR_2/IM00001.tif")

    reasons = sorted(open_dataset(folder).bad["reason"])

    assert reasons == ["its name and Patient_details.csv disagree about its label", "nothing tells its label"]


def test_both_archives_are_recognised(tmp_path):
    """Flat names, folders of folds and folders of patients all open."""
    write(tmp_path / "flat", "1covid_patient1_SR_2_IM1.tif", "normal1_patient2_SR_2_IM1.tif")
    write(tmp_path / "folds", "t/covid/1covid_patient1_SR_2_IM1.tif", "t/normal/normal1_patient2_SR_2_IM1.tif")
    write_covid_ctset(tmp_path / "patients")

    assert {open_dataset(tmp_path / name).name for name in ("flat", "folds", "patients")} == {"covid-ctset"}
