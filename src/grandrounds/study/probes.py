"""Shortcut probes: can the label be told from what is not the finding?

Each probe reads one such thing: the size of an image, how it is stored, what its header says, its edge, writing on it,
an 8×8 thumbnail, its site, the other columns of the table. A forest (for the thumbnail a linear discriminant) is
cross-validated with whole patients in one fold; scores become ranks within their fold and are averaged over the images
of a case. The area under the ROC curve, mean of one class against the rest, stands with a patient-clustered interval
that holds for all probes together.

Assumes: patients are independent of one another. The interval is conditional on the fitted forests.

Reference: Zech et al., PLoS Medicine 15:e1002683 (2018) on hospitals as shortcuts; DeGrave et al., Nature Machine
Intelligence 3:610 (2021) on markers and edges.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.special import stdtrit
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import RandomForestClassifier

from grandrounds import seeds
from grandrounds.data.dataset import Dataset
from grandrounds.data.fingerprint import labelled
from grandrounds.data.glance import Glances
from grandrounds.evaluate.delong import areas, hanley_mcneil, midranks
from grandrounds.features.thumbnail import thumbnails
from grandrounds.splits.deal import deal
from grandrounds.study.probed import PROBES, PROBES_TABLE, Probe, absent, judged
from grandrounds.tables import SAMPLES

N_FOLDS, MOST_IMAGES = 5, 6000
LEAST_PATIENTS = 10  # of a class that is told from the rest
_LEVEL = 0.05
_MOST_LEVELS = 20  # of a column of words; rarer ones are one level
_TREES, _DEEPEST, _LEAST_LEAF = 24, 8, 3
_THUMBNAIL_PX = 8

_OF_TABLE = ("manufacturer", "scanner", "kernel", "view", "thickness_mm")  # clinical columns that are no patient's

_Real = NDArray[np.float64]
_Index = NDArray[np.int64]


class _Cases(NamedTuple):
    """Who is asked about.

    Args:
        rows: One row per image: its facts, `label`, `patient`, `fold`, and `place`, its row among the glances.
        case: (N,) the case of each image as a number, which is its place in the next two.
        label: (cases,) as a number.
        patient: (cases,) as a number.
        classes: Names of the classes that enough patients have, as numbers of `label` to names.
    """

    rows: pl.DataFrame
    case: _Index
    label: _Index
    patient: _Index
    classes: Mapping[int, str]


def probe(dataset: Dataset, seen: Glances, seed: int = 0) -> pl.DataFrame:
    """Return one row per probe by the columns of `PROBES_TABLE`; what could not be probed says why.

    Args:
        dataset: The set; images of unknown label take no part.
        seen: Its images at a glance, with their traces.
        seed: Root of what is drawn.
    """
    cases, asked = _cases(dataset, seen, seed), _asked(dataset)
    if not cases.classes:
        reason = f"at least two classes need {LEAST_PATIENTS} {_who(dataset)} each"
        return pl.DataFrame([absent(one, reason) for one in asked], schema=PROBES_TABLE)
    features = {one.name: _features(one, cases.rows) for one in asked if one.columns or one.of_table}
    n_told = 1 + sum(values is not None for values, _ in features.values())
    rows = []
    for one in asked:
        values, names = features.get(one.name) or (_thumbnails(seen, cases), ())
        if values is None:
            rows.append(absent(one, one.unknown if not names else one.constant))
            continue
        scores, weight = _told(values, cases, seeds.derive(seed, "probe", what=one.name), is_picture=not one.columns)
        found = _area(scores, cases, _LEVEL / n_told)
        most = names[int(weight.argmax())] if names else None
        rows.append(judged(one, *found, most, n_patients=len(set(cases.patient)), known=dataset.patient_known))
    return pl.DataFrame(rows, schema=PROBES_TABLE)


def _asked(dataset: Dataset) -> list[Probe]:
    """Return the probes, that of clinical columns with the names that they have here."""
    return [replace(one, columns=_clinical(dataset)) if one.of_table else one for one in PROBES]


def _clinical(dataset: Dataset) -> tuple[str, ...]:
    return tuple(name for name in dataset.samples.columns if name not in (*SAMPLES.columns, *_OF_TABLE))


def _who(dataset: Dataset) -> str:
    return "patients" if dataset.patient_known else "cases"


def _cases(dataset: Dataset, seen: Glances, seed: int) -> _Cases:
    """Return the images that are asked about, dealt over cases where there are too many, in folds by patient."""
    place = pl.DataFrame({"sample": seen.samples}).with_row_index("place")
    rows = labelled(dataset).filter(pl.col("label").is_not_null())
    wanted = (*SAMPLES.columns, "label", *_OF_TABLE, *_clinical(dataset))
    rows = rows.select(name for name in wanted if name in rows.columns)
    rows = rows.join(place, on="sample").join(_endings(dataset), on="sample")
    rows = rows.join(seen.traces, on="sample", suffix="_in_file")
    rows = rows.sample(fraction=1.0, shuffle=True, seed=seeds.derive(seed, "probes"))
    turn = pl.int_range(pl.len()).over("case")
    rows = rows.with_columns(turn=turn).sort("turn", maintain_order=True).head(MOST_IMAGES).sort("place")
    case, first = np.unique(rows["case"].to_numpy(), return_index=True)
    index = {label: number for number, label in enumerate(dataset.task.classes)}
    label = rows["label"][first].replace_strict(index, return_dtype=pl.Int64()).to_numpy()
    patient = np.unique(rows["patient"][first].to_numpy(), return_inverse=True)[1]
    n_patients = {number: len(np.unique(patient[label == number])) for number in index.values()}
    enough = {number: name for name, number in index.items() if n_patients[number] >= LEAST_PATIENTS}
    fold = _folds(label, patient, len(index), seed)
    of_image = np.searchsorted(case, rows["case"].to_numpy())
    rows = rows.with_columns(fold=pl.Series(fold[of_image]))
    return _Cases(rows, of_image, label, patient, enough if len(enough) > 1 else {})


def _endings(dataset: Dataset) -> pl.DataFrame:
    ending = pl.col("path").str.extract(r"(\.[^./\\]+)$").str.to_lowercase().alias("ending")
    return dataset.files.unique("sample").select("sample", ending)


def _folds(label: _Index, patient: _Index, n_classes: int, seed: int) -> _Index:
    """Return the fold of each case: patients stay whole, classes are spread evenly."""
    if not len(label):
        return label
    counts = np.zeros((patient.max() + 1, n_classes), np.int64)
    np.add.at(counts, (patient, label), 1)
    shares, priority = np.full(N_FOLDS, 1 / N_FOLDS), np.ones(N_FOLDS, np.int64)
    parts: _Index = deal(counts, shares, seed=seeds.derive(seed, "probe folds"), priority=priority)[patient]
    return parts


def _features(one: Probe, rows: pl.DataFrame) -> tuple[_Real | None, tuple[str, ...]]:
    """Return what the probe reads, (N, columns), and the columns that vary; names without values where none does."""
    known = [name for name in one.columns if name in rows.columns and rows[name].null_count() < rows.height]
    varying = tuple(name for name in known if rows[name].n_unique() > 1)
    if not varying:
        return None, tuple(known)
    return np.column_stack([_numbers(rows[name]) for name in varying]), varying


def _numbers(values: pl.Series) -> _Real:
    """Return a column as numbers: words by how frequent they are, NaN where unknown."""
    if values.dtype.is_numeric():
        return values.cast(pl.Float64()).fill_null(np.nan).to_numpy()
    if values.dtype.is_nested():  # spacing: (slice,) row, column
        return values.list.get(-1).cast(pl.Float64()).fill_null(np.nan).to_numpy()
    common = values.drop_nulls().value_counts(sort=True)[values.name].head(_MOST_LEVELS).to_list()
    codes = {level: float(code) for code, level in enumerate(common)}
    return values.replace_strict(codes, default=float(_MOST_LEVELS), return_dtype=pl.Float64()).to_numpy()


def _thumbnails(seen: Glances, cases: _Cases) -> _Real:
    grey = seen.grey[cases.rows["place"].to_numpy()][:, None]  # (N, 1, 64, 64)
    return thumbnails(grey.astype(np.float32), _THUMBNAIL_PX).astype(np.float64)  # (N, 64)


def _told(features: _Real, cases: _Cases, seed: int, *, is_picture: bool) -> tuple[_Real, _Real]:
    """Return a score for each case and class by whoever was fitted without it, and how much each column was used."""
    label, fold = cases.label[cases.case], cases.rows["fold"].to_numpy()
    n_classes = int(cases.label.max()) + 1
    scores, weight = np.full((len(label), n_classes), 0.5), np.zeros(features.shape[1])
    for part in range(N_FOLDS):
        inside, outside = fold != part, fold == part
        if is_picture:
            inside &= (np.bincount(label[inside], minlength=n_classes) > 1)[label]  # one image has no covariance
        if not outside.any() or len(np.unique(label[inside])) < 2:
            continue
        model = _picture_model() if is_picture else _forest(seeds.derive(seed, "fold", part=part))
        model.fit(features[inside], label[inside])
        given = np.zeros((int(outside.sum()), n_classes))
        given[:, model.classes_] = model.predict_proba(features[outside])
        scores[outside] = (midranks(given.T).T - 0.5) / len(given)  # folds become comparable
        weight += 0 if is_picture else model.feature_importances_
    n_images = np.bincount(cases.case)[:, None]
    sums = np.stack([np.bincount(cases.case, column) for column in scores.T], axis=1)  # (cases, K)
    return sums / n_images, weight


def _forest(seed: int) -> Any:  # noqa: ANN401  (scikit-learn carries no types)
    return RandomForestClassifier(_TREES, max_depth=_DEEPEST, min_samples_leaf=_LEAST_LEAF, random_state=seed)


def _picture_model() -> Any:  # noqa: ANN401  (as above)
    # Closed form: a logistic regression tells the same and takes minutes where other work runs beside it.
    return LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")


def _area(scores: _Real, cases: _Cases, level: float) -> tuple[float, float, float]:
    """Return the mean area over classes with its interval, which leaves out `level`.

    Areas of several classes hang together, and how much is not known here; their mean error is the most it can be.
    Student's t makes up for few patients, whose folds share most of what was learned from.
    """
    found, errors, fewest = zip(*_areas(scores, cases), strict=True)
    area, half = float(np.mean(found)), float(np.mean(errors) * stdtrit(min(fewest) - 1, 1 - level / 2))
    return area, max(0.0, area - half), min(1.0, area + half)


def _areas(scores: _Real, cases: _Cases) -> Iterator[tuple[float, float, int]]:
    """Yield the area of each class against the rest, its error and the patients on its smaller side.

    Of two classes the second alone is told, the first being the same backwards.
    """
    numbers = list(cases.classes)
    if len(np.unique(cases.label)) == 2:
        numbers = numbers[1:]
    for number in numbers:
        positive = cases.label == number
        one = areas(scores[None, :, number], positive, cases.patient)
        sides = [len(np.unique(cases.patient[side])) for side in (positive, ~positive)]
        variance = max(one.covariance[0, 0], _least_variance(one.auc[0], *sides))
        yield float(one.auc[0]), float(np.sqrt(variance)), min(sides)


def _least_variance(area: float, n_yes: int, n_no: int) -> float:
    """Return the variance by Hanley and McNeil; a perfect area is taken half a patient short.

    DeLong's is zero where a few patients are told apart without a mistake, as if that could not have been luck.
    """
    short = 0.5 / min(n_yes, n_no)
    return hanley_mcneil(float(np.clip(area, short, 1 - short)), n_yes, n_no)
