"""What a data set looks like at a glance: who, how many, how large, how bright, what occurs twice."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import polars as pl

from grandrounds.data.dataset import Dataset
from grandrounds.data.grouping import Grouping
from grandrounds.giveaway import giveaways
from grandrounds.specs import Spec
from grandrounds.tables import FILES, ROLES, SAMPLES, atomic, patient_keys, shows_something
from grandrounds.wording import many

_ALL = "all"
_FEW_PATIENTS = 10


class ClassCount(Spec):
    """How many samples and patients one class has in one official role, or in all.

    Args:
        n_patients: Patients with at least one sample of the class; samples where patients are unknown.
    """

    label: str
    role: str
    n_samples: int
    n_patients: int


class Range(Spec):
    """Least, median and greatest value of something over the samples."""

    low: float
    median: float
    high: float


class Duplicates(Spec):
    """Samples whose decoded pixels are identical.

    Args:
        n_groups: Sets of identical images.
        n_surplus: Samples that would go if one of each set stayed.
        across_labels: Sets whose members have different labels.
        across_patients: Sets that span patients; None where patients are unknown.
        across_roles: Sets that span roles of the official split; None where none came along.
        groups: The samples of each set.
    """

    n_groups: int
    n_surplus: int
    across_labels: int
    across_patients: int | None
    across_roles: int | None
    groups: tuple[tuple[str, ...], ...]


class NearPair(Spec):
    """Two images that are nearly the same: another crop, window, compression or size of one picture.

    Args:
        mirrored: Whether `b` is to be mirrored to look like `a`.
        turned_deg: By how much it is to be turned after that, anticlockwise: 0, 90, 180 or 270.
        correlation: Of the grey values once one is laid over the other.
        patients: Whether both are of one patient; None where patients are unknown. `labels` and `roles` alike.
    """

    a: str
    b: str
    mirrored: bool
    turned_deg: int
    correlation: float
    patients: Literal["same", "different"] | None
    labels: Literal["same", "different"] | None
    roles: Literal["same", "different"] | None

    @property
    def crosses(self) -> bool:
        """Whether it stands across patients, labels or roles, where it does harm."""
        return "different" in (self.patients, self.labels, self.roles)


class BadFile(Spec):
    """One image that could not be used, and why."""

    path: str
    member: str | None
    frame: int | None
    reason: str


class Fingerprint(Spec):
    """The measured facts of a data set.

    Args:
        dataset_hash: Hash of who is who and which pixels they have.
        named: Whether images are called by their names; otherwise by their row in the order of the source.
        samples_per_patient: None where patients are unknown.
        low: Over the samples, the least pixel value of each; `mean` and `high` alike.
        planes: Images of each plane of the body, where files tell.
        groups: Patients and samples of each class, site, sex and age band that has somebody in it; empty where nobody
            looked. What is known of nobody is null.
        near: Nearly identical images; None where nobody looked.
        groupings: What could tell the patients, where they are unknown.
        probes: What besides the finding could tell the label, one row a probe.
        flow: The way from what was found to what is analysed, one row a stage.
        unmatched: A file of each series that no row of the table of labels speaks of; empty where images have no names.
        warnings: What a careful reader should know, in sentences.
    """

    name: str
    dataset_hash: str
    n_patients: int
    n_cases: int
    n_samples: int
    n_bad: int
    patient_known: bool
    simulated: bool
    samples_per_patient: Range | None
    classes: tuple[ClassCount, ...]
    height_px: Range
    width_px: Range
    depth_px: Range
    row_spacing_mm: Range | None
    low: Range
    mean: Range
    high: Range
    modalities: dict[str, int]
    sides: dict[str, int]
    scanners: dict[str, int]
    planes: dict[str, int]
    sites: int
    clinical: tuple[str, ...]
    duplicates: Duplicates
    named: bool = True
    groups: tuple[dict[str, Any], ...] = ()
    near: tuple[NearPair, ...] | None = None
    groupings: tuple[Grouping, ...] = ()
    probes: tuple[dict[str, Any], ...] = ()
    flow: tuple[dict[str, Any], ...] = ()
    unmatched: tuple[str, ...] = ()
    bad: tuple[BadFile, ...]
    notes: tuple[str, ...]
    warnings: tuple[str, ...]


def fingerprint(dataset: Dataset) -> Fingerprint:
    """Return the measured facts of a data set; reads tables alone, no image."""
    rows = labelled(dataset)
    per_patient = rows.group_by("patient").len()["len"]
    duplicates = _duplicates(rows, dataset)
    core = [*SAMPLES.columns, *FILES.columns]
    return Fingerprint(
        name=dataset.name,
        dataset_hash=dataset.fingerprint,
        n_patients=rows["patient"].n_unique(),
        n_cases=rows["case"].n_unique(),
        n_samples=rows.height,
        n_bad=dataset.bad.height,
        patient_known=dataset.patient_known,
        simulated=dataset.simulated,
        samples_per_patient=_range(per_patient) if dataset.patient_known else None,
        classes=tuple(_class_counts(rows, dataset)),
        **{name: _range(rows[name]) for name in ("height_px", "width_px", "depth_px", "low", "mean", "high")},
        row_spacing_mm=_spacing(rows),
        modalities=_counts(rows["modality"]),
        sides=_counts(rows["side"]),
        scanners=_counts(rows["scanner"]) if "scanner" in rows.columns else {},
        planes=_counts(rows["plane"]) if "plane" in rows.columns else {},
        sites=rows["site"].drop_nulls().n_unique(),
        clinical=tuple(name for name in dataset.samples.columns if name not in core),
        duplicates=duplicates,
        flow=() if dataset.flow is None else tuple(dataset.flow.to_dicts()),
        unmatched=dataset.unmatched,
        bad=tuple(BadFile(**row) for row in dataset.bad.iter_rows(named=True)),
        notes=dataset.notes,
        warnings=tuple(_warnings(rows, dataset, duplicates)),
    )


def without_names(found: Fingerprint, called: Mapping[str, str]) -> Fingerprint:
    """Return a fingerprint in which images are called something else.

    Args:
        found: A fingerprint.
        called: What to call each sample.
    """
    groups = tuple(tuple(called[sample] for sample in group) for group in found.duplicates.groups)
    near = found.near and tuple(
        pair.model_copy(update={"a": called[pair.a], "b": called[pair.b]}) for pair in found.near
    )
    duplicates = found.duplicates.model_copy(update={"groups": groups})
    return found.model_copy(update={"named": False, "duplicates": duplicates, "near": near, "unmatched": ()})


def labelled(dataset: Dataset) -> pl.DataFrame:
    """Return the samples with their label and official role, null where there is none."""
    rows = dataset.samples.join(dataset.labels.select("case", "label"), on="case", how="left", maintain_order="left")
    if dataset.official is None:
        return rows.with_columns(role=pl.lit(None, dtype=pl.String()))
    return rows.join(dataset.official, on="case", how="left", maintain_order="left")


def _range(values: pl.Series) -> Range:
    numbers = values.drop_nulls().cast(pl.Float64()).to_list()
    ordered = sorted(numbers)
    middle = len(ordered) // 2
    median = ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
    return Range(low=ordered[0], median=median, high=ordered[-1])


def _spacing(rows: pl.DataFrame) -> Range | None:
    known = rows["spacing_mm"].drop_nulls()
    return None if known.is_empty() else _range(known.list.get(-2))


def _counts(values: pl.Series) -> dict[str, int]:
    counted = values.drop_nulls().value_counts(sort=True)
    return dict(counted.iter_rows())


def _class_counts(rows: pl.DataFrame, dataset: Dataset) -> list[ClassCount]:
    roles = [role for role in ROLES if role in set(rows["role"].drop_nulls())]
    counts = []
    for label in dataset.task.classes:
        for role in (_ALL, *roles):
            part = rows.filter(pl.col("label") == label)
            part = part if role == _ALL else part.filter(pl.col("role") == role)
            counts.append(
                ClassCount(label=label, role=role, n_samples=part.height, n_patients=part["patient"].n_unique())
            )
    return counts


def _duplicates(rows: pl.DataFrame, dataset: Dataset) -> Duplicates:
    spans = [pl.col(name).drop_nulls().n_unique() for name in ("label", "patient", "role")]
    groups = rows.filter(shows_something()).group_by("sha256", maintain_order=True).agg("sample", *spans)
    groups = groups.filter(pl.col("sample").list.len() > 1)
    return Duplicates(
        n_groups=groups.height,
        n_surplus=int(groups["sample"].list.len().sum()) - groups.height,
        across_labels=int((groups["label"] > 1).sum()),
        across_patients=int((groups["patient"] > 1).sum()) if dataset.patient_known else None,
        across_roles=None if dataset.official is None else int((groups["role"] > 1).sum()),
        groups=tuple(tuple(samples) for samples in groups["sample"]),
    )


def _warnings(rows: pl.DataFrame, dataset: Dataset, duplicates: Duplicates) -> list[str]:
    found = chain(
        _about_patients(rows, dataset), _about_duplicates(duplicates), _about_images(rows), _about_clinical(rows)
    )
    return list(found)


def _about_patients(rows: pl.DataFrame, dataset: Dataset) -> list[str]:
    if not dataset.patient_known:
        return ["Whose images these are is not known: images of one patient may stand on both sides of a split."]
    found = []
    known = rows.select("role", who=patient_keys(rows["patient"]))
    n_leaking = known.group_by("who").agg(pl.col("role").drop_nulls().n_unique()).filter(pl.col("role") > 1).height
    if n_leaking:
        found.append(f"The official split leaks: {many(n_leaking, 'patient')} in two or more of its roles.")
    if n_alike := rows["patient"].n_unique() - known["who"].n_unique():
        found.append(
            f"{many(n_alike, 'patient id', 'are')} another spelling of one met before: taken for the same patient."
        )
    counts = dict(rows.group_by("label").agg(pl.col("patient").n_unique()).iter_rows())
    few = [(label, counts[label]) for label in dataset.task.classes if counts[label] < _FEW_PATIENTS]
    found += [f"The class {label!r} has {many(n, 'patient')}: its scores will be vague." for label, n in few]
    return found


def _about_duplicates(duplicates: Duplicates) -> list[str]:
    kinds = (
        (duplicates.across_labels, "under contradictory labels"),
        (duplicates.across_patients, "under different patients"),
        (duplicates.across_roles, "in different roles of the official split"),
    )
    return [f"Identical images stand {what}: {many(n, 'set')}." for n, what in kinds if n]


def _about_images(rows: pl.DataFrame) -> list[str]:
    found = []
    if n_flat := int((rows["low"] == rows["high"]).sum()):
        found.append(f"The same value in every pixel: {many(n_flat, 'image')}.")
    if len(modalities := _counts(rows["modality"])) > 1:
        found.append(f"Several modalities are mixed: {', '.join(modalities)}.")
    n_spaced = rows.height - rows["spacing_mm"].null_count()
    if 0 < n_spaced < rows.height:
        found.append(f"Only {n_spaced:,} of {rows.height:,} images tell their pixel spacing.")
    return found


def _about_clinical(rows: pl.DataFrame) -> list[str]:
    """Return a warning for each column that gives the label away."""
    return [
        f"The column {name!r} tells the label of every image exactly: is it the label in other words?"
        for name in giveaways(rows)
    ]


def save_fingerprint(found: Fingerprint, path: Path) -> Path:
    """Write a fingerprint as JSON, whole or not at all, and return the file; without names where it has none."""
    if not found.named:
        bad = tuple(row.model_copy(update={"path": f"file {turn}"}) for turn, row in enumerate(found.bad, 1))
        found = found.model_copy(update={"bad": bad})
    with atomic(path) as temporary:
        temporary.write_text(found.model_dump_json(indent=2), encoding="utf-8")
    return path
