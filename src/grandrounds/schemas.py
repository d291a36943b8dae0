"""The columns of every table: what grandrounds passes from one room to the next.

Nothing else spells a column's type. `grandrounds.tables` checks, reads and writes them, and is where everybody imports
them from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

_text, _count, _number, _flag = pl.String(), pl.Int64(), pl.Float64(), pl.Boolean()


@dataclass(frozen=True, slots=True)
class Schema:
    """The columns of one table.

    Args:
        name: Name of the table, also its file stem.
        columns: Column name to type.
        required: Columns that must be present and never null.
        key: Columns that identify a row.
    """

    name: str
    columns: Mapping[str, pl.DataType]
    required: tuple[str, ...]
    key: tuple[str, ...]


SAMPLES = Schema(
    "samples",
    {
        "sample": _text,
        "case": _text,
        "patient": _text,
        "site": _text,
        "modality": _text,
        "body_part": _text,
        "side": _text,  # "left" or "right" where the data say which side was imaged
        "series_kind": _text,  # which of its exam's series it shows: a plane, a contrast, a view; null where it has one
        "height_px": _count,
        "width_px": _count,
        "depth_px": _count,
        "spacing_mm": pl.List(pl.Float64()),
        "encoding": _text,  # how grey values are stored: "hu", or a type such as "uint8"
        "sha256": _text,  # of the decoded pixels with their shape and type, not of the file
        "geometry": _text,  # hash of where the pixels lie and of their unit; null where the file says neither
        "low": _number,  # least, mean and greatest pixel value
        "mean": _number,
        "high": _number,
    },
    required=("sample", "case", "patient"),
    key=("sample",),
)
FILES = Schema(
    "files",
    {
        "sample": _text,
        "series": _text,
        "order": _count,
        "path": _text,
        "member": _text,  # array inside an archive; null for a plain file
        "frame": _count,  # index along the first axis of that array or file; null for all of it
        "box": pl.List(pl.Int64()),  # top, left, bottom, right in pixels of the `whole` output; null for all of it
    },
    required=("sample", "path"),
    key=("sample", "series", "order"),
)
LABELS = Schema(
    "labels",
    {"case": _text, "task": _text, "label": _text},
    required=("case", "task"),
    key=("case", "task"),
)
SPLITS = Schema(
    "splits",
    {"case": _text, "repeat": _count, "fold": _count, "role": _text},
    required=("case", "repeat", "fold", "role"),
    key=("case", "repeat", "fold"),
)
PREDICTIONS = Schema(
    "predictions",
    {
        "unit": _text,  # "sample" or "case": what was predicted
        "sample": _text,
        "case": _text,
        "patient": _text,
        "task": _text,
        "trial": _text,
        "family": _text,
        "recipe": _text,
        "repeat": _count,
        "fold": _count,
        "seed": _count,
        "role": _text,
        "label": _text,
    },
    required=("sample", "patient", "family", "label"),
    key=("task", "trial", "sample", "role"),
)
SCORES = Schema(
    "scores",
    {
        "family": _text,
        "task": _text,
        "metric": _text,
        "label": _text,  # the class that a per-class metric speaks of; null for the others
        "unit": _text,  # "sample", "case" or "patient": what one judged row is
        "slice": _text,
        "estimate": _number,  # null where undefined; `note` says why
        "low": _number,
        "high": _number,
        "method": _text,
        "n_patients": _count,
        "n_samples": _count,  # judged rows: samples, cases or patients
        "note": _text,
    },
    required=("family", "metric"),
    key=("family", "task", "metric", "label", "unit", "slice"),
)
INTERVALS = Schema(
    "intervals",
    {
        "family": _text,
        "task": _text,
        "metric": _text,
        "label": _text,  # the class that a per-class metric speaks of; null for the others
        "unit": _text,
        "method": _text,  # other intervals of a score, and what folds, seeds and training anew add
        "estimate": _number,
        "low": _number,  # of an interval; of a spread the least value
        "high": _number,
        "error": _number,  # standard error; of a spread the standard deviation
        "n": _count,  # folds or seeds of a spread
        "note": _text,
    },
    required=("family", "metric", "method"),
    key=("family", "task", "metric", "label", "unit", "method"),
)
COMPARISONS = Schema(
    "comparisons",
    {
        "family_a": _text,
        "family_b": _text,
        "task": _text,
        "metric": _text,
        "unit": _text,
        "difference": _number,  # a minus b
        "low": _number,
        "high": _number,
        "p_adjusted": _number,
        "verdict": _text,  # "better", "worse", "equivalent", "undecided": a against b
        "method": _text,  # how it was compared; one of them decides, the others stand beside it
        "slice": _text,  # a part of the data on which one family is set against itself elsewhere; null for all
    },
    required=("family_a", "family_b", "metric"),
    key=("family_a", "family_b", "task", "metric", "unit", "method", "slice"),
)
DECISIONS = Schema(
    "decisions",
    {
        "family": _text,
        "task": _text,
        "rule": _text,  # such as "argmax", "youden", "sensitivity at least 0.95", "conformal 90 %"
        "label": _text,  # the class that the rule speaks of
        "calibration": _text,  # how probabilities were recalibrated before, "none" where they were not
        "chosen_on": _text,  # the role that the rule was set on
        "threshold": _number,  # mean over the trials, each of which has its own
        "metric": _text,  # what the rule gives on the judged role
        "estimate": _number,
        "low": _number,
        "high": _number,
        "n_patients": _count,
        "note": _text,
    },
    required=("family", "rule", "metric"),
    key=("family", "task", "rule", "label", "calibration", "metric"),
)
SUSPECTS = Schema(
    "suspects",
    {
        "kind": _text,  # "worst error" of one family, or "label suspect" of all
        "rank": _count,
        "sample": _text,
        "case": _text,
        "task": _text,
        "family": _text,
        "label": _text,
        "predicted": _text,
        "probability": _number,  # of the stated label
        "n_predictions": _count,
        "note": _text,
    },
    required=("kind", "rank", "sample"),
    key=("kind", "task", "family", "sample"),
)
READERS = Schema(
    "readers",
    {
        "task": _text,
        "metric": _text,
        "arm": _text,  # a way of reading, such as with or without a model
        "against": _text,  # another way of reading, or a stand-alone model; null for the arm's own mean
        "holds_for": _text,  # "readers and cases" or "cases": whom the interval speaks of beyond those at hand
        "estimate": _number,  # the mean over readers, or the arm's minus the other's
        "low": _number,
        "high": _number,
        "error": _number,
        "df": _number,  # null for a normal interval
        "p": _number,
        "p_adjusted": _number,  # of differences, for the number of them
        "variance": _number,  # error variance, covariances and variance components, where there are two arms
        "cov1": _number,
        "cov2": _number,
        "cov3": _number,
        "var_reader": _number,
        "var_interaction": _number,
        "n_readers": _count,
        "n_patients": _count,
        "n_samples": _count,
        "note": _text,
    },
    required=("arm", "holds_for"),
    key=("task", "metric", "arm", "against", "holds_for"),
)
EXTERNAL = Schema(
    "external",
    {
        "name": _text,  # of the data from elsewhere
        "family": _text,  # null for what is said of the patients
        "kind": _text,  # "performance", "threshold", "calibration" or "mix"
        "what": _text,  # the metric; of a mix "class" or "slice"
        "label": _text,
        "unit": _text,  # what is counted: "sample", "case" or "patient", as at home
        "home": _number,  # on the test role of the study
        "home_low": _number,
        "home_high": _number,
        "external": _number,
        "external_low": _number,
        "external_high": _number,
        "difference": _number,  # external minus home
        "low": _number,
        "high": _number,
        "n_patients": _count,  # of the other data; null where nobody knows whose images they are
        "n_samples": _count,  # counted rows: samples, cases or patients
        "note": _text,
    },
    required=("name", "kind", "what"),
    key=("name", "family", "kind", "what", "label"),
)
TRIALS = Schema(
    "trials",
    {
        "trial": _text,
        "family": _text,
        "recipe": _text,
        "repeat": _count,
        "fold": _count,
        "seed": _count,
        "status": _text,  # "done", "truncated" or "failed"
        "epochs": _count,
        "best_epoch": _count,
        "fit_s": _number,
        "predict_s": _number,
        "latency_ms": _number,  # of one image
        "n_parameters": _count,
        "size_bytes": _count,
        "peak_mib": _number,  # resident memory of the process that ran the trial
        "threads": _count,
        "fitted_hash": _text,
        "note": _text,
    },
    required=("trial", "family", "status"),
    key=("trial",),
)
HISTORY = Schema(
    "history",
    {
        "trial": _text,
        "epoch": _count,
        "loss": _number,
        "valid_metric": _number,
        "learning_rate": _number,
        "images_per_s": _number,
        "time_s": _number,
    },
    required=("trial", "epoch"),
    key=("trial", "epoch"),
)
CURVES = Schema(
    "curves",
    {
        "family": _text,
        "task": _text,
        "curve": _text,  # "roc", "precision-recall", "calibration", "confusion", "decision" or "learning"
        "label": _text,  # the class; for confusion the true class
        "x": _number,
        "y": _number,
        "low": _number,
        "high": _number,
        "predicted": _text,  # confusion only: the predicted class; y is then a mean count
    },
    required=("family", "curve"),
    key=(),
)
FINDINGS = Schema(
    "findings",
    {
        "task": _text,  # where several were audited; null for the only one
        "audit": _text,  # "A001"
        "title": _text,
        "outcome": _text,  # "passed", "finding", "tip" or "not applicable"
        "sentence": _text,
        "rows": pl.List(pl.String()),  # what the finding is about, one line each
    },
    required=("audit", "title", "outcome", "sentence"),
    key=("task", "audit"),
)
MASKS = Schema(
    "masks",
    {
        "sample": _text,
        "sha256": _text,  # of the decoded pixels of the whole image, by which a mask is found
        "path": _text,  # of the mask, relative to the table
        "mask_sha256": _text,
        "share": _number,  # of the pixels that the mask shows
    },
    required=("sample", "sha256", "path", "mask_sha256"),
    key=("sample", "sha256"),
)
COPIES = Schema(
    "copies",
    {
        "sample": _text,  # of the data from elsewhere
        "like": _text,  # the sample of the study that it is nearly the same as
        "mirrored": _flag,  # how that one is to be mirrored, then turned anticlockwise, to look like it
        "turned_deg": _count,
        "correlation": _number,  # of the grey values, where one lies over the other
    },
    required=("sample", "like"),
    key=("sample",),
)
SCHEMAS: dict[str, Schema] = {
    schema.name: schema
    for schema in (
        SAMPLES, FILES, LABELS, SPLITS, PREDICTIONS, SCORES, INTERVALS, COMPARISONS, TRIALS, HISTORY, CURVES, FINDINGS,
        DECISIONS, SUSPECTS, EXTERNAL, READERS, MASKS, COPIES,
    )
}  # fmt: skip
