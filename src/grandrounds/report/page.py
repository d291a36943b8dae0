"""One self-contained HTML page: no script, no request, every word from the data escaped."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

from grandrounds import tables
from grandrounds.evaluate.catalogue import positive_of
from grandrounds.report import (
    appendix,
    certificate,
    checklists,
    classes,
    cohort,
    decisions,
    errors,
    external,
    learning,
    methods,
    readers,
    results,
    series_by_task,
    several_series,
    subgroups,
    tasks,
    uncertainty,
)
from grandrounds.report.blocks import Section
from grandrounds.report.content import ReportContent
from grandrounds.report.ranked import Ranked
from grandrounds.report.rendering import environment
from grandrounds.report.rounding import count
from grandrounds.report.tasks import Chapter

Builder = Callable[[Ranked], Section | None]

# The order of the page; a section that has nothing to show is None.
SECTIONS: tuple[Builder, ...] = (
    results.ranking,
    results.differences,
    uncertainty.uncertainty,
    readers.readers,
    cohort.pictures,
    classes.by_class,
    classes.confusion,
    classes.roc,
    classes.precision_recall,
    classes.calibration,
    classes.decision_curves,
    decisions.decisions,
    several_series.several_series,
    subgroups.subgroups,
    external.external,
    errors.errors,
    learning.more_patients,
    classes.learning,
    results.price_and_value,
    results.cost_table,
    cohort.flow,
    cohort.split,
    certificate.certificate,
    cohort.findings,
    appendix.family_notes,
    results.published,
    cohort.data,
    methods.methods,
    checklists.checklists,
    appendix.study,
    appendix.words,
)
# Where there are several tasks: what is said of all of them first, and what is the same for each.
OVER_TASKS: tuple[Builder, ...] = (
    results.ranking, tasks.by_task, series_by_task.by_task, results.differences, cohort.findings, tasks.notes,
)  # fmt: skip
ONCE: tuple[Builder, ...] = (appendix.study,)
# Where only data from elsewhere were judged, by a model without its run.
ELSEWHERE_ALONE: tuple[Builder, ...] = (external.external, appendix.words)
# What a reader sees at once; all else opens on a click or key, but for what stands first.
OPEN = ("ranking", "tasks", "series-by-task", "differences", "several-series", "readers")
MOST_BYTES = 3_000_000  # of a page over several tasks
ANSWER = 2  # sentences that stand on top; the others explain them
_RELATIVE = re.compile(r"(?!/)[A-Za-z0-9_./#%-]+")  # no scheme, no host: a report beside this one


def write(content: ReportContent, path: Path, *, most_bytes: int = MOST_BYTES) -> Path:
    """Write the report as one HTML file, whole or not at all, and return its path.

    Where many tasks would make it too large, the details of each go to a page beside it.

    Args:
        content: What is reported.
        path: The file.
        most_bytes: What a page over several tasks may have.

    Raises:
        StoreTrouble: A file cannot be written.
    """
    page = render(content)
    if content.tasks and len(page.encode()) > most_bytes:
        for chapter in chapters(content):
            title = f"{content.title} {chapter.title}"
            own = replace(
                chapter.content,
                title=title,
                record=content.record or chapter.content.record,
                links=(("all tasks", path.name),),
            )
            _write(render(own), path.with_name(_page(chapter, path)))
        page = render(content, beside=path)
    return _write(page, path)


def _write(page: str, path: Path) -> Path:
    with tables.atomic(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return path


def _page(chapter: Chapter, path: Path) -> str:
    """Return the name of the page beside another one that holds a task."""
    return f"{path.stem}-{chapter.anchor}{path.suffix}"


def render(content: ReportContent, *, beside: Path | None = None) -> str:
    """Return the report as HTML.

    Args:
        content: What is reported.
        beside: The page, where what is told of a task lies on a page beside it; None for all on one.
    """
    ranked = Ranked.of(content)
    before, after = parts(ranked)
    return (
        environment()
        .get_template("page.html")
        .render(
            content=content,
            facts=facts(ranked),
            links=[(label, href if _RELATIVE.fullmatch(href) else None) for label, href in content.links],
            n_answer=ANSWER,
            sections=before,
            chapters=chapters(content) if beside is None else [_brief(one, beside) for one in chapters(content)],
            closing=after,
        )
    )


def parts(ranked: Ranked) -> tuple[list[Section], list[Section]]:
    """Return the sections before the chapters of the tasks and those after; all before where there is one task."""
    if not ranked.content.tasks:
        return sections(ranked), []
    return _built(OVER_TASKS, ranked), _built(ONCE, ranked)


def chapters(content: ReportContent) -> list[Chapter]:
    """Return what stands on the page for each of several tasks: all that would stand on a page of its own."""
    once = ONCE if content.record else ()
    return [_chapter(f"task-{turn}", Ranked.of(one), once) for turn, one in enumerate(content.tasks, start=1)]


def _chapter(anchor: str, ranked: Ranked, once: Sequence[Builder]) -> Chapter:
    own = [replace(one, anchor=f"{anchor}-{one.anchor}") for one in _built(SECTIONS, ranked, without=once)]
    return Chapter(anchor, f"Task: {ranked.content.task.name}", ranked.content, facts(ranked), own)


def _brief(chapter: Chapter, page: Path) -> Chapter:
    """Return a chapter with what a reader sees at once, and the name of the page that holds it all."""
    shown = [one for one in chapter.sections if one.opened]
    return replace(chapter, sections=shown, page=quote(_page(chapter, page)))


def sections(ranked: Ranked) -> list[Section]:
    """Return every section that has something to show, in the order of the page."""
    alone = not ranked.families and not ranked.content.external.is_empty()
    first, *others = _built(ELSEWHERE_ALONE if alone else SECTIONS, ranked)
    return [replace(first, opened=True), *others]


def _built(builders: Sequence[Builder], ranked: Ranked, *, without: Sequence[Builder] = ()) -> list[Section]:
    found = [section for build in builders if build not in without and (section := build(ranked)) is not None]
    return [replace(section, opened=section.anchor in OPEN) for section in found]


def facts(ranked: Ranked) -> list[tuple[str, str]]:
    """Return the few facts that stand under the title."""
    content = ranked.content
    rows = content.predictions if content.samples.is_empty() else content.samples
    positive = positive_of(content.task)
    facts = [
        ("Tasks", ", ".join(content.task.classes)) if content.tasks else _task(content),
        ("Classes", "" if content.tasks else ", ".join(content.task.classes)),
        ("Positive class", positive or ""),
        ("Primary metric", f"{ranked.words(content.primary)}, margin {content.margin:g}"),
        ("Ships", content.ships or ""),
        ("Images", count(rows["sample"].n_unique()) if rows.height else ""),
        ("Patients", cohort.patients(ranked, rows) if rows.height else ""),
    ]
    return [(name, value) for name, value in facts if value]


def _task(content: ReportContent) -> tuple[str, str]:
    return "Task", content.task.condition or content.task.name
