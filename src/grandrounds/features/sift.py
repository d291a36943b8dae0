"""The SIFT descriptor at fixed, upright key points: nothing is detected, the points are where we put them.

Reference: Lowe DG. Distinctive image features from scale-invariant keypoints. IJCV 60(2), 2004.
"""

from __future__ import annotations

import cv2
import numpy as np

from grandrounds.shapes import Batch, Features

_GREY_LEVELS = 255  # OpenCV wants eight bits
_LENGTH = 128  # 4 × 4 cells with 8 directions
_WINDOW = 6  # four cells, each three times as wide as the key point's radius: sides of the window in its diameters


def sift_descriptors(pixels: Batch, grid: int = 1, blur_px: float = 1.0) -> Features:
    """Return the descriptors of a grid of key points, (N, grid² · 128); they do not follow the image's rotation.

    Args:
        pixels: (N, C, H, W), about 0 to 1; channels are averaged.
        grid: The image is divided into that many rows and columns, each described at its middle; with 1, the only key
            point is the image's centre and its window is as large as the shorter side.
        blur_px: Standard deviation of the blur before gradients are taken.
    """
    height, width = pixels.shape[2:]
    size = min(height, width) / grid / _WINDOW
    places = [(row, column) for row in _middles(height, grid) for column in _middles(width, grid)]
    points = [cv2.KeyPoint(x=x, y=y, size=size, angle=0) for y, x in places]
    describe = cv2.SIFT.create(sigma=blur_px).compute
    features = np.empty((len(pixels), len(points) * _LENGTH), np.float32)
    for row, image in zip(features, pixels, strict=True):
        grey = np.clip(np.rint(image.mean(axis=0) * _GREY_LEVELS), 0, _GREY_LEVELS).astype(np.uint8)  # (H, W)
        row[:] = describe(grey, points)[1].ravel()  # (grid² · 128,)
    return features


def _middles(length: int, n: int) -> list[float]:
    return [(place + 0.5) * length / n - 0.5 for place in range(n)]
