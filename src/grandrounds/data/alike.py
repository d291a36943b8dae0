"""Which pictures of a set are likely copies of each other, in any of the eight ways that a square can lie.

Each picture is described by two things that normalised correlation compares in one go: its low cosine frequencies,
which noise, windows and compression leave alone, and the amplitudes of its spectrum, which a shift leaves alone.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.fft import dctn

from grandrounds.data.glance import Grey

MANY = 200  # of so many pictures, what they share is taken off; of few, it may be that they are one picture
_SMALL_PX, _WAVES, _LINES = 32, 8, 12  # of a picture, of its cosines and of its spectrum a side
_LEAST_ALIKE = 0.45  # correlation of two descriptions
_N_NEAREST = 4
_BLOCK = 1024

Vectors = NDArray[np.float32]


class Turn(NamedTuple):
    """One of the eight ways that a square lies: first mirrored, then turned, anticlockwise."""

    mirrored: bool
    turned_deg: int

    def of(self, grey: Grey) -> Grey:
        """Return pictures (..., H, W), turned."""
        flipped = grey[..., ::-1] if self.mirrored else grey
        return np.rot90(flipped, self.turned_deg // 90, axes=(-2, -1))

    @property
    def back(self) -> Turn:
        """The turn that undoes it."""
        return self if self.mirrored else Turn(mirrored=False, turned_deg=-self.turned_deg % 360)


TURNS = tuple(Turn(mirrored, degrees) for mirrored in (False, True) for degrees in (0, 90, 180, 270))
AS_IT_IS = TURNS[0]


class Pair(NamedTuple):
    """Two rows of pictures, and how the second is to be turned to look like the first; of one set the smaller first."""

    a: int
    b: int
    turn: Turn


def likely_pairs(grey: Grey, most: int) -> list[Pair]:
    """Return the pairs that are worth a closer look, the likeliest first.

    Each of a pair is among the few nearest of the other: some odd pictures are near to hundreds of others.

    Args:
        grey: (N, H, W).
        most: Number of pairs.
    """
    if len(grey) < 2:
        return []
    shared = shared_by(grey)
    near = _near(grey, descriptions(grey, shared), shared, among_themselves=True)
    return _mutual({one: reached for one, reached in near.items() if one.a < one.b}, near, most)


def likely_between(ones: Grey, others: Grey, most: int) -> list[Pair]:
    """Return the pairs of a picture of one set and one of another that are worth a closer look, the likeliest first.

    Args:
        ones: (N, H, W).
        others: (M, H, W).
        most: Number of pairs.
    """
    if not len(ones) or not len(others):
        return []
    shared = shared_by(np.concatenate([ones, others]))
    return _mutual(
        _near(others, descriptions(ones, shared), shared), _near(ones, descriptions(others, shared), shared), most
    )


def look_alikes(grey: Grey, n_images: int, ranks: range, rng: np.random.Generator) -> list[Pair]:
    """Return, for a few pictures, others that look like them without being the very nearest: no copies, most likely."""
    rows = rng.permutation(len(grey))[:n_images]
    refs = descriptions(grey, shared_by(grey))
    alike = refs[rows] @ refs.T  # (n, N)
    alike[np.arange(len(rows)), rows] = -1
    nearest = np.argsort(-alike, axis=1)[:, ranks.start : ranks.stop]
    pairs = {(min(row, other), max(row, other)) for row, near in zip(rows, nearest, strict=True) for other in near}
    return [Pair(int(a), int(b), AS_IT_IS) for a, b in sorted(pairs)]


def shared_by(grey: Grey) -> Vectors:
    """Return what the spectra of all pictures share; nothing of a few pictures, which may be one."""
    spectra = _spectra(_small(grey))
    return spectra.mean(axis=0) if len(grey) >= MANY else np.zeros_like(spectra[0])


def descriptions(grey: Grey, shared: Vectors) -> Vectors:
    """Return cosines and spectrum of each picture, (N, 64 + 276), of length 1, so that products are correlations."""
    small = _small(grey)
    return np.hstack([_of_length_1(_cosines(small)), _of_length_1(_spectra(small) - shared)]) / np.float32(np.sqrt(2))


def _near(grey: Grey, refs: Vectors, shared: Vectors, *, among_themselves: bool = False) -> dict[Pair, float]:
    """Return, for each picture, the few references that are nearest to it as it is turned, and how alike they are."""
    near: dict[Pair, float] = {}
    for turn in TURNS:
        for start, alike in _compared(grey, turn, refs, shared):
            if among_themselves:
                rows = np.arange(len(alike))
                alike[rows, start + rows] = -1
            for row, other, reached in _nearest(alike, len(refs) - among_themselves):
                near[Pair(other, start + row, turn)] = reached
    return near


def _mutual(near: Mapping[Pair, float], from_there: Container[Pair], most: int) -> list[Pair]:
    """Return the pairs that are near seen from either side, the likeliest first."""
    both = [pair for pair in near if Pair(pair.b, pair.a, pair.turn.back) in from_there]
    return sorted(both, key=lambda pair: -near[pair])[:most]


def _nearest(alike: Vectors, n_others: int) -> Iterator[tuple[int, int, float]]:
    """Yield each row, one of its nearest others, and how alike they are; changes `alike`."""
    rows = np.arange(len(alike))
    for _ in range(min(_N_NEAREST, n_others)):
        best = alike.argmax(axis=1)
        reached = alike[rows, best]
        for row in np.flatnonzero(reached >= _LEAST_ALIKE):
            yield int(row), int(best[row]), float(reached[row])
        alike[rows, best] = -1


def _compared(grey: Grey, turn: Turn, refs: Vectors, shared: Vectors) -> Iterator[tuple[int, Vectors]]:
    """Yield, block by block, its start and how alike each turned picture and all references are, (B, N)."""
    for start in range(0, len(grey), _BLOCK):
        yield start, descriptions(turn.of(grey[start : start + _BLOCK]), shared) @ refs.T


def _small(grey: Grey) -> Vectors:
    """Return small pictures of mean 0, (N, 32, 32)."""
    size = (_SMALL_PX, _SMALL_PX)
    pictures = [cv2.resize(np.ascontiguousarray(one), size, interpolation=cv2.INTER_AREA) for one in grey]
    small = np.stack(pictures).astype(np.float32)
    return np.asarray(small - small.mean(axis=(1, 2), keepdims=True), np.float32)


def _cosines(small: Vectors) -> Vectors:
    """Return the low frequencies of each picture, the higher ones raised: pictures have the less of them, (N, 64)."""
    waves = dctn(small, axes=(1, 2))[:, :_WAVES, :_WAVES] * np.hypot(*np.mgrid[:_WAVES, :_WAVES])
    return np.asarray(waves, np.float32).reshape(len(small), -1)  # (N, 8 x 8)


def _spectra(small: Vectors) -> Vectors:
    """Return the log amplitudes of the low frequencies of each picture, of mean 0 and length 1, (N, 276)."""
    window = np.outer(np.hanning(_SMALL_PX), np.hanning(_SMALL_PX)).astype(np.float32)
    amplitudes = np.abs(np.fft.rfft2(small * window))[:, :, :_LINES]  # (N, 32, 12)
    lines = np.log1p(np.concatenate([amplitudes[:, :_LINES], amplitudes[:, 1 - _LINES :]], axis=1))  # (N, 23, 12)
    lines = lines.reshape(len(small), -1)  # (N, 23 x 12)
    return _of_length_1(lines - lines.mean(axis=1, keepdims=True))


def _of_length_1(vectors: Vectors) -> Vectors:
    lengths = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)
    return np.asarray(vectors / lengths, np.float32)
