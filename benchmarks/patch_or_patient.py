"""What the simulated HRCT study would have led a reader to believe with folds by patch, beside folds by patient.

    python benchmarks/patch_or_patient.py [runs/demo]

Result:    lbp-svm by patch and by patient: macro AUC 0.968, 0.945; balanced accuracy 0.822, 0.764; Brier 0.244, 0.337
Hardware:  two cores of an Intel Xeon; some minutes, or seconds where the demonstration has been run
n:         24 simulated patients, 1,010 patches, four folds, one seed

The demonstration runs the study twice: with folds by patient, and the cheap families once more with folds by patch.
This reads both run folders and prints the same families side by side, with what the audits and the certificate say.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import polars as pl

from grandrounds import api, tables

METRICS = {"auc": "macro AUC", "balanced_accuracy": "balanced accuracy", "brier": "Brier score"}


def scores(folder: Path) -> pl.DataFrame:
    """Return the overall scores of a finished run."""
    frame = tables.read(tables.SCORES, folder / "scores.parquet").frame
    return frame.filter(
        pl.col("metric").is_in(list(METRICS)), pl.col("label").is_null(), pl.col("slice").fill_null("all") == "all",
        pl.col("unit").fill_null("sample") == "sample",
    ).select("family", "metric", "estimate", "low", "high")  # fmt: skip


def said(row: tuple[float, float, float]) -> str:
    """Return a value with its interval."""
    return "{:.3f} ({:.3f} to {:.3f})".format(*row)


def compare(honest: Path, leaky: Path) -> None:
    """Print the families that both arms trained, metric by metric."""
    both = scores(honest).join(scores(leaky), on=["family", "metric"], suffix="_patch", maintain_order="left")
    for metric, words in METRICS.items():
        print(f"\n| {words} | folds by patch | folds by patient |\n|---|---|---|")
        for family, _, *values in both.filter(pl.col("metric") == metric).iter_rows():
            print(f"| `{family}` | {said(tuple(values[3:]))} | {said(tuple(values[:3]))} |")


def believe(name: str, folder: Path) -> None:
    """Print what the report of one arm says."""
    print(f"\n{name}")
    for sentence in json.loads((folder / "verdict.json").read_text(encoding="utf-8"))["sentences"]:
        print(f"  {sentence}")
    findings = api.audit(folder).filter(pl.col("outcome") == "finding")
    for code, sentence in findings.select("audit", "sentence").iter_rows():
        print(f"  {code}: {sentence}")


def main() -> None:
    """Run the demonstration where it has not been run, and print both arms."""
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(temporary) / "demo"
        if not (home / api.DEMO_ARM / "verdict.json").exists():
            api.demo(home)
        compare(home, home / api.DEMO_ARM)
        believe("Folds by patch", home / api.DEMO_ARM)
        believe("Folds by patient", home)


if __name__ == "__main__":
    main()
