"""What the report says of a fusion, its modalities alone, its control and a network that reads all jointly."""

from __future__ import annotations

import dataclasses

import polars as pl
import pytest

from grandrounds import tables
from grandrounds.report.blocks import Prose, Table
from grandrounds.report.content import ReportContent
from grandrounds.report.ranked import Ranked
from grandrounds.report.series_by_task import by_task
from grandrounds.report.several_series import several_series
from grandrounds.tables import Task

FUSION, JOINT = "fusion:cnn", "exams:cnn"
FRONT, SIDE, SHUFFLED = f"{FUSION}@only-front", f"{FUSION}@only-side", f"{FUSION}@front-shuffled-side"


def content(aucs, verdicts, samples=None):
    """A content with these AUCs, each within 0.1, and these verdicts of pairs."""
    scores = [
        {"family": name, "metric": "auc", "estimate": auc, "low": auc - 0.1, "high": auc + 0.1}
        for name, auc in aucs.items()
    ]
    pairs = []
    for (a, b), verdict in verdicts.items():
        gain = aucs[a] - aucs[b]
        span = {"difference": gain, "low": gain - 0.05, "high": gain + 0.05}
        pairs.append({"family_a": a, "family_b": b, "metric": "auc", "verdict": verdict} | span)
    return ReportContent(
        title="exams",
        task=Task(kind="binary", classes=("no", "yes"), positive="yes"),
        scores=tables.check(pl.DataFrame(scores), tables.SCORES),
        comparisons=tables.check(pl.DataFrame(pairs), tables.COMPARISONS),
        samples=tables.empty(tables.SAMPLES) if samples is None else tables.check(samples, tables.SAMPLES),
    )


def words(content):
    section = several_series(Ranked.of(content))
    return " ".join(text for block in section.blocks if isinstance(block, Prose) for text in block.sentences)


@pytest.mark.parametrize(
    ("front", "verdict", "said"),
    [(0.8, "better", "the gain is real"), (0.88, "undecided", "no gain is shown"), (0.95, "worse", "it is worse")],
)
def test_a_gain_over_the_best_modality_is_called_real_or_not(front, verdict, said):
    """It is the best of the modalities alone that counts, and the verdict of the comparison that is told."""
    aucs = {FUSION: 0.9, FRONT: front, SIDE: 0.7}

    text = words(content(aucs, {(FUSION, FRONT): verdict, (FUSION, SIDE): "better"}))

    assert f"The fusion differs from the best modality alone, front, by {0.9 - front:+.3f}".replace("-", "−") in text
    assert said in text


@pytest.mark.parametrize(("verdict", "said"), [("undecided", "as it should be"), ("better", "look for a leak")])
def test_a_modality_dealt_out_anew_must_gain_nothing(verdict, said):
    """Where it does, the report says to look for a leak."""
    aucs = {FUSION: 0.9, FRONT: 0.8, SIDE: 0.7, SHUFFLED: 0.81}

    assert said in words(content(aucs, {(SHUFFLED, FRONT): verdict}))


def test_what_no_series_shows_alone():
    """Where a joint network alone is better than chance, the report says what that means."""
    aucs = {JOINT: 0.95, FUSION: 0.55, FRONT: 0.5, SIDE: 0.52}
    text = words(content(aucs, {(JOINT, FUSION): "better", (FUSION, SIDE): "undecided"}))

    assert "exams:cnn is better than the fusion by +0.400" in text
    assert "the series show something together that none of them shows alone" in text
    assert "Not shown to be better than chance: the fusion, front and side." in text
    assert "Shown to be better than chance, reading all series jointly: exams:cnn." in text


def test_where_a_series_shows_it_alone_nothing_is_said_of_together():
    """A joint network that is better than the fusion is then simply that."""
    aucs = {JOINT: 0.95, FUSION: 0.55, FRONT: 0.9, SIDE: 0.52}
    text = words(content(aucs, {(JOINT, FUSION): "better", (FUSION, FRONT): "worse"}))

    assert "exams:cnn is better than the fusion by +0.400 (+0.350 to +0.450)." in text
    assert "something together" not in text
    assert "reading all series jointly" not in text


def test_a_joint_network_stands_beside_its_own_controls():
    """In a table of its own behind that of the late fusion, which has none of these controls; and in words."""
    alone, dealt = [f"{JOINT}@only-{one}" for one in ("front", "side")], f"{JOINT}@front-shuffled-side"
    aucs = {JOINT: 0.95, dealt: 0.51, alone[0]: 0.5, alone[1]: 0.52, FUSION: 0.54, FRONT: 0.53, SIDE: 0.49}
    verdicts = {(JOINT, alone[1]): "better", (dealt, alone[0]): "undecided", (JOINT, FUSION): "better"}
    one = content(aucs, verdicts)
    late, joint = (block for block in several_series(Ranked.of(one)).blocks if isinstance(block, Table))

    assert [[cell.text for cell in row[:2]] for row in late.rows] == [
        [JOINT, "all, jointly"], [FUSION, "all, fused late"], [FRONT, "front alone"], [SIDE, "side alone"],
    ]  # fmt: skip
    assert [[cell.text for cell in row[:2]] for row in joint.rows] == [
        [JOINT, "all, jointly"], [alone[1], "side alone"], [dealt, "front, and side dealt out anew"],
        [alone[0], "front alone"],
    ]  # fmt: skip
    assert "The network differs from the best modality alone, side, by +0.430" in words(one)
    assert "Beside front, side dealt out anew gains +0.010" in words(one)
    assert "Not shown to be better than chance: front and side." in words(one)


def test_missing_series_are_counted():
    """Without a fusion too: how many cases lack which series."""
    samples = pl.DataFrame({"case": ["1", "1", "2"], "series_kind": ["front", "side", "front"]})
    samples = samples.with_columns(sample=pl.int_range(3).cast(pl.String), patient=pl.col("case"))
    section = several_series(Ranked.of(content({JOINT: 0.9}, {(JOINT, JOINT): "undecided"}, samples)))
    table = next(block for block in section.blocks if isinstance(block, Table))

    assert [[cell.text for cell in row[:2]] for row in table.rows] == [["lacks side", "1"], ["has side", "1"]]


def test_studies_of_one_series_have_no_such_section():
    """Neither a fusion nor a missing series: nothing to say."""
    assert several_series(Ranked.of(content({"cnn": 0.9}, {("cnn", "cnn"): "undecided"}))) is None


COLUMNS, NOTHING = f"{FUSION}@only-columns", "nothing alone (columns, front and side) is shown to be better than chance"
TOGETHER = "they show it together only."


@pytest.mark.parametrize(
    ("better", "said"),
    [
        ((FRONT, FUSION, JOINT), "front alone is better than chance; of columns and side this is not shown."),
        ((FRONT, SIDE), "front and side alone are each better than chance; of columns this is not shown."),
        ((COLUMNS, FUSION), "columns alone is better than chance; of front and side this is not shown."),
        ((FUSION,), f"{NOTHING}; fused late they are."),
        (
            (JOINT,),
            f"{NOTHING}, nor is their late fusion; {JOINT}, which reads the series jointly, is: {TOGETHER}",
        ),
        ((), f"{NOTHING}, nor is what reads several of them."),
    ],
)
def test_each_task_has_a_sentence_on_what_shows_it(better, said):
    """On the page over several tasks: a series or the columns alone, their fusion, a joint network, or nothing."""
    aucs = {name: 0.9 if name in better else 0.55 for name in (FUSION, FRONT, SIDE, COLUMNS, JOINT)}
    task = Task(name="tear", kind="binary", classes=("no", "yes"), positive="yes")
    one = dataclasses.replace(content(aucs, {(FUSION, FRONT): "undecided"}), task=task)
    over = ReportContent(title="knees", task=Task(name="all tasks", classes=("tear",)), tasks=(one,))

    table, prose = by_task(Ranked.of(over)).blocks

    assert prose.sentences == (f"tear: {said}",)
    assert table.rows[0][0].text == "tear"


def test_what_shows_a_task_is_told_of_a_joint_network_alone():
    """Where no late fusion runs beside it, nothing is said of one."""
    aucs = {JOINT: 0.9, f"{JOINT}@only-front": 0.55, f"{JOINT}@only-side": 0.5}
    one = content(aucs, {(JOINT, f"{JOINT}@only-front"): "better"})
    over = ReportContent(title="knees", task=Task(name="all tasks", classes=("tear",)), tasks=(one,))
    table, prose = by_task(Ranked.of(over)).blocks

    assert f"better than chance; {JOINT}, which reads the series jointly, is: {TOGETHER}" in prose.sentences[0]
    assert [cell.text for cell in table.rows[0][1:]] == ["nothing", "", "0.900"]


def test_a_modality_counts_as_telling_whichever_fusion_it_is_alone_beside():
    """One row and one sentence for each task, though a late and a joint fusion both have controls."""
    telling = f"{JOINT}@only-side"
    aucs = {JOINT: 0.9, FUSION: 0.55, FRONT: 0.55, SIDE: 0.5, telling: 0.8, f"{JOINT}@only-front": 0.5}
    one = content(aucs, {(FUSION, FRONT): "undecided", (JOINT, telling): "better"})
    over = ReportContent(title="knees", task=Task(name="all tasks", classes=("tear",)), tasks=(one,))
    table, prose = by_task(Ranked.of(over)).blocks

    assert prose.sentences[0].endswith("side alone is better than chance; of front this is not shown.")
    assert [[cell.text for cell in row[1:]] for row in table.rows] == [["side 0.800", "0.550", "0.900"]]


def test_of_tasks_without_a_fusion_nothing_is_said():
    """Nor where the metric is one of which nobody knows what chance is."""
    one = content({JOINT: 0.9, "cnn": 0.8}, {(JOINT, "cnn"): "better"})
    fused = content({FUSION: 0.9, FRONT: 0.8}, {(FUSION, FRONT): "better"})
    over = ReportContent(title="knees", task=Task(name="all tasks", classes=("tear",)), tasks=(one,))

    assert by_task(Ranked.of(over)) is None
    assert by_task(Ranked.of(dataclasses.replace(over, tasks=(fused,), primary="accuracy"))) is None
