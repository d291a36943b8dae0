"""Whose images these are, where nobody said: candidates from names and columns, each with its evidence.

Nothing here is ever applied silently. A candidate is proposed with the option that would apply it; `with_patients` is
what that option does.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import polars as pl

from grandrounds.data.dataset import Dataset
from grandrounds.data.draft import Draft
from grandrounds.errors import BadData, BadSpec
from grandrounds.specs import Spec
from grandrounds.tables import SAMPLES
from grandrounds.wording import many

LONGEST_PATTERN = 200
_WORDS = "patients?|patid|pat|pt|subjects?|subj|sub|participants?|person|pid"
# On the sample's name, which is the path below the source without its ending. The first of equal ones is shown.
_PATTERNS = (
    ("the number after a word such as patient", rf"(?i)(?:^|[^a-z])(?:{_WORDS})[ _-]*([a-z]{{0,3}}\d+)"),
    ("the folder that a file lies in", r"([^/]+)/[^/]+$"),
    ("the letters and digits that a name begins with", r"(?:^|/)([A-Za-z]+\d+)[^/\d][^/]*$"),
    ("the number that a name begins with", r"(?:^|/)(\d+)[^/\d][^/]*$"),
    ("what stands before the first underscore", r"(?:^|/)([^/_]+)_[^/]*$"),
    ("what stands before the first hyphen", r"(?:^|/)([^/-]+)-[^/]*$"),
    ("what stands before the last underscore", r"(?:^|/)([^/]+)_[^/_]*$"),
)
_ID_COLUMN = re.compile(r"patient|subject|participant|person|mrn|(^|_)pid|exam|study|accession|(^|_)id$", re.IGNORECASE)
_MOST_SHOWN = 4


class Grouping(Spec):
    """One way to tell whose images these are, and what speaks for it.

    Args:
        what: Which part of a name, or which column, in words.
        shapes: How the commonest names look: a letter for letters, 9 for digits, the part that is taken in brackets.
        n_groups: Groups, which would be patients.
        smallest: Images of the smallest group; `median` and `largest` alike.
        n_pairs: Pairs of identical or nearly identical images.
        n_inside: Those of them whose images fall into one group.
        n_by_chance: As many as would if images were dealt to these groups at random.
        n_one_label: Groups whose images have one label, or none.
        option: What to say to use it.
        sentence: All that in one sentence.
    """

    what: str
    shapes: tuple[str, ...]
    n_groups: int
    smallest: int
    median: float
    largest: int
    n_pairs: int
    n_inside: int
    n_by_chance: float
    n_one_label: int
    option: str
    sentence: str


class _Candidate(NamedTuple):
    what: str
    groups: pl.Series
    shapes: tuple[str, ...]
    option: str


def groupings(dataset: Dataset, alike: Sequence[tuple[str, str]]) -> tuple[Grouping, ...]:
    """Return what could tell the patients of a set whose patients are unknown, the best supported first.

    Args:
        dataset: The set.
        alike: Pairs of samples that are identical or nearly so: two images of one patient, most likely.
    """
    if dataset.patient_known:
        return ()
    rows = dataset.samples.join(dataset.labels.select("case", "label"), on="case", how="left", maintain_order="left")
    found: list[Grouping] = []
    partitions = {_partition(rows["case"])}  # a case counts as a patient of its own already
    for candidate in (*_by_column(rows), *_by_name(rows, dataset)):
        partition = _partition(candidate.groups)
        if partition in partitions or not _plausible(candidate.groups, rows["label"]):
            continue
        partitions.add(partition)
        found.append(_measured(candidate, rows, alike))
    return tuple(sorted(found, key=lambda one: -one.n_inside / max(one.n_by_chance, 1.0))[:_MOST_SHOWN])


def _partition(groups: pl.Series) -> tuple[int, ...]:
    """Return which rows belong together: the same for the same groups, whatever they are called."""
    rows = groups.to_frame("group").with_row_index("row")
    return tuple(rows.select(pl.col("row").min().over("group"))["row"])


def with_patients(draft: Draft, pattern: str) -> Draft:
    """Return the draft with the patients that a pattern finds in the names of its samples.

    Args:
        draft: A source that does not tell its patients.
        pattern: Regular expression whose one group, in parentheses, is the patient. It runs in linear time, so
            look-around and back-references are not understood.

    Raises:
        BadSpec: The source tells its patients itself, or this is no such pattern.
        BadData: A name does not fit the pattern.
    """
    if draft.patient_known or draft.rows.get_column("patient", default=pl.Series([None])).count():
        raise BadSpec("the source tells its patients itself", where="patient_pattern", remedy="leave the option out")
    groups = _extracted(draft.rows["sample"], pattern)
    if n_other := groups.null_count():
        raise BadData(
            f"{n_other:,} of {groups.len():,} names of samples do not fit the pattern",
            where=f"patient_pattern {pattern}",
            remedy="widen the pattern, or write a table with a patient column",
        )
    note = f"Patients were told from names by the pattern {pattern}: {groups.n_unique():,} of them."
    rows = draft.rows.with_columns(groups.alias("patient"))
    return replace(draft, rows=rows, patient_known=True, notes=(*draft.notes, note))


def _extracted(names: pl.Series, pattern: str) -> pl.Series:
    remedy = r"write a regular expression with one group, such as '^(\d+)_'"
    if len(pattern) > LONGEST_PATTERN or "(" not in pattern:
        raise BadSpec("the pattern is too long or has no group", where="patient_pattern", remedy=remedy)
    try:
        return names.cast(pl.String()).str.extract(pattern, 1)
    except pl.exceptions.PolarsError:
        raise BadSpec("this is no regular expression with a group", where="patient_pattern", remedy=remedy) from None


def _by_column(rows: pl.DataFrame) -> list[_Candidate]:
    """Return the columns that are called like an id."""
    names = [name for name in rows.columns if name not in {*SAMPLES.columns, "label"} and _ID_COLUMN.search(name)]
    return [
        _Candidate(f"the column {name!r}", rows[name].cast(pl.String()), (), f"--patient {name}")
        for name in names
        if rows[name].null_count() == 0 and not rows[name].dtype.is_nested()
    ]


def _by_name(rows: pl.DataFrame, dataset: Dataset) -> list[_Candidate]:
    """Return what the patterns find, where every name fits; names that are places in an archive say nothing."""
    if dataset.neutral_names:
        return []
    names = rows["sample"]
    found = []
    for what, pattern in _PATTERNS:
        groups = _extracted(names, pattern)
        if groups.null_count() == 0:
            found.append(_Candidate(what, groups, _shapes(names, groups), f"--patient-pattern '{pattern}'"))
    return found


def _plausible(groups: pl.Series, labels: pl.Series) -> bool:
    """Whether groups may be patients: several images each, and not the classes under another name."""
    n_groups, n_classes = groups.n_unique(), labels.n_unique()
    if not 2 <= n_groups <= 0.9 * groups.len():
        return False
    words = set(labels.drop_nulls().str.to_lowercase())
    return n_groups > n_classes and len(set(groups.str.to_lowercase()) & words) < n_groups / 2


def _measured(candidate: _Candidate, rows: pl.DataFrame, alike: Sequence[tuple[str, str]]) -> Grouping:
    table = rows.select("sample", "label").with_columns(candidate.groups.alias("group"))
    sizes = table.group_by("group").agg(pl.len(), pl.col("label").drop_nulls().n_unique().alias("labels"))
    group = dict(table.select("sample", "group").iter_rows())
    n_inside = sum(group[a] == group[b] for a, b in alike if a in group and b in group)
    n = sizes["len"]
    by_chance = len(alike) * float((n * (n - 1)).sum()) / max(table.height * (table.height - 1), 1)
    smallest, largest = int(n.to_numpy().min()), int(n.to_numpy().max())
    n_one_label = sizes.filter(pl.col("labels") <= 1).height
    span = f"{smallest} to {largest}" if smallest < largest else str(smallest)
    sentence = f"Taking {candidate.what} for the patient gives {sizes.height:,} groups of {span} images."
    if alike:
        sentence += (
            f" Of {len(alike):,} pairs of identical or nearly identical images {n_inside:,} fall into one group; by "
            f"chance it would be {by_chance:.1f}."
        )
    sentence += f" {many(n_one_label, 'group', 'have')} one label each. If that is right, say {candidate.option}"
    return Grouping(
        what=candidate.what, shapes=candidate.shapes, n_groups=sizes.height, smallest=smallest,
        median=float(np.median(n.to_numpy())),
        largest=largest, n_pairs=len(alike), n_inside=n_inside, n_by_chance=by_chance, n_one_label=n_one_label,
        option=candidate.option, sentence=sentence,
    )  # fmt: skip


def _shapes(names: pl.Series, groups: pl.Series) -> tuple[str, ...]:
    """Return the commonest shapes of names, in which no name can be recognised."""
    shapes = pl.Series([_shape(name, group) for name, group in zip(names, groups, strict=True)])
    return tuple(shapes.value_counts(sort=True).head(2).to_series(0))


def _shape(name: str, group: str) -> str:
    """Return a name with letters as a and digits as 9, and brackets around the last part equal to the group.

    >>> _shape("benign/P017_left_2", "P017")
    'aaaaaa/[a999]_aaaa_9'
    """
    start = name.rfind(group)
    parts = (name[:start], name[start : start + len(group)], name[start + len(group) :])
    before, inside, after = (re.sub(r"\d", "9", re.sub(r"[^\W\d_]", "a", part)) for part in parts)
    return f"{before}[{inside}]{after}"
