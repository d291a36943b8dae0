"""Reporting checklists, pre-filled from the record, and plain about what only the authors know.

The topics are in our own words; the numbers are the papers'. CLAIM is the update of 2024 with its 44 items, which
renumbers those of 2020 from the eleventh on.

Reference: Tejani et al., Radiology: Artificial Intelligence 6:e240300 (2024); Collins et al., BMJ 385:e078378 (2024).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import polars as pl

from grandrounds.evaluate.catalogue import METRICS
from grandrounds.report import methods
from grandrounds.report.blocks import Cell, Column, Folded, Prose, Section, Table
from grandrounds.report.ranked import Ranked
from grandrounds.report.rounding import count, interval, listed, share
from grandrounds.report.stard import flow_section

Answer = Callable[[Ranked], str]
ONLY_YOU = "only the authors know"
NOT_HERE = "not in this record"
_INTRO = (
    "Filled where the record has the answer; the rest is for the authors. Read each answer before you hand "
    "it in: the record knows what was done, and not why. Numbers are those of CLAIM (2024) and TRIPOD+AI (2024)."
)


class Item(NamedTuple):
    """One item of a checklist.

    Args:
        number: The paper's.
        topic: What it asks, in our words.
        answer: What the record has; None where only the authors know it.
        beside: What the record can add where it has no answer; it fills nothing.
    """

    number: str
    topic: str
    answer: Answer | None = None
    beside: Answer | None = None


def checklists(ranked: Ranked) -> Section:
    """Return both checklists, folded."""
    told = [(name, f"{_filled(ranked, items)} of {len(items)}", items) for name, items in CHECKLISTS]
    tables = tuple(
        Folded(f"{name}: {n} items filled from the record", (_table(ranked, items),)) for name, n, items in told
    )
    hint = ", ".join(f"{name} {n}" for name, n, _ in told)
    return Section("checklists", "Reporting checklists", (Prose((_INTRO,)), *tables), f"filled from the record: {hint}")


def _filled(ranked: Ranked, items: tuple[Item, ...]) -> int:
    return sum(bool(item.answer is not None and item.answer(ranked)) for item in items)


def _table(ranked: Ranked, items: tuple[Item, ...]) -> Table:
    rows = []
    for item in items:
        said = "" if item.answer is None else item.answer(ranked)
        tag = "" if said else ONLY_YOU if item.answer is None else NOT_HERE
        beside = "" if item.beside is None else item.beside(ranked)
        rows.append((Cell(item.number), Cell(item.topic), Cell(said or beside, tag=tag)))
    columns = (Column("Item", numeric=False), Column("Topic", numeric=False), Column("From the record", numeric=False))
    return Table("Topics in our own words.", columns, tuple(rows))


def _metrics(ranked: Ranked) -> str:
    primary = ranked.content.primary
    shown = [name for name in ranked.content.scores["metric"].unique(maintain_order=True) if name != primary]
    also = f" Also: {listed([METRICS.get(name).label for name in shown])}." if shown else ""
    return f"Primary: {ranked.words(primary)}.{also}" if ranked.scored else ""


def _flow(ranked: Ranked) -> str:
    """Return where the flow of participants is drawn, or that nothing left it."""
    flow = ranked.content.flow
    if flow is None:
        return ""
    drawn = flow_section(flow, patient_known=ranked.content.patient_known)
    return "The flow diagram is on this page." if drawn else "All images that were found were analysed."


def _sizes(ranked: Ranked) -> str:
    parts = list(methods.folds(ranked))
    return f"Cases of the first fold: {listed(parts)}. All folds, by class, are on this page." if parts else ""


def _performance(ranked: Ranked) -> str:
    leader = ranked.leader
    if leader is None:
        return ""
    value = ranked.score(leader, ranked.content.primary)
    ends = f" (95 % interval {interval(value.low, value.high)})" if interval(value.low, value.high) else ""
    return f"{leader}: {share(value.estimate)}{ends} in {ranked.words(ranked.content.primary)}; all families above."


def _failures(ranked: Ranked) -> str:
    known = (
        ("Confusion matrices", not ranked.content.curves.is_empty()),
        ("worst errors", not ranked.content.suspects.is_empty()),
    )
    there = [name for name, present in known if present]
    return f"On this page: {listed(there)}." if there else ""


def _missing(ranked: Ranked) -> str:
    return " ".join(note for note in ranked.content.notes if "could not be used" in note or "left out" in note)


def _models(ranked: Ranked) -> str:
    trials = ranked.content.trials.drop_nulls("n_parameters")
    rows = trials.group_by("family", maintain_order=True).agg(pl.col("n_parameters").max())
    return "; ".join(f"{family}: {count(n)} learned numbers" for family, n in rows.iter_rows())


def _initialised(ranked: Ranked) -> str:
    """Return how weights were started, as the families say it themselves."""
    said = methods.said(ranked, "scratch", "weights of", "pretrained")
    return f"The families said: {'; '.join(said)}." if said else ""


def _slices(ranked: Ranked) -> str:
    there = ranked.content.scores["slice"].drop_nulls().ne("all").any()
    return "Slices with their intervals are on this page." if there else ""


def _ships(ranked: Ranked) -> str:
    ships = ranked.content.ships
    return f"{ships}, chosen on valid: among equivalent or undecided the cheapest calibrated one." if ships else ""


def _ensemble(ranked: Ranked) -> str:
    return " ".join(note for note in ranked.content.notes if "mean of the" in note)


def _leak_free(ranked: Ranked) -> str:
    return "The leak certificate is on this page." if ranked.content.split_record else ""


def _level(ranked: Ranked) -> str:
    """Return at which level the parts are disjoint; the certificate has the evidence."""
    record = ranked.content.split_record
    if not record:
        return ""
    if record.get("leaky"):
        return "Image: patients stand on two sides, see the leak certificate."
    return (
        "Patient; the leak certificate has the evidence."
        if ranked.content.patient_known
        else "Image: patients are unknown."
    )


def _divided(ranked: Ranked) -> str:
    return " ".join((methods.split(ranked), _sizes(ranked))).strip()


def _software(ranked: Ranked) -> str:
    """Return what trained and judged; what judged alone is not the software of the models."""
    return methods.software(ranked) if ranked.content.study_toml else ""


def _built(ranked: Ranked) -> str:
    return " ".join((methods.training(ranked), _leak_free(ranked))).strip()


def _command(ranked: Ranked) -> str:
    return "The command, the resolved study and the versions are on this page." if ranked.content.study_toml else ""


def _size(ranked: Ranked) -> str:
    """Return what the set could have shown, which is not why it has the size that it has."""
    shown = [one for one in ranked.content.verdict_sentences if "power of" in one or "it would take about" in one]
    if not shown:
        return ""
    return f"How the size was decided is for the authors to say. Computed after the fact: {' '.join(shown)}"


def _audited(*codes: str) -> Answer:
    """Return the answer that quotes what these audits found."""

    def answer(ranked: Ranked) -> str:
        rows = ranked.content.findings.filter(pl.col("audit").is_in(codes), pl.col("outcome") != "not applicable")
        return " ".join(f"{code}: {sentence}" for code, sentence in rows.select("audit", "sentence").iter_rows())

    return answer


def _limits(ranked: Ranked) -> str:
    found = ranked.content.findings.filter(pl.col("outcome") == "finding")["title"].to_list()
    return f"The audits found: {listed(found)}." if found else ""


def _output(ranked: Ranked) -> str:
    set_once = ranked.content.decisions.filter(pl.col("threshold").is_not_null())
    rules = set_once.select("rule", "chosen_on").unique(maintain_order=True).rows()
    how = f" Thresholds: {listed([f'{rule} (set on {role})' for rule, role in rules])}." if rules else ""
    return (
        f"One probability for each of {listed(list(ranked.classes))}; the highest is called.{how}"
        if ranked.scored
        else ""
    )


def _bundle(ranked: Ranked) -> str:
    """Return where the model lies; predictions that others made bring none."""
    content = ranked.content
    there = content.ships and content.study_toml
    return f"The folder model/ of the run holds {content.ships} with its preparation." if there else ""


def _internal(ranked: Ranked) -> str:
    return _performance(ranked) if ranked.content.split_record else ""


CLAIM: tuple[Item, ...] = (
    Item("1", "Title or abstract names the method"), Item("2", "Summary of design, methods, results, conclusions"),
    Item("3", "Background and intended role"), Item("4", "Aims and hypotheses"),
    Item("5", "Prospective or retrospective"), Item("6", "Goal of the study"), Item("7", "Sources of the data"),
    Item("8", "Who was included and excluded", _flow), Item("9", "Preparation of the images", methods.preparation),
    Item("10", "Which part of the data was used", _flow), Item("11", "De-identification"),
    Item("12", "Missing data", _missing), Item("13", "How the images were acquired"),
    Item("14", "How the reference standard was obtained"), Item("15", "Why this reference standard"),
    Item("16", "Where its annotations come from"), Item("17", "Annotation of the test set"),
    Item("18", "Agreement between and within raters"), Item("19", "How data were assigned to parts", _divided),
    Item("20", "At which level the parts are disjoint", _level),
    Item("21", "Intended size of the test set", beside=_size),
    Item("22", "The models", _models), Item("23", "Software", _software, methods.software),
    Item("24", "How weights were started", _initialised), Item("25", "Training in detail", methods.training),
    Item("26", "How the final model was chosen", _ships), Item("27", "Ensembles", _ensemble),
    Item("28", "Metrics", _metrics), Item("29", "Significance and uncertainty", methods.evaluation),
    Item("30", "Robustness", _slices), Item("31", "Explanation of decisions"),
    Item("32", "Evaluation on internal data", _internal), Item("33", "Testing on external data"),
    Item("34", "Registration of a trial"), Item("35", "Numbers included and excluded", _flow),
    Item("36", "Characteristics in each part", _sizes), Item("37", "Performance and its uncertainty", _performance),
    Item("38", "Diagnostic performance and precision", _performance), Item("39", "Analysis of failures", _failures),
    Item("40", "Limitations", _limits), Item("41", "Implications for practice"),
    Item("42", "Where the full protocol is", _command), Item("43", "Availability of software, model and data", _bundle),
    Item("44", "Funding"),
)  # fmt: skip

TRIPOD_AI: tuple[Item, ...] = (
    Item("1", "Title"), Item("2", "Abstract"), Item("3a", "Setting and rationale"), Item("3b", "Intended use"),
    Item("3c", "Known inequalities"), Item("4", "Objectives"), Item("5a", "Sources of the data"),
    Item("5b", "Dates"), Item("6a", "Setting of care"), Item("6b", "Who was eligible", _flow), Item("6c", "Treatments"),
    Item("7", "Preparation and quality checks", lambda ranked: " ".join(
        (methods.preparation(ranked), _audited("A002")(ranked))).strip()),
    Item("8a", "The outcome", methods.cohort), Item("8b", "Who assessed the outcome"),
    Item("8c", "Blinding of the assessment"), Item("9a", "Choice of predictors"),
    Item("9b", "Definition of predictors"), Item("9c", "Who assessed predictors"),
    Item("10", "Sample size", beside=_size), Item("11", "Missing data", _missing),
    Item("12a", "How data were divided and used", _divided), Item("12b", "Handling of predictors", methods.preparation),
    Item("12c", "Models, building, internal validation", _built),
    Item("12d", "Heterogeneity between places", _slices), Item("12e", "Measures of performance", methods.evaluation),
    Item("12f", "Updating of the model"), Item("12g", "How predictions were made", _ensemble),
    Item("13", "Imbalance of classes", methods.imbalance), Item("14", "Fairness"),
    Item("15", "Output of the model", _output), Item("16", "Training against evaluation data", _audited("A004")),
    Item("17", "Ethics"), Item("18a", "Funding"), Item("18b", "Interests"), Item("18c", "Protocol"),
    Item("18d", "Registration"), Item("18e", "Data"), Item("18f", "Code", _command), Item("19", "Patients and public"),
    Item("20a", "Flow of participants", _flow), Item("20b", "Characteristics", _sizes),
    Item("20c", "Comparison with the development data", _audited("A004")),
    Item("21", "Numbers in each analysis", _sizes), Item("22", "The full model", _bundle),
    Item("23a", "Performance with intervals", _performance), Item("23b", "Heterogeneity of performance", _slices),
    Item("24", "Results of updating"), Item("25", "Interpretation"), Item("26", "Limitations", _limits),
    Item("27a", "Poor or missing input in use"), Item("27b", "What users must do and know"),
    Item("27c", "Next steps"),
)  # fmt: skip
CHECKLISTS = (("CLAIM", CLAIM), ("TRIPOD+AI", TRIPOD_AI))
