"""Draw a split plan from a table of cases."""

from __future__ import annotations

import polars as pl

from grandrounds import tables
from grandrounds.errors import BadData, BadSpec
from grandrounds.splits import schemes
from grandrounds.splits.calib import set_apart
from grandrounds.splits.plan import SplitPlan
from grandrounds.splits.spec import SplitSpec
from grandrounds.wording import many

_SCHEMES = {"official": schemes.official, "holdout": schemes.holdout, "kfold": schemes.kfold, "inside": schemes.inside}
_CASES = ("case", "patient", "label", "role")
_SEVERAL = pl.List(pl.String())  # labels of several tasks


def draw(cases: pl.DataFrame, spec: SplitSpec, seed: int, *, fingerprint: str) -> SplitPlan:
    """Return the one plan that every family of a study shares; the same for the same cases, spec and seed.

    Patient ids that differ only in case, padding, control characters or Unicode form count as one patient. Where the
    data give some cases the role train and the others none, the former (with all of their patients' cases) are trained
    on in every fold.

    Args:
        cases: Columns `case, patient, label, role`, one row a case. A null label keeps a case out of every role; `role`
            is the official one, null or absent where there is none. With `together` from `with_twins`, those who share
            its number are never parted. For one plan of several tasks `label` is the list of a case's classes, named so
            that no two tasks share one: each is spread evenly.
        spec: How to divide.
        seed: Root of the draws.
        fingerprint: Of the dataset, so that the plan is refused with other data.

    Raises:
        BadSpec: Folds or repeats are asked of a scheme that has none.
        BadData: A class has too few patients for the scheme, or the table is not one row a case.
    """
    _refuse_in_vain(spec)
    cases = _checked(cases)
    labelled = cases.filter(pl.col("label").is_not_null())
    if labelled.is_empty():
        raise BadData("no case has a label", remedy="give labels, or name their column")
    scheme = _scheme(labelled, spec)
    pool, rest = _pool(labelled, scheme)
    drawn = set_apart(_SCHEMES[scheme](rest, spec, seed), seed)
    notes = (
        *_unlabelled(cases),
        *_spellings(labelled),
        *(_twins(labelled, spec) if scheme != "official" else ()),
        *_fallback(rest, spec, scheme),
        *_pooled(pool),
        *drawn.notes,
    )
    plan = SplitPlan(_with_pool(drawn.table, pool), drawn.spec, seed, fingerprint, notes)
    return plan if not plan.leaky else SplitPlan(plan.table, plan.spec, seed, fingerprint, (_watermark(plan), *notes))


def _refuse_in_vain(spec: SplitSpec) -> None:
    """Refuse what the scheme that was named takes no notice of."""
    others = "leave it out, or choose the scheme kfold or inside"
    if spec.scheme in ("official", "holdout") and spec.folds != SplitSpec().folds:
        raise BadSpec(f"the scheme {spec.scheme} has no folds, and {spec.folds} are asked for", remedy=others)
    if spec.scheme == "official" and spec.repeats != SplitSpec().repeats:
        raise BadSpec(f"an official split is one, and {spec.repeats} repeats are asked for", remedy=others)


def _checked(cases: pl.DataFrame) -> pl.DataFrame:
    absent = [name for name in ("case", "patient", "label") if name not in cases.columns]
    if absent:
        raise BadData(f"the column {', '.join(absent)} is missing", where="cases")
    if "role" not in cases.columns:
        cases = cases.with_columns(role=pl.lit(None, dtype=pl.String()))
    bound = [schemes.TOGETHER] if schemes.TOGETHER in cases.columns else []
    kinds = dict.fromkeys(_CASES, pl.String()) | ({"label": _SEVERAL} if cases["label"].dtype == _SEVERAL else {})
    cases = cases.select(*_CASES, *bound).cast(pl.Schema(kinds)).sort("case")  # the order of the rows must not matter
    if cases["case"].null_count() or cases["patient"].null_count():
        raise BadData("every case needs a name and a patient", where="cases")
    if cases["case"].is_duplicated().any():
        twice = cases.filter(pl.col("case").is_duplicated())["case"][0]
        raise BadData("a case stands in two rows", where=f"case {twice}", remedy="give one patient, label, role a case")
    return cases


def _scheme(cases: pl.DataFrame, spec: SplitSpec) -> str:
    if spec.scheme != "auto":
        return spec.scheme
    return "official" if schemes.is_official(set(cases["role"].drop_nulls())) else "kfold"


def _pool(cases: pl.DataFrame, scheme: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the cases that every fold trains on, with all of their patients' cases, and the others."""
    keyed = cases.with_columns(who=schemes.keys_of(cases))
    pool = keyed.filter((pl.col("role") == "train").any().over("who"))
    rest = keyed.join(pool, on="case", how="anti")
    if scheme == "official" or set(cases["role"].drop_nulls()) != {"train"} or rest.is_empty():
        return cases.clear(), cases
    return pool.drop("who"), rest.drop("who").sort("case")


def _with_pool(table: pl.DataFrame, pool: pl.DataFrame) -> pl.DataFrame:
    everywhere = pool.drop("role").join(table.select("repeat", "fold").unique(), how="cross")
    return pl.concat([table, everywhere.with_columns(role=pl.lit("train")).select(table.columns)])


def _pooled(pool: pl.DataFrame) -> list[str]:
    return [f"{many(pool.height, 'case', 'are')} trained on in every fold, as the data ask for."] if pool.height else []


def _unlabelled(cases: pl.DataFrame) -> list[str]:
    n = cases["label"].null_count()
    return [f"{n} of {cases.height} cases have no label and take no part."] if n else []


def _spellings(cases: pl.DataFrame) -> list[str]:
    spelt = cases["patient"].unique()
    n = spelt.len() - tables.patient_keys(spelt).n_unique()
    return (
        [f"{many(n, 'patient id', 'are')} another spelling of one met before: taken for the same patient."] if n else []
    )


def _twins(cases: pl.DataFrame, spec: SplitSpec) -> list[str]:
    if schemes.TOGETHER not in cases.columns or spec.group != "patient":
        return []  # nothing asked for it
    n = tables.patient_keys(cases.filter(pl.col(schemes.TOGETHER).is_not_null())["patient"]).n_unique()
    return [f"{n} patients share an image with another: drawn folds never part those."] if n else []


def _fallback(cases: pl.DataFrame, spec: SplitSpec, scheme: str) -> list[str]:
    if spec.scheme == "auto" and scheme == "kfold" and cases["role"].drop_nulls().len():
        return ["The roles that came with the data are no train and test: folds are drawn instead."]
    return []


def _watermark(plan: SplitPlan) -> str:
    whose = "the official split" if plan.spec.scheme == "official" else "the split by sample that was asked for"
    return f"LEAKY: two sides of {whose} share {plan.straddlers()}; scores may be too good."
