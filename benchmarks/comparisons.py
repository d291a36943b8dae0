"""How often each method tells two families apart, where they are equal and where they are not.

Result    false alarms at 5 %: 3.6 to 6.5 % for every method by patient, 18 to 22 % by row, 4.4 to 7.9 % for plain
          percentiles by patient
          difference in AUC called detectable with 80 % power: 0.159, 0.104 and 0.070 with 60, 120 and 240 patients
          about 20 minutes in all on a busy machine
Hardware  two cores of an AMD EPYC, no GPU
n         1,000 simulated studies for each line of the table, 400 for each point of the curve
Run       python benchmarks/comparisons.py [studies]

The studies are simulated: every patient has an effect that all families share and one for each family, so that the rows
of a patient agree in which family reads them better. Prints the tables of docs/explanation/verdicts.md and draws its
figure, docs/images/power.svg.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import matplotlib as mpl
import numpy as np
import polars as pl
from scipy.special import ndtri

from grandrounds.evaluate.bootstrap import p_value, resample
from grandrounds.evaluate.catalogue import METRICS
from grandrounds.evaluate.cohort import assemble
from grandrounds.evaluate.compare import compare
from grandrounds.evaluate.contrast import DECIDING
from grandrounds.evaluate.opinions import DELONG, opinions
from grandrounds.evaluate.optimism import selection
from grandrounds.evaluate.pairs import paired
from grandrounds.evaluate.power import detectable
from grandrounds.tables import Task

TASK = Task(kind="binary", classes=("no", "yes"), positive="yes")
AUC = METRICS.get("auc")
BASE = 0.75  # AUC of the first family
SHARED, OWN, NOISE = 1.0, 0.7, 1.0  # standard deviations: of a patient, of a patient for one family, of a row
DRAWS = 512
N_EQUALS = 5  # families of which the best is picked
PLAIN = "the same by plain percentiles"
SETTINGS = {  # patients, rows of each, folds
    "12 patients, 6 rows each": (12, 6, 1),
    "20 patients, 6 rows each": (20, 6, 1),
    "30 patients, 6 rows each": (30, 6, 1),
    "60 patients, 6 rows each": (60, 6, 3),
    "120 patients, 6 rows each": (120, 6, 3),
    "400 patients, 1 row each": (400, 1, 1),
}
CURVE = (60, 120, 240)  # patients, of 6 rows each
DIFFERENCES = (0.0, 0.02, 0.04, 0.06, 0.08, 0.10, 0.12)
FIGURE = Path(__file__).parent.parent / "docs" / "images" / "power.svg"


def study(seed, n_patients, n_each, n_folds, difference=0.0, n_equals=2):
    """Return the predictions of families that are equal in truth but for the first: others have `difference` less."""
    rng = np.random.default_rng(seed)
    patient = np.repeat(np.arange(n_patients), n_each)
    truth = rng.permutation(n_patients)[patient] % 2
    shared = SHARED * rng.normal(size=n_patients)[patient]
    spread = np.sqrt(2 * (SHARED**2 + OWN**2 + NOISE**2))
    frames = []
    for turn in range(n_equals):
        shift = ndtri(BASE - (difference if turn else 0.0)) * spread
        own = OWN * rng.normal(size=n_patients)[patient] + NOISE * rng.normal(size=len(patient))
        positive = 1 / (1 + np.exp(-(shift * (truth - 0.5) + shared + own)))
        columns = {
            "sample": [f"s{i:05d}" for i in range(len(patient))],
            "patient": [f"p{i:04d}" for i in patient],
            "fold": patient % n_folds,
            "label": np.array(TASK.classes)[truth],
            "prob_no": 1 - positive,
            "prob_yes": positive,
        }
        frames.append(pl.DataFrame(columns).with_columns(family=pl.lit(chr(ord("a") + turn))))
    return pl.concat(frames)


def told_apart(frame, seed, draws=DRAWS):
    """Return for each method whether it tells the two families apart at 5 %, and the bootstrap's standard error."""
    cohort = assemble(frame, TASK)
    drawn = resample(cohort, draws, seed, metrics=(AUC,), threads=1)
    pairs = paired(cohort, drawn, AUC, seed)
    decided = compare(cohort, pairs, AUC, 0.02)
    beside = opinions(cohort, pairs, AUC, 0.02, draws, seed, practical=True)
    found = {
        DECIDING: decided["p_adjusted"][0] <= 0.05,
        PLAIN: p_value(drawn.values[0, 0] - drawn.values[1, 0]) <= 0.05,
    }
    for method, p, low, high in beside.select("method", "p_adjusted", "low", "high").iter_rows():
        found[method] = low > 0 or high < 0 if p is None else p <= 0.05
    return found, decided["error"][0]


def by_row(frame, seed, draws=DRAWS):
    """Return the same with every row taken for a patient of its own."""
    found, _ = told_apart(frame.with_columns(patient=pl.col("sample")), seed, draws)
    return {f"{method}, by row": one for method, one in found.items() if method in (DECIDING, DELONG)}


def rates(n, setting, difference=0.0, *, rows=False):
    """Return the share of n studies in which each method tells the families apart, and the mean standard error."""
    found, errors = [], []
    for seed in range(n):
        frame = study(seed, *setting, difference=difference)
        told, error = told_apart(frame, seed)
        found.append(told | (by_row(frame, seed) if rows else {}))
        errors.append(error)
    return {method: float(np.mean([one[method] for one in found])) for method in found[0]}, float(np.mean(errors))


def type_one(n):
    """Print the table of false alarms."""
    columns = {name: rates(n, setting, rows=setting[1] > 1)[0] for name, setting in SETTINGS.items()}
    methods = list(dict.fromkeys(method for column in columns.values() for method in column))
    print("| method | " + " | ".join(columns) + " |")
    print("|---|" + "---:|" * len(columns))
    for method in methods:
        cells = (f"{column[method]:.1%}".replace("%", " %") if method in column else "" for column in columns.values())
        print(f"| {method} | " + " | ".join(cells) + " |")


def power(n):
    """Print the table of power and return it: patients to shares by difference, and to what was said to be found."""
    found = {}
    print("\n| patients | " + " | ".join(f"{one:.2f}" for one in DIFFERENCES) + " | detectable |")
    print("|---:|" + "---:|" * (len(DIFFERENCES) + 1))
    for n_patients in CURVE:
        measured = [rates(n, (n_patients, 6, 3), one) for one in DIFFERENCES]
        shares = [share[DECIDING] for share, _ in measured]
        reach = detectable(measured[0][1], n_patients, n_tests=1, shares=(BASE, BASE))
        found[n_patients] = shares, reach
        cells = " | ".join(f"{one:.0%}".replace("%", " %") for one in shares)
        print(f"| {n_patients} | {cells} | {reach:.3f} |")
    return found


def best_of_equals(n):
    """Print by how much the best of equal families looks better than it is, before and after the correction."""
    print(f"\n| patients | best of {N_EQUALS}, as it is | corrected | its interval holds the truth |")
    print("|---:|---:|---:|---:|")
    for n_patients in (12, 20, *CURVE):
        found = [
            selection([assemble(study(seed, n_patients, 6, 1, n_equals=N_EQUALS), TASK)], AUC, DRAWS, seed)
            for seed in range(n)
        ]
        off = [f"{np.mean([getattr(one, which) - BASE for one in found]):+.3f}" for which in ("estimate", "corrected")]
        held = np.mean([one.low <= BASE <= one.high for one in found])
        print(f"| {n_patients} | {' | '.join(off)} | {held:.1%} |".replace("%", " %").replace("-", "−"), flush=True)


def draw(found):
    """Draw the curve."""
    mpl.use("svg")
    import matplotlib.pyplot as plt

    plt.rcParams["svg.hashsalt"] = "grandrounds"
    figure, axes = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
    for (n_patients, (shares, reach)), colour, marker in zip(
        found.items(), ("#0072B2", "#D55E00", "#009E73"), "os^", strict=True
    ):
        axes.plot(DIFFERENCES, shares, color=colour, marker=marker, label=f"{n_patients} patients")
        axes.axvline(reach, color=colour, linestyle=":", linewidth=1)
    axes.axhline(0.8, color="grey", linewidth=0.8)
    axes.axhline(0.05, color="grey", linewidth=0.8, linestyle="--")
    axes.set(xlabel="true difference in AUC", ylabel="share of studies that tell them apart", ylim=(0, 1.02))
    axes.legend(frameon=False)
    FIGURE.parent.mkdir(exist_ok=True)
    figure.savefig(FIGURE, metadata={"Date": None})


def main():
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    start = time.perf_counter()
    type_one(n)
    best_of_equals(max(n * 2 // 5, 1))
    draw(power(max(n * 2 // 5, 1)))
    print(f"\n{n} studies, {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
