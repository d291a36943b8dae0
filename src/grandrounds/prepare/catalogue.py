"""The steps of preparation that grandrounds knows."""

from __future__ import annotations

from grandrounds.prepare.step import StepEntry
from grandrounds.registry import Registry

STEPS: Registry[StepEntry] = Registry(
    "step",
    (
        StepEntry(
            name="window",
            stage="both",
            build="grandrounds.prepare.intensity:Window",
            summary="Hounsfield units between two limits become 0 to 1",
            reference="DICOM PS3.3 C.11.2.1.2",
        ),
        StepEntry(
            name="scale",
            stage="both",
            build="grandrounds.prepare.intensity:Scale",
            summary="grey values become 0 to 1 by fixed limits, those of the 8- or 16-bit type unless given",
            reference="https://docs.opencv.org/4.x/d2/de8/group__core__array.html (normalize, NORM_MINMAX)",
        ),
        StepEntry(
            name="percentiles",
            stage="both",
            build="grandrounds.prepare.intensity:Percentiles",
            summary="grey values between two percentiles of the same image become 0 to 1",
            reference="Nyúl & Udupa, Magn Reson Med 1999;42:1072 (percentile landmarks)",
        ),
        StepEntry(
            name="grayscale",
            stage="both",
            build="grandrounds.prepare.intensity:Grayscale",
            summary="red, green and blue become one channel",
            reference="ITU-R BT.601-7",
        ),
        StepEntry(
            name="clahe",
            stage="both",
            build="grandrounds.prepare.contrast:Clahe",
            summary="contrast-limited adaptive histogram equalisation",
            reference="Zuiderveld, Graphics Gems IV, 1994, 474",
        ),
        StepEntry(
            name="resize",
            stage="both",
            build="grandrounds.prepare.space:Resize",
            summary="rows and columns in another number: by area when shrinking, linear when growing",
            reference="https://docs.opencv.org/4.x/da/d54/group__imgproc__transform.html (INTER_AREA)",
        ),
        StepEntry(
            name="pad_crop",
            stage="both",
            build="grandrounds.prepare.space:PadCrop",
            summary="a central part of given size, padded where the image is smaller",
            reference="https://numpy.org/doc/stable/reference/generated/numpy.pad.html",
        ),
    ),
    group="grandrounds.steps",
)
