"""How often five slices that differ by nothing are said to differ: by lots of who belongs to them, and by a bootstrap.

Result    false alarms at 5 %: 3 to 5 % by lots of who belongs; by a bootstrap 11 % at an AUC of 0.77, 49 % at 0.97
          about 9 minutes in all
Hardware  two cores of an Intel Xeon, no GPU
n         400 simulated studies of 100 patients, two rows each, for each line
Run       python benchmarks/subgroups.py [studies]

The rows of a patient share an effect; a site of five is drawn for every patient and tells nothing. Prints the table of
docs/explanation/subgroups.md.
"""

from __future__ import annotations

import sys
import time

import numpy as np
import polars as pl

from grandrounds.evaluate.bootstrap import p_value, resample
from grandrounds.evaluate.catalogue import METRICS
from grandrounds.evaluate.cohort import assemble
from grandrounds.evaluate.compare import holm
from grandrounds.evaluate.slices import slices
from grandrounds.evaluate.subgroups import subgroups
from grandrounds.tables import Task

TASK = Task(kind="binary", classes=("no", "yes"), positive="yes")
AUC = METRICS.get("auc")
N_PATIENTS, N_EACH, N_SITES, DRAWS = 100, 2, 5, 999
STRENGTHS = (1.0, 2.5, 4.0)  # distance of the classes, in standard deviations of a row


def study(seed, strength):
    """Return the predictions of one family, with a site."""
    rng = np.random.default_rng(seed)
    patient = np.repeat(np.arange(N_PATIENTS), N_EACH)
    truth = (np.arange(N_PATIENTS) % 2)[patient]
    odds = strength * (truth - 0.5) * 1.5 + rng.normal(size=N_PATIENTS)[patient] + rng.normal(size=len(patient))
    yes = 1 / (1 + np.exp(-odds))
    names = [f"s{at}" for at in range(len(patient))]
    return pl.DataFrame(
        {
            "sample": names, "case": names, "patient": [f"p{at}" for at in patient], "family": "f",
            "label": np.where(truth == 1, "yes", "no"), "prob_no": 1 - yes, "prob_yes": yes,
            "site": rng.integers(N_SITES, size=N_PATIENTS).astype(str)[patient],
        }
    )  # fmt: skip


def by_bootstrap(frame, parts):
    """Return whether any slice seems to differ where the bootstrap of the difference is the test."""
    everybody = set(frame["sample"])
    raw = []
    for part in parts:
        # The draws are by patient of the whole set: rows of the other side weigh nothing.
        sides = []
        for names in (part.samples, everybody - part.samples):
            cohort = assemble(frame, TASK)
            group = cohort.groups[0]
            keep = np.array([one in names for one in group.sample])
            rows = type(group)(
                group.family, 0, 0, 0, group.label[keep], group.probs[keep], group.patient[keep],
                tuple(np.array(group.sample)[keep].tolist()),
            )  # fmt: skip
            drawn = resample(type(cohort)(TASK, cohort.patients, (rows,)), DRAWS, 0, metrics=(AUC,))
            sides.append(drawn.values[0, drawn.at("auc")])
        raw.append(p_value(sides[0] - sides[1]))
    return min(holm(raw)) <= 0.05


def main():
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 400
    start = time.perf_counter()
    print("| AUC | by lots of who belongs | by bootstrap of the difference |\n|---:|---:|---:|")
    for strength in STRENGTHS:
        lots, drawn, areas = 0, 0, []
        for seed in range(n):
            frame = study(seed, strength)
            cohort, parts = assemble(frame, TASK), slices(frame)
            found = subgroups(cohort, parts, AUC, 0.0, resamples=DRAWS).comparisons
            lots += bool((found["p_adjusted"] <= 0.05).any())
            drawn += by_bootstrap(frame, parts)
            whole = resample(cohort, 1, 0, metrics=(AUC,))
            areas.append(whole.estimate[0, whole.at("auc")])
        shares = " | ".join(f"{one / n:.1%}".replace("%", " %") for one in (lots, drawn))
        print(f"| {np.mean(areas):.2f} | {shares} |", flush=True)
    print(f"\n{n} studies a line, {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
