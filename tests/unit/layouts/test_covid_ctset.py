from __future__ import annotations

import numpy as np
import polars as pl
from PIL import Image as Pillow

from grandrounds import splits
from grandrounds.data import open_dataset
from grandrounds.layouts.copies import write_covid_ctset
from grandrounds.prepare import default_pipeline
from grandrounds.splits import SplitSpec


def write(folder, *names, high=3000):
    """Write 16-bit sections of one grey value under these names."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Pillow.fromarray(np.full((8, 9), high, np.uint16)).save(folder / name)


def test_what_was_written_is_read(tmp_path):
    """All sixteen bits, labels, patients, sex and age come back; the date of the scan does not."""
    dataset = open_dataset(write_covid_ctset(tmp_path))

    rng = np.random.default_rng(0)
    for index, patient in enumerate((1, 3, 146, 147)):
        for sequence in (2, 3):
            high = 2000 + 500 * index + 300 * sequence
            expected = rng.integers(0, high, (32, 32))
            expected[0, 0] = high
            assert np.array_equal(dataset.load(f"patient{patient}-SR_{sequence}-IM00010").pixels[0], expected)
    assert dict(dataset.labels.select("case", "label").iter_rows())["patient146"] == "normal"
    assert dataset.samples.filter(sample="patient3-SR_2-IM00010").select("sex", "age_years").row(0) == ("M", 53.0)
    assert "Date" not in dataset.samples.columns


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
    (folder / "README.md").write_text("COVID-19 Patients | COVID-19 Images | Normal Patients\n95 | 282 | 15589\n")

    counts = open_dataset(folder).labels["label"].value_counts().rows()

    assert dict(counts) == {"covid": 2, "normal": 2}


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
