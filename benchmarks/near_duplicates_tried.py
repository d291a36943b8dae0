"""What else was tried to find near duplicates: ways to propose pairs, and ways to confirm them.

Result    proposed: hashes 0.96 to 1.00, cosines and spectrum 1.00. Confirmed: grey values and details of what is not
          clipped 0.995 to 1.00, with what is clipped 0.99 to 1.00, phase correlation 0.82 to 0.99, local correlation
          0.76 to 1.00. One bar for all sets finds 0.975 of the patches of CT, a bar of the set's own 0.998
Caution   the choice was made on these images, so the figures flatter what was chosen; benchmarks/near_duplicates.py
          measures it on the other half of the patients
Hardware  two cores of an Intel Xeon, no GPU, much other work
n         40 planted pairs of each of ten kinds in each set, seed 12
Run       python benchmarks/near_duplicates_tried.py [pairs of each kind] [seed]

Proposed: the original is among the four nearest of its copy, turned as it was planted. Confirmed: once laid over each
other, copy and original agree better than any likely pair that nobody planted; of BreastMNIST, which holds copies of
its own, only what proposes is shown.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
from near_duplicates import SETS, half_of, planted
from scipy.fft import dctn
from scipy.stats import rankdata

from grandrounds import data
from grandrounds.data.alike import TURNS, descriptions, likely_pairs, shared_by
from grandrounds.data.glance import Glances, glances
from grandrounds.data.near import MOST_SCORE, least_score
from grandrounds.data.overlay import correlation, laid_over

NEAREST, MOST = 4, 25_000
PLANTED_IN = {"mirror": (TURNS[4],), "quarter_turn": (TURNS[1], TURNS[3])}


def hashes(grey):
    """Return the bits of a perceptual hash and of a difference hash, 64 each, as +1 and -1."""
    small = np.stack([cv2.resize(np.ascontiguousarray(one), (32, 32), interpolation=cv2.INTER_AREA) for one in grey])
    waves = dctn(small.astype(np.float32), axes=(1, 2))[:, :8, :8].reshape(-1, 64)
    nine = np.stack([cv2.resize(one, (9, 8), interpolation=cv2.INTER_AREA).astype(int) for one in small])
    bits = np.hstack([waves > np.median(waves, axis=1, keepdims=True), (np.diff(nine, axis=2) > 0).reshape(-1, 64)])
    return np.where(bits, 1, -1).astype(np.float32)


def proposers(grey):
    """Return the ways to describe pictures, by name."""
    shared = shared_by(grey)
    return {
        "hashes": hashes,
        "cosines": lambda some: descriptions(some, shared)[:, :64],
        "spectrum": lambda some: descriptions(some, shared)[:, 64:],
        "cosines, spectrum": lambda some: descriptions(some, shared),
    }


def proposed(grey, copies, describe):
    """Return the share of the copies that have their original among the nearest."""
    refs, found = describe(grey), set()
    for turn in TURNS:
        asked = [(copy, original) for copy, original, kind in copies if turn in PLANTED_IN.get(kind, TURNS[:1])]
        if asked:
            rows, originals = np.array(asked).T
            alike = describe(turn.of(grey[rows])) @ refs.T
            every = np.arange(len(rows))
            alike[every, rows] = -np.inf
            nearer = (alike > alike[every, originals][:, None]).sum(axis=1)
            found |= set(rows[nearer < NEAREST])
    return len(found) / len(copies)


def scores(one, other):
    """Return how well two pictures agree by each way to confirm, by name."""
    shift, _ = cv2.phaseCorrelate(
        np.float32(one), np.float32(other), np.float32(np.outer(np.hanning(64), np.hanning(64)))
    )
    moved = cv2.warpAffine(np.float32(other), np.float32([[1, 0, -shift[0]], [0, 1, -shift[1]]]), (64, 64))
    found = {"phase, shift only": correlation(*(band(plane)[8:-8, 8:-8].ravel() for plane in (np.float32(one), moved)))}
    laid = laid_over(one, other)
    if laid is None:
        return found
    for name, seen in (("", laid.seen), (", clipped too", laid.overlap)):
        a, b = (cv2.GaussianBlur(plane, (0, 0), 1.4) for plane in (laid.one, laid.other))
        whole, detail = correlation(a[seen], b[seen]), correlation(band(laid.one)[seen], band(laid.other)[seen])
        found |= {f"whole{name}": whole, f"detail{name}": detail, f"both{name}": fisher(whole) + fisher(detail)}
    seen = laid.seen
    finer = correlation(band(laid.one, 1.0)[seen], band(laid.other, 1.0)[seen])
    return found | {
        "ranks": correlation(rankdata(a[seen]), rankdata(b[seen])),
        "local": float(local(a, b)[seen].mean()),
        "gradients": gradients(a, b, seen),
        "both, finer": fisher(correlation(*(cv2.GaussianBlur(p, (0, 0), 1)[seen] for p in laid[:2]))) + fisher(finer),
    }


def fisher(value):
    return np.arctanh(np.clip(value, -0.9999, 0.9999))


def band(plane, low=1.4):
    return cv2.GaussianBlur(plane, (0, 0), low) - cv2.GaussianBlur(plane, (0, 0), 3 * low)


def local(a, b):
    """Return the correlation of each 9 x 9 neighbourhood."""
    mean = lambda plane: cv2.blur(plane, (9, 9))  # noqa: E731
    shared = mean(a * b) - mean(a) * mean(b)
    return shared / np.sqrt((mean(a * a) - mean(a) ** 2 + 1e-4) * (mean(b * b) - mean(b) ** 2 + 1e-4))


def gradients(a, b, seen):
    """Return how well the directions of the gradients agree, faint ones counting less."""
    parts = []
    for plane in (a, b):
        slope = np.stack([cv2.Sobel(plane, -1, 1, 0), cv2.Sobel(plane, -1, 0, 1)])
        parts.append((slope / np.sqrt((slope**2).sum(axis=0) + 1e-2))[:, seen])
    return float((parts[0] * parts[1]).sum() / np.sqrt((parts[0] ** 2).sum() * (parts[1] ** 2).sum()))


def confirmed(grey, copies, n_own):
    """Return the share of the copies that agree better than every likely pair of others, for each score."""
    turned = {(copy, original): PLANTED_IN.get(kind, TURNS[:1]) for copy, original, kind in copies}
    true = [max((scores(grey[original], turn.of(grey[copy])) for turn in turns), key=len)
            for (copy, original), turns in turned.items()]  # fmt: skip
    others = [scores(grey[a], turn.of(grey[b])) for a, b, turn in likely_pairs(grey[:n_own], MOST)]
    bars = {name: max((one.get(name, -1) for one in others), default=-1) for name in max(true, key=len)}
    shares = {name: np.mean([one.get(name, -1) > bar for one in true]) for name, bar in bars.items()}
    given = {f"both, one bar of {MOST_SCORE}": MOST_SCORE, "both, a bar of its own": least_score(grey)}
    return shares | {name: np.mean([one.get("both", -1) >= bar for one in true]) for name, bar in given.items()}


def main():
    n_each = int(sys.argv[1]) if len(sys.argv) > 1 else 40
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 12
    folder = Path(os.environ["GRANDROUNDS_TEST_DATA"])
    with tempfile.TemporaryDirectory() as cache:
        for source in ("simulated-hrct", *(str(folder / name) for name in SETS)):
            dataset = data.open_dataset(source, cache=Path(cache))
            seen, chosen = glances(dataset), half_of(dataset, held_out=False)
            chosen &= set(dataset.samples.unique("sha256", keep="first")["sample"])  # identical ones are no news
            rows = [row for row, name in enumerate(seen.samples) if name in chosen]
            some = Glances(tuple(seen.samples[row] for row in rows), seen.grey[rows], (None,))
            hidden, truth = planted(dataset, some, n_each, np.random.default_rng(seed))
            row_of = {name: row for row, name in enumerate(hidden.samples)}
            copies = [(row_of[name], row_of[original], kind) for name, (original, kind) in truth.items()]
            told = {f"proposed by {name}": proposed(hidden.grey, copies, describe)
                    for name, describe in proposers(hidden.grey).items()}  # fmt: skip
            if "breast" not in dataset.name:
                told |= {f"confirmed by {name}": share
                         for name, share in confirmed(hidden.grey, copies, len(rows)).items()}  # fmt: skip
            for what, share in told.items():
                print(f"{dataset.name[:15]:<16}{what:<34}{share:>7.3f}", flush=True)


if __name__ == "__main__":
    main()
