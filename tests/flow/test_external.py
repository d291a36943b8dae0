"""External validation: a model that was trained here, on images from elsewhere."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score
from tests.command import grandrounds

from grandrounds import api, tables
from grandrounds.cli import main
from grandrounds.errors import BadData, BadSpec
from grandrounds.evaluate.columns import Columns
from grandrounds.evaluate.wrongly import WORST
from grandrounds.serve import bundle
from grandrounds.study.evidence import evidence
from grandrounds.study.spec import Ask, DataSpec, JudgeSpec, Means

CLASSES = ("columns", "rows")

UNSEALED = {"format": 3, "seal": None}  # as models were before their manifest was sealed


def hospital(folder, seed, names=CLASSES, first=0, n_patients=24, noise=18, images=2, deep=()):
    """Write images of stripes and their table, with patients numbered from `first`; return the table.

    The images of patients in `deep` have 16 bits.
    """
    from PIL import Image as Picture

    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:16, :16]
    lines = []
    folder.mkdir(parents=True)
    for patient in range(first, first + n_patients):
        label = patient % len(names)
        for turn in range(images):
            wave = np.sin((rows if label % 2 else columns) * (1.2 + 0.5 * (label % 2)) + rng.uniform(0, 6))
            grey = np.clip(128 + 35 * wave + rng.normal(0, noise, rows.shape), 0, 255).astype(np.uint8)
            name = f"{patient:03d}-{turn}.png"
            Picture.fromarray(grey.astype(np.uint16) * 257 if patient in deep else grey).save(folder / name)
            lines.append((name, names[label], f"N{patient:03d}", "FM"[patient // 2 % 2], 30.0 + patient % 40))
    table = pl.DataFrame(lines, schema=["image", "label", "patient", "sex", "age_years"], orient="row")
    table.write_csv(folder / "table.csv")
    return folder / "table.csv"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished run of a cheap family on one hospital, in three folds."""
    home = tmp_path_factory.mktemp("home")
    source = hospital(home / "images", seed=0)
    ask = Ask(
        name="stripes", data=DataSpec(source=str(source)), families=("prior", "thumbnail", "lbp-svm"),
        split={"scheme": "kfold", "folds": 3}, judge=JudgeSpec(resamples=100), means=Means(budget_s=20),
    )  # fmt: skip
    return api.run(ask, home / "run").folder, source


@pytest.fixture
def run(finished, tmp_path):
    """A copy of the run that a test may change, and the source of its images."""
    shutil.copytree(finished[0], tmp_path / "run", ignore=shutil.ignore_patterns("prepared", "trials"))
    return tmp_path / "run"


def test_other_data_get_a_section_and_no_place_in_the_ranking(run, tmp_path):
    """Tables and page say what is lost elsewhere; scores, comparisons and verdict stay byte for byte."""
    source = hospital(tmp_path / "theirs", seed=1, first=100, noise=60)
    before = {name: (run / name).read_bytes() for name in ("scores.parquet", "comparisons.parquet", "verdict.json")}
    found = api.evaluate(run, str(source))
    page = (run / "report.html").read_text(encoding="utf-8")
    frame = found.found

    assert {name: (run / name).read_bytes() for name in before} == before
    assert "Does it hold elsewhere?" in page
    assert found.folder.parent == run / "external"
    assert tables.check(frame, tables.EXTERNAL).equals(frame)
    assert set(frame["kind"]) == {"performance", "threshold", "calibration", "mix"}
    assert any(
        one.startswith("No patient of these data was in the study, and no image has the pix") for one in found.notes
    )
    assert "age_years: 18 to below 40" in frame.filter(kind="mix")["label"].to_list()
    auc = frame.filter(what="auc", family="lbp-svm").row(0, named=True)
    assert auc["difference"] == pytest.approx(auc["external"] - auc["home"])
    assert auc["low"] <= auc["difference"] <= auc["high"]
    assert (auc["n_patients"], auc["n_samples"]) == (24, 48)


def tissue(folder, seeds, compressed=()):
    """Write one image a patient with structure at several scales, and return the table; some come out of a JPEG."""
    folder.mkdir(parents=True)
    lines = ["image,label,patient"]
    for seed in seeds:
        rng = np.random.default_rng(seed)
        layers = [cv2.GaussianBlur(rng.normal(0, 1, (48, 48)), (0, 0), scale) * scale for scale in (1.5, 4, 12)]
        grey = np.clip(np.sum(layers, axis=0) * 40 + 100 + 40 * (seed % 2), 0, 255).astype(np.uint8)
        name = f"x{seed}"
        if seed in compressed:
            name = f"anew{seed}"
            grey = cv2.imdecode(cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, 60])[1], cv2.IMREAD_GRAYSCALE)
        cv2.imwrite(str(folder / f"{name}.png"), grey)
        lines.append(f"{name}.png,{'ab'[seed % 2]},{name}")
    (folder / "table.csv").write_text("\n".join(lines) + "\n")
    return folder / "table.csv"


def test_images_of_the_study_that_were_saved_anew_are_told(tmp_path):
    """A table has each with its original, under pseudonyms that the command `names` undoes on both sides."""
    ask = Ask(
        name="tissue", data=DataSpec(source=str(tissue(tmp_path / "home", range(60)))),
        families=("prior", "lbp-svm"),
        split={"scheme": "kfold", "folds": 3}, judge=JudgeSpec(resamples=100), means=Means(budget_s=20),
    )  # fmt: skip
    run = api.run(ask, tmp_path / "run").folder
    found = api.evaluate(run, str(tissue(tmp_path / "theirs", range(50, 80), compressed=range(50, 60))))
    told, _ = tables.read(tables.COPIES, found.folder / "copies.parquet")
    theirs, ours = (dict(api.names(folder).select("sample", "path").iter_rows()) for folder in (found.folder, run))

    pairs = {(Path(theirs[one]).name, Path(ours[like]).name) for one, like in told.select("sample", "like").iter_rows()}
    assert pairs == {(f"anew{seed}.png", f"x{seed}.png") for seed in range(50, 60)}
    assert any(": 10 of 30 images; the first, S-" in one for one in found.notes)

    assert api.names(run)["path"].str.contains("/home/").all()
    with pytest.raises(BadSpec, match="this folder holds a study"):
        api.evaluate(run, str(tmp_path / "theirs" / "table.csv"), out=run)
    (run / "report.html").unlink()
    assert api.evaluate(run, str(tmp_path / "theirs" / "table.csv")).page == found.folder / "report.html"
    assert not (run / "report.html").exists()  # its absence says that the run did not end

    shutil.rmtree(run / "prepared")
    again = api.evaluate(run, str(tmp_path / "theirs" / "table.csv"))
    assert any(one.startswith("Nearly identical images are not looked for") for one in again.notes)
    assert not (again.folder / "copies.parquet").exists()


def test_a_model_alone_has_a_page_of_what_was_found(run, tmp_path):
    """Nothing that a study would have stands empty, and unknown patients are not counted."""
    source = hospital(tmp_path / "theirs", seed=7, first=100)
    frame = pl.read_csv(source).drop("patient")
    frame.write_csv(source)
    found = api.evaluate(run / "model", str(source), out=tmp_path / "out")
    page = found.page.read_text(encoding="utf-8")

    assert re.findall("<h2[^>]*>([^<]+)<", page)[0] == "Does it hold elsewhere?"
    for absent in ("There are no scores", "Leak certificate", "of 48 patients", "Differences are elsewhere minus home"):
        assert absent not in page
    assert "table: 48 images." in page
    assert found.found["n_patients"].null_count() == found.found.height


def test_the_thresholds_that_ship_are_judged_as_they_were_set(run, tmp_path):
    """Sensitivity and specificity of each are counted on the rows of what ships; the page has them."""
    found = api.evaluate(run, str(hospital(tmp_path / "theirs", seed=3, first=100, noise=60)))
    bundle = json.loads((run / "model" / "bundle.json").read_text())
    rows = tables.read(tables.PREDICTIONS, found.folder / "predictions.parquet").frame
    rows, told = rows.filter(family=rows["family"][-1]), found.found.filter(kind="threshold")

    assert bundle["unit"] == "sample"
    assert told.height == 2 * len(bundle["thresholds"]) > 0
    for one in bundle["thresholds"]:
        truth, is_called = rows["label"] == one["label"], rows[f"prob_{one['label']}"] >= one["at"]
        counted = {"recall": is_called.filter(truth).mean(), "specificity": 1 - is_called.filter(~truth).mean()}
        mine = told.filter(pl.col("label") == f"{one['rule']}, {one['label']} from {one['at']:.3f}")
        assert dict(mine.select("what", "external").iter_rows()) == pytest.approx(counted)
        assert (mine["external_low"] <= mine["external"]).all()
        assert (mine["external"] <= mine["external_high"]).all()
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "what the thresholds that ship give there" in page


def test_an_image_with_two_labels_is_told(run, tmp_path):
    """Both rows are judged, since nobody knows which is right; two blank images may be of anybody."""
    source = hospital(tmp_path / "theirs", seed=4, first=100)
    lines = source.read_text().splitlines()
    image, label, *rest = lines[1].split(",")
    other = next(one for one in CLASSES if one != label)
    source.write_text("\n".join([*lines, ",".join([image, other, *rest])]) + "\n")
    for at, name in enumerate(CLASSES):
        cv2.imwrite(str(source.parent / f"blank{at}.png"), np.full((16, 16), 7, np.uint8))
        with source.open("a") as table:
            table.write(",".join([f"blank{at}.png", name, f"N9{at}", *rest[1:]]) + "\n")
    notes = " ".join(api.evaluate(run, str(source), skip_bad=True).notes)

    assert "1 image stands there with two labels: one of them is wrong, and both were judged." in notes


def test_the_numbers_are_scikit_learns_and_the_test_role_is_home(run, tmp_path):
    """Elsewhere is the mean over the three models, the shipped mean stands beside it, home is the score of the run."""
    source = hospital(tmp_path / "theirs", seed=2, first=100, noise=60)
    found = api.evaluate(run, str(source))
    frame, meta = tables.read(tables.PREDICTIONS, found.folder / "predictions.parquet")
    positive = meta["task"]["positive"]
    ships = json.loads((run / "verdict.json").read_text())["ships"]

    def area(rows):
        return roc_auc_score(rows["label"] == positive, rows[f"prob_{positive}"])

    single = [area(part) for part in frame.filter(family=ships).partition_by("fold")]
    auc = found.found.filter(what="auc")
    assert len(single) == 3
    assert auc.filter(family=ships)["external"][0] == pytest.approx(np.mean(single))
    (shipped,) = set(frame["family"]) - {ships}
    assert shipped.startswith(f"{ships}, mean of 3")
    assert auc.filter(family=shipped)["external"][0] == pytest.approx(area(frame.filter(family=shipped)))
    scores = tables.read(tables.SCORES, run / "scores.parquet").frame
    home = scores.filter(family=ships, metric="auc", slice="all", unit="sample").filter(pl.col("label").is_null())
    assert auc.filter(family=ships)["home"][0] == pytest.approx(home["estimate"][0])
    assert frame["role"].unique().to_list() == ["external"]


@pytest.fixture(scope="module")
def by_patient(tmp_path_factory):
    """A finished run whose patients have four images each and are compared, each read by the most suspicious one."""
    home = tmp_path_factory.mktemp("patients")
    source = hospital(home / "images", seed=10, noise=70, images=4)
    ask = Ask(
        name="stripes", data=DataSpec(source=str(source)), families=("prior", "thumbnail", "lbp-svm"),
        split={"scheme": "kfold", "folds": 3}, means=Means(budget_s=20),
        judge=JudgeSpec(resamples=100, unit="patient", aggregation="max"),
    )  # fmt: skip
    return api.run(ask, home / "run").folder


def test_patients_elsewhere_are_judged_as_patients_at_home(by_patient, tmp_path):
    """Each model makes a patient of images by the rule of its own trial; the shipped answer is the mean of these."""
    found = api.evaluate(by_patient, str(hospital(tmp_path / "theirs", seed=11, first=100, noise=70, images=4)))
    rows, meta = tables.read(tables.PREDICTIONS, found.folder / "predictions.parquet")
    positive, ships = meta["task"]["positive"], json.loads((by_patient / "verdict.json").read_text())["ships"]
    members = (
        rows.filter(family=ships).group_by("fold", "patient").agg(pl.col(f"prob_{positive}").max(), pl.first("label"))
    )
    shipped = members.group_by("patient").agg(pl.col(f"prob_{positive}").mean(), pl.first("label"))

    def area(part):
        return roc_auc_score(part["label"] == positive, part[f"prob_{positive}"])

    auc = found.found.filter(what="auc")
    here = auc.filter(family=ships).row(0, named=True)
    assert here["external"] == pytest.approx(np.mean([area(part) for part in members.partition_by("fold")]))
    (mean,) = set(found.found["family"].drop_nulls()) - {ships}
    assert mean.startswith(f"{ships}, mean of 3")
    assert json.loads((by_patient / "model/bundle.json").read_text())["calibration"] != "none" or (
        auc.filter(family=mean)["external"][0] == pytest.approx(area(shipped))
    )
    assert (here["unit"], here["n_samples"], here["n_patients"]) == ("patient", 24, 24)
    scores = tables.read(tables.SCORES, by_patient / "scores.parquet").frame
    home = scores.filter(family=ships, metric="auc", slice="all", unit="patient").filter(pl.col("label").is_null())
    assert here["home"] == pytest.approx(home["estimate"][0])
    assert found.found.filter(kind="mix", what="class")["n_samples"].unique().to_list() == [24]
    assert "24 patients" in (by_patient / "report.html").read_text(encoding="utf-8")


def test_a_bundle_keeps_the_rule_of_each_model(by_patient, tmp_path):
    """Without its run a model still makes patients of images as it did at home."""
    source = str(hospital(tmp_path / "theirs", seed=12, first=100, noise=70, images=4))
    alone = api.evaluate(by_patient / "model", source, out=tmp_path / "out").found
    beside = api.evaluate(by_patient, source).found

    assert alone["external"].to_list()[:3] == pytest.approx(beside["external"].to_list()[:3])  # sums in any order
    assert set(alone["unit"]) == {"patient"}


@pytest.fixture
def softened(by_patient, tmp_path):
    """A copy of a run by patient whose bundle halves all log odds, and calls a patient from 0.3 on."""
    shutil.copytree(by_patient, tmp_path / "soft", ignore=shutil.ignore_patterns("prepared", "trials", "external"))
    path = tmp_path / "soft/model/bundle.json"
    soft = {"calibration": "temperature", "calibrators": [[{"sharpness": 0.5}]] * 3,
            "thresholds": [{"rule": "Youden", "label": "rows", "at": 0.3}]}  # fmt: skip
    path.write_text(json.dumps(json.loads(path.read_text()) | soft | UNSEALED))
    return tmp_path / "soft"


def test_what_ships_elsewhere_is_recalibrated_by_the_calibrators_that_come_with_it(softened, tmp_path):
    """Each model's answer of a patient is recalibrated, then the mean is taken; single models stay as they state it."""
    source = str(hospital(tmp_path / "theirs", seed=13, first=100, noise=70, images=4))
    found = api.evaluate(softened, source)
    rows = tables.read(tables.PREDICTIONS, found.folder / "predictions.parquet").frame
    members = rows.filter(~pl.col("family").str.contains(",")).group_by("fold", "patient").agg(
        pl.col("prob_rows").max(), pl.first("label")
    )  # fmt: skip
    root = (pl.col("prob_rows").sqrt(), (1 - pl.col("prob_rows")).sqrt())
    mended = members.group_by("patient").agg((root[0] / (root[0] + root[1])).mean(), pl.first("label"))
    brier = 2 * ((mended["prob_rows"] - (mended["label"] == "rows").cast(float)) ** 2).mean()
    shipped = found.found.filter(what="brier").filter(pl.col("family").str.contains("recalibrated"))

    assert shipped["family"].to_list() == ["lbp-svm, mean of 3, recalibrated"]
    assert shipped["external"][0] == pytest.approx(brier)
    assert any("What ships is recalibrated (temperature)" in note for note in found.notes)


def test_an_image_alone_is_as_stated_where_patients_were_compared(softened, by_patient):
    """Calibrators and thresholds of patients are not applied to single images."""
    images = sorted((by_patient.parent / "images").glob("00*.png"))

    assert api.predict(softened, images).equals(api.predict(by_patient, images))
    assert "rows: Youden" not in api.predict(softened, images).columns


def test_an_image_is_recalibrated_where_images_were_compared(finished, tmp_path):
    """The bundle's calibrators halve all log odds of each model before the mean, and its threshold calls a class."""
    shutil.copytree(finished[0] / "model", tmp_path / "model")
    path = tmp_path / "model/bundle.json"
    stated = json.loads(path.read_text()) | {"calibrators": [], "calibration": "none", "thresholds": []} | UNSEALED
    images = sorted(finished[1].parent.glob("00*.png"))
    path.write_text(json.dumps(stated | {"members": stated["members"][:1], "files": _of_first(stated["files"])}))
    for other in stated["members"][1:]:
        shutil.rmtree(tmp_path / "model" / other)
    plain = api.predict(tmp_path / "model", images)
    soft = {"calibration": "temperature", "calibrators": [[{"sharpness": 0.5}]],
            "thresholds": [{"rule": "Youden", "label": "rows", "at": 0.4}]}  # fmt: skip
    path.write_text(json.dumps(json.loads(path.read_text()) | soft))
    mended = api.predict(tmp_path / "model", images)
    odds = (plain["prob_rows"] / plain["prob_columns"]).to_numpy() ** 0.5

    np.testing.assert_allclose(mended["prob_rows"].to_numpy(), odds / (1 + odds))
    assert mended["rows: Youden"].to_list() == (mended["prob_rows"] >= 0.4).to_list()


def _of_first(files):
    return {name: value for name, value in files.items() if name.startswith("member-0/") or name == "card.md"}


def test_a_bundle_of_a_later_version_is_not_called_damaged(run):
    """What it holds besides is unknown here, so its number is looked at first; what is no manifest is damaged."""
    manifest = run / "model" / bundle.MANIFEST
    manifest.write_text(json.dumps({"format": 5, "of_tomorrow": 1}))
    with pytest.raises(BadData, match=r"has format 5, this version reads 1 to 4") as caught:
        bundle.read(run / "model")
    assert "the version of grandrounds that wrote it" in caught.value.remedy
    for content in (b"[]", b"\xff", b"{", b"[" * 200_000, b'{"family": "prior"}'):
        manifest.write_bytes(content)
        with pytest.raises(BadData, match=r"manifest is (damaged|not one that this version reads)") as caught:
            bundle.read(run / "model")
        assert "copy the model anew" in caught.value.remedy


def test_a_bundle_of_a_run_has_its_calibrators_and_thresholds(finished):
    """They are those that the decisions table describes: its thresholds, and one calibration a member."""
    manifest = json.loads((finished[0] / "model/bundle.json").read_text())
    verdict = json.loads((finished[0] / "verdict.json").read_text())
    decisions = tables.read(tables.DECISIONS, finished[0] / "decisions.parquet").frame
    youden = decisions.filter(family=verdict["ships"], rule="Youden", metric="recall").row(0, named=True)

    assert {one["rule"]: one["at"] for one in manifest["thresholds"]}["Youden"] == youden["threshold"]
    assert manifest["calibration"] == (verdict["recalibration"] or "none") == youden["calibration"]
    assert len(manifest["calibrators"]) == (0 if manifest["calibration"] == "none" else 3)


def test_the_audits_of_a_run_see_what_was_compared(by_patient):
    """They are given one row a patient, made by the rules that the run keeps."""
    lifted = evidence(by_patient).lifted

    assert lifted.filter(role="test", family="lbp-svm")["sample"].n_unique() == 24
    assert lifted.filter(role="test", family="lbp-svm").height == 24


def test_classes_are_mapped_and_left_out(run, tmp_path):
    """Their words become ours; a class that is mapped to nothing is left out and counted."""
    source = hospital(tmp_path / "theirs", seed=3, names=("upright", "flat", "other"), first=100)
    mapping = {"upright": "columns", "flat": "rows", "other": ""}
    found = api.evaluate(run, str(source), class_map=mapping)
    frame = tables.read(tables.PREDICTIONS, found.folder / "predictions.parquet").frame

    assert set(frame["label"]) == set(CLASSES)
    assert any("16 cases were left out" in note for note in found.notes)
    with pytest.raises(BadData, match="'flat' means nothing to the model"):
        api.evaluate(run, str(source), class_map={"upright": "columns", "other": ""})
    with pytest.raises(BadSpec, match="the model knows no class"):
        api.evaluate(run, str(source), class_map=mapping | {"other": "diagonal"})
    with pytest.raises(BadData, match="'spiral' is not in the data"):
        api.evaluate(run, str(source), class_map=mapping | {"spiral": ""})


def test_folders_of_two_hospitals_above_their_classes(run, tmp_path, capsys):
    """The question which folders are the classes can be answered; a pair where names belong is told its option."""
    source = hospital(tmp_path / "theirs", seed=3, names=("upright", "flat"), first=100)
    for at, (name, label, *_) in enumerate(pl.read_csv(source).iter_rows()):
        there = tmp_path / "sites" / f"site {'AB'[at // 2 % 3 % 2]}" / label
        there.mkdir(parents=True, exist_ok=True)
        shutil.copy(source.parent / name, there / name)
    typed = ["evaluate", str(run), str(tmp_path / "sites")]
    mapped = ["--class-map", "upright=columns", "--class-map", "flat=rows"]
    said = []
    for more in (mapped, ["--classes", "upright=columns"]):
        with pytest.raises(SystemExit, match="1"):
            main([*typed, *more])
        said.append(capsys.readouterr().err)

    assert "--classes flat,upright" in said[0]
    assert "--classes 'site A,site B'" in said[0]
    assert "--class-map upright=columns" in said[1]
    with pytest.raises(SystemExit, match="0"):
        main([*typed, *mapped, "--classes", "flat,upright"])
    assert "auc" in capsys.readouterr().out.lower()


def test_grey_pictures_that_are_stored_in_colour_are_read_as_grey(run, tmp_path):
    """As another hospital's program saves them, some or all of them: the model reads grey, and the numbers stay."""
    from PIL import Image as Picture

    there = hospital(tmp_path / "grey", seed=7, first=100)
    shutil.copytree(there.parent, tmp_path / "stored")
    for path in (tmp_path / "stored").glob("*-0.png"):
        Picture.open(path).convert("RGB").save(path)
    kept = [api.evaluate(run, str(tmp_path / name / "table.csv"), None, out=tmp_path / f"{name}-judged").found
            for name in ("grey", "stored")]  # fmt: skip

    assert kept[1]["external"].drop_nulls().to_list() == pytest.approx(kept[0]["external"].drop_nulls().to_list())


def test_answers_are_not_judged_without_labels(run, tmp_path):
    """Whoever wants a report of what `predict` wrote is told how to get one, and labels make it one."""
    source = hospital(tmp_path / "theirs", seed=15, first=100)
    answers, given = api.predict(run, [source.parent]), tmp_path / "answers.csv"
    api.save_csv(answers, given)
    with pytest.raises(BadData, match="answers of a model") as refusal:
        api.rereport(given)
    assert "`grandrounds evaluate MODEL DATA`" in refusal.value.remedy

    truth = pl.read_csv(source).select(path=str(source.parent) + "/" + pl.col("image"), label="label")
    api.save_csv(answers.join(truth, on="path"), given)
    assert api.rereport(given, columns=Columns(sample="path")).exists()


def test_images_of_the_study_are_refused(run, finished):
    """Its own images are no data from elsewhere."""
    with pytest.raises(BadData, match="48 of 48 images have the pixels of images of the study"):
        api.evaluate(run, str(finished[1]))


def test_images_of_the_study_are_refused_in_red_green_and_blue(run, finished, tmp_path):
    """The same grey stored three times is the same image, although its file and its shape are others."""
    from PIL import Image as Picture

    shutil.copytree(finished[1].parent, tmp_path / "copied")
    for path in (tmp_path / "copied").glob("*.png"):
        Picture.open(path).convert("RGB").save(path)
    with pytest.raises(BadData, match="48 of 48 images have the pixels of images of the study"):
        api.evaluate(run, str(tmp_path / "copied" / "table.csv"))


def test_patients_of_the_study_are_refused_unless_they_are_namesakes(run, tmp_path):
    """New images of the same patients are refused; of other people with their names they are taken, and it is said."""
    source = hospital(tmp_path / "theirs", seed=4, first=0)
    with pytest.raises(BadData, match="24 patients have the names of patients"):
        api.evaluate(run, str(source))
    found = api.evaluate(run, str(source), namesakes=True)

    assert any("declared to be other people" in note for note in found.notes)
    assert "declared to be other people" in (run / "report.html").read_text(encoding="utf-8")


def test_a_model_alone_says_what_it_cannot_check(run, tmp_path):
    """A bundle without its run gives numbers without a home, a page of its own, and says what could not be checked."""
    source = hospital(tmp_path / "theirs", seed=5, first=100)
    with pytest.raises(BadSpec, match="needs a place"):
        api.evaluate(run / "model", str(source))
    found = api.evaluate(run / "model", str(source), out=tmp_path / "out")

    assert found.found["home"].null_count() == found.found.height
    assert "cannot be checked" in found.notes[0]
    assert "Does it hold elsewhere?" in (tmp_path / "out/report.html").read_text(encoding="utf-8")


def test_images_on_another_scale_are_refused_or_left_out(run, tmp_path):
    """A model of 8-bit images would call images of 16 bits with certainty; nobody judges it by them."""
    source = hospital(tmp_path / "theirs", seed=11, first=100, deep=(103, 104))
    with pytest.raises(BadData, match=r"4 of 48 images are unlike all of training; of the first, .* another scale"):
        api.evaluate(run, str(source))
    found = api.evaluate(run, str(source), skip_bad=True)
    frame = tables.read(tables.PREDICTIONS, found.folder / "predictions.parquet").frame

    assert "4 images were left out: unlike all of training." in found.notes
    assert frame["patient"].n_unique() == 22


def test_images_beyond_training_are_counted(run, tmp_path):
    """They are judged, and the notes of the report say how many they are and give one example."""
    found = api.evaluate(run, str(hospital(tmp_path / "theirs", seed=12, first=100, noise=80)))

    assert any(" images lie beyond training; the first: " in note for note in found.notes)


def test_what_ships_knows_the_images_of_everybody_that_it_learned_from(finished):
    """The envelope holds all images of the three folds, each of which some model was trained on."""
    envelope = bundle.read(finished[0] / "model").envelope
    samples = tables.read(tables.SAMPLES, finished[0] / "samples.parquet").frame

    assert envelope.n_images == samples.height == 48
    assert (envelope.grey.low, envelope.grey.high) == (samples["low"].min(), samples["high"].max())
    assert not envelope.any_scale
    assert f"Its images had grey values from {envelope.grey}" in (finished[0] / "model/card.md").read_text()


def test_what_another_model_did_elsewhere_is_not_that_of_the_one_that_ships(run, tmp_path):
    """As after a run is judged again because a trial that had failed succeeds; the words on a card are no model."""
    there = str(hospital(tmp_path / "theirs", seed=14, first=100))
    api.evaluate(run, there)
    ships, shown = bundle.read(run / "model"), []
    for card, n_members in (("other words", 3), ("other words", 2)):
        members = [shutil.copytree(run / "model" / name, tmp_path / f"{name} of {n_members}") for name in ships.members]
        facts = ships.model_dump(exclude={"members", "files"})
        bundle.write(run / "model", members[:n_members], card=card, **facts)
        shown.append(api.content(run))
    assert [one.external.height > 0 for one in shown] == [True, False]
    told = ["; judge the one that ships there" in " ".join(one.notes) for one in shown]
    assert told == [False, True]

    api.evaluate(run, there)
    assert api.content(run).external.height == shown[0].external.height


def test_patients_of_test_alone_are_not_in_the_envelope(tmp_path):
    """Where one part of the patients is tested and never learned from, what ships knows nothing of their images."""
    ask = Ask(
        name="once", data=DataSpec(source=str(hospital(tmp_path / "images", seed=13))), families=("prior", "lbp-svm"),
        split={"scheme": "holdout"}, judge=JudgeSpec(resamples=100), means=Means(budget_s=10),
    )  # fmt: skip
    run = api.run(ask, tmp_path / "run").folder
    splits = tables.read(tables.SPLITS, run / "splits.parquet").frame
    samples = tables.read(tables.SAMPLES, run / "samples.parquet").frame
    learned = samples.join(splits.filter(pl.col("role").is_in(["train", "valid"])), on="case", how="semi")

    assert 0 < learned.height < samples.height
    assert bundle.read(run / "model").envelope.n_images == learned.height


def test_one_class_elsewhere_is_undefined_and_not_half(run, tmp_path):
    """An AUC without both classes has no value there and no difference."""
    source = hospital(tmp_path / "theirs", seed=6, first=100)
    row = api.evaluate(run, str(source), class_map={"columns": ""}).found.filter(what="auc").row(0, named=True)

    assert (row["external"], row["difference"]) == (None, None)
    assert row["home"] is not None


def test_nothing_names_a_patient_or_a_file(run, tmp_path):
    """What is written about the other data stands under pseudonyms, too."""
    source = hospital(tmp_path / "theirs", seed=8, first=100)
    found = api.evaluate(run, str(source))
    frame = tables.read(tables.PREDICTIONS, found.folder / "predictions.parquet").frame

    assert frame["patient"].str.contains("^P-[a-z2-7]{13}$").all()
    assert frame["sample"].str.contains("^S-[a-z2-7]{13}$").all()
    assert "N100" not in (run / "report.html").read_text(encoding="utf-8")


def test_the_command_prints_the_drop(run, tmp_path):
    """A line for each metric with its value at home, and where the report lies."""
    source = hospital(tmp_path / "theirs", seed=9, first=100)
    said = grandrounds("evaluate", run, source)

    assert "auc: " in said
    assert "at home" in said
    assert "report.html" in said
    assert f"grandrounds names {run / 'external' / 'table'}" in " ".join(said.split())
    heads = re.findall(r'<th scope="col"[^>]*>([^<]*)<', (run / "report.html").read_text(encoding="utf-8"))
    assert "At home|There|Difference" in "|".join(heads)


def test_worst_errors_of_a_run_have_pictures(finished):
    """The study writes the pictures that its page shows of errors and suspects, apart from the examples."""
    run = finished[0]
    index = json.loads((run / "pictures/index.json").read_text())
    verdict = json.loads((run / "verdict.json").read_text())
    suspects = tables.read(tables.SUSPECTS, run / "suspects.parquet").frame
    shown = suspects.filter(
        pl.col("rank") <= 12, pl.col("family").is_null() | pl.col("family").is_in([verdict["leader"], verdict["ships"]])
    )

    assert suspects.filter(kind=WORST, family="prior").height > 0
    assert set(index.get("wrongly", {})) == set(shown["sample"])
    assert len(index["examples"]) == 12  # six of each class
