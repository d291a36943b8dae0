"""How often intervals of what rules of decision give hold what they would give to patients without end.

Result    sensitivity 93.5 to 98.0 %, predictive values at 5 % 93.7 to 97.8 %, their percentiles 71.3 to 94.3 %,
          accuracy there 94.2 to 95.4 %, losses 90.8 to 95.4 %; 1,160 s
Hardware  two cores of an AMD EPYC, no GPU, other work running beside it
n         1,000 simulated studies for each line
Run       python benchmarks/decision_coverage.py [studies]

A study has a role to set rules on, 100 patients, and a judged one, in which so many patients are positive on average,
each with 2 to 10 rows that are alike. What a rule would give is counted, with the threshold that it was set to, on
8,000 other patients, whom all studies of a line share. Each number is taken over all rules that give it; where it is
undefined it is not counted, and where it has no interval that holds nothing. It prints the table of decisions in
docs/explanation/interval-coverage.md.
"""

from __future__ import annotations

import sys
import time
from collections import defaultdict

import numpy as np
from interval_coverage import truth_of

from grandrounds.evaluate.aims import Aims
from grandrounds.evaluate.bootstrap import draw, interval
from grandrounds.evaluate.cohort import Group
from grandrounds.evaluate.crossfit import Rows
from grandrounds.evaluate.decide import RULES
from grandrounds.evaluate.rules import Reading, measured
from grandrounds.evaluate.setting import Setting, recalibration
from grandrounds.tables import Task

TASK = Task(kind="binary", classes=("no", "yes"), positive="yes")
AIMS = Aims(prevalence=0.05)
ENDLESS, DRAWS, N_SETTING = 8_000, 256, 100
SETTINGS = (  # distance of the means, judged patients, share of the positive
    (1.6, 200, 0.4), (1.6, 50, 0.4), (1.6, 50, 0.1), (3.29, 200, 0.4), (3.29, 200, 0.05), (3.29, 50, 0.2),
    (4.11, 100, 0.1),
)  # fmt: skip
WORDS = {
    "recall": "sensitivity", "npv_at_prevalence": "NPV at 5 %", "precision_at_prevalence": "PPV at 5 %",
    "accuracy_at_prevalence": "accuracy at 5 %", "brier": "Brier score at 5 %", "log_loss": "log loss at 5 %",
}  # fmt: skip
METHODS = ("shown", "percentiles")


def patients(rng, shift, n_patients, share):
    """Return the rows of so many patients; their probabilities are those of equally frequent classes."""
    patient = np.repeat(np.arange(n_patients), rng.integers(2, 11, size=n_patients))
    truth = (rng.random(n_patients) < share)[patient].astype(np.int64)
    odds = shift * (truth - 0.5) + rng.normal(size=n_patients)[patient] + rng.normal(size=len(patient))
    positive = 1 / (1 + np.exp(-odds))
    probs = np.stack([1 - positive, positive], axis=1)
    return Group("family", 0, 0, 0, truth, probs, patient, tuple(map(str, range(len(patient)))))


def rules_of(setting, judged, n_patients):
    """Return all rules that are set on the one and judged on the other."""
    trials = (Rows(setting, setting, judged),)
    told = recalibration(trials, Setting("valid", "valid", whole=False), 0)
    reading = Reading("family", TASK, AIMS, trials, told.best, told.trials, n_patients, None)
    return [rule for build in RULES for rule in build(reading)]


def held(seed, setting, endless):
    """Yield each metric of each rule, and whether the shown interval and percentiles hold the truth."""
    shift, n_patients, share = setting
    rng = np.random.default_rng([n_patients, int(100 * share), seed])
    known = patients(rng, shift, N_SETTING, 0.4)
    truth = rules_of(known, endless, ENDLESS)
    found = rules_of(known, patients(rng, shift, n_patients, share), n_patients)
    weights = draw(n_patients, seed, 0).astype(np.float64)  # those of the shown intervals
    for true_rule, rule, rows in zip(truth, found, measured(found, n_patients, DRAWS, seed), strict=True):
        (without_end,), (here,) = true_rule.measures, rule.measures
        true, drawn = without_end.read(without_end.cells.sum(axis=1, keepdims=True)), here.read(here.cells @ weights)
        for row in rows:
            value, ends = true[row["metric"]][0], ((row["low"], row["high"]), interval(drawn[row["metric"]]))
            if not np.isnan([row["estimate"], value]).any():
                yield row["metric"], [low <= value <= high for low, high in ends]


def coverage(n, setting):
    """Return for each metric the share of the intervals of n studies that hold the truth, (methods,)."""
    shift, _, share = setting
    endless, inside = patients(np.random.default_rng(1), shift, ENDLESS, share), defaultdict(list)
    for seed in range(n):
        for metric, both in held(seed, setting, endless):
            inside[metric].append(both)
    return {metric: np.mean(each, axis=0) for metric, each in inside.items()}


def main():
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    start = time.perf_counter()
    heads = [f"{words}, {method}" for words in WORDS.values() for method in METHODS]
    print("| true AUC | patients (positive) | " + " | ".join(heads) + " |")
    print("|---|---|" + "---:|" * len(heads))
    for setting in SETTINGS:
        found = coverage(n, setting)
        shift, n_patients, share = setting
        cells = " | ".join(f"{one:.1%}".replace("%", " %") for metric in WORDS for one in found[metric])
        print(f"| {truth_of(shift)[0]:.2f} | {n_patients} ({share * n_patients:.0f}) | {cells} |", flush=True)
    print(f"\n{n} studies a line, {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
