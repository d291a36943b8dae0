"""Exams of several series from a table to the report: fusion, its controls, and cases that lack a series."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from PIL import Image as Pillow

from grandrounds import api, data, tables
from grandrounds.evaluate.lacking import with_lacking
from grandrounds.report import gather
from grandrounds.specs import parse
from grandrounds.splits import SplitPlan, SplitSpec
from grandrounds.study.controls import told, with_controls
from grandrounds.study.spec import Ask, DataSpec, JudgeSpec, Means, Recipe, is_control
from grandrounds.tables import patient_hashes

FUSION, JOINT = "fusion:thumbnail", "exams:thumbnail"
CONTROLS = [
    f"{FUSION}@only-front", f"{FUSION}@only-side", f"{FUSION}@only-columns", f"{FUSION}@front-shuffled-columns",
]  # fmt: skip


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Eighty exams of two views; the front view and a column say something of the label, the side view nothing."""
    home, rng, rows = tmp_path_factory.mktemp("exams"), np.random.default_rng(0), []
    for k in range(80):
        ill = bool(k % 2)
        pain = round(float(rng.normal(2 * ill)), 3)
        for plane in ("front", "side"):
            if plane == "side" and k % 5 == 0:
                continue
            grey = rng.normal(110 + 12 * (ill and plane == "front"), 6) + rng.normal(0, 6, (8, 8))
            name = f"{k:02d}-{plane}.png"
            Pillow.fromarray(grey.clip(0, 255).astype(np.uint8)).save(home / name)
            who = {"case": f"exam {k}", "patient": f"nobody {k}", "pain": pain}
            rows.append(who | {"image": name, "plane": plane, "label": "ill" if ill else "well"})
    pl.DataFrame(rows).write_csv(home / "exams.csv")
    return home / "exams.csv"


@pytest.fixture(scope="module")
def run(table, tmp_path_factory):
    """A finished study of it, of late fusion with its controls and of a joint family without any."""
    without = parse(Recipe, {"family": JOINT, "params": {"controls": "none"}})
    ask = Ask(
        name="exams", data=DataSpec(source=str(table), names=True), families=("prior", FUSION), recipes=(without,),
        seeds=1, split=SplitSpec(scheme="kfold", folds=3), judge=JudgeSpec(resamples=1000), means=Means(budget_s=20),
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("runs") / "exams"
    said = []

    class Listener(api.Silent):
        def says(self, sentence):
            said.append(sentence)

    api.run(ask, folder, Listener())
    return folder, ask, " ".join(said)


@pytest.fixture(scope="module")
def page(run):
    """The report as text."""
    return (run[0] / "report.md").read_text(encoding="utf-8")


def test_the_plan_adds_controls_and_says_so(run):
    """Each modality alone and one dealt out anew run beside the fusion; the same request then finds its study."""
    folder, ask, said = run
    scores = tables.read(tables.SCORES, folder / "scores.parquet").frame

    assert set(scores["family"]) == {"prior", FUSION, JOINT, *CONTROLS}
    assert f"4 controls run beside {FUSION}, each" in said
    assert not api.run(ask, folder).did_something


def test_controls_can_be_done_without(table):
    """A parameter of the fusion leaves them out; one modality has none."""
    samples = data.open_dataset(table).samples
    without = {FUSION: parse(Recipe, {"family": FUSION, "params": {"controls": "none"}})}
    alone = {FUSION: parse(Recipe, {"family": FUSION, "params": {"only": ["front"]}})}

    assert list(with_controls(without, samples)) == list(with_controls(alone, samples)) == [FUSION]


def test_joint_networks_have_controls_too(table):
    """The columns are one of its modalities where the network has a place for them."""
    samples = data.open_dataset(table).samples
    joint, blind = "exams:joint:spp", "exams:slices:spp"
    found = list(with_controls({name: parse(Recipe, {"family": name}) for name in (joint, blind)}, samples))

    assert found == [
        joint, *(name.replace(FUSION, joint) for name in CONTROLS),
        blind, f"{blind}@only-front", f"{blind}@only-side", f"{blind}@front-shuffled-side",
    ]  # fmt: skip


def test_fusions_inside_committees_have_controls_too(table):
    """It is what the members read that is changed; and the controls are known for what they are."""
    samples = data.open_dataset(table).samples
    name = f"ensemble:{FUSION}"
    found = with_controls({name: parse(Recipe, {"family": name, "params": {"n_members": 2}})}, samples)

    assert list(found) == [name, *(one.replace(FUSION, name) for one in CONTROLS)]
    assert [is_control(recipe) for recipe in found.values()] == [False, True, True, True, True]
    assert found[f"{name}@only-side"].params.n_members == 2
    assert found[f"{name}@only-side"].params.of["only"] == ["side"]


def test_what_is_dealt_out_anew_already_is_a_control_itself(table):
    """It gets none of its own, which could not be trained; and controls are told of by the family that has them."""
    samples = data.open_dataset(table).samples
    own = {f"{FUSION}@own": parse(Recipe, {"family": f"{FUSION}@own", "params": {"shuffled": "side"}})}
    silent = {FUSION: parse(Recipe, {"family": FUSION, "params": {"controls": "none"}})}
    quick = {f"{FUSION}@quick": parse(Recipe, {"family": f"{FUSION}@quick"})}
    asked = own | silent | quick
    found = with_controls(asked, samples)

    assert list(found)[:3] == [*own, *silent, *quick]
    assert all(name.startswith(f"{FUSION}@quick@") for name in list(found)[3:])
    assert f"4 controls run beside {FUSION}@quick, each" in " ".join(told(found, asked))


def test_series_without_a_name_can_be_controls(table, tmp_path):
    """Where some images do not say which series they show, these are a modality, too, and have a price."""
    rows = pl.read_csv(table).with_columns(
        image=str(table.parent) + "/" + pl.col("image"),
        plane=pl.when(pl.col("plane") == "side").then(None).otherwise("plane"),
    )
    rows.write_csv(tmp_path / "exams.csv")
    source = DataSpec(source=str(tmp_path / "exams.csv"), names=True)
    planned = api.plan(Ask(name="exams", data=source, families=(FUSION,), seeds=1), tmp_path / "run")

    assert f"{FUSION}@only-images" in [recipe.family for recipe in planned.recipes]


def test_a_modality_dealt_out_anew_gains_nothing(run, page):
    """Its gain beside the other modality includes nothing, it is a floor, and the report says so in words."""
    content = gather.gather(run[0])
    pair = {CONTROLS[0], CONTROLS[3]}
    found = content.comparisons.filter(
        pl.col("metric") == "auc", pl.col("family_a").is_in(pair), pl.col("family_b").is_in(pair)
    )

    assert found.row(0, named=True)["low"] < 0 < found.row(0, named=True)["high"]
    assert CONTROLS[3] in content.floors
    assert "Beside front, columns dealt out anew gains" in page
    assert "no gain is shown, as it should be" in page


def test_the_report_sets_the_fusion_beside_its_modalities(page):
    """A row for each modality with what the fusion gains over it, and a sentence on the best of them."""
    section = page.split("What does each series say?")[1].split("\n## ")[0]

    assert "| front alone |" in section
    assert "| columns alone |" in section
    assert "The fusion differs from the best modality alone" in section
    assert "Not shown to be better than chance: side" in section


def test_the_report_counts_and_scores_cases_that_lack_a_series(page):
    """16 of 80 exams have no side view; they are read, late and jointly, and scored apart from the others."""
    section = page.split("What does each series say?")[1].split("\n## ")[0]
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in section.splitlines()]
    head, _, lacks, has = lines[next(at for at, cells in enumerate(lines) if cells[:2] == ["Cases", "How many"]) :][:4]

    assert {cell.split(",")[0] for cell in head[2:]} == {FUSION, JOINT}
    assert lacks[:2] == ["lacks side", "16"]
    assert has[:2] == ["has side", "64"]
    assert all(0 < float(cell.split()[0]) <= 1 for cell in lacks[2:] + has[2:])


def test_no_member_saw_a_test_patient(run):
    """Whoever a fold tests is in no record of what fuses or of any of its members, inner trainings included."""
    plan = SplitPlan.load(run[0] / "splits.parquet")
    samples = tables.read(tables.SAMPLES, run[0] / "samples.parquet").frame
    for fold in plan.folds():
        roles = samples.join(plan.roles(fold), on="case")
        tested, trained = (set(patient_hashes(roles.filter(role=role)["patient"])) for role in ("test", "train"))
        trials = [
            path
            for kind in ("fusion", "exams")
            for path in (run[0] / "trials").glob(f"{kind}-*-r{fold.repeat}-f{fold.fold}-*")
            if path.is_dir()
        ]
        records = [path.read_text(encoding="utf-8") for trial in trials for path in trial.rglob("fitted.json")]

        assert len(records) > len(trials) == 6
        assert all(any(one in text for one in trained) for text in records)  # patients are named in them
        assert not any(one in text for one in tested for text in records)


def test_facts_of_lacking_series():
    """Where several series are lacking somewhere, a column says whether any is; where none is, there is no column."""
    exams = pl.DataFrame({"case": ["1", "1", "2", "3"], "series_kind": ["a", "b", "a", "b"]})
    facts, names = with_lacking(exams)

    assert names == ("lacks a", "lacks b", "lacks any series")
    assert facts["lacks any series"].to_list() == ["no", "no", "yes", "yes"]
    assert with_lacking(exams.head(2))[1] == ()
