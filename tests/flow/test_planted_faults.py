"""A thousand files with forty planted faults: all forty are listed, nothing else is, and the counts reconcile."""

import shutil

import numpy as np
import polars as pl
import pydicom
import pytest
from pydicom.uid import SecondaryCaptureImageStorage

from grandrounds.cli import main
from grandrounds.data.dicom_tree import survey
from grandrounds.data.pacs_copy import CORONAL, SAGITTAL, SeriesFacts, write_series, write_slice

N_EXAMS, N_SLICES, SIZE_PX = 99, 10, 8
EACH = 4  # of every kind


def _clean(root, n_exams=N_EXAMS):
    rng = np.random.default_rng(0)
    exams = []
    for exam in range(1, n_exams + 1):
        facts = SeriesFacts(f"SIM-{exam:03d}", exam)
        hu = rng.integers(-1000, 1000, (N_SLICES, SIZE_PX, SIZE_PX))
        exams.append((facts, hu, write_series(root / f"D{exam % 7}", facts, hu)))
    return exams


def _cut(path):
    path.write_bytes(path.read_bytes()[:-50])


def _without(path, *keywords, **values):
    one = pydicom.dcmread(path)
    for keyword in keywords:
        delattr(one, keyword)
    for keyword, value in values.items():
        setattr(one, keyword, value)
    one.save_as(path)


def _plant(root, exams):
    """Plant ten kinds of faults four times each, and return the kind by place; a series stands for its files."""
    planted = {}
    exams = iter(exams)
    for at in range(EACH):
        facts, hu, paths = next(exams)
        _cut(paths[3])
        planted[paths[3]] = "cut off"

        facts, hu, paths = next(exams)
        paths[5].write_bytes(b"")
        planted[paths[5]] = "empty"

        (root / f"note{at}.txt").write_text("see the other folder")
        planted[root / f"note{at}.txt"] = "not DICOM"

        facts, hu, paths = next(exams)
        _without(paths[0], "Rows", "Columns", "PixelData", SOPClassUID=SecondaryCaptureImageStorage)
        planted[paths[0]] = "no image"

        facts, hu, paths = next(exams)
        copy = root / f"copy{at}"
        copy.write_bytes(paths[2].read_bytes())
        planted[max(copy, paths[2])] = "duplicate"

        facts, hu, paths = next(exams)
        write_slice(root / f"again{at}", facts, hu[4], 77, (0, 0, 4 * facts.slice_mm))
        planted["duplicate of", facts.series_uid] = "duplicate"

        facts, hu, paths = next(exams)
        scout = SeriesFacts(facts.patient, facts.exam, direction=CORONAL, extra={"ImageType": ["A", "B", "LOCALIZER"]})
        write_slice(root / f"scout{at}", scout, hu[0], 88, (0, 0, 0))
        planted[root / f"scout{at}"] = "localiser"

        facts, hu, paths = next(exams)
        across = SeriesFacts(facts.patient, facts.exam, direction=SAGITTAL)
        write_slice(root / f"across{at}", across, hu[0], 99, (0, 0, 0))
        planted[root / f"across{at}"] = "off axis"

        facts, hu, paths = next(exams)
        paths[4].unlink()
        planted[facts.series_uid] = "gap"

        facts, hu, paths = next(exams)
        _without(paths[6], "SeriesInstanceUID")
        planted[paths[6]] = "no series"
    return planted


@pytest.fixture(scope="module")
def surveyed(tmp_path_factory):
    root = tmp_path_factory.mktemp("export")
    exams = _clean(root)
    planted = _plant(root, exams)
    return root, planted, survey(root)


def test_every_planted_fault_is_listed_with_its_kind(surveyed):
    """Forty of forty, each under its own name, at its own place, with a reason; nothing else is listed as wrong."""
    _, planted, tree = surveyed
    gaps = {series for series, kind in planted.items() if kind in ("cut off", "empty", "no image", "no series")}
    listed = tree.faults.to_dicts()
    at_files = {row["path"]: row["fault"] for row in listed if row["path"]}
    of_series = [(row["series"], row["fault"]) for row in listed if not row["path"]]
    wanted = {str(place): kind for place, kind in planted.items() if not isinstance(place, (str, tuple))}
    again = {key[1] for key in planted if isinstance(key, tuple)}
    doubled = {row["series"] for row in listed if row["fault"] == "duplicate" and row["path"] not in wanted}

    assert len(planted) == 40
    assert {place: at_files.get(place) for place in wanted} == wanted
    assert doubled == again
    assert len(at_files) == len(wanted) + len(again)
    missing = {place for place, kind in planted.items() if kind == "gap"}
    assert missing <= {series for series, fault in of_series if fault == "gap"}
    # A file that was refused inside its series leaves a gap too; nothing but gaps is said of series.
    assert {fault for _, fault in of_series} == {"gap"}
    assert len(of_series) <= len(missing) + len(gaps)
    assert all(row["reason"] for row in listed)


def test_counts_reconcile(surveyed):
    """Every file that was found is used, set aside or refused, and none is two of these."""
    root, planted, tree = surveyed
    n_files = sum(1 for path in root.rglob("*") if path.is_file())

    assert tree.counts["found"] == n_files >= 1000
    assert tree.counts["found"] == tree.counts["used"] + tree.counts["set aside"] + tree.counts["refused"]
    kinds = list(planted.values())
    assert tree.counts["refused"] == sum(
        kinds.count(kind) for kind in ("cut off", "empty", "not DICOM", "no image", "no series")
    )
    assert tree.counts["set aside"] == sum(kinds.count(kind) for kind in ("duplicate", "localiser", "off axis"))
    assert tree.files.height == tree.counts["used"] == tree.series["n_slices"].sum()


def test_counts_reconcile_from_the_export_to_the_report(surveyed, tmp_path, monkeypatch, capsys):
    """As many images are in the manifest, the folds, the predictions and the report as the survey left over."""
    root, planted, tree = surveyed
    shutil.copytree(root, tmp_path / "export")  # a run leaves its key and its ledger beside the data
    rows = [f"{uid},{'ab'[turn % 2]}" for turn, uid in enumerate(sorted(tree.series["study"].unique()))]
    (tmp_path / "labels.csv").write_text("\n".join(["study,label", *rows]))
    monkeypatch.chdir(tmp_path)
    asked = ["--labels", "labels.csv", "--families", "prior", "--resamples", "100", "--workers", "1", "--skip-bad"]
    with pytest.raises(SystemExit) as end:
        main(["run", "export", *asked, "-o", "run"])
    assert end.value.code in (0, None)
    samples, files, splits, predictions = (
        pl.read_parquet(tmp_path / f"run/{name}.parquet") for name in ("samples", "files", "splits", "predictions")
    )

    assert samples.height == files.height == tree.counts["used"]
    assert splits.filter(fold=0)["case"].n_unique() == samples["case"].n_unique() == len(rows)
    assert predictions.filter(role="test")["sample"].n_unique() == tree.counts["used"]
    n_bad = sum(kind in ("cut off", "empty", "no series") for kind in planted.values())
    said = capsys.readouterr()
    assert f"{n_bad} images cannot be used and are left out; {samples.height} remain" in said.out + said.err
    assert f"{samples.height} images" in (tmp_path / "run/report.html").read_text().replace(",", "")


def test_a_clean_export_has_no_fault(tmp_path):
    """No false alarm."""
    _clean(tmp_path, 10)
    tree = survey(tmp_path)

    assert tree.faults.is_empty()
    assert tree.counts == {"found": 100, "used": 100, "set aside": 0, "refused": 0}
