"""Reporting checklists, pre-filled from the record, and plain about what only the authors know.

The topics are in our own words. Numbers are those of TRIPOD+AI (Collins et al., BMJ 385:e078378, 2024) and of CLAIM as
first published (Mongan, Moy, Kahn, Radiology: Artificial Intelligence 2:e200029, 2020); the update of CLAIM in 2024
(Tejani et al., Radiology: Artificial Intelligence 6:e240300) renumbers some of them. Compare with the papers before you
hand a checklist in.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import polars as pl

from grandrounds.report import methods
from grandrounds.report.blocks import Cell, Column, Folded, Prose, Section, Table
from grandrounds.report.ranked import Ranked
from grandrounds.report.rounding import count

Answer = Callable[[Ranked], str]
ONLY_YOU = "only the authors know"
NOT_HERE = "not in this record"
_INTRO = (
    "Filled where the record of this run has the answer; the rest is for the authors. Item numbers are those of "
    "TRIPOD+AI (2024) and CLAIM (2020; its update of 2024 renumbers some): compare with the papers before use."
)


class Item(NamedTuple):
    """One item of a checklist; without an answer only the authors know it."""

    number: str
    topic: str
    answer: Answer | None = None


def checklists(ranked: Ranked) -> Section:
    """Return both checklists, folded."""
    tables = tuple(
        Folded(
            f"{name}: {_filled(ranked, items)} of {len(items)} items filled from the record", (_table(ranked, items),)
        )
        for name, items in (("CLAIM", CLAIM), ("TRIPOD+AI", TRIPOD_AI))
    )
    return Section("checklists", "Reporting checklists", (Prose((_INTRO,)), *tables))


def _filled(ranked: Ranked, items: tuple[Item, ...]) -> int:
    return sum(bool(item.answer is not None and item.answer(ranked)) for item in items)


def _table(ranked: Ranked, items: tuple[Item, ...]) -> Table:
    rows = []
    for item in items:
        said = "" if item.answer is None else item.answer(ranked)
        tag = "" if said else ONLY_YOU if item.answer is None else NOT_HERE
        rows.append((Cell(item.number), Cell(item.topic), Cell(said, tag=tag)))
    columns = (Column("Item", numeric=False), Column("Topic", numeric=False), Column("From the record", numeric=False))
    return Table("Topics in our own words.", columns, tuple(rows))


def _metrics(ranked: Ranked) -> str:
    shown = ranked.content.scores["metric"].unique(maintain_order=True).to_list()
    return f"Primary: {ranked.words(ranked.content.primary)}. Also: {', '.join(shown)}." if shown else ""


def _flow(ranked: Ranked) -> str:
    return "See the flow diagram on this page." if ranked.content.flow is not None else ""


def _sizes(ranked: Ranked) -> str:
    parts = list(methods.folds(ranked))
    return f"Cases of the first fold: {', '.join(parts)}." if parts else ""


def _precision(ranked: Ranked) -> str:
    leader = ranked.leader
    if leader is None:
        return ""
    value = ranked.score(leader, ranked.content.primary)
    if value.estimate is None or value.low is None or value.high is None:
        return ""
    return f"{leader}: {value.estimate:.3f} (95 % interval {value.low:.3f} to {value.high:.3f}); all on this page."


def _failures(ranked: Ranked) -> str:
    return "Confusion matrices and worst errors are on this page." if not ranked.content.suspects.is_empty() else (
        "Confusion matrices are on this page." if not ranked.content.curves.is_empty() else ""
    )  # fmt: skip


def _missing(ranked: Ranked) -> str:
    notes = [note for note in ranked.content.notes if "could not be used" in note or "unknown" in note]
    return " ".join(notes)


def _parameters(ranked: Ranked) -> str:
    rows = ranked.content.trials.drop_nulls("n_parameters").group_by("family", maintain_order=True).agg(
        pl.col("n_parameters").first()
    )  # fmt: skip
    return "; ".join(f"{family}: {count(n)} learned numbers" for family, n in rows.iter_rows())


def _software_and_machine(ranked: Ranked) -> str:
    record = ranked.content.record
    machine = f" {record.get('cores')} cores, {record.get('memory_gib')} GiB." if "cores" in record else ""
    return methods.software(ranked) + machine


def _subgroups(ranked: Ranked) -> str:
    there = ranked.content.scores["slice"].drop_nulls().ne("all").any()
    return "Slices are on this page." if there else ""


def _ships(ranked: Ranked) -> str:
    return f"{ranked.content.ships}, chosen on valid." if ranked.content.ships else ""


def _ensemble(ranked: Ranked) -> str:
    return " ".join(note for note in ranked.content.notes if "mean of the" in note)


def _leak_free(ranked: Ranked) -> str:
    return "See the leak certificate on this page." if ranked.content.split_record else ""


def _divided(ranked: Ranked) -> str:
    return " ".join((methods.split(ranked), _sizes(ranked))).strip()


def _built(ranked: Ranked) -> str:
    return " ".join((methods.training(ranked), _leak_free(ranked))).strip()


def _command(ranked: Ranked) -> str:
    return "The command, the resolved study and the versions are on this page." if ranked.content.study_toml else ""


CLAIM: tuple[Item, ...] = (
    Item("1", "Title or abstract names the method"), Item("2", "Structured abstract"),
    Item("3", "Background and clinical role"), Item("4", "Objectives and hypotheses"),
    Item("5", "Prospective or retrospective"), Item("6", "Goal of the study"), Item("7", "Sources of the data"),
    Item("8", "Who was eligible"), Item("9", "Preparation of the images", methods.preparation),
    Item("10", "Which part of the data was used", _flow), Item("11", "Definitions of data elements"),
    Item("12", "De-identification"), Item("13", "Missing data", _missing),
    Item("14", "Definition of the reference standard"), Item("15", "Why this reference standard"),
    Item("16", "Who annotated, with what training"), Item("17", "Tools of annotation"),
    Item("18", "Agreement between annotators"), Item("19", "How the sample size was arrived at"),
    Item("20", "How data were divided, and sizes", _divided),
    Item("21", "At which level the parts are disjoint", _leak_free), Item("22", "The models", _parameters),
    Item("23", "Software", methods.software), Item("24", "How weights were started", _ensemble),
    Item("25", "Training in detail", methods.training), Item("26", "How the final model was chosen", _ships),
    Item("27", "Ensembles", _ensemble), Item("28", "Metrics", _metrics),
    Item("29", "Uncertainty and significance", methods.evaluation), Item("30", "Robustness", _subgroups),
    Item("31", "Explanation of decisions"), Item("32", "Testing on data from elsewhere"),
    Item("33", "Flow of patients", _flow), Item("34", "Characteristics in each part", _sizes),
    Item("35", "Performance on the parts", _precision), Item("36", "Estimates with their precision", _precision),
    Item("37", "Analysis of failures", _failures), Item("38", "Limitations"), Item("39", "Implications for practice"),
    Item("40", "Registration"), Item("41", "Where protocol and code are", _command), Item("42", "Funding"),
)  # fmt: skip

TRIPOD_AI: tuple[Item, ...] = (
    Item("1", "Title"), Item("2", "Abstract"), Item("3a", "Setting and rationale"), Item("3b", "Intended use"),
    Item("3c", "Known inequalities"), Item("4", "Objectives"), Item("5a", "Sources of the data"),
    Item("5b", "Dates"), Item("6a", "Setting of care"), Item("6b", "Who was eligible"), Item("6c", "Treatments"),
    Item("7", "Preparation of the data", methods.preparation), Item("8a", "The outcome", methods.cohort),
    Item("8b", "Who assessed the outcome"), Item("8c", "Blinding of the assessment"),
    Item("9a", "Choice of predictors"), Item("9b", "Definition of predictors"), Item("9c", "Who assessed predictors"),
    Item("10", "Sample size"), Item("11", "Missing data", _missing),
    Item("12a", "How data were divided and used", methods.split),
    Item("12b", "Handling of predictors", methods.preparation),
    Item("12c", "Models, building, internal validation", _built),
    Item("12d", "Heterogeneity between places", _subgroups), Item("12e", "Measures of performance", methods.evaluation),
    Item("12f", "Updating of the model"), Item("12g", "How predictions were made", _ensemble),
    Item("13", "Imbalance of classes", methods.imbalance), Item("14", "Fairness", _subgroups),
    Item("15", "Output of the model", _metrics), Item("16", "Training against evaluation data"),
    Item("17", "Ethics"), Item("18a", "Funding"), Item("18b", "Interests"), Item("18c", "Protocol"),
    Item("18d", "Registration"), Item("18e", "Data"), Item("18f", "Code", _command), Item("19", "Patients and public"),
    Item("20a", "Flow of participants", _flow), Item("20b", "Characteristics", _sizes),
    Item("20c", "Comparison with the development data"), Item("21", "Numbers in each analysis", _sizes),
    Item("22", "The model in full", _command), Item("23a", "Performance with intervals", _precision),
    Item("23b", "Heterogeneity of performance", _subgroups), Item("24", "Results of updating"),
    Item("25", "Interpretation"), Item("26", "Limitations"), Item("27a", "Poor or missing input in use"),
    Item("27b", "Handling by the user"), Item("27c", "Next steps"),
)  # fmt: skip
