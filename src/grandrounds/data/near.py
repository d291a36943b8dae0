"""Images that are nearly the same: another crop, brightness, compression or size of one picture, or its mirror image.

A hash proposes, registration and correlation confirm. Each picture is compared by the Hamming distance of two
perceptual hashes with all others; the closest few, by the correlation of their blurred pictures, are laid over each
other with an affine map (Evangelidis and Psarakis 2008, "Parametric image alignment using enhanced correlation
coefficient maximization", IEEE TPAMI 30). A pair is confirmed if, where the two overlap, both the pictures and their
details correlate: medical images of two people look alike coarsely, never in their details.

Pictures without content (blank, one flat region) match nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import cv2
import imagehash
import numpy as np
import polars as pl
from numpy.typing import NDArray
from PIL import Image as Pillow

from grandrounds.data.glance import EDGE_PX, Glances, Grey
from grandrounds.shapes import Pixels

MOST_IMAGES = 20_000  # all pairs of hashes are compared: 0.4 s for 10,000 images, four times as long for twice as many
MOST_VERIFIED = 25_000  # pairs; the likeliest go first
N_PROPOSED, N_VERIFIED, N_MIRRORED = 128, 2, 1  # of each image: by hash, then by spectrum
_MANY = 200
_LEAST_ALIKE = 0.3  # correlation of two spectra without what all pictures of the set share
_COARSE_PX, _LEAST_COARSE = 32, 0.92
# Chosen on planted pairs and on look-alikes, registered knees and chests of different people; see what they do in
# benchmarks/near_duplicates.py. A mirrored pair has to agree better: the left and right of one body nearly do.
_LEAST_CORRELATION, _LEAST_MIRRORED, _LEAST_DETAIL = 0.990, 0.994, 0.80
_NOISE_PX, _DETAIL_PX = 1.0, 3.0  # finer structure may be noise; coarser is not called a detail
_LEAST_CONTENT = 0.02  # standard deviation of the details, of the grey range
_LEAST_OVERLAP, _MOST_SCALE, _MOST_TURN_DEG = 0.6, 1.25, 12.0
_BLOCK = 512

Plane = NDArray[np.float32]


class Match(NamedTuple):
    """How well one picture lies over another, where they overlap.

    Args:
        correlation: Of the grey values, noise smoothed away.
        detail: The same without what is coarser than a few pixels.
    """

    correlation: float
    detail: float

    def confirms(self, *, mirrored: bool = False) -> bool:
        """Return whether the two are taken for one picture."""
        least = _LEAST_MIRRORED if mirrored else _LEAST_CORRELATION
        return self.correlation >= least and self.detail >= _LEAST_DETAIL


NO_MATCH = Match(0.0, 0.0)


def near_duplicates(seen: Glances, sha256: dict[str, str]) -> pl.DataFrame:
    """Return columns `sample_a, sample_b, mirrored, correlation, detail`: the confirmed pairs, the closest first.

    Of identical images only the first takes part.

    Args:
        seen: Small pictures of the samples.
        sha256: Hash of the pixels of each sample.
    """
    hashes = pl.Series([sha256[name] for name in seen.samples], dtype=pl.String())
    first = np.flatnonzero(hashes.is_first_distinct().to_numpy())[:MOST_IMAGES]
    rows = first[has_content(seen.grey[first])]
    grey = seen.grey[rows]
    pairs = _proposed(grey)
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # OpenCV works outside Python's lock
        found = list(pool.map(lambda pair: _verified(grey, *pair), pairs))
    names = [seen.samples[row] for row in rows]
    content = [
        (names[a], names[b], mirrored, *match)
        for (a, b, mirrored), match in zip(pairs, found, strict=True)
        if match.confirms(mirrored=mirrored)
    ]
    columns = {"sample_a": pl.String, "sample_b": pl.String, "mirrored": pl.Boolean, "correlation": pl.Float64,
               "detail": pl.Float64}  # fmt: skip
    return pl.DataFrame(content, schema=columns, orient="row").sort("detail", descending=True)


def has_content(grey: Grey) -> NDArray[np.bool_]:
    """Return, for each picture, whether it has details to compare."""
    return np.array([_detail(_smooth(_plane(one))).std() >= _LEAST_CONTENT for one in grey], dtype=bool)


def match(one: Grey, other: Grey) -> Match:
    """Return how well two pictures (64, 64) correlate once one is laid over the other."""
    a, b = _plane(one), _plane(other)
    warp, correlation = _registered(_small(a, _COARSE_PX), _small(b, _COARSE_PX))
    if warp is None or correlation < _LEAST_COARSE:
        return NO_MATCH
    warp[:, 2] *= EDGE_PX / _COARSE_PX
    warp, correlation = _registered(a, b, warp)
    return NO_MATCH if warp is None else _laid_over(a, b, warp)


def _verified(grey: Grey, a: int, b: int, mirrored: bool) -> Match:  # noqa: FBT001
    return match(grey[a], grey[b][:, ::-1] if mirrored else grey[b])


def _plane(grey: Grey) -> Plane:
    return np.divide(grey, 255, dtype=np.float32)


def _small(plane: Plane, edge_px: int) -> Plane:
    return np.asarray(cv2.resize(plane, (edge_px, edge_px), interpolation=cv2.INTER_AREA), np.float32)


def _smooth(plane: Plane) -> Plane:
    return np.asarray(cv2.GaussianBlur(plane, (0, 0), _NOISE_PX), np.float32)


def _detail(smooth: Plane) -> Plane:
    return smooth - np.asarray(cv2.GaussianBlur(smooth, (0, 0), _DETAIL_PX), np.float32)


def _registered(a: Plane, b: Plane, warp: Pixels | None = None) -> tuple[NDArray[np.float32] | None, float]:
    """Return the affine map that lays `b` over `a` and the correlation reached; None where there is no sensible one."""
    start = np.eye(2, 3, dtype=np.float32) if warp is None else warp.astype(np.float32)
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 20 if warp is None else 12, 1e-4)
    try:
        correlation, found = cv2.findTransformECC(a, b, start, cv2.MOTION_AFFINE, stop, _everywhere(a), 5)
    except cv2.error:  # it did not converge
        return None, 0.0
    scales = np.linalg.svd(found[:, :2], compute_uv=False)
    turn_deg = np.degrees(np.arctan2(found[1, 0] - found[0, 1], found[0, 0] + found[1, 1]))
    sensible = scales[1] >= 1 / _MOST_SCALE and scales[0] <= _MOST_SCALE and abs(turn_deg) <= _MOST_TURN_DEG
    return (np.asarray(found, np.float32), float(correlation)) if sensible else (None, 0.0)


def _everywhere(plane: Plane) -> Grey:
    return np.ones(plane.shape, np.uint8)


def _laid_over(a: Plane, b: Plane, warp: NDArray[np.float32]) -> Match:
    size, inverse = (a.shape[1], a.shape[0]), cv2.WARP_INVERSE_MAP
    moved = np.asarray(cv2.warpAffine(b, warp, size, flags=cv2.INTER_LINEAR | inverse), np.float32)
    inside = cv2.warpAffine(np.ones_like(b), warp, size, flags=cv2.INTER_NEAREST | inverse)
    overlap = cv2.erode(inside, np.ones((5, 5), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=1.0) > 0
    if overlap.mean() < _LEAST_OVERLAP:
        return NO_MATCH
    a, moved = _smooth(a), _smooth(moved)
    return Match(_correlation(a[overlap], moved[overlap]), _correlation(_detail(a)[overlap], _detail(moved)[overlap]))


def _correlation(a: Plane, b: Plane) -> float:
    a, b = a - a.mean(), b - b.mean()
    length = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / length if length > 0 else 0.0


def _proposed(grey: Grey) -> list[tuple[int, int, bool]]:
    """Return pairs that are worth a registration, each once, and whether the second is to be mirrored."""
    if len(grey) < 2:
        return []
    hashes, spectra = _hashes(grey), _spectra(grey)
    # What a few pictures share may be that they are one picture: then nothing is taken off, and more is verified.
    shared = spectra.mean(axis=0) if len(grey) >= _MANY else np.zeros(spectra.shape[1], np.float32)
    turns = ((False, N_VERIFIED), (True, N_MIRRORED)) if len(grey) >= _MANY else ((False, 8), (True, 4))
    mirror = grey[:, :, ::-1]
    found: dict[tuple[int, int, bool], float] = {}
    for mirrored, n_verified in turns:
        queries = _centred(_spectra(mirror) if mirrored else spectra, shared)
        for start, nearest in _nearest(_hashes(mirror) if mirrored else hashes, hashes):
            block = queries[start : start + len(nearest)]  # (B, E)
            alike = np.einsum("be,bke->bk", block, _centred(spectra[nearest], shared), optimize=True)
            best = np.argsort(-alike, axis=1)[:, :n_verified]
            for row, column in zip(*np.nonzero(np.take_along_axis(alike, best, 1) >= _LEAST_ALIKE), strict=True):
                a, b = start + int(row), int(nearest[row, best[row, column]])
                found[min(a, b), max(a, b), mirrored] = float(alike[row, best[row, column]])
    return sorted(found, key=lambda pair: -found[pair])[:MOST_VERIFIED]


def _nearest(queries: NDArray[np.uint64], hashes: NDArray[np.uint64]) -> Iterator[tuple[int, NDArray[np.intp]]]:
    """Yield, block by block, its start and the nearest hashes of each query, (B, k), the query itself left out."""
    k = min(N_PROPOSED, len(hashes) - 1)
    for start in range(0, len(queries), _BLOCK):
        block = queries[start : start + _BLOCK]
        distance = sum(
            np.bitwise_count(block[:, None, half] ^ hashes[None, :, half]) for half in range(hashes.shape[1])
        )  # (B, N)
        distance[np.arange(len(block)), start + np.arange(len(block))] = 255
        yield start, np.argpartition(distance, k - 1, axis=1)[:, :k]


def _hashes(grey: Grey) -> NDArray[np.uint64]:
    """Return the pHash and dHash of each picture as two 64-bit words, (N, 2)."""
    words = np.empty((len(grey), 2), np.uint64)
    for row, one in enumerate(grey):
        picture = Pillow.fromarray(one)
        bits = np.concatenate([imagehash.phash(picture).hash.ravel(), imagehash.dhash(picture).hash.ravel()])
        words[row] = np.packbits(bits).view(np.uint64)
    return words


def _spectra(grey: Grey) -> Plane:
    """Return the log amplitudes of each picture's low frequencies, (N, 276); they do not change with a shift."""
    window = np.outer(np.hanning(_COARSE_PX), np.hanning(_COARSE_PX)).astype(np.float32)
    spectra = np.empty((len(grey), 23 * 12), np.float32)
    for row, one in enumerate(grey):
        small = _small(_plane(one), _COARSE_PX) * 255
        amplitudes = np.abs(np.fft.rfft2((small - small.mean()) * window))[:, :12]  # (32, 12)
        spectra[row] = np.log1p(np.concatenate([amplitudes[:12], amplitudes[-11:]])).ravel()  # (23 x 12)
    spectra -= spectra.mean(axis=1, keepdims=True)
    return _centred(spectra, np.zeros(spectra.shape[1], np.float32))


def _centred(vectors: Plane, shared: Plane) -> Plane:
    vectors = vectors - shared
    lengths: Plane = np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-6)
    return vectors / lengths
