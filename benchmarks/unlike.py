"""How often a model would say of an image that it shows something else than those of training did.

Result    of the other two body parts 98 to 100 % are found, of its own images that it has not seen 0 to 1.3 %, whether
          it learned from 55 or from 5,296. Noise 99 to 100 %, photographs 97 to 100 %, its own images turned by a
          quarter 83 to 100 %, upside down 99 to 100 %, black for white 43 to 100 % (knees are least)
Caution   what is looked at was chosen with these sets and roles: train to learn, valid and the other sets to try
Hardware  any; nothing is timed
n         78, 524 and 400 images of the set itself, up to 300 of each other kind
Run       python benchmarks/unlike.py

Sets: BreastMNIST and PneumoniaMNIST (official train and valid) and knees of 64 pixels (train, by patient), in the
folder that GRANDROUNDS_TEST_DATA names. No test role is read. Every set teaches what its images show, and is tried on
images of its own that it has not seen and on those of the others, brought to its size. A tenth as many of training show
how it goes with few. The largest of its own and the fifth percentile of the others say how far apart the two lie, as
multiples of the limit: where they overlap, an answer cannot be refused for it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from grandrounds.serve.likeness import STRANGE, Likeness, describe, planes
from grandrounds.shapes import Batch

N_OTHERS, N_KNEES = 300, 400


class Set(NamedTuple):
    """Images to learn from, with whose they are, and others of the same kind."""

    train: Batch
    patients: NDArray[np.str_]
    own: Batch


def medmnist(path: Path) -> Set:
    """Return the official train and valid; nobody knows the patients."""
    arrays = np.load(path)
    train = as_batch(arrays["train_images"])
    return Set(train, np.arange(len(train)).astype(str), as_batch(arrays["val_images"]))


def knees(path: Path) -> Set:
    """Return the train role, from which some patients are kept back."""
    arrays = np.load(path)
    images, patients = as_batch(arrays["train_images"]), arrays["train_patient"].astype(str)
    back = np.isin(patients, np.unique(patients)[::12])
    return Set(images[~back], patients[~back], images[back][:N_KNEES])


def as_batch(images: NDArray[np.uint8]) -> Batch:
    """Return (N, 1, H, W) from 0 to 1."""
    return (images[:, None] / np.float32(255)).astype(np.float32)


def sized(images: Batch, side_px: int) -> Batch:
    """Return images at another size."""
    small = [cv2.resize(one[0], (side_px, side_px), interpolation=cv2.INTER_AREA) for one in images]
    return np.stack(small)[:, None]


def times(known: Likeness, images: Batch) -> NDArray[np.float64]:
    """Return how far off images are, as multiples of the limit."""
    return np.asarray((known.distances(describe(planes(images))) / known.limits).max(axis=1))


def main() -> None:
    folder = Path(os.environ["GRANDROUNDS_TEST_DATA"])
    sets = {
        "breasts": medmnist(folder / "breastmnist/breastmnist.npz"),
        "chests": medmnist(folder / "pneumoniamnist/pneumoniamnist.npz"),
        "knees": knees(folder / "knee_oa/knee_oa_64.npz"),
    }
    for name, (train, patients, own) in sets.items():
        for part in (1, 10):
            few = np.isin(patients, np.unique(patients)[::part])
            known = Likeness.of(train[few], patients[few])
            print(f"\nLearned from {few.sum()} {name}")
            print(f"  {'':36}{'n':>5}{'found':>8}{'times the limit':>18}")
            if known is None:
                print("  too few")
                continue
            ordinary = times(known, own)
            print(
                f"  {'its own, not seen':36}{len(own):5}{(ordinary > 1).mean():8.1%}{'up to ':>13}{ordinary.max():5.2f}"
            )
            strange = {other: sized(images.own[:N_OTHERS], train.shape[-1]) for other, images in sets.items()}
            del strange[name]
            strange |= {kind: made(planes(own[:N_OTHERS]))[:, None] for kind, made in STRANGE.items()}
            for kind, images in strange.items():
                far = times(known, images)
                print(f"  {kind:36}{len(far):5}{(far > 1).mean():8.1%}{'5 % below ':>13}{np.quantile(far, 0.05):5.2f}")


if __name__ == "__main__":
    main()
