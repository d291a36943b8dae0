"""What the header of a DICOM file says, by an allow-list, without touching its pixels.

Nothing but the facts of `FACTS` leaves this file, and no exception or warning of the reader does: both may quote the
values of a patient.
"""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO

import polars as pl
from pydicom.dataset import Dataset
from pydicom.filereader import read_partial
from pydicom.tag import BaseTag, Tag
from pydicom.uid import DeflatedExplicitVRLittleEndian

from grandrounds.data.dicom_drawn import NO_PIXELS, drawn, is_image
from grandrounds.errors import BadData, Refusal
from grandrounds.formats.dicom_elements import frames_of, items_of, number_of, numbers_of, syntax_of, tells, text_of
from grandrounds.formats.dicom_head import check_head
from grandrounds.formats.dicom_plain import plain_header, wanted_of
from grandrounds.formats.places import lying_order
from grandrounds.formats.zipped import content_of
from grandrounds.image import Geometry

logging.getLogger("pydicom").setLevel(logging.CRITICAL)

_PIXELS = (0x7FE00010, 0x7FE00008, 0x7FE00009)  # (7FE0,0010), (7FE0,0008), (7FE0,0009): whole, float, double pixels
_UNKNOWN_LENGTH = 0xFFFFFFFF
# Our column to DICOM keywords (PS3.6); the first one present counts.
_TEXTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "sop": ("SOPInstanceUID",),
        "uid": ("SeriesInstanceUID",),
        "study": ("StudyInstanceUID",),
        "accession": ("AccessionNumber",),
        "patient": ("PatientID",),
        "site": ("InstitutionName",),
        "modality": ("Modality",),
        "body_part": ("BodyPartExamined",),
        "side": ("ImageLaterality", "Laterality"),
        "description": ("SeriesDescription",),
        "kernel": ("ConvolutionKernel",),
        "agent": ("ContrastBolusAgent",),
        "echo": ("EchoNumbers", "EchoTime"),
        "acquisition": ("TemporalPositionIdentifier", "AcquisitionNumber"),
        "image_type": ("ImageType",),
        "sex": ("PatientSex",),
        "age": ("PatientAge",),
        "scanner": ("ManufacturerModelName",),
    }
)
_NUMBERS: Mapping[str, str] = MappingProxyType(
    {
        "thickness_mm": "SliceThickness",
        "spacing_between_mm": "SpacingBetweenSlices",
        "number": "InstanceNumber",
        "height_px": "Rows",
        "width_px": "Columns",
    }
)
_VECTORS: Mapping[str, tuple[str, int]] = MappingProxyType(
    {
        "position_mm": ("ImagePositionPatient", 3),
        "direction": ("ImageOrientationPatient", 6),
        "pixel_mm": ("PixelSpacing", 2),
    }
)
_GROUPS = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")  # enhanced images, PS3.3 C.7.6.16
_NESTED: Mapping[str, tuple[str, str, int]] = MappingProxyType(
    {
        "position_mm": ("PlanePositionSequence", "ImagePositionPatient", 3),
        "direction": ("PlaneOrientationSequence", "ImageOrientationPatient", 6),
        "pixel_mm": ("PixelMeasuresSequence", "PixelSpacing", 2),
    }
)
# What frames of enhanced images tell of themselves, where plain ones have it in the file: all that is there is joined.
_OF_FRAMES: Mapping[str, tuple[tuple[str, str], ...]] = MappingProxyType(
    {
        "echo": (("MREchoSequence", "EffectiveEchoTime"),),
        "acquisition": (
            ("FrameContentSequence", "TemporalPositionIndex"),
            ("FrameContentSequence", "StackID"),
            ("MRDiffusionSequence", "DiffusionBValue"),
        ),
        "kernel": (("CTReconstructionSequence", "ConvolutionKernel"),),
        "side": (("FrameAnatomySequence", "FrameLaterality"),),
    }
)
_NO_AGENT = ("none", "no", "n", "not given", "without")  # where the standard wants an empty value
_AGENTS = "ContrastBolusAgentSequence"  # of enhanced images; what it says of the agent stays there
_WEIGHTING = "DiffusionBValue"  # tells acquisitions apart that share their number
_CLASS = "SOPClassUID"
_WORDS = (
    *(word for words in _TEXTS.values() for word in words),
    *_NUMBERS.values(),
    *(word for word, _ in _VECTORS.values()),
    "NumberOfFrames",
    _WEIGHTING,
    _CLASS,
)
_TAGS: list[BaseTag | int] = [Tag(word) for word in (*_WORDS, *_GROUPS, _AGENTS)]
_WANTED = wanted_of(_WORDS)
FACTS: Mapping[str, pl.DataType] = MappingProxyType(
    {
        "path": pl.String(),
        "member": pl.String(),
        "frame": pl.Int64(),
        "drawn": pl.String(),  # what it is that is no image, a key of `REASONS`
        **dict.fromkeys(_TEXTS, pl.String()),
        **dict.fromkeys(_NUMBERS, pl.Float64()),
        **dict.fromkeys(_VECTORS, pl.List(pl.Float64())),
    }
)


def facts_of(path: Path, member: str | None) -> Iterator[dict[str, Any]]:
    """Yield the facts of each frame of a DICOM file, by the columns of `FACTS`; those of what is no image once.

    Raises:
        BadData: It is no DICOM file, is cut off, or holds no image; never with a value of the header.
    """
    try:
        with warnings.catch_warnings(action="ignore"):
            if member is not None:
                content = content_of(path, member)
                yield from _frames(content, content.getbuffer().nbytes, path, member)
            else:
                with path.open("rb") as file:
                    yield from _frames(file, path.stat().st_size, path, None)
    except Refusal:
        raise
    except OSError as error:
        raise BadData(f"the file cannot be read: {error.strerror or type(error).__name__}", where=path) from None
    except Exception as error:  # noqa: BLE001  (a hostile header may raise anything; its message may quote a patient)
        raise BadData(f"the header is damaged ({type(error).__name__})", where=path) from None


def _frames(file: BinaryIO, n_bytes: int, path: Path, member: str | None) -> Iterator[dict[str, Any]]:
    dataset, pixels_at = _header(file, path)
    if not len(dataset) and not len(dataset.file_meta):
        raise BadData("this is not a DICOM file", where=path, remedy="leave it out")
    if pixels_at is None or not tells(dataset, "Rows"):
        if is_image(text_of(dataset, _CLASS)):
            raise BadData(NO_PIXELS, where=path, remedy="fetch the file again")
        raise BadData("this DICOM file holds no image", where=path)
    start, length = pixels_at
    is_beyond = length != _UNKNOWN_LENGTH and start + length > n_bytes
    if is_beyond and syntax_of(dataset) != DeflatedExplicitVRLittleEndian:
        raise BadData("the file is cut off: its pixels are not all there", where=path, remedy="fetch the file again")
    what = drawn(text_of(dataset, _CLASS), text_of(dataset, "Modality"))
    shared = {"path": str(path), "member": member, "drawn": what} | _plain_facts(dataset)
    if what is not None:
        yield shared | {"frame": None}
        return
    n_frames = frames_of(dataset, n_bytes, path)
    groups = items_of(dataset, _GROUPS[1])
    if n_frames == 1 and not groups:
        yield shared | {"frame": None}
        return
    if dataset.get(_AGENTS):
        shared["agent"] = "told"
    common = next(iter(items_of(dataset, _GROUPS[0])), Dataset())
    # Where no frame tells anything of its own, all say the same.
    frames = [shared | _own(own, common) for own in groups[:n_frames]] or [shared | _own(Dataset(), common)] * n_frames
    order = lying_order([_lies(facts) for facts in frames]) if n_frames > 1 else None
    # Frames count as they lie, which is how `formats.read` counts them.
    for at, stored in enumerate(range(n_frames) if order is None else order):
        yield frames[stored] | {"frame": at if n_frames > 1 else None, "number": float(stored + 1)}


def _lies(facts: dict[str, Any]) -> Geometry:
    origin, direction = facts["position_mm"], facts["direction"]
    return Geometry(None, None if origin is None else tuple(origin), None if direction is None else tuple(direction))


def _header(file: BinaryIO, path: Path) -> tuple[Any, tuple[int, int] | None]:
    """Return the header, and where the pixels start and how many bytes they claim; None where there are none."""
    if (plain := plain_header(file, _WANTED)) is not None:
        return plain.dataset, (plain.start, plain.n_bytes)
    check_head(file, path)
    found: list[tuple[int, int]] = []

    def at_pixels(tag: int, _vr: str | None, length: int) -> bool:
        if int(tag) not in _PIXELS:
            return False
        found.append((file.tell(), length))
        return True

    return read_partial(file, at_pixels, force=True, specific_tags=_TAGS), (found[0] if found else None)


def _plain_facts(dataset: Dataset) -> dict[str, Any]:
    facts: dict[str, Any] = {
        name: next((text for word in words if (text := text_of(dataset, word))), None) for name, words in _TEXTS.items()
    }
    if (facts["agent"] or "").casefold() in _NO_AGENT:
        facts["agent"] = None
    if weighting := text_of(dataset, _WEIGHTING):
        facts["acquisition"] = " ".join(filter(None, (facts["acquisition"], weighting)))
    facts |= {name: _number(dataset, word) for name, word in _NUMBERS.items()}
    return facts | {name: _vector(numbers_of(dataset, word), n) for name, (word, n) in _VECTORS.items()}


def _own(own: Dataset, common: Dataset) -> dict[str, Any]:
    """Return what one frame's functional groups say, else those that all frames share."""
    facts: dict[str, Any] = {
        name: _vector(numbers_of(item, word), n)
        for name, (sequence, word, n) in _NESTED.items()
        if (item := _group(own, common, sequence)) is not None
    }
    for name, places in _OF_FRAMES.items():
        told = [text_of(item, word) for sequence, word in places if (item := _group(own, common, sequence)) is not None]
        facts[name] = " ".join(filter(None, told))
    if (measures := _group(own, common, "PixelMeasuresSequence")) is not None:
        facts |= {name: _number(measures, _NUMBERS[name]) for name in ("thickness_mm", "spacing_between_mm")}
    return {name: value for name, value in facts.items() if value}


def _group(own: Dataset, common: Dataset, sequence: str) -> Dataset | None:
    """Return the functional group of that name, of one frame or of all; None where there is none."""
    return next((item for place in (own, common) for item in place.get(sequence, ())), None)


def _number(dataset: Dataset, word: str) -> float | None:
    try:
        number = number_of(dataset, word)
    except (TypeError, ValueError):
        return None
    return number if number is not None and math.isfinite(number) else None


def _vector(value: Any, n: int) -> list[float] | None:  # noqa: ANN401  (whatever the file holds)
    if value is None or isinstance(value, (str, bytes)):
        return None
    try:
        numbers = [float(one) for one in value]
    except (TypeError, ValueError):
        return None
    return numbers if len(numbers) == n and all(math.isfinite(one) for one in numbers) else None
