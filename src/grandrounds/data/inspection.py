"""Everything that `grandrounds inspect` finds out about a set, beyond its tables: it looks at every image once more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from grandrounds.data.contact_sheet import Picture, contact_sheet, pictures
from grandrounds.data.dataset import Dataset
from grandrounds.data.draft import Progress
from grandrounds.data.fingerprint import Fingerprint, NearPair, fingerprint, labelled, without_names
from grandrounds.data.glance import Glances, glances
from grandrounds.data.grouping import groupings
from grandrounds.data.near import near_duplicates
from grandrounds.formats.abreast import ALONE, Crew
from grandrounds.wording import many

BAND_YEARS, OLDEST_YEARS = 20, 80
N_BINS = 24
MOST_LEVELS = 12  # of site and sex each; rarer ones are called "other"
MOST_PAIRS = 12  # shown as pictures
_MOST_BYTES = 300_000
_UNKNOWN = "unknown"
_FACTS = ("site", "sex", "age", "scanner", "plane", "side")
_SEXES: Mapping[str, str] = {"m": "male", "male": "male", "f": "female", "female": "female"}


@dataclass(frozen=True)
class Inspection:
    """What was found out about a set.

    Args:
        found: The fingerprint, complete.
        counts: Columns `label, site, sex, age, n_patients, n_samples`: every cell that has somebody in it. A
            column that nothing is known of is null throughout.
        totals: Columns `what, value, label, n_patients, n_samples`: each class in all, and at each site, of each sex
            and age band, on each scanner, in each plane and of each side.
        spread: Columns `what, low, high, n`: histograms of whatever varies over the samples.
        sheet: A few pictures of each class.
        pairs: Pictures of both sides of the first nearly identical pairs, by sample.
        glances: Every image small, with its traces, under its own name; for the shortcut probes.
    """

    found: Fingerprint
    counts: pl.DataFrame
    totals: pl.DataFrame
    spread: pl.DataFrame
    sheet: Mapping[str, tuple[Picture, ...]]
    pairs: Mapping[str, bytes]
    glances: Glances


def inspect(
    dataset: Dataset, seed: int = 0, progress: Progress | None = None, crew: Crew = ALONE, *, names: bool = False
) -> Inspection:  # fmt: skip
    """Return all that looking tells of a set; nothing of it is used to plan a study.

    Args:
        dataset: The set.
        seed: Root of what is drawn.
        progress: Called with the number of files looked at and of all.
        crew: Who reads side by side where there is enough to read.
        names: Whether images are called by their names, which may tell who somebody is; otherwise by their row.
    """
    seen = glances(dataset, progress, crew)
    near = near_pairs(dataset, seen)
    facts = fingerprint(dataset)
    alike = [(group[0], other) for group in facts.duplicates.groups for other in group[1:]]
    alike += [(pair.a, pair.b) for pair in near]
    planes = pl.Series(seen.planes, dtype=pl.String()).drop_nulls().value_counts(sort=True)
    people = _people(dataset, seen)
    cells = counts(people)
    found = facts.model_copy(
        update={
            "near": near,
            "groupings": groupings(dataset, alike),
            "planes": facts.planes or dict(planes.iter_rows()),
            "groups": tuple(cells.to_dicts()),
            "warnings": (*facts.warnings, *_about(near)),
        }
    )
    shown = [sample for pair in near[:MOST_PAIRS] for sample in (pair.a, pair.b)]
    called = _called(dataset, names=names)
    shown_pairs = {called[sample]: jpeg for sample, jpeg in pictures(dataset, shown, _MOST_BYTES).items()}
    sheet = {
        label: tuple(Picture(called[one.sample], one.jpeg) for one in row)
        for label, row in contact_sheet(dataset, seed).items()
    }
    return Inspection(
        found=found if _says_nothing(called) else without_names(found, called), counts=cells,
        totals=totals(people, dataset.task.classes), spread=spread(dataset), sheet=sheet, pairs=shown_pairs,
        glances=seen,
    )  # fmt: skip


def _called(dataset: Dataset, *, names: bool) -> dict[str, str]:
    """Return what each image is called where it may be read by anybody."""
    samples = dataset.samples["sample"].to_list()
    if names or dataset.simulated or dataset.neutral_names:
        return dict(zip(samples, samples, strict=True))
    return {sample: f"image {row}" for row, sample in enumerate(samples, 1)}


def _says_nothing(called: Mapping[str, str]) -> bool:
    return all(sample == name for sample, name in called.items())


def near_pairs(dataset: Dataset, seen: Glances) -> tuple[NearPair, ...]:
    """Return the nearly identical images, those across patients, labels or roles first."""
    rows = labelled(dataset)
    found = near_duplicates(seen, dict(rows.select("sample", "sha256").iter_rows()))
    facts = {row["sample"]: row for row in rows.select("sample", "patient", "label", "role").iter_rows(named=True)}
    pairs = []
    for a, b, mirrored, turned_deg, correlation, _ in found.iter_rows():
        one, other = facts[a], facts[b]
        state = {name: _compared(one[name], other[name]) for name in ("patient", "label", "role")}
        pairs.append(
            NearPair(
                a=a, b=b, mirrored=mirrored, turned_deg=turned_deg, correlation=round(correlation, 4),
                patients=state["patient"] if dataset.patient_known else None, labels=state["label"],
                roles=state["role"],
            )
        )  # fmt: skip
    order = ("labels", "patients", "roles")
    return tuple(sorted(pairs, key=lambda pair: [getattr(pair, name) != "different" for name in order]))


def _about(near: tuple[NearPair, ...]) -> list[str]:
    kinds = (
        ("labels", "under contradictory labels"),
        ("patients", "under different patients"),
        ("roles", "in different roles of the official split"),
    )
    numbers = [(sum(getattr(pair, name) == "different" for pair in near), what) for name, what in kinds]
    return [f"Nearly identical images stand {what}: {many(n, 'pair')}." for n, what in numbers if n]


def counts(people: pl.DataFrame) -> pl.DataFrame:
    """Return patients and samples of every cell of class, site, sex and age band that has somebody in it."""
    keys = ("label", "site", "sex", "age")
    cells = people.group_by(keys, maintain_order=True).agg(n_patients=pl.col("patient").n_unique(), n_samples=pl.len())
    return cells.sort("site", "sex", "age", nulls_last=True, maintain_order=True)


def totals(people: pl.DataFrame, classes: Sequence[str]) -> pl.DataFrame:
    """Return patients and samples of each class in all, and by each fact that is known of anybody."""
    order = pl.Enum([*classes, _UNKNOWN] if _UNKNOWN not in classes else classes)
    parts = []
    for what in ("all", *_FACTS):
        value = pl.lit("all") if what == "all" else pl.col(what)
        part = people.with_columns(value=value).filter(pl.col("value").is_not_null()).group_by("value", "label")
        parts.append(
            part.agg(n_patients=pl.col("patient").n_unique(), n_samples=pl.len()).with_columns(what=pl.lit(what))
        )
    columns = ("what", "value", "label", "n_patients", "n_samples")
    found = pl.concat([part.select(columns) for part in parts]).with_columns(rank=pl.col("label").cast(order))
    return found.sort("value", "rank", maintain_order=True).drop("rank")


def _people(dataset: Dataset, seen: Glances) -> pl.DataFrame:
    """Return columns `patient, label` and `_FACTS` of the samples, in words and bands."""
    rows = labelled(dataset)
    plane = dict(zip(seen.samples, seen.planes, strict=False))
    lies = dataset.samples.select("sample").with_columns(
        plane=pl.Series([plane.get(sample) for sample in dataset.samples["sample"]], dtype=pl.String())
    )
    facts = (
        _levels(dataset.samples, "site"), _sex(dataset.samples), _bands(dataset.samples),
        _levels(dataset.samples, "scanner"), _levels(lies, "plane"), _levels(dataset.samples, "side"),
    )  # fmt: skip
    return rows.select("patient", pl.col("label").fill_null(_UNKNOWN)).with_columns(*facts)


def spread(dataset: Dataset) -> pl.DataFrame:
    """Return histograms of sizes, spacing and intensity, and of images a patient; what never varies is left out."""
    samples = dataset.samples
    spaced = samples["spacing_mm"].drop_nulls()
    values = {
        "Height, pixels": samples["height_px"],
        "Width, pixels": samples["width_px"],
        "Slices": samples["depth_px"],
        "Pixel spacing, mm": spaced.list.get(-2) if len(spaced) else spaced,
        "Slice spacing, mm": spaced.filter(spaced.list.len() == 3).list.get(0) if len(spaced) else spaced,
        "Darkest pixel": samples["low"],
        "Mean of an image": samples["mean"],
        "Brightest pixel": samples["high"],
    }
    if dataset.patient_known:
        values["Images of a patient"] = samples.group_by("patient").len()["len"]
    parts = [
        _histogram(what, column.drop_nulls().cast(pl.Float64()).to_numpy()) for what, column in values.items()
        if column.drop_nulls().len() and not column.dtype.is_nested()
    ]  # fmt: skip
    empty = pl.DataFrame(schema={"what": pl.String, "low": pl.Float64, "high": pl.Float64, "n": pl.Int64})
    return pl.concat([empty, *(part for part in parts if part is not None)])


def _histogram(what: str, values: np.ndarray) -> pl.DataFrame | None:
    low, high = float(values.min()), float(values.max())
    if low == high:
        return None
    whole = bool((values == np.rint(values)).all()) and high - low < N_BINS
    edges = np.arange(low - 0.5, high + 1) if whole else np.linspace(low, high, N_BINS + 1)
    n = np.histogram(values, edges)[0]
    return pl.DataFrame({"what": [what] * len(n), "low": edges[:-1], "high": edges[1:], "n": n.astype(np.int64)})


def _compared(one: str | None, other: str | None) -> str | None:
    if one is None or other is None:
        return None
    return "same" if one == other else "different"


def _levels(samples: pl.DataFrame, name: str) -> pl.Series:
    """Return a column with its rarer values called other, and unknown where it is known elsewhere."""
    column = samples.get_column(name, default=pl.Series([None] * samples.height)).cast(pl.String())
    if column.null_count() == samples.height:
        return column.alias(name)
    common = column.drop_nulls().value_counts(sort=True).head(MOST_LEVELS).to_series(0).implode()
    kept = pl.when(pl.col(name).is_null() | pl.col(name).is_in(common)).then(pl.col(name)).otherwise(pl.lit("other"))
    return column.alias(name).to_frame().select(kept.fill_null(_UNKNOWN))[name]


def _sex(samples: pl.DataFrame) -> pl.Series:
    name = next((one for one in samples.columns if one.lower() in ("sex", "gender")), "sex")
    column = _levels(samples, name)
    return column.str.to_lowercase().replace(_SEXES).alias("sex")


def _bands(samples: pl.DataFrame) -> pl.Series:
    """Return each sample's age in bands of twenty years."""
    name = next((one for one in samples.columns if one.lower() in ("age", "age_years")), None)
    nobody = pl.Series("age", [None] * samples.height, dtype=pl.String())
    if name is None:
        return nobody
    ages = samples[name].cast(pl.String()).str.extract(r"(\d+(?:\.\d+)?)", 1).cast(pl.Float64(), strict=False)
    if ages.null_count() == samples.height:
        return nobody
    start = (ages // BAND_YEARS * BAND_YEARS).clip(0, OLDEST_YEARS).cast(pl.Int64())
    words = [
        _UNKNOWN if low is None else f"{low}+" if low >= OLDEST_YEARS else f"{low}–{low + BAND_YEARS - 1}"
        for low in start
    ]
    return pl.Series("age", words)
