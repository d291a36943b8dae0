from __future__ import annotations

import subprocess
import sys
import textwrap
import zlib

import numpy as np
import pytest
from PIL import Image as Pillow

from grandrounds import formats
from grandrounds.errors import BadData
from grandrounds.formats import Where
from grandrounds.formats.reading import crop
from grandrounds.image import Geometry, Image


def test_absent_empty_and_folder(tmp_path):
    """What is no file at all is refused in so many words."""
    (tmp_path / "empty.png").touch()

    for path, words in (
        (tmp_path / "no.png", "no such file"),
        (tmp_path, "a folder"),
        (tmp_path / "empty.png", "empty"),
    ):
        with pytest.raises(BadData, match=words):
            formats.read(path)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("one.png", b"<html>Not found</html>", "a web page"),
        ("one.png", b"GIF89a...", "a GIF picture"),
        ("one.dcm", b"%PDF-1.7", "a PDF document"),
        ("one.npy", b"hello, this is text", "plain text"),
        ("one.npz", b"\x00\x01\x02\x03\xff", "something unknown"),
    ],
)
def test_wrong_type_is_named(tmp_path, name, content, words):
    """The message says what the file seems to be."""
    (tmp_path / name).write_bytes(content)

    with pytest.raises(BadData, match=words):
        formats.read(tmp_path / name)


def test_content_decides_where_the_name_says_nothing(tmp_path):
    """A file without an ending is read by its first bytes."""
    Pillow.new("L", (4, 3)).save(tmp_path / "one.png")
    (tmp_path / "one.png").rename(tmp_path / "one")

    assert formats.read(tmp_path / "one").space == (3, 4)
    assert formats.names_image(tmp_path / "one")


@pytest.mark.parametrize("box", [(0, 0, 4, 4), (2, 0, 2, 4), (-1, 0, 2, 2), (0, 0, 2)])
def test_box_outside(tmp_path, box):
    """A box must lie inside the image and hold a pixel."""
    np.save(tmp_path / "one.npy", np.zeros((3, 4)))

    with pytest.raises(BadData, match="does not lie inside"):
        formats.read(tmp_path / "one.npy", box=box)


def test_images_under_a_path(tmp_path):
    """A folder gives its files, an archive the frames of its arrays of images."""
    (tmp_path / "a").mkdir()
    Pillow.new("L", (4, 3)).save(tmp_path / "a" / "one.png")
    (tmp_path / "notes.txt").write_text("hello")
    np.savez(tmp_path / "set.npz", test_images=np.zeros((2, 4, 5)), test_labels=np.zeros((2, 1)))

    assert [where.path.name for where in formats.images_in(tmp_path)] == ["one.png"]
    assert [(where.member, where.frame) for where in formats.images_in(tmp_path / "set.npz")] == [
        ("test_images", 0),
        ("test_images", 1),
    ]


def test_a_link_that_leads_nowhere_is_listed_and_refused(tmp_path):
    """Whoever asks what lies in a folder hears of it, and reading says what to do."""
    (tmp_path / "one.png").symlink_to("none.png")
    (tmp_path / "@eaDir").mkdir()
    Pillow.new("L", (4, 3)).save(tmp_path / "@eaDir" / "one.png")

    assert formats.images_in(tmp_path) == formats.images_in(tmp_path / "one.png") == [Where(tmp_path / "one.png")]
    with pytest.raises(BadData, match=r"leads nowhere(.|\n)*datalad get"):
        formats.read(tmp_path / "one.png")


def _huge_png() -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + name + data + zlib.crc32(name + data).to_bytes(4, "big")

    header = (60_000).to_bytes(4, "big") * 2 + bytes([8, 0, 0, 0, 0])
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(10**6)))
        + chunk(b"IEND", b"")
    )


def test_bombs_stay_within_the_budget(tmp_path):
    """In a fresh process, refusing files that claim gigabytes takes next to no memory."""
    (tmp_path / "one.png").write_bytes(_huge_png())
    header = {"descr": "<f8", "fortran_order": False, "shape": (40_000, 40_000)}
    with (tmp_path / "one.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
    script = """
        import resource, sys
        from grandrounds import errors, formats
        import grandrounds.formats.arrays, grandrounds.formats.picture
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for path in sys.argv[1:]:
            try:
                formats.read(path)
            except errors.BadData:
                continue
            raise SystemExit(f"{path} was read")
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    """
    paths = [str(tmp_path / "one.png"), str(tmp_path / "one.npy")]
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script), *paths], check=True, capture_output=True)

    assert int(done.stdout) < 64 * 1024  # KiB


def test_a_cut_image_has_an_origin_only_where_somebody_knows_it():
    """It moves along with spacing and direction, and is unknown without; what is not moved keeps it."""
    along = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
    for geometry, expected in (
        (Geometry((2.0, 3.0), (10.0, 20.0, 30.0), along), (10 + 3 * 3.0, 20 + 2 * 2.0, 30.0)),
        (Geometry((2.0, 3.0), (10.0, 20.0, 30.0), None), None),
        (Geometry(None, (10.0, 20.0, 30.0), along), None),
    ):
        image = Image(np.zeros((1, 8, 9), np.uint8), geometry)

        assert crop(image, (2, 3, 6, 7)).geometry.origin_mm == expected
        assert crop(image, (0, 0, 6, 7)).geometry.origin_mm == geometry.origin_mm
