from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from scipy.stats import permutation_test
from sklearn.metrics import roc_auc_score
from statsmodels.stats.multitest import multipletests

from grandrounds import api, tables
from grandrounds.errors import BadSpec
from grandrounds.evaluate.bootstrap import resample
from grandrounds.evaluate.catalogue import METRICS
from grandrounds.evaluate.cohort import assemble
from grandrounds.evaluate.contrast import decisive
from grandrounds.evaluate.judge import judge
from grandrounds.evaluate.membership import p_of_difference, roll
from grandrounds.evaluate.slices import slices
from grandrounds.evaluate.subgroups import PERMUTATIONS, subgroups
from grandrounds.study.spec import JudgeSpec

AUC = METRICS.get("auc")


@pytest.fixture
def facts(predictions, two):
    """Return predictions of one family that reads site B by chance, and what is known of the samples."""
    frame = predictions(two, {"cnn": 2.5}, n_patients=120, n_folds=1)
    poor = predictions(two, {"cnn": 0.0}, n_patients=120, n_folds=1)
    number = pl.col("patient").str.slice(1).cast(pl.Int64)
    frame = frame.with_columns(site=pl.when(number % 4 < 2).then(pl.lit("A")).otherwise(pl.lit("B")))
    poor = poor.with_columns(site=pl.lit("B"))
    frame = pl.concat([frame.filter(site="A"), poor.join(frame.filter(site="B").select("sample"), on="sample")])
    return frame, frame.select("sample", "patient", "site")


def named(found, slice_name):
    """The scores of a slice on the primary metric."""
    return found.scores.filter(slice=slice_name, metric="auc").filter(pl.col("label").is_null()).row(0, named=True)


def test_a_slice_is_scored_as_its_rows_alone_are(facts, two):
    """The area of site A is scikit-learn's on the rows of site A, inside its interval, with its own patients."""
    frame, known = facts
    found = subgroups(assemble(frame, two), slices(known), AUC, 0.02, resamples=500)
    rows = frame.filter(site="A")
    row = named(found, "site: A")

    assert row["estimate"] == pytest.approx(roc_auc_score(rows["label"] == "malignant", rows["prob_malignant"]))
    assert row["low"] < row["estimate"] < row["high"]
    assert (row["n_patients"], row["n_samples"]) == (60, 180)


def test_a_dozen_patients_without_a_miss_are_not_shown_to_be_read_as_well_as_the_rest(two):
    """No draw differs on either side; what so few leave open decides, and the verdict is open, too."""
    truth = np.arange(48) % 2
    ill = np.where(truth == 1, 0.7, 0.1) + np.random.default_rng(0).random(48) * 0.2
    names = [f"p{at}" for at in range(48)]
    frame = pl.DataFrame({
        "family": "sure", "sample": names, "patient": names, "label": np.array(two.classes)[truth],
        f"prob_{two.classes[0]}": 1 - ill, f"prob_{two.classes[1]}": ill, "site": ["A"] * 12 + ["B"] * 36,
    })  # fmt: skip
    found = subgroups(assemble(frame, two), slices(frame.select("sample", "patient", "site")), AUC, 0.02, resamples=500)

    assert set(found.comparisons["difference"]) == {0.0}
    assert set(found.comparisons["verdict"]) == {"undecided"}
    assert (found.comparisons["high"] - found.comparisons["low"]).min() > 0.3
    assert not any("too short" in note for note in found.scores["note"].drop_nulls())


def test_a_planted_weakness_is_found_and_said(facts, two):
    """Site B is read by chance: the comparison says worse, and so does the note."""
    frame, known = facts
    found = subgroups(assemble(frame, two), slices(known), AUC, 0.02, resamples=500)
    verdicts = dict(found.comparisons.select("slice", "verdict").iter_rows())

    assert verdicts == {"site: A": "better", "site: B": "worse"}
    assert "shown after correction for 2 slices" in named(found, "site: B")["note"]
    assert found.comparisons["family_a"].to_list() == found.comparisons["family_b"].to_list()
    assert decisive(found.comparisons).is_empty()


def test_slices_that_differ_by_nothing_are_rarely_shown(predictions, two):
    """Of 40 studies with five random slices of 20 patients, few claim a difference."""
    wrong = 0
    for seed in range(40):
        frame = predictions(two, {"cnn": 2.5}, n_patients=100, n_each=2, n_folds=1, seed=seed)
        rng = np.random.default_rng(seed)
        sites = dict(zip(sorted(set(frame["patient"])), rng.choice(list("ABCDE"), 100), strict=True))
        known = frame.select("sample", site=pl.col("patient").replace_strict(sites))
        found = subgroups(assemble(frame, two), slices(known), AUC, 0.0, resamples=999)
        wrong += (found.comparisons["p_adjusted"] <= 0.05).any()
    assert wrong <= 6  # of 40 at 5 %: 99 % of the time at most 6


def test_holm_is_statsmodels_over_the_slices(facts, two):
    """The adjusted p of three sites are those that statsmodels makes of the three raw ones."""
    frame, known = facts
    known = known.with_columns(site=pl.when(pl.col("patient") < "p030").then(pl.lit("C")).otherwise("site"))
    cohort, parts = assemble(frame, two), slices(known)
    found = subgroups(cohort, parts, AUC, 0.02, resamples=500)
    for part in parts:
        drawn = [
            resample(assemble(frame.filter(pl.col("sample").is_in(list(part.samples)) == kept), two), 1, 0)
            for kept in (True, False)
        ]
        assert drawn[0].estimate[0, drawn[0].at("auc")] == named(found, part.name)["estimate"]
        one = found.comparisons.filter(slice=part.name).row(0, named=True)
        assert one["difference"] == pytest.approx(
            drawn[0].estimate[0, drawn[0].at("auc")] - drawn[1].estimate[0, drawn[1].at("auc")]
        )
    alone = [subgroups(cohort, [part], AUC, 0.02, resamples=500).comparisons["p_adjusted"][0] for part in parts]
    assert found.comparisons["p_adjusted"].to_list() == pytest.approx(multipletests(alone, method="holm")[1].tolist())


def test_a_slice_and_its_complement_are_one_test(facts, two):
    """Two sites ask one question: its p is the same from either side, and corrected for nothing."""
    frame, known = facts
    found = subgroups(assemble(frame, two), slices(known), AUC, 0.02, resamples=100).comparisons

    assert found["p_adjusted"].to_list() == [1 / (1 + PERMUTATIONS)] * 2


def test_a_small_slice_is_named_and_not_estimated(facts, two):
    """Nine patients have no number; nor has a rest of nine."""
    frame, known = facts
    for few in (pl.col("patient") < "p009", pl.col("patient") >= "p009"):
        small = known.with_columns(site=pl.when(few).then(pl.lit("small")).otherwise(pl.lit("rest")))
        found = subgroups(assemble(frame, two), slices(small), AUC, 0.02, resamples=50)
        assert found.scores["estimate"].null_count() == found.scores.height == 2
        assert "fewer than 10" in named(found, "site: small")["note"]
        assert found.comparisons.is_empty()


def test_a_slice_of_one_class_is_undefined(facts, two):
    """There is no area, the note says why, and the verdict is undecided."""
    frame, known = facts
    known = known.with_columns(site=frame["label"].replace({"benign": "A", "malignant": "B"}))
    found = subgroups(assemble(frame, two), slices(known), AUC, 0.02, resamples=50)

    assert named(found, "site: A")["estimate"] is None
    assert "every sample, is malignant" in named(found, "site: A")["note"]
    assert found.comparisons["verdict"].unique().to_list() == ["undecided"]


@pytest.mark.parametrize(
    ("column", "values", "expected"),
    [
        ("age_years", [17, 39, 40, 75, 75], {"below 18", "18 to below 40", "40 to below 60", "75 and above"}),
        ("PatientAge", ["017Y", "039Y", "075Y", "075Y", "080Y"], set()),
        ("age", ["017Y", "039Y", "075Y", "075Y", "080Y"], {"below 18", "18 to below 40", "75 and above"}),
        ("sex", ["F", "M", "F", "", None], {"F", "M", "unknown"}),
        ("Manufacturer Model Name", ["a", "b", "a", "b", "a"], {"a", "b"}),
        ("lesion_size_mm", [1.0, 2, 3, 4, 5], {"1", "2", "3", "4", "5"}),
        ("size_mm", [1.0, 1, 1, 1, 1], set()),
        ("sex", ["F", "F", "F", None, None], {"F", "unknown"}),
    ],
)  # fmt: skip
def test_columns_are_recognised_and_cut(column, values, expected):
    """Words stay words, ages get bands, an absent value is a slice, one value is none."""
    facts = pl.DataFrame({"sample": list("abcde"), column: values}, strict=False)

    assert {one.value for one in slices(facts)} == expected


def test_sizes_are_cut_into_thirds_and_names_are_no_slices():
    """Sixty sizes make three slices of twenty; sixty different words are names."""
    facts = pl.DataFrame({"sample": [f"s{k}" for k in range(60)], "volume_ml": range(60),
                          "site": [f"x{k}" for k in range(60)]})  # fmt: skip
    found = slices(facts)

    assert [len(one.samples) for one in found] == [20, 20, 20]
    assert {one.column for one in found} == {"volume_ml"}


def test_a_column_that_is_not_there_is_refused():
    """The message names those that are."""
    with pytest.raises(BadSpec, match="no column 'hospital'"):
        slices(pl.DataFrame({"sample": ["a"], "ward": ["b"]}), ["hospital"])


def test_slices_of_a_csv_are_on_its_page(facts, two, tmp_path):
    """A column of site makes the section, a column that is named does, and the ranking does not change."""
    frame, _ = facts
    frame.drop("task", "trial").with_columns(ward=pl.col("site").replace({"A": "north", "B": "south"})).write_csv(
        tmp_path / "p.csv"
    )
    page = api.rereport(tmp_path / "p.csv", judge=JudgeSpec(resamples=100, slices=("ward",)))
    text = page.read_text(encoding="utf-8")
    scores = tables.read(tables.SCORES, page.parent / "scores.parquet").frame

    assert "Who is read less well?" in text
    assert "ward: south" in text
    whole = scores.filter(slice="all", metric="auc").filter(pl.col("label").is_null())["estimate"][0]
    assert whole == judge(frame, two, resamples=10).scores.filter(metric="auc")["estimate"][0]


def test_p_is_scipys_permutation_test(facts, two):
    """With one row a patient and one class looked at, p agrees with scipy's permutation of independent samples."""
    frame = facts[0].unique("patient", maintain_order=True).filter(label="malignant")
    rng = np.random.default_rng(5)
    frame = frame.with_columns(site=pl.Series(rng.choice(["A", "B"], frame.height)))
    called = (frame["prob_malignant"] > 0.5).cast(pl.Float64).to_numpy()
    inside = (frame["site"] == "A").to_numpy()
    theirs = permutation_test(
        (called[inside], called[~inside]), lambda a, b: abs(a.mean() - b.mean()), n_resamples=20_000,
        alternative="greater", rng=np.random.default_rng(0),
    )  # fmt: skip
    cohort = assemble(frame, two)
    who = roll(cohort, frozenset(frame.filter(site="A")["sample"]))

    assert p_of_difference(cohort, who, "cnn", METRICS.get("accuracy"), 20_000, 0) == pytest.approx(
        theirs.pvalue, abs=0.02
    )


def test_lots_keep_patients_together_and_classes_apart(predictions, two):
    """Whole patients change places, those of one class among themselves; a divided patient's samples stay his own."""
    frame = predictions(two, {"cnn": 1.0}, n_patients=30, n_each=4, n_folds=1)
    number = pl.col("patient").str.slice(1).cast(pl.Int64)
    divided = (number < 10) & (pl.col("sample").str.slice(1).cast(pl.Int64) % 2 == 0)
    part = frozenset(frame.filter(divided | (number >= 20))["sample"])
    who = roll(assemble(frame, two), part)
    owner = {who.names[row["sample"]]: (row["patient"], row["label"]) for row in frame.iter_rows(named=True)}

    for units in who.swaps:
        owners = [{owner[at] for at in one} for one in units]
        assert all(len(one) == 1 for one in owners)  # a unit is of one patient and class
        assert len({label for one in owners for _, label in one}) == 1
        patients = {patient for one in owners for patient, _ in one}
        assert len(patients) == 1 or all(len(one) == 4 for one in units)
    moved = sorted(at for units in who.swaps for one in units for at in one)
    assert moved == list(range(120))
