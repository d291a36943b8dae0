"""A made-up study, from random numbers alone: it looks like a real one and means nothing."""

from __future__ import annotations

import dataclasses
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import polars as pl
import pytest

from grandrounds import tables
from grandrounds.evaluate.catalogue import METRICS
from grandrounds.report import ReportContent
from grandrounds.tables import Task

CLASSES = ("normal", "emphysema", "ground glass", "fibrosis", "micronodules")
QUALITY = {
    "resnet-18": 0.94, "lbp-svm": 0.93, "vit-tiny": 0.90, "li2014": 0.87,
    "thumbnail": 0.71, "metadata": 0.55, "prior": 0.50,
}  # fmt: skip
N_FOLDS, N_PATIENTS, PER_PATIENT = 3, 24, 10


@dataclass(frozen=True)
class Published:
    """A row that nobody published."""

    method: str
    metric: str
    value: float
    source: str


def made_up(classes: tuple[str, ...] = CLASSES, families: tuple[str, ...] = tuple(QUALITY)) -> ReportContent:
    """Return the content of a study that never was."""
    rng = np.random.default_rng(0)
    kind = "binary" if len(classes) == 2 else "multiclass"
    positive = classes[1] if kind == "binary" else None
    task = Task(kind=kind, classes=classes, positive=positive, condition="Lung pattern")
    samples, labels, splits = _cohort(rng, classes)
    trials = _trials(rng, families)
    return ReportContent(
        title="Lung patterns: which family reads them best?",
        task=task,
        verdict_sentences=(
            "On the primary metric `resnet-18` leads with 0.940 (0.915 to 0.965).",
            "It is better than vit-tiny, li2014, thumbnail, metadata and prior; it cannot be told from `lbp-svm`.",
            "Among these two the cheaper is `lbp-svm`, which also had the best value on valid within the margin.",
        ),
        ships="lbp-svm",
        scores=_scores(rng, families, classes),
        comparisons=_comparisons(families),
        curves=_curves(rng, families, classes),
        samples=samples,
        labels=labels,
        splits=splits,
        trials=trials,
        history=_history(rng, trials),
        findings=_findings(),
        split_notes=("3 folds instead of 5: the class fibrosis has 4 patients.",),
        watermarks=("MADE UP: random numbers", "SIMULATED images: shows nobody"),
        assumptions=("Intervals describe the fitted models on other patients like these.",),
        notes=("Two files could not be read and were left out.",),
        published=(Published("ResNet-18 (28)", "auc", 0.901, "A paper that does not exist"),),
        study_toml='name = "made up"\n\n[judge]\nprimary = "auc"\nmargin = 0.02\n',
        record={"command": "grandrounds run study.toml", "cores": 2, "packages": {"numpy": "2.0.0", "torch": None}},
        links=(("the same study split by patch", "patch-split/report.html"),),
        thumbnails={sample: _png(rng) for sample in samples["sample"].to_list()[::3]},
    )


def hostile(payloads: tuple[str, ...]) -> ReportContent:
    """Return a study in which every name and sentence that data can set is a payload, each payload in each place."""
    content = made_up()
    new = dict(zip((*CLASSES, *QUALITY), payloads, strict=False))
    frames = {
        name: _renamed(getattr(content, name), new)
        for name in ("scores", "comparisons", "curves", "samples", "labels", "splits", "trials", "history")
    }
    all_of_them = "\n".join(payloads)
    return dataclasses.replace(
        content, **(frames | _more_places(payloads, new["resnet-18"], frames)),
        title=all_of_them, verdict_sentences=payloads, ships=payloads[5],
        task=content.task.replaced(classes=tuple(new[name] for name in CLASSES), condition=all_of_them),
        findings=tables.check(
            pl.DataFrame({"audit": payloads, "title": payloads, "outcome": payloads, "sentence": payloads,
                          "rows": [[payload] for payload in payloads]}), tables.FINDINGS),
        split_notes=payloads, watermarks=payloads, assumptions=payloads, notes=payloads, study_toml=all_of_them,
        published=tuple(Published(payload, "auc", 0.5, payload) for payload in payloads),
        record={"command": all_of_them} | {payload: {payload: payload} for payload in payloads},
        links=tuple((payload, payload) for payload in payloads),
        thumbnails={f"{payloads[0]}{sample}": data for sample, data in content.thumbnails.items()},
    )  # fmt: skip


def _more_places(payloads: tuple[str, ...], family: str, frames: dict[str, pl.DataFrame]) -> dict[str, object]:
    """Return the tables that only some studies have, with payloads wherever somebody names something."""
    scores, curves = frames["scores"], frames["curves"]
    rows = [{"rule": one, "label": one, "calibration": one, "chosen_on": one, "note": one} for one in payloads]
    decisions = pl.DataFrame([row | {"family": family, "metric": "recall", "estimate": 0.5} for row in rows])
    suspects = pl.DataFrame([
        {"kind": kind, "rank": turn, "sample": one, "family": family, "label": one, "predicted": one, "note": one}
        for kind in ("worst error", "label suspect") for turn, one in enumerate(payloads[:12])
    ])  # fmt: skip
    readers = pl.DataFrame([
        {"arm": one, "against": against, "holds_for": "readers and cases", "estimate": 0.1, "low": 0.05, "high": 0.2,
         "p": 0.01, "p_adjusted": 0.01, "n_readers": 3, "variance": 0.1, "note": one}
        for one in payloads for against in (None, f"{one} ")
    ], infer_schema_length=None)  # fmt: skip
    flow = [("found", None, 100), *(("refused", one, 1) for one in payloads[:6]), (payloads[0], payloads[1], 3)]
    slices = scores.filter(pl.col("metric") == "auc").with_columns(slice=pl.lit(f"site {payloads[2]}"))
    intervals = pl.DataFrame([
        {"family": family, "metric": "auc", "method": one, "low": 0.5, "high": 0.75, "note": one} for one in payloads
    ])  # fmt: skip
    roc = curves.filter(pl.col("curve") == "roc")
    more_curves = [roc.with_columns(curve=pl.lit(name)) for name in ("precision-recall", "decision")]
    learning = roc.filter(pl.col("label") == roc["label"][0]).with_columns(
        curve=pl.lit("learning"), label=pl.lit(None, pl.String()), x=10 * (1 + pl.col("x")).floor()
    )
    return {
        "comparisons": frames["comparisons"].with_columns(method=pl.lit("paired clustered bootstrap")),
        "curves": pl.concat([curves, *more_curves, learning.unique(["family", "x"], maintain_order=True)]),
        "intervals": tables.check(intervals, tables.INTERVALS),
        "external": _from_elsewhere(payloads),
        "decisions": tables.check(decisions, tables.DECISIONS),
        "suspects": tables.check(suspects, tables.SUSPECTS),
        "readers": tables.check(readers, tables.READERS),
        "flow": pl.DataFrame(
            [*flow, ("analysed", payloads[3], 60)], schema=["stage", "reason", "n_images"], orient="row"
        ).with_columns(n_cases=pl.lit(None, pl.Int64()), n_patients=pl.lit(None, pl.Int64())),
        "samples": frames["samples"].with_columns(
            series_kind=pl.Series([payloads[turn % 3] for turn in range(frames["samples"].height)])
        ),
        "scores": pl.concat([scores, slices]),
        "split_record": {
            "spec": {"scheme": payloads[4], "group": "patient"},
            "seed": payloads[5],
            "identity": payloads[6],
        },
    }


def _from_elsewhere(payloads: tuple[str, ...]) -> pl.DataFrame:
    """Return what a model of each payload's name is worth on data of that name, and who is there."""
    kinds = (("performance", "auc"), ("calibration", "calibration_slope"), ("mix", "class"), ("mix", "slice"))
    rows = [
        {"name": one, "family": None if kind == "mix" else one, "kind": kind, "what": what, "label": one, "home": 0.5,
         "home_low": 0.25, "home_high": 0.75, "external": 0.5, "difference": 0.0, "low": -0.25, "high": 0.25,
         "n_patients": 10, "n_samples": 20, "note": one}
        for one in payloads for kind, what in kinds
    ]  # fmt: skip
    return tables.check(pl.DataFrame(rows, infer_schema_length=None), tables.EXTERNAL)


def payloads() -> tuple[str, ...]:
    """Return 60 texts that run a script where a page forgets to escape them."""
    shout = "window.__canary=1"
    carriers = (
        f"<script>{shout}</script>", f"<img src=x onerror={shout}>", f"<svg onload={shout}>",
        f"<body onload={shout}>", f"<details open ontoggle={shout}>", f"<iframe srcdoc='<script>{shout}</script>'>",
        f"<a href='javascript:{shout}'>x</a>", "<style>*{background:url(https://example.invalid/x)}</style>",
        "<link rel=stylesheet href=https://example.invalid/x.css>", "<img src=https://example.invalid/x.png>",
        "<base href=https://example.invalid/>", "<meta http-equiv=refresh content='0;url=https://example.invalid/'>",
        f"javascript:{shout}", "//example.invalid/x", "{{ 7 * 7 }}{% raw %}",
    )  # fmt: skip
    wrappers = ("{}", '">{}', "'>{}", "</title></style></pre></textarea>--></svg>{}")
    return tuple(wrapper.replace("{}", carrier) for carrier in carriers for wrapper in wrappers)


@pytest.fixture(scope="session")
def content() -> ReportContent:
    return made_up()


@pytest.fixture(scope="session")
def build() -> Callable[..., ReportContent]:
    return made_up


@pytest.fixture(scope="session")
def hostile_words() -> tuple[str, ...]:
    return payloads()


@pytest.fixture(scope="session")
def hostile_content(hostile_words: tuple[str, ...]) -> ReportContent:
    return hostile(hostile_words)


@pytest.fixture(scope="session")
def calm_content(hostile_words: tuple[str, ...]) -> ReportContent:
    """Return the same study as the hostile one, with harmless words in the place of each attack."""
    return hostile(tuple(f"word {turn}" for turn in range(len(hostile_words))))


def _renamed(frame: pl.DataFrame, new: dict[str, str]) -> pl.DataFrame:
    where = [name for name in frame.columns if name in ("family", "family_a", "family_b", "label", "predicted")]
    spelt = [pl.col(name).replace(new) for name in where]
    notes = [pl.lit(next(iter(new.values()))).alias(name) for name in frame.columns if name in ("note", "method")]
    ids = [(next(iter(new.values())) + pl.col("sample")).alias("sample")] if "sample" in frame.columns else []
    return frame.with_columns(*spelt, *notes, *ids)


def _cohort(rng: np.random.Generator, classes: tuple[str, ...]) -> tuple[pl.DataFrame, ...]:
    rows = [(f"SIM{patient:02d}", index) for patient in range(N_PATIENTS) for index in range(PER_PATIENT)]
    cases = [f"{patient}/{index}" for patient, index in rows]
    samples = pl.DataFrame({
        "sample": cases, "case": cases, "patient": [patient for patient, _ in rows], "modality": "CT",
        "height_px": 32, "width_px": 32, "spacing_mm": [[0.7, 0.7]] * len(rows),
        "low": rng.uniform(-1000, -950, len(rows)), "high": rng.uniform(100, 300, len(rows)),
    })  # fmt: skip
    label = [classes[int(patient.removeprefix("SIM")) % len(classes)] for patient, _ in rows]
    labels = pl.DataFrame({"case": cases, "task": "label", "label": label})
    parts = [
        (
            case,
            0,
            fold,
            "test" if (turn := (row // PER_PATIENT // 5 + fold) % N_FOLDS) == 0 else ("train", "valid")[turn - 1],
        )
        for fold in range(N_FOLDS)
        for row, case in enumerate(cases)
    ]
    splits = pl.DataFrame(parts, schema=("case", "repeat", "fold", "role"), orient="row")
    return (
        tables.check(samples, tables.SAMPLES),
        tables.check(labels, tables.LABELS),
        tables.check(splits, tables.SPLITS),
    )


def _scores(rng: np.random.Generator, families: tuple[str, ...], classes: tuple[str, ...]) -> pl.DataFrame:
    rows = []
    for family, entry in (
        (family, entry) for family in families for entry in METRICS if entry.name != "quadratic_kappa"
    ):
        for label in ((None,) if entry.overall != "none" else ()) + (classes if entry.per_class else ()):
            value = float(np.clip(QUALITY[family] + rng.normal(0, 0.03 if label else 0.005), 0.02, 0.99))
            value = 1 - value if entry.better == "lower" else value
            half = rng.uniform(0.02, 0.06)
            missing = entry.name == "precision" and family == "prior" and label != classes[0]
            note = f"undefined in 3 of 3 folds: no sample is called {label}" if missing else None
            numbers = (None,) * 3 if missing else (value, max(0.0, value - half), min(1.0, value + half))
            method = "patient-clustered bootstrap, percentile, 2000 resamples"
            rows.append((family, "label", entry.name, label, "sample", "all", *numbers, method, 24, 240, note))
    return tables.check(pl.DataFrame(rows, schema=list(tables.SCORES.columns.items()), orient="row"), tables.SCORES)


def _comparisons(families: tuple[str, ...]) -> pl.DataFrame:
    rows = []
    for a, b in combinations(sorted(families), 2):
        difference = QUALITY[a] - QUALITY[b]
        low, high = difference - 0.025, difference + 0.025
        verdict = "better" if low > 0 else "worse" if high < 0 else "undecided"
        rows.append(
            (
                a,
                b,
                "label",
                "auc",
                "sample",
                difference,
                low,
                high,
                0.0005 if verdict != "undecided" else 0.4,
                verdict,
                "paired clustered bootstrap",
                None,
            )
        )
    schema = list(tables.COMPARISONS.columns.items())
    return tables.check(pl.DataFrame(rows, schema=schema, orient="row"), tables.COMPARISONS)


def _curves(rng: np.random.Generator, families: tuple[str, ...], classes: tuple[str, ...]) -> pl.DataFrame:
    rows: list[tuple[object, ...]] = []
    for family in families:
        power = (1 - QUALITY[family]) / QUALITY[family]
        for label in classes:
            for x in np.linspace(0, 1, 101):
                y = float(x ** (power * (1 + 0.001 * rng.normal())))
                rows.append((family, "label", "roc", label, float(x), y, max(0.0, y - 0.05), min(1.0, y + 0.05), None))
            for called in classes:
                n = rng.poisson(40 * QUALITY[family] if called == label else 40 * (1 - QUALITY[family]) / len(classes))
                rows.append((family, "label", "confusion", label, None, float(n), None, None, called))
        for x in np.linspace(0.25, 0.95, 8):
            y = float(np.clip(x + rng.normal(0, 0.06), 0, 1))
            rows.append((family, "label", "calibration", None, float(x), y, max(0.0, y - 0.1), min(1.0, y + 0.1), None))
    return tables.check(pl.DataFrame(rows, schema=list(tables.CURVES.columns.items()), orient="row"), tables.CURVES)


def _trials(rng: np.random.Generator, families: tuple[str, ...]) -> pl.DataFrame:
    rows = []
    for family, fold in ((family, fold) for family in families for fold in range(N_FOLDS)):
        iterates = family in ("resnet-18", "vit-tiny", "li2014")
        failed = family == "li2014" and fold == 2
        rows.append({
            "trial": f"{family}-{fold}", "family": family, "recipe": family, "repeat": 0, "fold": fold, "seed": 0,
            "status": "failed" if failed else "truncated" if family == "vit-tiny" and fold == 0 else "done",
            "epochs": 20 if iterates else 0, "best_epoch": 12 + fold if iterates else 0,
            "fit_s": 30 + fold if iterates else 1.2, "predict_s": 0.8, "latency_ms": float(rng.uniform(0.1, 3)),
            "n_parameters": 276_605 if iterates else 275, "size_bytes": 1_106_420 if iterates else 4_400,
            "peak_mib": 640.0, "threads": 1,
            "note": "the loss was not finite in epoch 3" if failed else "balanced class weights" if iterates else None,
        })  # fmt: skip
    return tables.check(pl.DataFrame(rows), tables.TRIALS)


def _history(rng: np.random.Generator, trials: pl.DataFrame) -> pl.DataFrame:
    rows = list(_epochs(rng, trials))
    return tables.check(pl.DataFrame(rows), tables.HISTORY) if rows else tables.empty(tables.HISTORY)


def _epochs(rng: np.random.Generator, trials: pl.DataFrame) -> Iterator[dict[str, object]]:
    for trial, n_epochs in trials.filter(pl.col("epochs") > 0).select("trial", "epochs").iter_rows():
        for epoch in range(1, n_epochs + 1):
            loss = 1.6 * np.exp(-epoch / 8) + rng.uniform(0, 0.1)
            yield {"trial": trial, "epoch": epoch, "loss": loss, "valid_metric": 0.95 - 0.4 * np.exp(-epoch / 5)}


def _findings() -> pl.DataFrame:
    rows = [
        ("A000", "patients unknown", "passed", "Every sample names its patient.", []),
        ("A001", "patient overlap", "passed", "No patient stands on two sides of a split.", []),
        (
            "A002",
            "duplicate pixels",
            "finding",
            "1 group of images has the same pixels under two labels.",
            ["SIM01/2 = SIM02/3"],
        ),
    ]
    columns = ["audit", "title", "outcome", "sentence", "rows"]
    return tables.check(pl.DataFrame(rows, schema=columns, orient="row"), tables.FINDINGS)


def _png(rng: np.random.Generator, edge: int = 32) -> bytes:
    """Return a grey PNG of noise, written by hand so that no image library is needed."""
    lines = b"".join(b"\0" + rng.integers(0, 255, edge, dtype=np.uint8).tobytes() for _ in range(edge))

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", edge, edge, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
