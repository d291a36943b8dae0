"""The schemes of division; each gives a table of roles and says what it had to decide."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from grandrounds import seeds, tables
from grandrounds.errors import BadData
from grandrounds.splits.deal import Counts, absent, deal
from grandrounds.splits.spec import SplitSpec
from grandrounds.wording import many, percent

TOGETHER = "together"  # the column of those who share an image, where there are any
Roles = NDArray[np.str_]  # (G,): the role of each group
_ATTEMPTS, _DRAWS = 10, 20  # the first attempt takes the most even of many draws, the others whatever serves
_REMEDY = "add patients of that class, join it with another class, or leave it out"


@dataclass(frozen=True, slots=True)
class Drawn:
    """What a scheme gives back.

    Args:
        table: Columns `case, repeat, fold, role, patient, label`.
        spec: What was really drawn: the scheme resolved, the folds that were possible.
        notes: What a reader of the report should be told.
    """

    table: pl.DataFrame
    spec: SplitSpec
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Groups:
    """Who must stay together.

    Args:
        of_case: (N,) number of the group of each case.
        counts: (G, K) cases of each class in each group.
        classes: The classes, sorted; of several tasks those of all.
        noun: What one group is called in messages.
    """

    of_case: NDArray[np.int64]
    counts: Counts
    classes: tuple[str, ...]
    noun: str

    @classmethod
    def of(cls, cases: pl.DataFrame, spec: SplitSpec) -> Groups:
        """Return the groups of labelled cases: their patients, or each case for itself."""
        keys = keys_of(cases) if spec.group == "patient" else cases["case"]
        known, places = tables.numbered(keys)
        of_case = places.to_numpy().astype(np.int64)
        held = by_class(cases.select("label", group=pl.Series(of_case)))
        classes, labels = tables.numbered(held["label"])
        counts = np.zeros((len(known), len(classes)), dtype=np.int64)
        np.add.at(counts, (held["group"].to_numpy(), labels.to_numpy()), 1)
        noun = "patient" if spec.group == "patient" else "case"
        return cls(of_case, counts, tuple(classes), noun)

    def rarest(self) -> tuple[str, int]:
        """Return the class that the fewest groups have, and how many these are."""
        n_groups = (self.counts > 0).sum(axis=0)  # (K,)
        return self.classes[int(n_groups.argmin())], int(n_groups.min())

    def too_few(self, purpose: str) -> BadData:
        """Return the refusal to divide so few groups."""
        name, n = self.rarest()
        if len(self.classes) == 1:
            return BadData(f"every labelled case is of the class {name!r}", remedy="give cases of a second class")
        return BadData(f"the class {name!r} has {many(n, self.noun)}: too few for {purpose}", remedy=_REMEDY)


def by_class(cases: pl.DataFrame) -> pl.DataFrame:
    """Return one row for each class that a case has: of several tasks, whose `label` is a list, a row for each."""
    return cases.explode("label") if cases["label"].dtype == pl.List else cases


def keys_of(cases: pl.DataFrame) -> pl.Series:
    """Return what tells those apart who must not be parted: patients, or patients who share an image (`twins`)."""
    keys = tables.patient_keys(cases["patient"])
    if TOGETHER not in cases.columns:
        return keys
    bound = pl.format("\0{}", TOGETHER)  # no patient's key holds such a character
    return cases.select(pl.coalesce(bound, pl.lit(keys))).to_series()


def kfold(cases: pl.DataFrame, spec: SplitSpec, seed: int) -> Drawn:
    """Return folds of which each tests other patients; as many as wanted and possible.

    Raises:
        BadData: Not even two folds have every class on both sides.
    """
    groups = Groups.of(cases, spec)
    rarest, n_rarest = groups.rarest()
    for n_folds in range(min(spec.folds, n_rarest), 1, -1):
        resolved = spec.replaced(scheme="kfold", folds=n_folds)
        repeats = [_repeat(cases, groups, resolved, seed, repeat) for repeat in range(spec.repeats)]
        found = [frame for frame in repeats if frame is not None]
        if len(found) == spec.repeats:
            fewer = f"{n_folds} folds instead of {spec.folds}: the class {rarest!r} has {many(n_rarest, groups.noun)}."
            return Drawn(pl.concat(found), resolved, (fewer,) if n_folds < spec.folds else ())
    raise groups.too_few("two folds that have it on both sides")


def _repeat(cases: pl.DataFrame, groups: Groups, spec: SplitSpec, seed: int, repeat: int) -> pl.DataFrame | None:
    """Return the folds of one repeat; None where no draw gives every fold all it needs."""
    for attempt in range(_ATTEMPTS):
        drawing = seeds.derive(seed, "folds", repeat=repeat, n_folds=spec.folds, attempt=attempt)
        frames = list(_folds(cases, groups, spec, repeat, drawing, n_draws=_DRAWS if attempt == 0 else 1))
        if len(frames) == spec.folds:
            return pl.concat(frames)
    return None


def _folds(
    cases: pl.DataFrame, groups: Groups, spec: SplitSpec, repeat: int, seed: int, n_draws: int
) -> Iterator[pl.DataFrame]:
    """Yield the folds of one draw, up to the first that lacks something."""
    shares, priority = np.full(spec.folds, 1 / spec.folds), np.ones(spec.folds, dtype=np.int64)
    parts = deal(groups.counts, shares, seed=seed, priority=priority, n_draws=n_draws)
    if len(groups.classes) == 1 or absent(parts, groups.counts > 0, spec.folds).any():
        return
    for fold in range(spec.folds):
        roles = _train_and_valid(groups.counts, parts == fold, spec, seeds.derive(seed, "valid", fold=fold))
        if roles is None:
            return
        yield _table(cases, roles[groups.of_case], repeat, fold)


def holdout(cases: pl.DataFrame, spec: SplitSpec, seed: int) -> Drawn:
    """Return one division into train, valid and test for each repeat.

    Raises:
        BadData: A class has too few patients to stand in train and in test.
    """
    groups = Groups.of(cases, spec)
    shares = np.array([spec.test_fraction, 1 - spec.test_fraction])
    frames = []
    for repeat in range(spec.repeats):
        drawing = seeds.derive(seed, "holdout", repeat=repeat)
        test = deal(groups.counts, shares, seed=drawing, priority=np.ones(2, dtype=np.int64)) == 0
        possible = len(groups.classes) > 1 and groups.counts[test].any(axis=0).all()
        roles = _train_and_valid(groups.counts, test, spec, seeds.derive(drawing, "valid")) if possible else None
        if roles is None:
            raise groups.too_few("a train and a test role that both have it")
        frames.append(_table(cases, roles[groups.of_case], repeat, 0))
    return Drawn(pl.concat(frames), spec.replaced(scheme="holdout"))


def official(cases: pl.DataFrame, spec: SplitSpec, seed: int) -> Drawn:
    """Return the split that came with the data; `valid` stands in for a missing test, a missing valid is drawn.

    Raises:
        BadData: There is no official split, or it has no train or nothing to test on.
    """
    given, notes = cases.filter(pl.col("role").is_not_null()), []
    roles = set(given["role"])
    if not is_official(roles):
        remedy = "choose the scheme kfold or holdout"
        raise BadData("the data have no official split with train and test", where=sorted(roles) or None, remedy=remedy)
    if given.height < cases.height:
        left = many(cases.height - given.height, "case", "have")
        notes.append(f"{left} no role in the official split, and no part in this one.")
    if "test" not in roles:
        given = given.with_columns(pl.col("role").replace({"valid": "test"}))
        notes.append("The official split has no test: its valid serves as test.")
    if "valid" not in set(given["role"]):
        given = _draw_valid(given, spec, seed)
        notes.append(f"The official split leaves no valid: {percent(spec.valid_fraction)} of train are drawn for it.")
    if spec.repeats > 1:
        notes.append("An official split is used as given and not repeated.")
    resolved = spec.replaced(scheme="official", repeats=1)
    return Drawn(_table(given, given["role"].to_numpy(), 0, 0), resolved, tuple(notes))


def inside(cases: pl.DataFrame, spec: SplitSpec, seed: int) -> Drawn:
    """Return folds over the cases that no official test role holds; those of that role have no part in them.

    The test role is valid where none is called test, as in `official`.

    Raises:
        BadData: There is no official test role that could stay closed, or too few patients of a class are left.
    """
    given = cases.filter(pl.col("role").is_not_null())
    roles = set(given["role"])
    if not is_official(roles):
        remedy = "choose the scheme kfold, which draws folds over all cases"
        raise BadData("the data have no official test role", where=sorted(roles) or None, remedy=remedy)
    closed = given.filter(pl.col("role") == ("test" if "test" in roles else "valid"))
    drawn = kfold(given.join(closed, on="case", how="anti", maintain_order="left"), spec, seed)
    note = f"The official test role stays closed: {many(closed.height, 'case', 'have')} no part in this study."
    return Drawn(drawn.table, drawn.spec.replaced(scheme="inside"), (note, *drawn.notes))


def is_official(roles: set[str]) -> bool:
    """Return whether these roles make a split: something to train on and something to test on."""
    return "train" in roles and bool(roles & {"test", "valid"})


def _draw_valid(given: pl.DataFrame, spec: SplitSpec, seed: int) -> pl.DataFrame:
    train = given.filter(pl.col("role") == "train")
    groups = Groups.of(train, spec)
    nobody = np.zeros(len(groups.counts), dtype=np.bool_)
    roles = _train_and_valid(groups.counts, nobody, spec, seeds.derive(seed, "valid"))
    if roles is None:
        raise groups.too_few("a train role and a valid role beside it")
    drawn = pl.DataFrame({"case": train["case"], "drawn": roles[groups.of_case]})
    return given.join(drawn, on="case", how="left").with_columns(role=pl.coalesce("drawn", "role")).drop("drawn")


def _train_and_valid(counts: Counts, test: NDArray[np.bool_], spec: SplitSpec, seed: int) -> Roles | None:
    """Return the role of each group, or None where train would lack a class or valid would be empty."""
    rest = np.flatnonzero(~test)
    if len(rest) < 2:
        return None
    shares = np.array([spec.valid_fraction, 1 - spec.valid_fraction])
    priority = np.array([1, counts.shape[1] + 1])  # a class that train lacks outweighs all that valid lacks
    valid = rest[deal(counts[rest], shares, seed=seed, priority=priority) == 0]
    roles = np.where(test, "test", "train").astype("<U5")
    roles[valid] = "valid"
    wanted = counts[rest].any(axis=0) if not test.any() else np.ones(counts.shape[1], dtype=np.bool_)
    held = counts[roles == "train"].any(axis=0)
    return roles if valid.size and bool((held | ~wanted).all()) else None


def _table(cases: pl.DataFrame, roles: Roles, repeat: int, fold: int) -> pl.DataFrame:
    return cases.select(
        "case",
        pl.lit(repeat, dtype=pl.Int64).alias("repeat"),
        pl.lit(fold, dtype=pl.Int64).alias("fold"),
        pl.Series("role", roles.astype(object), dtype=pl.String),
        "patient",
        "label",
        *(name for name in (TOGETHER,) if name in cases.columns),
    )
