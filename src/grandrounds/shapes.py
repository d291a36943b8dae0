"""Array shapes, named once.

Axis letters, here and in every comment: B batch, N samples, C channels, D depth (slices), H height (rows), W width
(columns), K classes, R resamples, P patients.
"""

from __future__ import annotations

from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

OUTSIDE = -1.0  # what a canvas has where its image has no pixel; prepared images have about 0 to 1

Pixels: TypeAlias = NDArray[np.generic]  # (C, H, W) or (C, D, H, W), the dtype that the file had
Batch: TypeAlias = NDArray[np.float32]  # (N, C, H, W)
Features: TypeAlias = NDArray[np.float32]  # (N, any)
ClassIndex: TypeAlias = NDArray[np.int64]  # (N,), 0 … K-1
Probs: TypeAlias = NDArray[np.float64]  # (N, K), rows sum to 1
Weights: TypeAlias = NDArray[np.float64]  # (K,) or (N,)
Mask: TypeAlias = NDArray[np.bool_]  # (N,), an image's space, or (N, 1, H, W)


class Images(Protocol):
    """Images (N, C, H, W) or (N, C, D, H, W): an array, or rows of a file that `numpy.asarray` reads.

    An index chooses among images that lie on the disk and reads none of them.
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, C, …)."""
        ...

    def __len__(self) -> int:
        """Return N."""
        ...

    def __getitem__(self, which: slice | NDArray[np.integer] | NDArray[np.bool_], /) -> Images:
        """Return some of them."""
        ...

    def __array__(self) -> NDArray[Any]:
        """Return all of them, in memory."""
        ...
