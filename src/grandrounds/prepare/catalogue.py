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
            name="rgb",
            stage="both",
            build="grandrounds.prepare.intensity:Rgb",
            summary="one channel becomes red, green and blue of the same value",
            reference="https://pillow.readthedocs.io/en/stable/handbook/concepts.html#modes (L to RGB)",
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
        StepEntry(
            name="canvas",
            stage="each",
            build="grandrounds.prepare.space:Canvas",
            summary="images of several sizes stay as they are, on one canvas; the last step, for networks such as spp",
            reference="https://doi.org/10.1109/TPAMI.2015.2389824 (a network for any size)",
        ),
        StepEntry(
            name="resample",
            stage="both",
            build="grandrounds.prepare.resample:Resample",
            summary="pixels at a given distance in millimetres, without aliasing",
            reference="https://pillow.readthedocs.io/en/stable/handbook/concepts.html#filters (BILINEAR)",
        ),
        StepEntry(
            name="format_stack",
            stage="both",
            build="grandrounds.prepare.resample:FormatStack",
            summary="a volume in a given number of slices, rows and columns, 36×448×448 unless given",
            reference="https://doi.org/10.1371/journal.pmed.1002699 (knee MRI read as stacks)",
        ),
        StepEntry(
            name="reorient",
            stage="both",
            build="grandrounds.prepare.orient:Reorient",
            summary="a volume whose columns, rows and slices run to given sides of the patient",
            reference="DICOM PS3.3 C.7.6.2.1.1",
        ),
        StepEntry(
            name="mirror_side",
            stage="both",
            build="grandrounds.prepare.orient:MirrorSide",
            summary="images of one side are mirrored, so that left and right look alike",
            reference="DICOM PS3.3 C.7.3.1 (0020,0060) Laterality",
        ),
        StepEntry(
            name="otsu_crop",
            stage="both",
            build="grandrounds.prepare.body:OtsuCrop",
            summary="background darkened and cut off: the box about the largest part above Otsu's threshold",
            reference="Otsu, IEEE Trans SMC 1979;9:62",
        ),
        StepEntry(
            name="center",
            stage="both",
            build="grandrounds.prepare.body:Center",
            summary="the body or joint moved to the middle of an image of the same size",
            reference="Otsu, IEEE Trans SMC 1979;9:62",
        ),
        StepEntry(
            name="hounsfield",
            stage="both",
            build="grandrounds.prepare.hounsfield:Hounsfield",
            summary="you state that the pixels are Hounsfield units, where the format cannot say it",
            reference="DICOM PS3.3 C.11.1.1.2",
        ),
        StepEntry(
            name="lung_mask",
            stage="both",
            build="grandrounds.prepare.lungs:LungMask",
            summary="a chest CT of which the lungs stay and the rest becomes air; cut to them if wanted",
            reference="Hu, Hoffman & Reinhardt, IEEE Trans Med Imaging 2001;20:490 (the same stages)",
        ),
        StepEntry(
            name="masked",
            stage="whole",
            build="grandrounds.prepare.masked:Masked",
            summary="what masks show that `grandrounds mask` made before; the rest becomes air",
            reference="Ronneberger, Fischer & Brox, MICCAI 2015:234 (the network that makes them)",
        ),
        StepEntry(
            name="stain",
            stage="both",
            build="grandrounds.prepare.stain:Stain",
            summary="haematoxylin and eosin in reference colours",
            reference="Macenko et al., ISBI 2009:1107",
        ),
    ),
    group="grandrounds.steps",
)
