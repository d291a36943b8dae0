"""Hostile and broken files are read or refused with a reason: quickly, in little memory, leaving nothing behind."""

import gzip
import io
import struct
import time
import warnings
import zipfile
import zlib

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk  # noqa: N813  (the name that everybody knows it by)
from PIL import Image as Pillow
from pydicom.encaps import encapsulate
from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEG2000Lossless, JPEGBaseline8Bit, RLELossless

from grandrounds import formats
from grandrounds.data.dicom_files import files_of
from grandrounds.data.pacs_copy import SeriesFacts, write_slice
from grandrounds.errors import BadData

HU = np.random.default_rng(0).integers(-1000, 1000, (48, 40))


def _slice(folder, name="one.dcm", **extra):
    write_slice(folder / name, SeriesFacts("SIM-001", extra=extra), HU, 0, (0, 0, 0))
    return folder / name


def _nifti(shape):
    header = bytearray(352)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, 3, *shape, 1, 1, 1, 1)
    struct.pack_into("<hh", header, 70, 4, 16)
    struct.pack_into("<8f", header, 76, 1, 1, 1, 1, 0, 0, 0, 0)
    struct.pack_into("<f", header, 108, 352)
    header[344:348] = b"n+1\0"
    return bytes(header)


def _png(width, height):
    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


def _tiff(width, height):
    entries = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, 1, 8),
               (277, 3, 1, 1), (278, 4, 1, height), (279, 4, 1, 100)]  # fmt: skip
    body = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", len(entries)) + body + bytes(4)


def _bmp(width, height):
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 100, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 154, 0, 0, 54) + head + bytes(100)


def _nrrd(shape):
    sizes = " ".join(map(str, shape))
    head = f"NRRD0004\ntype: double\ndimension: 3\nsizes: {sizes}\nencoding: gzip\n\n"
    return head.encode() + gzip.compress(bytes(10**6))


def _mha(shape):
    sizes = " ".join(map(str, shape))
    head = f"ObjectType = Image\nNDims = 3\nDimSize = {sizes}\nElementType = MET_DOUBLE\nElementDataFile = LOCAL\n"
    return head.encode() + bytes(99)


def _npy(shape):
    text = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode() + bytes(64)


SHAPES = [(30000, 30000, 300), (32767, 32767, 32767), (20000, 20000, 20), (1, 32767, 32767), (32767, 1, 32767)]


def _deflated(content, how):
    """Return content deflated by itself, so that it may be repeated."""
    packer = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(content) + packer.flush(how)


ZEROS, DEFLATED_END = _deflated(bytes(2**20), zlib.Z_FULL_FLUSH), _deflated(b"", zlib.Z_FINISH)


def _bombs(folder):
    """Write sixty-eight files that claim or unpack to far more than they are."""
    made = []

    def add(name, content):
        (folder / name).write_bytes(content)
        made.append((folder / name, None))

    for at, shape in enumerate(SHAPES):
        add(f"claim{at}.nii", _nifti(shape))
        add(f"claim{at}.nii.gz", gzip.compress(_nifti(shape) + bytes(10_000_000)))
        add(f"claim{at}.nrrd", _nrrd(shape))
        add(f"claim{at}.mha", _mha(shape))
        add(f"claim{at}.npy", _npy(shape))
        add(f"claim{at}.png", _png(shape[0] * 10, shape[1] * 10))
        add(f"claim{at}.tif", _tiff(shape[0] * 10, shape[1] * 10))
        add(f"claim{at}.bmp", _bmp(shape[0], shape[1]))
        claims = {"Rows": min(shape[0], 65535), "Columns": min(shape[1], 65535), "NumberOfFrames": shape[2]}
        made.append((_slice(folder, f"claim{at}.dcm", **claims), None))
        with zipfile.ZipFile(folder / f"claim{at}.npz", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("image.npy", _npy(shape) + bytes(10_000_000))
        made.append((folder / f"claim{at}.npz", None))
    for at, n_frames in enumerate((10**5, 2 * 10**8, 2**31 - 1)):  # frames of one pixel, which fit in memory or do not
        made.append((_slice(folder, f"frames{at}.dcm", Rows=1, Columns=1, NumberOfFrames=n_frames), None))
    for at, mib in enumerate((5, 20, 100, 400, 544)):  # only the last is beyond what one image may have
        packed = ZEROS * mib + DEFLATED_END
        path = _slice(folder, f"deflated{at}.dcm", InstanceNumber=at)
        one = pydicom.dcmread(path)
        one.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
        one.save_as(path)
        content = path.read_bytes()
        head = content[: content.index(b"1.2.840.10008.1.2.1.99") + 22]
        add(path.name, head + packed)
    for at in range(5):
        inner = io.BytesIO()
        with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("a.dcm", bytes(10**7))
        for _ in range(at):
            outer = io.BytesIO()
            with zipfile.ZipFile(outer, "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr("a.dcm", inner.getvalue())
            inner = outer
        (folder / f"zip{at}.zip").write_bytes(inner.getvalue())
        made.append((folder / f"zip{at}.zip", "a.dcm"))
    with (
        zipfile.ZipFile(folder / "big.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("written.dcm", "w", force_zip64=True) as file,
    ):
        for _ in range(520):
            file.write(bytes(2**20))
    content = (folder / "big.zip").read_bytes()
    (folder / "big.zip").unlink()
    for at, name in enumerate((b"aaaaaaa.dcm", b"../../a.dcm", b"/etc/aa.dcm", b"C:\\aaaa.dcm", b"a\x01aaaaa.dcm")):
        (folder / f"big{at}.zip").write_bytes(content.replace(b"written.dcm", name))
        with zipfile.ZipFile(folder / f"big{at}.zip") as archive:
            made.append((folder / f"big{at}.zip", archive.namelist()[0]))
    return made


def test_bombs(tmp_path, read_all):
    """Sixty-eight files that claim or unpack to gigabytes are refused before anything of that size is there."""
    bombs = _bombs(tmp_path)
    said = read_all(bombs, tmp_path)

    assert len(bombs) == 68
    assert [str(path) for (path, _), one in zip(bombs, said, strict=True) if one[0] == "read"] == []


def test_members_that_unpack_to_zeros_below_the_limit(tmp_path, read_all):
    """Four hundred MiB of zeros in a ZIP, bare or behind the header of an image, are refused unread."""
    header = _slice(tmp_path).read_bytes()[:1000]
    for name, head in (("bare.zip", b""), ("headed.zip", header)):
        with (
            zipfile.ZipFile(tmp_path / name, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
            archive.open("a.dcm", "w") as file,
        ):
            file.write(head)
            for _ in range(400):
                file.write(bytes(2**20))
    said = read_all([(tmp_path / name, "a.dcm") for name in ("bare.zip", "headed.zip")], tmp_path)

    assert all(one[0].startswith("refused") for one in said)


def test_deflated_items_and_a_deflated_directory(tmp_path, read_all):
    """A sequence of a million empty items, and a DICOMDIR that unpacks to zeros, cost no more than other bombs."""
    content = _slice(tmp_path).read_bytes()
    start = content.index(struct.pack("<HH2s", 0x0008, 0x0008, b"CS"))
    items = struct.pack("<HH2sHI", 0x0008, 0x0006, b"SQ", 0, 2**32 - 1) + struct.pack("<HHI", 0xFFFE, 0xE000, 0) * 10**6
    one = pydicom.dcmread(tmp_path / "one.dcm")
    one.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    one.save_as(tmp_path / "one.dcm")
    deflated = (tmp_path / "one.dcm").read_bytes()
    head = deflated[: deflated.index(b"1.2.840.10008.1.2.1.99") + 22]
    for name, inside in (("items.dcm", items + bytes(8) + content[start:]), ("DICOMDIR", bytes(2**26))):
        packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
        (tmp_path / name).write_bytes(head + packer.compress(inside) + packer.flush())
    assert (tmp_path / "items.dcm").stat().st_size < 50_000
    started = time.process_time()
    with pytest.raises(BadData, match="compressed"):
        list(files_of(tmp_path / "DICOMDIR"))

    assert time.process_time() - started < 2
    assert read_all([(tmp_path / "items.dcm", None)], tmp_path)[0][0].startswith("refused")


def _png_with(kind, content):
    chunk = struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
    plain = _png(30, 20)
    return plain[:33] + chunk + plain[33:]


def _packed_bombs(folder):
    """Yield thirty more, of what lies inside: text and profiles of PNG, streams of JPEG and RLE, zeros, overlaps."""
    zeros = zlib.compress(bytes(2**28), 9)
    for at, (kind, head) in enumerate(
        [
            (b"zTXt", b"a\0\0"),
            (b"iTXt", b"a\0\1\0\0\0"),
            (b"iCCP", b"a\0\0"),
            (b"zTXt", b"\0\0"),
            (b"iCCP", b"sRGB\0\0"),
        ]
    ):
        (folder / f"text{at}.png").write_bytes(_png_with(kind, head + zeros))
        yield folder / f"text{at}.png", None
    for at, shape in enumerate(SHAPES):
        with zipfile.ZipFile(folder / f"zeros{at}.npz", "w", zipfile.ZIP_DEFLATED) as archive:
            rows = 2**27 + at * 2**20
            archive.writestr("image.npy", _npy((rows, 8))[:128] + bytes(2**26))
        yield folder / f"zeros{at}.npz", None
        for name, syntax, stream in (
            ("jpeg", JPEGBaseline8Bit, b"\xff\xd8\xff\xc0" + struct.pack(">HBHHB", 11, 8, 65500, 65500, 1) + bytes(99)),
            (
                "jpeg2000",
                JPEG2000Lossless,
                b"\xff\x4f\xff\x51" + struct.pack(">HHIIII", 47, 0, 2**30, 2**30, 0, 0) + bytes(99),
            ),
            ("rle", RLELossless, struct.pack("<16I", 1, 64, *[0] * 14) + b"\x81\0" * 5000),
        ):
            one = pydicom.dcmread(_slice(folder, f"{name}{at}.dcm"))
            one.file_meta.TransferSyntaxUID = syntax
            one.Rows, one.Columns = min(shape[0], 65535), min(shape[1], 65535)
            one.PixelData = encapsulate([stream + b"\0" * (len(stream) % 2)])
            one["PixelData"].is_undefined_length = True
            one.save_as(folder / f"{name}{at}.dcm")
            yield folder / f"{name}{at}.dcm", None
    for at in range(5):
        path = folder / f"overlap{at}.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("a.dcm", bytes(2**26))
        content = path.read_bytes()
        first = content.index(b"PK\1\2")
        central = content[first : content.index(b"PK\5\6")]
        names = [central.replace(b"a.dcm", b"%05d" % number) for number in range(2000 + at)]
        tail = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, len(names), len(names), sum(map(len, names)), first, 0)
        path.write_bytes(content[:first] + b"".join(names) + tail)
        yield path, "00001"


def test_bombs_inside_what_is_packed(tmp_path, read_all):
    """Thirty more are read in little memory, or refused before anything of that size is there."""
    bombs = list(_packed_bombs(tmp_path))
    said = read_all(bombs, tmp_path)

    assert len(bombs) == 30
    read = [path.name for (path, _), one in zip(bombs, said, strict=True) if one[0] == "read"]
    assert all(name.startswith("text") for name in read)  # a text that is not wanted is not unpacked


def test_truncations_of_every_format(tmp_path, read_all):
    """A file that ends early is refused, wherever it ends."""
    volume = sitk.GetImageFromArray(HU.astype(np.int16)[None].repeat(3, 0))
    made = [_slice(tmp_path, "whole.dcm")]
    for suffix in ("nii", "nii.gz", "nrrd", "mha"):
        sitk.WriteImage(volume, str(tmp_path / f"whole.{suffix}"))
        made.append(tmp_path / f"whole.{suffix}")
    for suffix in ("png", "tif", "bmp"):
        Pillow.fromarray((HU % 256).astype(np.uint8)).save(tmp_path / f"whole.{suffix}")
        made.append(tmp_path / f"whole.{suffix}")
    np.save(tmp_path / "whole.npy", HU)
    np.savez_compressed(tmp_path / "whole.npz", image=HU)
    made += [tmp_path / "whole.npy", tmp_path / "whole.npz"]
    places = []
    for path in made:
        content = path.read_bytes()
        for share in (0, 0.02, 0.2, 0.5, 0.8, 0.97):
            cut = tmp_path / f"cut{share}-{path.name}"
            cut.write_bytes(content[: int(len(content) * share)])
            places.append((cut, None))
    said = read_all(places, tmp_path)

    assert [str(path) for (path, _), one in zip(places, said, strict=True) if one[0] == "read"] == []


def test_sequences_nested_three_hundred_deep(tmp_path, read_all):
    """An image with a sequence within a sequence, three hundred times, is read, and does not end the program."""
    places = []
    for depth in (10, 100, 300):
        inner = b""
        for _ in range(depth):
            item = struct.pack("<HHI", 0xFFFE, 0xE000, len(inner)) + inner
            inner = struct.pack("<HH2sHI", 0x0008, 0x1140, b"SQ", 0, len(item)) + item
        content = _slice(tmp_path).read_bytes()
        at = content.index(struct.pack("<HH2s", 0x0010, 0x0010, b"PN"))
        path = tmp_path / f"deep{depth}.dcm"
        path.write_bytes(content[:at] + inner + content[at:])
        places.append((path, None))
    said = read_all(places, tmp_path)

    assert said == [["read", "read"]] * 3


def test_polyglots_odd_names_and_odd_contents(tmp_path, read_all):
    """Two formats in one file, names in any script, UIDs like paths, images without any contrast."""
    content = _slice(tmp_path, "plain.dcm").read_bytes()
    script = b"<script>alert(1)</script>"
    polyglots = {"elf": b"\x7fELF", "exe": b"MZ\x90\x00", "html": script, "zip": b"PK\x03\x04", "pdf": b"%PDF-1.7"}
    places = []
    for name, head in polyglots.items():
        (tmp_path / f"{name}.dcm").write_bytes(head.ljust(128, b"\0") + content[128:])
        places.append((tmp_path / f"{name}.dcm", None))
    named = tmp_path / "Ünïcödé 胸部 \u202e" / "çà.dcm"
    named.parent.mkdir()
    named.write_bytes(content)
    write_slice(tmp_path / "zero.dcm", SeriesFacts("SIM-002"), np.zeros((8, 8), int), 0, (0, 0, 0))
    said = read_all([*places, (named, None), (tmp_path / "zero.dcm", None)], tmp_path)

    assert said[len(polyglots) :] == [["read", "read"], ["read", "read"]]
    one = pydicom.dcmread(tmp_path / "plain.dcm")
    with warnings.catch_warnings(action="ignore"):
        one.SeriesInstanceUID = "../../../outside"
        one.save_as(tmp_path / "path.dcm")
    assert read_all([(tmp_path / "path.dcm", None)], tmp_path)[0][0] == "read"


def test_colour_where_grey_is_wanted_says_so(tmp_path):
    """A step that needs grey names what it got."""
    from grandrounds.prepare import Pipeline
    from grandrounds.prepare.pipeline import build_step

    Pillow.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "colour.png")
    image = formats.read(tmp_path / "colour.png")
    with pytest.raises(BadData, match=r"channels|Hounsfield|grey"):
        Pipeline(whole=(build_step({"step": "window", "low_hu": 0, "high_hu": 1}),))(image)
