"""Random fields and linear systems on the pixel grid: texture, noise, blur and cells, all in millimetres.

`noise_amplitude` follows filtered back-projection: the noise power of a reconstruction goes with f · MTF(f)², so noise
is grainier the sharper the kernel (Riederer, Pelc, Chesler, Phys Med Biol 1978; 23:446-454).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.spatial import cKDTree

Plane = NDArray[np.floating[Any]]  # (H, W)


@dataclass(frozen=True, slots=True)
class Grid:
    """A square pixel grid: its size and the distance of its pixels."""

    size_px: int
    pixel_mm: float

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width."""
        return (self.size_px, self.size_px)

    @property
    def axis_mm(self) -> Plane:
        """Positions of rows or columns, 0 in the middle of the image, (H,)."""
        return ((np.arange(self.size_px) - (self.size_px - 1) / 2) * self.pixel_mm).astype(np.float32)

    @property
    def frequency_per_mm(self) -> Plane:
        """Radial frequency of every element of a real transform, (H, W/2+1)."""
        rows = fft.fftfreq(self.size_px, self.pixel_mm)[:, None]
        columns = fft.rfftfreq(self.size_px, self.pixel_mm)[None, :]
        return np.hypot(rows, columns).astype(np.float32)


def filtered(plane: Plane, response: Plane) -> Plane:
    """Return the plane after a filter that is given by its response in the frequency domain."""
    out: Plane = fft.irfft2(fft.rfft2(plane) * response, s=plane.shape)
    return out


def random_field(rng: np.random.Generator, grid: Grid, amplitude: Plane) -> Plane:
    """Return a Gaussian field of mean 0 and sd 1 whose power spectrum is `amplitude` squared."""
    amplitude = amplitude.copy()
    amplitude[0, 0] = 0  # no mean
    field = filtered(rng.standard_normal(grid.shape, dtype=np.float32), amplitude)
    scaled: Plane = field / field.std()
    return scaled


def smooth_field(rng: np.random.Generator, grid: Grid, scale_mm: float) -> Plane:
    """Return a Gaussian field of sd 1 with a Gaussian autocorrelation of that length."""
    return random_field(rng, grid, np.exp(-((np.pi * scale_mm * grid.frequency_per_mm) ** 2)))


def power_law_field(rng: np.random.Generator, grid: Grid, slope: float, longest_mm: float = 40.0) -> Plane:
    """Return a Gaussian field of sd 1 with a power spectrum f^-slope, flat beyond the longest wave."""
    return random_field(rng, grid, np.maximum(grid.frequency_per_mm, 1 / longest_mm) ** (-slope / 2))


def mtf(frequency_per_mm: Plane, half_per_mm: float, boost: float) -> Plane:
    """Return a kernel's modulation transfer: Gaussian, one half at `half_per_mm`, lifted below that by `boost`."""
    relative = frequency_per_mm / half_per_mm
    transfer: Plane = np.exp(-np.log(2) * relative**2) * (1 + boost * relative**2 * np.exp(1 - relative**2))
    return transfer


def noise_amplitude(frequency_per_mm: Plane, transfer: Plane) -> Plane:
    """Return the root of the noise power spectrum of filtered back-projection."""
    amplitude: Plane = np.sqrt(frequency_per_mm) * transfer
    return amplitude


def cell_walls(rng: np.random.Generator, grid: Grid, where: NDArray[np.bool_], mesh_mm: float) -> Plane:
    """Return each pixel's distance (mm) to the nearest wall of irregular cells, infinite outside `where`.

    The cells are a Voronoi diagram of a jittered grid, seen through a gentle warp so that walls are not straight.
    """
    distance = np.full(grid.shape, np.inf, np.float32)
    if not where.any():
        return distance
    half = grid.size_px * grid.pixel_mm / 2 + mesh_mm
    lattice = np.arange(-half, half, mesh_mm)
    seeds = np.stack(np.meshgrid(lattice, lattice, indexing="ij"), -1).reshape(-1, 2)  # (n_cells, 2)
    seeds += rng.uniform(-0.45, 0.45, seeds.shape) * mesh_mm
    warp = 0.16 * mesh_mm
    row, column = np.nonzero(where)
    points = np.stack([grid.axis_mm[row], grid.axis_mm[column]], -1)  # (n_pixels, 2)
    points += warp * np.stack([smooth_field(rng, grid, mesh_mm / 2)[where] for _ in range(2)], -1)
    found = cKDTree(seeds).query(points, k=2)
    near, cell = np.asarray(found[0]), np.asarray(found[1])  # (n_pixels, 2) each
    apart = np.linalg.norm(seeds[cell[:, 1]] - seeds[cell[:, 0]], axis=1)
    distance[where] = (near[:, 1] ** 2 - near[:, 0] ** 2) / (2 * apart)
    return distance


def soft_step(distance_mm: Plane, width_mm: float) -> Plane:
    """Return 1 well above zero, 0 well below, with a linear edge of that width: partial volume."""
    share: Plane = np.clip(distance_mm / width_mm + 0.5, 0, 1).astype(np.float32)
    return share
