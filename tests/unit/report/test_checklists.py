"""The checklists have the papers' items, answers from the record, and honest gaps."""

from __future__ import annotations

import dataclasses

import polars as pl
import pytest

from grandrounds.report import ReportContent
from grandrounds.report.blocks import Folded, Table
from grandrounds.report.checklists import CLAIM, NOT_HERE, ONLY_YOU, TRIPOD_AI, checklists
from grandrounds.report.ranked import Ranked

TRIPOD_NUMBERS = (
    "1 2 3a 3b 3c 4 5a 5b 6a 6b 6c 7 8a 8b 8c 9a 9b 9c 10 11 12a 12b 12c 12d 12e 12f 12g 13 14 15 16 17 18a 18b 18c "
    "18d 18e 18f 19 20a 20b 20c 21 22 23a 23b 24 25 26 27a 27b 27c"
)  # Collins et al., BMJ 385:e078378 (2024), table 2


def rows(content: ReportContent, which: int) -> dict[str, tuple[str, str]]:
    """Item number to answer and tag; 0 is CLAIM, 1 is TRIPOD+AI."""
    folded = checklists(Ranked.of(content)).blocks[1 + which]
    assert isinstance(folded, Folded)
    (table,) = folded.blocks
    assert isinstance(table, Table)
    return {str(one[0].text): (str(one[2].text), one[2].tag) for one in table.rows}


def test_the_items_are_those_of_the_papers() -> None:
    """CLAIM of 2024 has 44 items, TRIPOD+AI 52 with their letters."""
    assert [item.number for item in CLAIM] == [str(number) for number in range(1, 45)]
    assert [item.number for item in TRIPOD_AI] == TRIPOD_NUMBERS.split()


@pytest.mark.parametrize("which", [0, 1])
def test_each_item_is_answered_or_says_why_not(content: ReportContent, which: int) -> None:
    """A cell has an answer, or a tag that says who knows it."""
    for number, (answer, tag) in rows(content, which).items():
        assert bool(answer) != bool(tag), number
        assert tag in ("", ONLY_YOU, NOT_HERE)


def test_what_only_authors_know_is_left_to_them(content: ReportContent) -> None:
    """Funding, ethics and implications are never filled."""
    claim, tripod = rows(content, 0), rows(content, 1)

    assert {claim[number][1] for number in ("1", "5", "7", "14", "41", "44")} == {ONLY_YOU}
    assert {tripod[number][1] for number in ("3b", "14", "17", "18a", "19", "25")} == {ONLY_YOU}


def test_the_level_of_the_parts_follows_the_record(content: ReportContent) -> None:
    """By patient, by image, or not on record."""
    split = {"spec": {"scheme": "kfold", "group": "patient"}, "leaky": False}
    drawn = dataclasses.replace(content, split_record=split)

    assert rows(drawn, 0)["20"][0].startswith("Patient;")
    assert rows(dataclasses.replace(drawn, split_record=split | {"leaky": True}), 0)["20"][0].startswith("Image:")
    assert rows(dataclasses.replace(drawn, patient_known=False), 0)["20"][0].startswith("Image:")
    assert rows(content, 0)["20"] == ("", NOT_HERE)


def test_audits_are_quoted_as_they_stand(content: ReportContent) -> None:
    """Limits come from findings, differences between parts from A004."""
    findings = pl.concat([
        content.findings,
        content.findings.head(1).with_columns(audit=pl.lit("A004"), outcome=pl.lit("passed"), sentence=pl.lit("Even.")),
    ])  # fmt: skip
    tripod = rows(dataclasses.replace(content, findings=findings), 1)

    assert tripod["16"][0] == "A004: Even."
    assert tripod["26"][0].startswith("The audits found:")
    assert rows(dataclasses.replace(content, findings=content.findings.clear()), 1)["26"] == ("", NOT_HERE)


def test_the_heading_counts_what_is_filled(content: ReportContent) -> None:
    """The closed section says how far the record goes."""
    section = checklists(Ranked.of(content))
    n = sum(bool(answer) for answer, _ in rows(content, 0).values())

    assert f"CLAIM {n} of 44" in section.hint


def test_predictions_of_others_bring_no_model_and_no_training(content: ReportContent) -> None:
    """Without a study there is no folder of a model, and naming the families says nothing of their training."""
    theirs = dataclasses.replace(content, study_toml="")

    assert rows(theirs, 0)["25"] == rows(theirs, 0)["43"] == rows(theirs, 1)["22"] == ("", NOT_HERE)
    assert rows(theirs, 0)["23"][0].startswith("Judged with:")
    assert rows(theirs, 0)["23"][1] == NOT_HERE
    assert rows(content, 0)["43"][0].startswith("The folder model/ of the run holds")


def test_what_a_set_could_have_shown_is_no_reason_for_its_size(content: ReportContent) -> None:
    """The figure is given as computed afterwards, and the item stays with the authors and is not counted."""
    power = "These 24 patients would show with a power of 80 % a true difference from the leader of 0.1."
    known = dataclasses.replace(content, verdict_sentences=(*content.verdict_sentences, power))

    for which, number in ((0, "21"), (1, "10")):
        answer, tag = rows(known, which)[number]
        assert answer.endswith(f"Computed after the fact: {power}")
        assert tag == ONLY_YOU
    assert checklists(Ranked.of(known)).hint == checklists(Ranked.of(content)).hint
