"""What a run folder has to say: its tables, its verdict and its record, gathered for one report."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from grandrounds import specs, tables
from grandrounds.errors import BadData
from grandrounds.report import fusions
from grandrounds.report.content import FLOORS, ReportContent
from grandrounds.report.paths import without_folders
from grandrounds.tables import Task

SIMULATED = "SIMULATED images: they show nobody"
LEAKY = "LEAKY: the same patients are trained on and tested on"
INDEPENDENT = "Patients are unknown, so every interval assumes independent images and may be too narrow."
CONDITIONAL = (
    "Intervals describe the fitted models on other patients like these; training anew would add its own spread, "
    "which the spread over folds and seeds hints at."
)

_OF_RUNS = ("study.toml", "samples.parquet")  # what a run folder has from the beginning
MODEL = "model"  # in the metadata of an external table: a hash of the model that was judged
_TABLES = (".csv", ".tsv", ".parquet")


@dataclass(frozen=True, slots=True)
class PublishedRow:
    """A result of others on the same set, as the run folder keeps it."""

    method: str
    metric: str
    value: float
    source: str


def check_run(folder: Path, command: str) -> None:
    """Raise BadData where a folder holds no run, with what is in it that may be meant.

    Args:
        folder: What was named.
        command: What was to be done with it, for the remedy.
    """
    if any((folder / name).exists() for name in (*_OF_RUNS, "verdict.json")):
        return
    runs = sorted({one.parent for name in _OF_RUNS for one in folder.glob(f"*/{name}")})
    meant = [*runs, *(folder / f"*{end}" for end in _TABLES if any(folder.glob(f"*{end}")))]
    name = f"name what is in it: grandrounds {command} {meant[0]}" if meant else ""
    raise BadData(
        "this is no run folder", where=folder, remedy=name or "give the folder of a run, or a CSV of predictions"
    )


def gather(folder: Path) -> ReportContent:
    """Return everything that the report of a finished run shows.

    Args:
        folder: A run folder whose trials have been judged.

    Raises:
        BadData: The run is not finished.
    """
    if not (folder / "verdict.json").exists():
        raise BadData("this run is not finished", where=folder, remedy=f"go on with it first: grandrounds run {folder}")
    verdict, record = _json(folder / "verdict.json"), _json(folder / "record.json")
    samples, meta = tables.read(tables.SAMPLES, folder / "samples.parquet")
    splits, split_meta = tables.read(tables.SPLITS, folder / "splits.parquet")
    scores, judged = tables.read(tables.SCORES, folder / "scores.parquet")
    trials = _frame(folder, tables.TRIALS)
    external, of_others = _external(folder)
    return ReportContent(
        title=f"{meta['dataset']}: which family reads it best?",
        task=Task.model_validate(meta["task"]),
        verdict_sentences=tuple(verdict["sentences"]),
        ships=verdict["ships"],
        primary=verdict["primary"],
        margin=verdict["margin"],
        patient_known=meta["patient_known"],
        scores=scores,
        samples=samples,
        splits=splits,
        labels=_frame(folder, tables.LABELS),
        predictions=_frame(folder, tables.PREDICTIONS),
        comparisons=_frame(folder, tables.COMPARISONS),
        intervals=_perhaps(folder, tables.INTERVALS),
        trials=trials,
        history=_frame(folder, tables.HISTORY),
        curves=_frame(folder, tables.CURVES),
        findings=_frame(folder, tables.FINDINGS),
        decisions=_perhaps(folder, tables.DECISIONS),
        suspects=_perhaps(folder, tables.SUSPECTS),
        external=external,
        floors=(*FLOORS, *fusions.shuffled(scores["family"].unique(maintain_order=True))),
        flow=pl.DataFrame(meta["flow"]) if meta.get("flow") else None,
        split_notes=tuple(split_meta.get("notes", ())),
        split_record={name: fact for name, fact in split_meta.items() if name != "notes"},
        watermarks=_watermarks(meta, split_meta),
        assumptions=assumptions(patient_known=meta["patient_known"]),
        notes=(*meta["notes"], *judged.get("notes", ()), *_bad(meta), *_shipped(verdict, trials), *of_others),
        published=tuple(PublishedRow(**row) for row in meta["published"]),
        study_toml=without_folders((folder / "study.toml").read_text(encoding="utf-8")),
        record={name: fact for name, fact in record.items() if name not in ("links", "trials")},
        links=tuple((label, address) for label, address in record["links"]),
        thumbnails=_pictures(folder / "pictures"),
        examples=frozenset(_index(folder / "pictures").get("examples", {})),
    )


def _frame(folder: Path, schema: tables.Schema) -> pl.DataFrame:
    return tables.read(schema, folder / f"{schema.name}.parquet").frame


def _perhaps(folder: Path, schema: tables.Schema) -> pl.DataFrame:
    """Return a table that a run of an earlier version does not have."""
    return _frame(folder, schema) if (folder / f"{schema.name}.parquet").exists() else tables.empty(schema)


def _external(folder: Path) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Return what the model that ships did on data from elsewhere, and a note on what another one did there."""
    kept, notes = [tables.empty(tables.EXTERNAL)], []
    for path in sorted(folder.glob("external/*/external.parquet")):
        found, meta = tables.read(tables.EXTERNAL, path)
        if meta.get(MODEL) in (None, model_in(folder)):  # earlier versions did not say which model it was
            kept.append(found)
        else:
            notes.append(
                f"What is in {path.parent.relative_to(folder)} was found for a model that does not ship any more, and "
                "is not shown; judge the one that ships there with `grandrounds evaluate`."
            )
    return pl.concat(kept), tuple(notes)


def model_in(folder: Path) -> str | None:
    """Return a hash of the model that a run ships, whatever its card says; None where none ships."""
    manifest = folder / "model" / "bundle.json"
    if not manifest.exists():
        return None
    facts = _json(manifest)
    files = {name: of for name, of in facts["files"].items() if name != "card.md"}
    return specs.digest(facts | {"files": files, "seal": None})  # the seal is of the card as well


def _watermarks(meta: Mapping[str, Any], split_meta: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(
        text for text, applies in ((SIMULATED, meta["simulated"]), (LEAKY, split_meta.get("leaky"))) if applies
    )


def assumptions(*, patient_known: bool) -> tuple[str, ...]:
    """Return what the intervals take for granted."""
    return (CONDITIONAL,) if patient_known else (INDEPENDENT, CONDITIONAL)


def _bad(meta: Mapping[str, Any]) -> tuple[str, ...]:
    return (f"{meta['n_bad']} images could not be used and were left out.",) if meta["n_bad"] else ()


def _shipped(verdict: Mapping[str, Any], trials: pl.DataFrame) -> tuple[str, ...]:
    family, method = verdict["ships"], verdict.get("recalibration") or "none"
    if family is None:
        return ()
    mended = "" if method == "none" else f" It is recalibrated ({method}), while scores are of probabilities as stated."
    n = trials.filter(pl.col("family") == family, pl.col("status").is_in(["done", "truncated"])).height
    if n == 1:
        return (f"What ships in model/ is the one fitted model of {family}; the scores are its own.{mended}",)
    text = (
        f"What ships in model/ is the mean of the {n} fitted models of {family}, one for each fold, repeat and "
        "seed. The scores describe these models one by one, each on patients that it had not seen; the mean itself "
        f"has not been tested.{mended}"
    )
    return (text,)


def _pictures(folder: Path) -> dict[str, bytes]:
    names = {sample: name for kind in _index(folder).values() for sample, name in kind.items()}
    return {sample: (folder / name).read_bytes() for sample, name in names.items() if (folder / name).exists()}


def _index(folder: Path) -> dict[str, dict[str, str]]:
    """Return for each kind of picture the files by sample; a run of an earlier version has examples alone."""
    if not (folder / "index.json").exists():
        return {}
    content = _json(folder / "index.json")
    return {"examples": content} if any(isinstance(one, str) for one in content.values()) else content


def _json(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content
