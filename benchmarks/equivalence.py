"""How often each method calls families equivalent that are not, where hardly anybody is missed.

Result    families 0.03 apart in AUC, 0.99 and 0.96, with a margin of 0.02, ten to forty patients with the finding:
          called equivalent by the deciding method in 0.0 to 1.6 %, by DeLong 0.0 to 2.3 % (as published 1.3 to 9.4 %),
          by the Bayesian bootstrap 0.0 to 5.0 % (from its draws alone 1.6 to 9.8 %); about 5 minutes beside other work
Hardware  two cores of an AMD EPYC, no GPU
n         1,000 simulated studies for each column of the tables
Run       python benchmarks/equivalence.py [studies]

Of few patients with a finding a good family often misses none. Then draws of those who were seen hardly differ, and
neither do the placements from which DeLong's variance comes. Beside the methods as they stand are DeLong's interval as
it was published, and what the Bayesian draws alone say. Prints two tables of docs/explanation/verdicts.md.
"""

from __future__ import annotations

import sys
import time

import numpy as np
import polars as pl
from two_families import AUC, DRAWS, side_by_side

from grandrounds.evaluate import delong, rope
from grandrounds.evaluate.bootstrap import interval
from grandrounds.evaluate.compare import compare, judged
from grandrounds.evaluate.contrast import DECIDING
from grandrounds.evaluate.opinions import DELONG, opinions

AREAS, MARGIN = (0.99, 0.96), 0.02
APART = AREAS[0] - AREAS[1]
SETTINGS = ((60, 12), (200, 10), (200, 20), (200, 40), (500, 10))  # patients, of whom so many have the finding
PUBLISHED, ALONE = "DeLong, as published", "Bayesian bootstrap, draws alone"
METHODS = (DECIDING, DELONG, PUBLISHED, rope.METHOD, ALONE)


def said(seed, n_patients, n_ill):
    """Return what each method says of the two families of a simulated study, with its interval."""
    cohort, pairs = side_by_side(seed, n_patients, n_ill, AREAS)
    beside = opinions(cohort, pairs, AUC, MARGIN, DRAWS, seed, practical=True)
    rows = pl.concat([compare(cohort, pairs, AUC, MARGIN), beside], how="diagonal").filter(metric="auc")
    found = {method: rest for method, *rest in rows.select("method", "verdict", "low", "high").iter_rows()}
    own = delong.difference(delong.pooled(cohort, ("a", "b"), 1), 0, 1)
    found[PUBLISHED] = judged(own.low, own.high, own.p, MARGIN, 1), own.low, own.high
    drawn = rope.posterior(cohort, AUC, DRAWS, seed)
    alone = rope.stretched(drawn["a"] - drawn["b"], pairs[0].n, seed)
    found[ALONE] = rope.practical(alone, MARGIN, 1).word, *interval(alone)
    return found


def wrong(n, setting):
    """Return in which share of n studies each method says equivalent, and its interval holds the true difference."""
    found = [said(seed, *setting) for seed in range(n)]
    shares = {}
    for method in METHODS:
        words, lows, highs = zip(*(one[method] for one in found), strict=True)
        low, high = (np.array(ends, dtype=float) for ends in (lows, highs))
        known = ~np.isnan(low)
        held = ((low <= APART) & (high >= APART))[known].mean()
        shares[method] = words.count("equivalent") / n, float(held)
    return shares


def main():
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    start = time.perf_counter()
    found = [wrong(n, setting) for setting in SETTINGS]
    heads = [f"{n_ill} of {n_patients}" for n_patients, n_ill in SETTINGS]
    for at, what in enumerate(("called equivalent", "interval holds the true difference")):
        print(f"\n| {what} | " + " | ".join(heads) + " |")
        print("|---|" + "---:|" * len(heads))
        for method in METHODS:
            cells = " | ".join(f"{one[method][at]:.1%}".replace("%", " %") for one in found)
            print(f"| {method} | {cells} |")
    print(f"\n{n} studies a column, {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
