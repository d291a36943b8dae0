"""Human readers as families: their files, what their scales leave undefined, and what holds over readers."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from grandrounds.errors import BadData, BadSpec
from grandrounds.evaluate import delong
from grandrounds.evaluate.catalogue import METRICS
from grandrounds.evaluate.columns import Columns
from grandrounds.evaluate.intake import intake
from grandrounds.evaluate.judge import judge
from grandrounds.evaluate.ratings import check_primary, undefined, without_curves
from grandrounds.evaluate.readers import readers_of

N = 60


@pytest.fixture(scope="module")
def study():
    """Simulated: labels, a model's probability, and ratings from 1 to 5 of three readers in two ways of reading."""
    draw = np.random.default_rng(3)
    sick = np.arange(N) % 5 < 2
    case = draw.normal(size=N) + 1.2 * sick
    names = pl.DataFrame({
        "sample": [f"s{k:02d}" for k in range(N)], "label": np.where(sick, "sick", "well"),
    }).with_columns(patient=pl.Series([f"p{k // 2:02d}" for k in range(N)]))  # fmt: skip
    model = names.with_columns(prob_sick=pl.Series(1 / (1 + np.exp(-case)))).with_columns(
        prob_well=1 - pl.col("prob_sick")
    )
    parts = [
        names.drop("patient").with_columns(
            family=pl.lit(arm), reader=pl.lit(reader),
            score=pl.Series(np.digitize(case + draw.normal(size=N) + gain * sick, [-0.5, 0.5, 1.2, 2.0]) + 1),
        )
        for arm, gain in (("alone", 0.0), ("aided", 0.5))
        for reader in ("R1", "R2", "R3")
    ]  # fmt: skip
    return model, pl.concat(parts)


@pytest.fixture
def files(study, tmp_path):
    """The model's and the readers' CSV."""
    model, people = study
    model.write_csv(tmp_path / "model.csv")
    people.write_csv(tmp_path / "people.csv")
    return [tmp_path / "model.csv", tmp_path / "people.csv"]


REASONS = {"a rating is not a probability", "nobody said from which rating on an image is called positive"}
RATED = Columns(rating="score", cutoff="4", positive="sick")


def test_each_reader_in_each_way_is_a_family(files):
    """Readers stand beside the model, with the patients that its file names."""
    found = intake(files, RATED)

    assert set(found.predictions["family"]) == {
        "model",
        *(f"R{k} ({arm})" for k in (1, 2, 3) for arm in ("alone", "aided")),
    }
    assert found.patient_known
    assert found.readers["R2 (aided)"] == ("aided", "R2")
    assert found.scales["R2 (aided)"] == "rating with a cutoff"
    assert found.scales["model"] == "probability"


def test_ranks_and_calls_of_a_rating_are_its_own(study, files):
    """The AUC is that of the numbers given, sensitivity that of the cutoff."""
    _, people = study
    found = intake(files, RATED)
    scores = judge(found.predictions, found.task, resamples=20).scores
    own = people.filter(pl.col("family") == "alone", pl.col("reader") == "R1")
    sick = (own["label"] == "sick").to_numpy()
    at = scores.filter(pl.col("family") == "R1 (alone)")

    auc = at.filter(pl.col("metric") == "auc", pl.col("label").is_null())["estimate"][0]
    recall = at.filter(pl.col("metric") == "recall", pl.col("label") == "sick")["estimate"][0]
    assert auc == pytest.approx(delong.areas(own["score"].to_numpy().astype(float), sick).auc[0])
    assert recall == pytest.approx((own["score"].to_numpy()[sick] >= 4).mean())


@pytest.mark.parametrize(("cutoff", "lost"), [("4", {"probabilities"}), (None, {"probabilities", "labels"})])
def test_a_rating_is_not_a_probability(files, cutoff, lost):
    """What needs probabilities, and without a cutoff what needs calls, is undefined with its reason; ranks remain."""
    found = intake(files, RATED.replaced(cutoff=cutoff))
    judged = judge(found.predictions, found.task, resamples=20)
    scores = undefined(judged.scores, found.scales)
    rated, model = (scores.filter(pl.col("family") == name) for name in ("R1 (aided)", "model"))

    for entry in METRICS:
        rows = rated.filter(pl.col("metric") == entry.name)
        if entry.needs in lost:
            assert rows["estimate"].null_count() == rows.height
            assert set(rows["note"]) <= REASONS
    assert rated.filter(pl.col("metric") == "auc")["estimate"].null_count() == 0
    assert model.filter(pl.col("metric") == "brier")["estimate"].null_count() == 0
    curves = without_curves(judged.curves, found.scales)
    assert set(curves.filter(pl.col("curve") == "calibration")["family"]) == {"model"}
    assert "R1 (aided)" in set(curves.filter(pl.col("curve") == "roc")["family"])


def test_a_primary_metric_that_readers_cannot_have_is_refused(files):
    """Nobody is ranked on numbers that mean nothing."""
    found = intake(files, RATED.replaced(cutoff=None))

    with pytest.raises(BadSpec, match="not a probability"):
        check_primary("brier", found.scales)
    with pytest.raises(BadSpec, match="from which rating"):
        check_primary("accuracy", found.scales)
    check_primary("auc", found.scales)


def test_words_of_a_scale_are_ranked_as_listed(study, tmp_path):
    """A scale of words is as good as one of numbers."""
    _, people = study
    words = ("never", "hardly", "perhaps", "likely", "surely")
    one = people.filter(pl.col("family") == "alone", pl.col("reader") == "R1").drop("family")
    one.with_columns(rating=pl.col("score").replace_strict([1, 2, 3, 4, 5], words, return_dtype=pl.String)).drop(
        "score"
    ).write_csv(tmp_path / "words.csv")
    one.rename({"score": "rating"}).write_csv(tmp_path / "numbers.csv")

    told = intake(tmp_path / "words.csv", Columns(levels=words, cutoff="likely", positive="sick"))
    numbers = intake(tmp_path / "numbers.csv", Columns(cutoff="4", positive="sick"))

    assert told.predictions["prob_sick"].to_list() == numbers.predictions["prob_sick"].to_list()
    with pytest.raises(BadData, match=r"words\.csv, line 2"):
        intake(tmp_path / "words.csv", Columns(levels=words[::2], positive="sick"))


def test_decisions_are_calls_and_nothing_more(study, tmp_path):
    """Who names a class has a sensitivity; the AUC is that of one point."""
    _, people = study
    one = people.filter(pl.col("family") == "alone", pl.col("reader") == "R1")
    called = one.select(
        "sample", "label", decision=pl.when(pl.col("score") >= 4).then(pl.lit("sick")).otherwise(pl.lit("well"))
    )
    called.write_csv(tmp_path / "anna.csv")
    found = intake(tmp_path / "anna.csv", Columns(positive="sick"))
    scores = undefined(judge(found.predictions, found.task, resamples=20, patient_known=False).scores, found.scales)
    overall = dict(scores.filter(pl.col("label").is_null()).select("metric", "estimate").iter_rows())

    assert found.readers == {"anna": ("readers", "anna")}
    assert overall["auc"] == pytest.approx(overall["balanced_accuracy"])
    assert overall["brier"] is None
    called.with_columns(decision=pl.lit("unsure")).write_csv(tmp_path / "ben.csv")
    with pytest.raises(BadData, match="none of the classes"):
        intake([tmp_path / "anna.csv", tmp_path / "ben.csv"])


def test_readers_are_compared_with_each_other_and_the_model(files):
    """Two ways of reading and a model give three differences, each for other readers and for these."""
    found = intake(files, RATED)
    table = readers_of(found.predictions, found.task, found.readers)
    pairs = set(table.filter(pl.col("against").is_not_null()).select("arm", "against", "holds_for").iter_rows())

    both = "readers and cases"
    assert {pair[:2] for pair in pairs} == {("alone", "aided"), ("alone", "model"), ("aided", "model")}
    assert {pair[2] for pair in pairs} == {both, "cases"}
    assert table["n_readers"].unique().to_list() == [3]
    assert table["n_patients"].unique().to_list() == [N // 2]
    tested = table.filter(pl.col("p").is_not_null(), pl.col("holds_for") == both)
    assert (tested["p_adjusted"] >= tested["p"]).all()


def test_a_reader_is_judged_in_every_run_of_the_model(study, tmp_path):
    """A model with folds and seeds is paired with readers who have none."""
    model, people = study
    folds = [model.with_columns(fold=pl.Series([k % 3 for k in range(N)]), seed=pl.lit(seed)) for seed in (0, 1)]
    pl.concat(folds).write_csv(tmp_path / "folds.csv")
    people.write_csv(tmp_path / "people.csv")
    found = intake([tmp_path / "folds.csv", tmp_path / "people.csv"], RATED)
    judged = judge(found.predictions, found.task, resamples=20)

    assert found.predictions.filter(pl.col("family") == "R1 (alone)").height == 2 * N
    assert judged.comparisons["difference"].null_count() == 0
    assert not readers_of(found.predictions, found.task, found.readers).is_empty()


def test_columns_may_have_other_names(study, tmp_path):
    """Sample, label and one probability by the names of another program."""
    model, _ = study
    model.select(id="sample", truth="label", who="patient", score="prob_sick").write_csv(tmp_path / "theirs.csv")
    found = intake(
        tmp_path / "theirs.csv",
        Columns(sample="id", label="truth", patient="who", prob=("sick=score",)),
    )

    assert found.patient_known
    assert found.task.classes == ("well", "sick")
    assert found.task.positive == "sick"
    assert found.predictions["prob_sick"].to_list() == pytest.approx(model["prob_sick"].to_list())
    with pytest.raises(BadSpec, match="no column 'nowhere'"):
        intake(tmp_path / "theirs.csv", Columns(sample="nowhere"))
    with pytest.raises(BadSpec, match="class=column"):
        intake(tmp_path / "theirs.csv", Columns(sample="id", prob=("score",)))


def test_several_files_are_families_named_after_them(study, tmp_path):
    """Two programs' files are compared; one name in both is refused."""
    model, _ = study
    for name in ("ours", "theirs"):
        model.write_csv(tmp_path / f"{name}.csv")
    both = [tmp_path / "ours.csv", tmp_path / "theirs.csv"]

    assert set(intake(both).predictions["family"]) == {"ours", "theirs"}
    for path in both:
        model.with_columns(family=pl.lit("net")).write_csv(path)
    with pytest.raises(BadData, match="stands in two files"):
        intake(both)
