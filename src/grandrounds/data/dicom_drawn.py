"""What has pixels in a DICOM export and is no image: what somebody drew on images, or computed from them.

The SOP class, (0008,0016), tells them (PS3.4 B.5, PS3.3 A.18, A.51, A.75); where a file has none, its modality does
(PS3.3 C.7.3.1.1.1). Structure sets, presentation states and real world value mappings have no pixels (PS3.3 A.19,
A.33, A.46), which tells them already.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from pydicom.uid import UID, ParametricMapStorage, RTDoseStorage, SegmentationStorage

_LABEL_MAP, _HEIGHT_MAP = "1.2.840.10008.5.1.4.1.1.66.7", "1.2.840.10008.5.1.4.1.1.66.8"  # PS3.6 A; newer than pydicom
_CLASSES: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys((str(SegmentationStorage), _LABEL_MAP, _HEIGHT_MAP), "segmentation"),
        str(RTDoseStorage): "dose",
        str(ParametricMapStorage): "parametric map",
    }
)
NO_PIXELS = "this DICOM file is of an image whose pixels are not there"
_MODALITIES: Mapping[str, str] = MappingProxyType({"SEG": "segmentation", "RTDOSE": "dose"})
# Why they are set aside, by what they are.
REASONS: Mapping[str, str] = MappingProxyType(
    {
        "segmentation": "a segmentation is no image to classify",
        "dose": "a distribution of dose is no image to classify",
        "parametric map": "a parametric map is no image to classify",
    }
)


def drawn(sop_class: str, modality: str) -> str | None:
    """Return which of `REASONS` a file is set aside for; None where it is an image.

    Args:
        sop_class: SOPClassUID, (0008,0016); empty where there is none.
        modality: Modality, (0008,0060), likewise.

    >>> drawn("1.2.840.10008.5.1.4.1.1.66.4", "SEG"), drawn("", "RTDOSE"), drawn("1.2.840.10008.5.1.4.1.1.2", "CT")
    ('segmentation', 'dose', None)
    """
    return _CLASSES.get(sop_class) if sop_class else _MODALITIES.get(modality)


def is_image(sop_class: str) -> bool:
    """Whether whatever is of a SOPClassUID, (0008,0016), has pixels of its own; False where the class is not known.

    >>> is_image("1.2.840.10008.5.1.4.1.1.2"), is_image("1.2.840.10008.5.1.4.1.1.88.11"), is_image("")
    (True, False, False)
    """
    return UID(sop_class).name.endswith("Image Storage")
