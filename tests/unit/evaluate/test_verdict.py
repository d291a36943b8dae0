from __future__ import annotations

import polars as pl
import pytest

from grandrounds import tables
from grandrounds.evaluate.answer import Selection
from grandrounds.evaluate.judge import judge
from grandrounds.evaluate.verdict import verdict
from grandrounds.tables import Task

TASK = Task(classes=("a", "b", "c"))
FLOORS = ("prior", "metadata", "thumbnail")


def _scores(values):
    return tables.check(
        pl.DataFrame(
            [
                {"family": family, "metric": "auc", "estimate": value, "low": value - 0.03, "high": value + 0.03,
                 "n_patients": 50, "n_samples": 500, "task": "label"}
                for family, value in values.items()
            ]
        ),
        tables.SCORES,
    )  # fmt: skip


def _comparisons(*rows, method=None, error=None):
    names = ("family_a", "family_b", "metric", "verdict", "method", "error")
    rows = [dict(zip(names, (a, b, "auc", word, method, error), strict=True)) for a, b, word in rows]
    return tables.check(pl.DataFrame(rows, schema_overrides={"error": pl.Float64}), tables.COMPARISONS)


def _with_calibration(values, calibrated):
    """Return scores with a calibration slope of each class, by family its interval."""
    rows = [
        {"family": family, "metric": "calibration_slope", "label": label, "estimate": low, "low": low, "high": high}
        for family, (low, high) in calibrated.items()
        for label in TASK.classes
    ]
    return tables.check(pl.concat([_scores(values), tables.check(pl.DataFrame(rows), tables.SCORES)]), tables.SCORES)


def _trials(cost_s):
    rows = [
        {"trial": family, "family": family, "status": "done", "fit_s": cost, "predict_s": 1.0}
        for family, cost in cost_s.items()
    ]
    return tables.check(pl.DataFrame(rows), tables.TRIALS)


@pytest.fixture
def study():
    """Return the tables of a study whose leader on test is not the best on valid."""
    return {
        "scores": _scores({"lbp-svm": 0.93, "resnet": 0.92, "vit": 0.915, "cnn": 0.80, "prior": 0.5}),
        "comparisons": _comparisons(
            ("lbp-svm", "resnet", "equivalent"), ("vit", "lbp-svm", "undecided"), ("cnn", "lbp-svm", "worse"),
            ("prior", "lbp-svm", "worse"), ("resnet", "prior", "better"), ("vit", "prior", "better"),
            ("cnn", "prior", "undecided"),
        ),
        "trials": _trials({"lbp-svm": 5, "resnet": 80, "vit": 3, "cnn": 1, "prior": 0}),
        "valid_scores": _scores({"lbp-svm": 0.90, "resnet": 0.94, "vit": 0.935, "cnn": 0.80, "prior": 0.5}),
        "task": TASK, "primary": "auc", "margin": 0.02, "floors": FLOORS,
    }  # fmt: skip


def test_families_fall_into_three_groups(study):
    """Whichever way round a pair stands, each family is better than, equivalent to or undecided with the leader."""
    found = verdict(**study)
    assert found.leader == "lbp-svm"
    assert found.better_than == ("cnn", "prior")
    assert found.equivalent_to == ("resnet",)
    assert found.undecided_with == ("vit",)
    assert found.cheapest == "vit"


def test_valid_and_cost_choose_what_ships(study):
    """The cheapest within the margin of the best on valid ships, whatever test says."""
    assert verdict(**study).ships == "vit"
    assert verdict(**study | {"margin": 0.001}).ships == "resnet"


def test_a_family_that_does_not_beat_a_floor_is_named(study):
    """What was not shown to be better than a floor is said."""
    found = verdict(**study)
    assert found.no_better_than_floor == (("cnn", "prior"),)
    assert "Not shown to be better than the floor `prior`: `cnn`." in found.sentences


def test_floors_that_the_same_families_do_not_beat_are_named_together(study):
    """And where no family beats them, the families are not counted up."""
    pairs = [(family, floor, "undecided") for family in ("vit", "cnn") for floor in ("metadata", "thumbnail")]
    beaten = [("lbp-svm", floor, "better") for floor in ("metadata", "thumbnail")]
    study["scores"] = _scores({"lbp-svm": 0.93, "vit": 0.915, "cnn": 0.8, "metadata": 0.7, "thumbnail": 0.7})
    some, none = (
        verdict(**study | {"comparisons": _comparisons(*pairs, *more)}).sentences
        for more in (beaten, [(family, floor, "undecided") for family, floor, _ in beaten])
    )

    assert "Not shown to be better than the floors `metadata` and `thumbnail`: `vit` and `cnn`." in some
    assert "No family but the floors is shown to be better than the floors `metadata` and `thumbnail`." in none


def test_the_sentences_say_it_all(study):
    """The answer in words."""
    text = """
On the primary metric (macro AUC) `lbp-svm` leads with 0.930 (95 % interval 0.900 to 0.960) on 500 test samples of \
50 patients.
It is better than `cnn` and `prior`; it is equivalent, within 0.02, to `resnet`; the data cannot tell it from `vit`.
Not shown to be better than the floor `prior`: `cnn`.
Cost decides among the equivalent and the undecided within 0.02 of `lbp-svm`: the cheapest one on test is `vit` \
(4 s a trial to fit and predict).
On valid, among equivalent or undecided the cheapest calibrated one ships: `vit` (0.935 there, at most 0.02 from the \
best, `resnet`), chosen without looking at test.
Left out, though cheaper and not shown to be worse, for an estimate more than 0.02 worse there than the best, \
`resnet`: `cnn`.
Its calibration could not be estimated on valid, and is not held against it.
On test the data cannot tell it from the leader `lbp-svm`.
"""
    assert verdict(**study).sentences == tuple(text.strip().splitlines())


def test_the_leader_may_be_best_on_valid_and_still_not_ship(study):
    """Where cost decides against the leader, the sentence does not call the cheaper one the best."""
    study["valid_scores"] = _scores({"lbp-svm": 0.94, "resnet": 0.90, "vit": 0.93, "prior": 0.95})
    found = verdict(**study)
    assert found.ships == "vit"
    assert any("at most 0.02 from the best, `lbp-svm`" in sentence for sentence in found.sentences)
    assert verdict(**study | {"trials": tables.empty(tables.TRIALS)}).ships == "lbp-svm"


def test_a_disagreement_of_valid_and_test_is_said(study):
    """Where the family that ships is worse on test the reader is told."""
    study["comparisons"] = _comparisons(("lbp-svm", "vit", "better"))
    assert verdict(**study).sentences[-1] == "But `lbp-svm` is better on test: valid and test disagree."


def test_a_floor_may_lead_but_never_ships(study):
    """When a floor leads it is said, and the shipped family is still a real one."""
    study["scores"] = _scores({"metadata": 0.9, "cnn": 0.6})
    study["valid_scores"] = _scores({"metadata": 0.9, "cnn": 0.6})
    found = verdict(**study)
    assert found.leader == "metadata"
    assert found.ships == "cnn"
    assert any("is a floor" in sentence for sentence in found.sentences)


def test_where_only_floors_took_part_nobody_is_said_to_have_failed(study):
    """No family that looks at the images did worse than the floor, since there was none."""
    study["scores"] = _scores({"metadata": 0.9, "prior": 0.5})
    study["valid_scores"] = _scores({"metadata": 0.9, "prior": 0.5})
    said = " ".join(verdict(**study).sentences)

    assert "took part" in said
    assert "did better" not in said


def test_without_trials_and_valid_nothing_ships(study):
    """Predictions of others carry no cost and no valid role: the verdict stands, nothing ships."""
    study["trials"], study["valid_scores"] = tables.empty(tables.TRIALS), tables.empty(tables.SCORES)
    found = verdict(**study)
    assert found.ships is None
    assert found.cheapest is None
    assert not any("ships" in sentence for sentence in found.sentences)


def test_an_undefined_primary_has_no_leader(predictions, two):
    """With one class only there is no leader, and the sentence says why."""
    outcome = judge(predictions(two, {"cnn": 1.0}).filter(pl.col("label") == "benign"), two, resamples=20)
    empty = tables.empty(tables.TRIALS)
    found = verdict(outcome.scores, outcome.comparisons, empty, tables.empty(tables.SCORES), two, "auc", 0.02, FLOORS)
    assert found.leader is None
    assert "undefined in 3 of 3 folds" in found.sentences[0]


def test_the_verdict_survives_json(study):
    """It goes to a file and back unchanged."""
    found = verdict(**study)
    assert type(found).model_validate_json(found.model_dump_json()) == found


def test_a_family_that_did_not_finish_neither_leads_nor_ships(study):
    """Scores that rest on other cases than the others' win nothing, and that is said."""
    trials = study["trials"].with_columns(
        status=pl.when(pl.col("family") == "lbp-svm").then(pl.lit("failed")).otherwise(pl.col("status"))
    )
    found = verdict(**study | {"trials": trials})

    assert found.leader == "resnet"
    assert found.ships == "vit"
    assert any("`lbp-svm` did not finish every trial" in sentence for sentence in found.sentences)


def test_a_family_with_fewer_samples_neither_leads_nor_ships(study):
    """Without trials, as in somebody's CSV, the samples tell."""
    scores = study["scores"].with_columns(
        n_samples=pl.when(pl.col("family") == "lbp-svm").then(100).otherwise(pl.col("n_samples"))
    )

    assert verdict(**study | {"scores": scores}).leader == "resnet"


def test_only_the_deciding_method_decides(study):
    """What another method says of a pair changes nothing."""
    other = _comparisons(("lbp-svm", "resnet", "better"), ("lbp-svm", "vit", "better"), method="some other test")
    both = pl.concat([other, study["comparisons"]])
    assert verdict(**study | {"comparisons": both}) == verdict(**study)


def test_a_badly_calibrated_family_does_not_ship(study):
    """The cheapest calibrated one ships; the one that is left out is named, and so is a set without any."""
    values = {"lbp-svm": 0.93, "resnet": 0.94, "vit": 0.935}
    good, bad = (0.7, 1.3), (0.2, 0.6)
    study["valid_scores"] = _with_calibration(values, {"lbp-svm": good, "resnet": good, "vit": bad})
    found = verdict(**study)
    assert found.ships == found.cheapest == "lbp-svm"
    assert found.miscalibrated == ("vit",)
    assert (
        "Left out, because valid shows that their probabilities are off even when recalibrated: `vit`."
        in found.sentences
    )
    study["valid_scores"] = _with_calibration(values, dict.fromkeys(values, bad))
    assert verdict(**study).ships == "vit"
    assert any("Valid shows no calibrated one among" in one for one in verdict(**study).sentences)


def test_what_is_worse_on_valid_or_below_the_margin_there_does_not_ship(study):
    """Cost decides only among equivalent or undecided on valid, and not where the estimate is far below."""
    worse = _comparisons(("resnet", "vit", "better"))
    assert verdict(**study, valid_comparisons=worse).ships == "resnet"
    undecided = _comparisons(("resnet", "cnn", "undecided"))
    assert verdict(**study, valid_comparisons=undecided).ships == "vit"


def test_equal_and_unknown_costs_are_said(study):
    """Then the better estimate on valid decides."""
    same = verdict(**study | {"trials": _trials(dict.fromkeys(("lbp-svm", "resnet", "vit"), 5))})
    unknown = verdict(**study | {"trials": tables.empty(tables.TRIALS)})
    assert same.ships == unknown.ships == "resnet"
    assert "The cheapest cost the same, so the better estimate on valid decided." in same.sentences
    assert "No cost is known, so the better estimate on valid decided." in unknown.sentences
    assert any("cannot decide among the equivalent" in one for one in unknown.sentences)


def test_the_rule_is_said_in_the_words_of_the_design(study):
    """Wherever a family ships."""
    assert any(
        "among equivalent or undecided the cheapest calibrated one ships" in one for one in verdict(**study).sentences
    )


def test_another_choice_on_test_is_said(study):
    """Where cost would have named another family on test, the reader is told which."""
    study["valid_scores"] = _scores({"lbp-svm": 0.90, "resnet": 0.94, "vit": 0.90})
    found = verdict(**study)
    assert (found.ships, found.cheapest) == ("resnet", "vit")
    assert found.sentences[-1] == "Test alone would have named `vit`: valid and test disagree, and valid decides."


def _twice(values, calibrated):
    """The verdict where valid and test hold the same, and nothing is shown to differ."""
    scores, pair = _with_calibration(values, calibrated), _comparisons(("dear", "cheap", "undecided"))
    costs = _trials({"dear": 100, "cheap": 1})
    return verdict(scores, pair, costs, scores, TASK, "auc", 0.02, FLOORS, valid_comparisons=pair)


def test_roles_that_hold_the_same_do_not_disagree():
    """The margin leaves the cheap family out on both roles, and the reader is told why."""
    found = _twice({"dear": 0.99, "cheap": 0.96}, dict.fromkeys(("dear", "cheap"), (0.9, 1.1)))
    text = " ".join(found.sentences)

    assert found.ships == found.cheapest == "dear"
    assert "disagree" not in text
    assert "On test no other family that may ship is within 0.02 of `dear` without being shown to be worse" in text
    assert (
        "Left out, though cheaper and not shown to be worse, for an estimate more than 0.02 worse there than the best, "
        "`dear`: `cheap`." in text
    )


def test_nobody_is_called_calibrated_where_nobody_is():
    """The cheapest is named on both roles, and its calibration is not claimed."""
    found = _twice({"dear": 0.99, "cheap": 0.98}, dict.fromkeys(("dear", "cheap"), (0.2, 0.6)))
    text = " ".join(found.sentences)

    assert found.ships == found.cheapest == "cheap"
    assert "the cheapest one on test is `cheap`" in text
    assert "cheapest calibrated" not in text
    assert "Valid shows no calibrated one among `dear` and `cheap`" in text


def test_a_reader_who_is_better_on_test_is_no_disagreement():
    """Test alone would have named the same family, since a reader cannot ship."""
    found = verdict(
        _scores({"R1": 0.95, "cnn": 0.7}), _comparisons(("R1", "cnn", "better")), _trials({"cnn": 9.0}),
        _scores({"cnn": 0.7}), TASK, "auc", 0.1, FLOORS, readers=("R1",),
    )  # fmt: skip

    assert "But `R1` is better on test." in found.sentences


def test_what_the_set_could_have_shown(study):
    """The smallest difference and the patients for the margin: in words for undecided pairs, in numbers for all."""
    rows = (("lbp-svm", "resnet", "undecided"), ("vit", "lbp-svm", "undecided"), ("lbp-svm", "cnn", "better"))
    found = verdict(**study | {"comparisons": _comparisons(*rows, error=0.01)})
    assert [one.family for one in found.reach] == ["resnet", "vit", "cnn"]
    assert found.reach[0].detectable == pytest.approx(0.0387, abs=1e-4)
    assert found.reach[0].needed == 150
    text = " ".join(found.sentences)
    assert "would show with a power of 80 % a true difference from the leader of 0.037 to 0.039" in text
    assert "To show one of 0.02 it would take about 141 to 150 patients." in text
    assert verdict(**study | {"comparisons": _comparisons(*rows, error=0.01), "margin": 0.0}).reach[0].needed is None


def test_the_best_of_several_is_corrected_in_words(study):
    """The corrected score stands after what the leader is better than."""
    selection = Selection(
        families=("lbp-svm", "resnet"), estimate=0.93, corrected=0.918, low=0.87, high=0.95, picked=(0.6, 0.4), draws=9
    )
    found = verdict(**study, selection=selection)
    assert found.selection == selection
    assert "corrected for that, 0.918 (95 % of the draws 0.870 to 0.950)" in found.sentences[2]
    assert "no worse" not in found.sentences[2]


def test_the_correction_of_another_than_the_leader_names_it(study):
    """A floor may lead; what was picked among the others is then somebody else."""
    scores = _scores({"prior": 0.95, "lbp-svm": 0.93, "resnet": 0.92, "vit": 0.915, "cnn": 0.80})
    selection = Selection(
        families=("lbp-svm", "resnet"), estimate=0.93, corrected=0.918, low=0.87, high=0.95, picked=(0.6, 0.4), draws=9
    )
    said = verdict(**study | {"scores": scores}, selection=selection).sentences
    assert any(one.startswith("`lbp-svm`, the best of the 2 that are no floors, was picked") for one in said)


def test_a_correction_that_comes_out_above_the_score_is_no_gain(study):
    """The means over draws may pass what was found here; the sentence says so instead of leaving a riddle."""
    selection = Selection(
        families=("lbp-svm", "resnet"), estimate=0.93, corrected=0.931, low=0.87, high=0.95, picked=(0.9, 0.1), draws=9
    )
    found = verdict(**study, selection=selection)
    assert "0.931 (95 % of the draws 0.870 to 0.950)" in found.sentences[2]
    assert "no worse than the 0.930 found here: picking cost nothing that shows." in found.sentences[2]


def test_nothing_is_corrected_where_no_draw_differs(study):
    """Families without an error on every draw leave nothing to correct by, and that is said instead of a range."""
    flat = Selection(
        families=("lbp-svm", "resnet"), estimate=1.0, corrected=1.0, low=1.0, high=1.0, picked=(0.5, 0.5), draws=9
    )
    said = verdict(**study, selection=flat).sentences[2]
    assert "no draw of patients differs" in said
    assert "1.000" not in said


def test_scores_of_other_units_and_slices_are_left_alone(study):
    """The verdict rests on all cases, at the unit of the comparisons."""
    whole = study["scores"].with_columns(unit=pl.lit("case"), slice=pl.lit("all"))
    other = whole.with_columns(estimate=1 - pl.col("estimate"), unit=pl.lit("sample"))
    part = whole.with_columns(estimate=1 - pl.col("estimate"), slice=pl.lit("sex=F"))
    study["comparisons"] = study["comparisons"].with_columns(unit=pl.lit("case"))
    expected = verdict(**study | {"scores": whole})
    assert verdict(**study | {"scores": pl.concat([other, part, whole])}) == expected
    assert expected.leader == "lbp-svm"


def test_a_human_reader_never_ships():
    """A reader who leads on valid and on test is compared and said to lead; the best model ships."""
    found = verdict(
        _scores({"R1": 0.95, "cnn": 0.9}), _comparisons(("R1", "cnn", "undecided")), _trials({"R1": 1.0, "cnn": 9.0}),
        _scores({"R1": 0.95, "cnn": 0.9}), TASK, "auc", 0.1, FLOORS, readers=("R1",),
    )  # fmt: skip

    assert (found.leader, found.ships) == ("R1", "cnn")
    assert "Human readers are compared and never ship: `R1`." in found.sentences


def test_readers_alone_ship_nothing():
    """Without a model there is nothing that could ship, whatever rows of valid there are."""
    found = verdict(
        _scores({"R1": 0.95, "R2": 0.9}), _comparisons(("R1", "R2", "undecided")),
        tables.empty(tables.TRIALS), _scores({"R1": 0.95, "R2": 0.9}), TASK, "auc", 0.1, FLOORS, readers=("R1", "R2"),
    )  # fmt: skip

    assert found.ships is None


def test_a_leading_reader_is_not_named_as_cheapest():
    """A reader cannot ship, so the rule names a model on test too."""
    found = verdict(
        _scores({"R1": 0.95, "cnn": 0.7}), _comparisons(("R1", "cnn", "better")), _trials({"R1": 1.0, "cnn": 9.0}),
        _scores({"cnn": 0.7}), TASK, "auc", 0.1, FLOORS, readers=("R1",),
    )  # fmt: skip

    assert found.cheapest == "cnn"
