"""Whether an image shows what those of training show: the envelope's second gate, which looks at the picture itself.

An image is described by its light and dark in 8 × 8 squares and by how strong edges of each direction are in 4 × 4,
after its own mean and contrast are taken out, so that brightness plays no part. Two distances are taken from the images
of training: how unusual the picture is among the ways in which they vary (score distance), and how much of it is no
such way (orthogonal distance). Either is too much where only half a percent of them had more, each measured while its
patient was left out. How often images that are surely meant for nobody are found so is measured as well.

Assumes: some fifty images; with fewer there is no telling what is far.

Reference: Hubert et al., ROBPCA, Technometrics 47:64 (2005), for the two distances; Dalal & Triggs, Histograms of
oriented gradients for human detection, CVPR 2005, for the edges.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Self

import cv2
import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file
from safetensors.numpy import save as packed

from grandrounds.shapes import Batch, Images

FILE: Final = "likeness.safetensors"
FEWEST = 50  # images
_SIDE_PX, _SQUARES, _CELLS, _DIRECTIONS = 32, 8, 4, 8
_MOST_AXES, _PER_AXIS, _FOLDS = 24, 5, 5
_WITHIN = 0.995  # of the images of training that were left out, for each of the two distances
_LEAST = 0.1  # of a limit; distances are about 1, and 0 among copies
_TINY = 1e-6
_KEPT = ("centre", "spread", "axes", "variances", "limits")
_AT_ONCE = 64  # images in memory
_SAID = "shows something else than those of training ({:.2g} times as far off as 99 of 100 of them)"
Numbers = NDArray[np.float64]
Planes = NDArray[np.float32]  # (N, 32, 32)


@dataclass(frozen=True)
class Likeness:
    """What pictures of training were like.

    Args:
        centre: (F,) mean description.
        spread: (F,) standard deviation of each number in it.
        axes: (A, F) the ways in which they vary most.
        variances: (A + 1,) along each, and of all that is left together.
        limits: (2,) the greatest ordinary score distance and orthogonal distance.
        found: Share of images of a kind that is meant for nobody that lie beyond the limits; not kept in the file.
    """

    centre: Numbers
    spread: Numbers
    axes: Numbers
    variances: Numbers
    limits: Numbers
    found: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))

    @classmethod
    def of(cls, pixels: Images, patients: NDArray[np.str_]) -> Self | None:
        """Learn what pictures are like; None from too few images, or patients, to tell what is far.

        Args:
            pixels: (N, C, H, W) or (N, C, D, H, W), prepared.
            patients: (N,); the images of one are left out together.
        """
        numbers = {name: number for number, name in enumerate(dict.fromkeys(patients.tolist()))}
        if len(pixels) < FEWEST or len(numbers) < _FOLDS:
            return None
        # By their order in the data, so that the folds are the same whatever the pseudonyms are.
        folds = np.array([numbers[name] % _FOLDS for name in patients.tolist()])
        shown = planes(pixels)
        described = describe(shown)
        left_out = np.empty((len(shown), 2))
        strange: dict[str, list[Numbers]] = {name: [] for name in STRANGE}
        for fold in range(_FOLDS):
            test = folds == fold
            own = cls._around(described[~test])
            left_out[test] = own.distances(described[test])
            for name, made in STRANGE.items():
                strange[name].append(own.distances(describe(made(shown[test]))))
        limits = np.maximum(np.quantile(left_out, _WITHIN, axis=0), _LEAST)
        found = {name: float((np.concatenate(parts) > limits).any(axis=1).mean()) for name, parts in strange.items()}
        last = cls._around(described)
        return cls(last.centre, last.spread, last.axes, last.variances, limits, MappingProxyType(found))

    @classmethod
    def _around(cls, described: Numbers) -> Self:
        """Return the ways in which descriptions vary; without limits."""
        centre, spread = described.mean(axis=0), described.std(axis=0) + _TINY
        _, lengths, axes = np.linalg.svd((described - centre) / spread, full_matrices=False)
        n_axes = max(1, min(_MOST_AXES, len(described) // _PER_AXIS))
        variances = np.maximum(lengths**2 / len(described), _TINY)  # copies of few pictures vary in few ways
        rest = max(variances[n_axes:].sum(), _TINY)  # scales the orthogonal distance, so that both are about 1
        return cls(centre, spread, axes[:n_axes], np.append(variances[:n_axes], rest), np.full(2, np.inf))

    def distances(self, described: Numbers) -> Numbers:
        """Return (N, 2) score distance and orthogonal distance of descriptions (N, F); both are about 1 in training."""
        apart = (described - self.centre) / self.spread
        along = apart @ self.axes.T  # (N, A)
        of_axes, rest = self.variances[:-1], self.variances[-1]
        beside = np.maximum((apart**2).sum(axis=1) - (along**2).sum(axis=1), 0)
        both: Numbers = np.sqrt(np.stack([(along**2 / of_axes).mean(axis=1), beside / rest], axis=1))
        return both

    def unlike(self, pixels: Images) -> list[str | None]:
        """Return for each prepared image what is said of one that shows something else; None for all others."""
        if not len(pixels):
            return []
        times = (self.distances(describe(planes(pixels))) / self.limits).max(axis=1)
        return [_SAID.format(one) if one > 1 else None for one in times]

    def save(self, folder: Path) -> None:
        """Write it into an existing folder."""
        # Python's own file writes it, since only that says of a full disk that it is full.
        (folder / FILE).write_bytes(packed({name: np.ascontiguousarray(getattr(self, name)) for name in _KEPT}))

    @classmethod
    def load(cls, folder: Path) -> Self | None:
        """Return what lies in a bundle; None in one without it, of few images or of an earlier version."""
        if not (folder / FILE).exists():
            return None
        arrays: dict[str, Any] = load_file(folder / FILE)
        return cls(**arrays)


def planes(pixels: Images) -> Planes:
    """Return prepared images as planes (N, 32, 32) with mean 0 and deviation 1: means over channels and slices."""
    starts = range(0, len(pixels), _AT_ONCE)  # volumes may lie on the disk
    return np.concatenate([_planes(np.asarray(pixels[start : start + _AT_ONCE])) for start in starts])


def _planes(pixels: Batch) -> Planes:
    flat = pixels.mean(axis=tuple(range(1, pixels.ndim - 2)), dtype=np.float32)  # (N, H, W)
    small = np.stack([cv2.resize(one, (_SIDE_PX, _SIDE_PX), interpolation=cv2.INTER_AREA) for one in flat])
    deviation = small.std(axis=(1, 2), keepdims=True)
    return np.asarray((small - small.mean(axis=(1, 2), keepdims=True)) / (deviation + _TINY), np.float32)


def describe(shown: Planes) -> Numbers:
    """Return descriptions (N, F) of planes (N, 32, 32)."""
    rows, columns = np.gradient(shown, axis=(1, 2))
    strength = np.hypot(rows, columns)
    turn = (np.arctan2(rows, columns) + np.pi) / (2 * np.pi)  # 0 to 1
    direction = (turn * _DIRECTIONS).astype(np.int64) % _DIRECTIONS
    edges = [_by_square(np.where(direction == one, strength, 0), _CELLS) for one in range(_DIRECTIONS)]
    return np.concatenate([_by_square(shown, _SQUARES), np.sqrt(np.concatenate(edges, axis=1))], axis=1)


def _by_square(shown: NDArray[np.floating], n: int) -> Numbers:
    """Return the means of n × n squares, (N, n²)."""
    size = _SIDE_PX // n
    means = shown.reshape(len(shown), n, size, n, size).mean(axis=(2, 4), dtype=np.float64)
    return np.asarray(means.reshape(len(shown), -1))


def _noise(shown: Planes) -> Planes:
    return np.random.default_rng(0).standard_normal(shown.shape).astype(np.float32)


def _photographs(shown: Planes) -> Planes:
    """Return as many squares of two photographs, each from a place and of a size of its own."""
    folder = files("skimage") / "data"  # the library comes with a cup of coffee and a cat
    pictures = [cv2.imread(str(folder / name), cv2.IMREAD_GRAYSCALE) for name in ("coffee.png", "chelsea.png")]
    rng, parts = np.random.default_rng(0), []
    for at in range(len(shown)):
        picture, size = np.asarray(pictures[at % len(pictures)], np.float32), int(rng.integers(64, 300))
        row, column = (int(rng.integers(side - size)) for side in picture.shape)
        parts.append(cv2.resize(picture[row : row + size, column : column + size], (_SIDE_PX, _SIDE_PX)))
    return planes(np.stack(parts)[:, None])


STRANGE: Final[Mapping[str, Callable[[Planes], Planes]]] = MappingProxyType(
    {
        "noise": _noise,
        "photographs": _photographs,
        "its own images, turned by a quarter": lambda shown: np.rot90(shown, axes=(1, 2)),
        "its own images, upside down": lambda shown: shown[:, ::-1],
        "its own images, black for white": lambda shown: -shown,
    }
)
