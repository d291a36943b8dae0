"""The formats that can be read, and how a file of each is told from its first bytes."""

from __future__ import annotations

from dataclasses import dataclass

from grandrounds.registry import Registry


@dataclass(frozen=True, slots=True)
class FormatEntry:
    """One family of formats.

    Args:
        name: What users see.
        summary: One line for a list.
        suffixes: Endings of file names, lower case.
        magic: (offset, bytes) pairs; one that matches tells the format.
        read: `"module:function"`, called with (path, member, frame).
        reference: Where the format is defined.
        slices: `"module:function"`, called with (path): how many slices or frames a file holds, None where it is flat;
            None for a format that holds none.
    """

    name: str
    summary: str
    suffixes: tuple[str, ...]
    magic: tuple[tuple[int, bytes], ...]
    read: str
    reference: str
    slices: str | None = None


FORMATS: Registry[FormatEntry] = Registry(
    "format",
    [
        FormatEntry(
            "dicom",
            "DICOM images, one or many frames a file",
            (".dcm", ".dicom", ".ima"),
            ((128, b"DICM"),),
            "grandrounds.formats.dicom:read",
            "DICOM PS3.3, PS3.5 and PS3.10",
            "grandrounds.formats.dicom:n_slices",
        ),
        FormatEntry(
            "picture",
            "PNG, JPEG, TIFF and BMP",
            (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp"),
            (
                (0, b"\x89PNG\r\n\x1a\n"),
                (0, b"\xff\xd8\xff"),
                (0, b"II*\x00"),
                (0, b"MM\x00*"),
                (0, b"II+\x00"),
                (0, b"MM\x00+"),
                (0, b"BM"),
            ),
            "grandrounds.formats.picture:read",
            "ISO/IEC 15948 (PNG), ITU-T T.81 (JPEG), TIFF 6.0",
            "grandrounds.formats.picture:n_slices",
        ),
        FormatEntry(
            "gif-webp",
            "GIF and WebP of one frame",
            (".gif", ".webp"),
            ((0, b"GIF87a"), (0, b"GIF89a"), (8, b"WEBP")),
            "grandrounds.formats.picture:read",
            "CompuServe GIF89a, RFC 9649 (WebP)",
        ),
        FormatEntry(
            "npy",
            "NumPy arrays",
            (".npy",),
            ((0, b"\x93NUMPY"),),
            "grandrounds.formats.arrays:read_npy",
            "NumPy enhancement proposal 1",
            "grandrounds.formats.arrays:n_slices",
        ),
        FormatEntry(
            "npz",
            "archives of NumPy arrays",
            (".npz",),
            ((0, b"PK\x03\x04"), (0, b"PK\x05\x06")),
            "grandrounds.formats.arrays:read_npz",
            "NumPy enhancement proposal 1",
        ),
        FormatEntry(
            "volume",
            "NRRD, MetaImage and NIfTI in one file",
            (".nrrd", ".mha", ".nii", ".nii.gz"),
            (
                (0, b"NRRD000"),
                (0, b"ObjectType"),
                (0, b"NDims"),
                (0, b"Comment"),
                (344, b"n+1\x00"),
                (4, b"n+2\x00"),
                (0, b"\x1f\x8b"),
            ),
            "grandrounds.formats.volume:read",
            "Teem NRRD, ITK MetaIO, NIfTI-1 and NIfTI-2",
            "grandrounds.formats.volume:n_slices",
        ),
    ],
    group="grandrounds.formats",
)
