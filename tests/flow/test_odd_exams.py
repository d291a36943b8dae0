"""Exams that are not like the others: a study of volumes takes them, or refuses them with the numbers."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813  (the name that everybody knows it by)

from grandrounds import api, formats, specs
from grandrounds.cli import main
from grandrounds.data import open_dataset
from grandrounds.data.options import SourceOptions
from grandrounds.errors import BadData
from grandrounds.layouts.copies import COPIES
from grandrounds.layouts.copies_mrnet import write_mrnet
from grandrounds.specs import parse
from grandrounds.study.spec import Ask, DataSpec, Study, for_volumes
from grandrounds.study.workspace import open_workspace

RAS = (-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0)  # as ITK writes it: columns run to the right, rows to the front
WHOLE = {"unit": "volume"}


def noise(space, seed):
    return np.random.default_rng(seed).integers(0, 256, space, dtype=np.uint8)


def write(path, pixels, between_mm=2.0, direction=None):
    """Write a volume (D, H, W) as NIfTI."""
    image = sitk.GetImageFromArray(pixels)
    image.SetSpacing((1.0, 1.0, between_mm))
    if direction is not None:
        image.SetDirection(direction)
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(image, str(path))


@pytest.fixture
def exams(tmp_path):
    """Four exams of each class, all alike."""
    for label, case in itertools.product(("healthy", "ill"), range(4)):
        write(tmp_path / "exams" / label / f"{label}-{case}.nii.gz", noise((6, 20, 24), case + 4 * (label == "ill")))
    return tmp_path / "exams"


def opened(source, folder, options=WHOLE):
    """Return the workspace of a study of whole volumes, and what was said when it was opened."""
    said: list[str] = []
    data = parse(DataSpec, {"source": str(source), "names": True, "options": options})
    return open_workspace(Ask(name="odd", data=data), folder, said.append, pipeline=None, cache=None), " ".join(said)


def test_exams_of_one_slice_and_of_three_hundred(exams, tmp_path):
    """Both become as deep as the others; what has one slice repeats it."""
    write(exams / "ill" / "flat.nii.gz", noise((1, 20, 24), 20))
    np.save(exams / "ill" / "plane.npy", noise((20, 24), 21))
    write(exams / "healthy" / "deep.nii.gz", noise((300, 20, 24), 22))
    workspace, said = opened(exams, tmp_path / "run")
    pixels = workspace.prepared.pixels
    single = workspace.dataset.samples["depth_px"] == 1

    assert pixels.shape == (11, 1, 16, 20, 24)
    assert "Volumes of 1 to 300 slices of 20×24 become 16×20×24" in said
    assert "2 have a single slice, which is repeated" in said
    assert 'The step "canvas" with depth_px = 300 would keep every slice, for networks behind slices:.' in said
    assert single.sum() == 2
    for one in pixels[single.to_numpy()]:
        np.testing.assert_array_equal(one, np.broadcast_to(one[:, :1], one.shape))


def test_exams_of_different_spacing(exams, tmp_path):
    """They are stretched alike, and the plan says so with the distances."""
    write(exams / "ill" / "thick.nii.gz", noise((3, 20, 24), 20), between_mm=5.0)
    _, said = opened(exams, tmp_path / "run")

    assert "Slices lie 2 to 5 mm apart and are stretched alike" in said


def test_exams_that_are_equally_deep(exams, tmp_path):
    """Of those too deep to train on, nothing is said of a step that would keep them as deep as each is."""
    for seed, path in enumerate(exams.rglob("*.nii.gz")):
        write(path, noise((40, 20, 24), seed))
    _, said = opened(exams, tmp_path / "run")

    assert "Volumes of 40 slices of 20×24 become 16×20×24" in said
    assert "canvas" not in said


def test_exams_that_lie_in_several_ways(exams, tmp_path):
    """They are turned as most lie already; the same exam written in another way has the same pixels."""
    first = exams / "ill" / "ill-0.nii.gz"
    pixels = sitk.GetArrayFromImage(sitk.ReadImage(str(first)))
    write(exams / "ill" / "turned.nii.gz", np.ascontiguousarray(pixels[:, ::-1, ::-1]), direction=RAS)
    workspace, said = opened(exams, tmp_path / "run")
    row = {name.removesuffix(".nii.gz").rpartition("/")[2]: k for k, name in enumerate(workspace.dataset.files["path"])}

    assert "Volumes lie in 2 ways in the patient (LPS 8, RAS 1): all are turned to LPS" in said
    np.testing.assert_array_equal(workspace.prepared.pixels[row["turned"]], workspace.prepared.pixels[row["ill-0"]])


def test_what_is_read_later_is_turned_as_the_exams_of_the_study_lay(exams, tmp_path):
    """They all lay in one way; the same exam from another archive, stored the other way round, is the same."""
    workspace, said = opened(exams, tmp_path / "run")
    first = exams / "ill" / "ill-0.nii.gz"
    pixels = sitk.GetArrayFromImage(sitk.ReadImage(str(first)))
    write(tmp_path / "turned.nii.gz", np.ascontiguousarray(pixels[:, ::-1, ::-1]), direction=RAS)
    whole, later = workspace.pipeline(formats.read(first)), workspace.pipeline(formats.read(tmp_path / "turned.nii.gz"))

    assert "All volumes lie as LPS in the patient" in said
    np.testing.assert_array_equal(later, whole)
    np.save(tmp_path / "array.npy", pixels)
    with pytest.raises(BadData, match="needs the direction"):
        workspace.pipeline(formats.read(tmp_path / "array.npy"))


def test_exams_of_which_some_do_not_say_how_they_lie(exams, tmp_path):
    """Nobody can turn those, so none is turned, and the plan says so."""
    write(exams / "ill" / "turned.nii.gz", noise((6, 20, 24), 20), direction=RAS)
    np.save(exams / "ill" / "array.npy", noise((6, 20, 24), 21))
    workspace, said = opened(exams, tmp_path / "run")

    assert "(LPS 8, RAS 1, unknown 1): some do not say how" in said
    assert "reorient" not in [step.step for step in workspace.pipeline.whole]


def test_an_exam_that_is_there_twice(exams, tmp_path):
    """Both copies stand on one side of every split, and the plan counts whom that binds."""
    first = exams / "ill" / "ill-0.nii.gz"
    (exams / "ill" / "again.nii.gz").write_bytes(first.read_bytes())
    workspace, said = opened(exams, tmp_path / "run")
    twice = workspace.dataset.samples.filter(workspace.dataset.samples["sha256"].is_duplicated())["case"]
    roles = workspace.plan.roles(workspace.plan.folds()[0]).filter(case=twice[0])["role"]

    assert len(twice) == 2
    assert roles.to_list() == workspace.plan.roles(workspace.plan.folds()[0]).filter(case=twice[1])["role"].to_list()
    assert "2 patients share an image with another: drawn folds never part those." in said


def test_an_exam_without_any_series(tmp_path):
    """It is listed as unusable and stops the study until --skip-bad lets it go on without."""
    root = write_mrnet(tmp_path)
    gone = sorted((root / "train").rglob("0000.npy"))
    for path in gone:
        path.unlink()
    dataset = open_dataset(root, SourceOptions(task="acl", unit="volume"))

    assert gone
    assert dataset.bad["reason"].to_list() == ["it has a label, and no array in any plane"]
    ask = Ask(name="odd", data=parse(DataSpec, {"source": str(root), "options": {"task": "acl", "unit": "volume"}}))
    with pytest.raises(BadData, match=r"^1 of 15 images cannot be used; .* no array in any plane"):
        open_workspace(ask, tmp_path / "run", print, pipeline=None, cache=None)


def test_an_exam_with_a_label_for_one_task_alone(tmp_path):
    """A study of the other task goes on without it and says so; one of the first task has it."""
    root = write_mrnet(tmp_path, n_more=12)
    table = root / "train-acl.csv"
    lines = table.read_text(encoding="utf-8").splitlines()
    table.write_text("\n".join(lines[1:]) + "\n", encoding="utf-8")
    (with_it, said_of_it), (without, said) = (
        opened(root, tmp_path / task, WHOLE | {"task": task}) for task in ("meniscus", "acl")
    )

    assert "1 case has no known label: neither trained on nor tested." in said
    assert "known label" not in said_of_it
    assert set(with_it.plan.table["case"]) - set(without.plan.table["case"]) == {"0000"}


def test_a_whole_set_of_chests_from_the_disk_to_the_report(tmp_path, capsys):
    """COV19-CT-DB, with a scan of a single slice, with one command that names no family."""
    COPIES["cov19-ct-db"](tmp_path / "chests")
    out = tmp_path / "run"
    command = ["run", str(tmp_path / "chests" / "COV19-CT-DB"), "--unit", "volume", "--budget", "5s", "-o", str(out)]
    with pytest.raises(SystemExit) as done:
        main(command)
    said = " ".join(capsys.readouterr().err.split())

    assert done.value.code == 0
    assert {recipe.family for recipe in specs.read(Study, out / "study.toml").recipes} == set(for_volumes())
    assert (out / "report.html").stat().st_size > 10_000
    assert "Volumes of 1 to 11 slices of 16 to 24×16 to 24 become 16×24×24" in said
    slices = sorted((tmp_path / "chests" / "COV19-CT-DB" / "val" / "covid" / "ct_scan_0").glob("[0-9]*.jpg"))
    refused = api.predict(out, slices)["refused"]
    assert refused.str.contains("give the folder").sum() == len(slices) > 0  # a slice is no exam
    assert api.predict(out, [slices[0].parent])["refused"].to_list() == [None]


def test_a_whole_set_of_knees_from_the_disk_to_the_report_and_back(tmp_path):
    """MRNet, large enough for the folds within folds of a fusion; the model that ships then reads the same set."""
    root, out = write_mrnet(tmp_path, n_more=24), tmp_path / "run"
    command = ["run", str(root), "--task", "acl", "--unit", "volume", "--seeds", "1", "--budget", "5s", "-o", str(out)]
    with pytest.raises(SystemExit) as done:
        main([*command, "--families", "prior,fusion:thumbnail", "--resamples", "200"])
    page = (out / "report.md").read_text(encoding="utf-8")
    predicted = api.predict(out, [root], options=SourceOptions(task="acl", unit="volume"))

    assert done.value.code == 0
    assert all(f"| {plane} alone |" in page for plane in ("axial", "coronal", "sagittal"))
    assert predicted["case"].n_unique() == predicted.height == 30
    assert predicted["refused"].null_count() == 30
