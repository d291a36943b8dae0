"""Rigid alignment of one series of an exam to another, where both say how they lie in the patient."""

# mypy: disable-error-code="no-untyped-call"
# SimpleITK's functions carry no types; what comes out of them here is annotated.
from __future__ import annotations

import dataclasses
import math

import numpy as np
import SimpleITK as sitk  # noqa: N813  (the name that everybody knows it by)

from grandrounds.errors import BadData
from grandrounds.geometry import axes_of
from grandrounds.image import Image
from grandrounds.shapes import Pixels

_BINS = 32  # of the joint histogram, as Mattes et al. had it
_SAMPLED_PX = 50_000  # that the measure looks at, all of them in a smaller volume
_LEVELS = ((4, 4.0), (2, 2.0), (1, 0.0))  # by how much the volumes are shrunk, and blurred in mm
_LEAST_SHRUNK_PX = 6  # a shorter axis is not shrunk to
_SEED = 1  # of the pixels that are looked at; a constant, so that the same images give the same alignment
_LEAST_PX = 4  # a volume with fewer slices cannot be shrunk and blurred along them


def align(moving: Image, fixed: Image) -> Image:
    """Return `moving` turned, shifted and sampled so that it lies on the pixels of `fixed`; float32.

    The rigid motion that makes the mutual information of both greatest, started from where the headers place them:
    Mattes et al., IEEE Trans Med Imaging 2003;22:120. It is searched on one thread with fixed seeds, so that the same
    images give the same bits. What `moving` does not show gets its darkest value.

    Raises:
        BadData: One of the volumes does not say how it lies, or they do not overlap.
    """
    still, turning = _volume(fixed), _volume(moving)
    threads = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    try:
        motion = _motion(still, turning)
        darkest = float(moving.pixels.min())
        channels = [
            sitk.GetArrayFromImage(
                sitk.Resample(_of_channel(channel, turning), still, motion, sitk.sitkLinear, darkest)
            )
            for channel in moving.pixels
        ]
    finally:
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(threads)
    pixels: Pixels = np.stack(channels).astype(np.float32)  # (C, D, H, W)
    return dataclasses.replace(moving, pixels=pixels, geometry=fixed.geometry)


def _motion(still: sitk.Image, turning: sitk.Image) -> sitk.Transform:
    centre = still.TransformContinuousIndexToPhysicalPoint([(length - 1) / 2 for length in still.GetSize()])
    start = sitk.Euler3DTransform()
    start.SetCenter(centre)
    method = sitk.ImageRegistrationMethod()
    method.SetNumberOfThreads(1)
    method.SetMetricAsMattesMutualInformation(_BINS)
    method.SetMetricSamplingStrategy(method.REGULAR)
    method.SetMetricSamplingPercentage(min(1.0, _SAMPLED_PX / math.prod(still.GetSize())), _SEED)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(
        learningRate=2.0, minStep=1e-3, numberOfIterations=100, gradientMagnitudeTolerance=1e-6
    )
    method.SetOptimizerScalesFromPhysicalShift()
    levels = [level for level in _LEVELS if level[0] == 1 or min(still.GetSize()) >= _LEAST_SHRUNK_PX * level[0]]
    method.SetShrinkFactorsPerLevel([shrink for shrink, _ in levels])
    method.SetSmoothingSigmasPerLevel([blur_mm for _, blur_mm in levels])
    method.SetSmoothingSigmasAreSpecifiedInPhysicalUnits(True)  # noqa: FBT003  (SimpleITK's own signature)
    method.SetInitialTransform(start, inPlace=False)
    try:
        at_start = method.MetricEvaluate(still, turning)
        motion: sitk.Transform = method.Execute(still, turning)
    except RuntimeError:
        raise BadData(
            "two series of an exam cannot be aligned: by their headers they hardly overlap",
            remedy="leave one of the series out, or give them as samples of their own",
        ) from None
    # The search may lose its way; then the headers' word stands. Lower is better: it is the negative information.
    return motion if method.GetMetricValue() < at_start else start


def _volume(image: Image) -> sitk.Image:
    """Return the mean of the channels for SimpleITK, with its place in the patient."""
    axes, spacing, origin = axes_of(image.geometry), image.geometry.spacing_mm, image.geometry.origin_mm
    if len(image.space) != 3 or min(image.space) < _LEAST_PX:
        raise BadData(
            f"only volumes of {_LEAST_PX} slices or more are aligned; this image has the shape {image.space}",
            remedy="give one series per sample",
        )
    if axes is None or len(axes) != 3 or spacing is None or origin is None:
        raise BadData(
            "series can be aligned where they say how they lie in the patient, and one of these does not",
            remedy="give each series as samples of its own, centred and resampled in its own plane",
        )
    volume = sitk.GetImageFromArray(image.pixels.astype(np.float32).mean(axis=0))
    volume.SetSpacing(spacing[::-1])
    volume.SetOrigin(origin)
    volume.SetDirection(axes[::-1].T.ravel().tolist())  # ITK: 3 x 3 by rows, its columns are column, row, slice
    return volume


def _of_channel(channel: Pixels, place: sitk.Image) -> sitk.Image:
    volume = sitk.GetImageFromArray(channel.astype(np.float32))
    volume.CopyInformation(place)
    return volume
