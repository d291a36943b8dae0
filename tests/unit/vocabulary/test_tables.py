"""Tables are checked, whole, and carry their metadata."""

import contextlib
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grandrounds import tables
from grandrounds.errors import BadData, StoreTrouble

ROW = {"case": "001", "repeat": 0, "fold": 0, "role": "train"}


def test_metadata_travel_inside_the_file(tmp_path):
    """What was written with a table is read with it."""
    path = tables.write(pl.DataFrame([ROW]), tables.SPLITS, tmp_path / "splits.parquet", {"seed": 3, "notes": ["a"]})

    assert tables.read(tables.SPLITS, path).meta == {"seed": 3, "notes": ["a"]}


def test_identifiers_in_csv_stay_text(tmp_path):
    """The patient 001 is not the number 1."""
    (tmp_path / "splits.csv").write_text("case,repeat,fold,role\n001,0,0,train\n")

    assert tables.read(tables.SPLITS, tmp_path / "splits.csv").frame["case"].to_list() == ["001"]


@pytest.mark.parametrize(
    ("frame", "complaint"),
    [
        (pl.DataFrame([{"case": "a"}]), "missing"),
        (pl.DataFrame([ROW | {"role": None}], schema_overrides={"role": pl.String}), "empty"),
        (pl.DataFrame([ROW, ROW]), "share"),
        (pl.DataFrame([ROW | {"fold": "first"}]), "wrong kind"),
    ],
)
def test_a_table_that_is_none_is_refused(frame, complaint):
    """The message says what is wrong with it."""
    with pytest.raises(BadData, match=complaint):
        tables.check(frame, tables.SPLITS)


@settings(deadline=None)  # it writes to the disk, which may be busy
@given(st.lists(st.tuples(st.text(min_size=1), st.sampled_from(["train", "test"])), unique_by=lambda row: row[0]))
def test_what_is_written_is_read(tmp_path_factory, rows):
    """Any text survives as an identifier."""
    frame = pl.DataFrame(
        [{"case": case, "repeat": 0, "fold": 0, "role": role} for case, role in rows],
        schema=dict(tables.SPLITS.columns),
    )
    path = tables.write(frame, tables.SPLITS, tmp_path_factory.mktemp("t") / "splits.parquet")

    assert tables.read(tables.SPLITS, path).frame.equals(frame)


def test_a_failed_write_leaves_the_old_file(tmp_path):
    """Nothing that was saved is lost when a later save fails."""
    path = tmp_path / "note.txt"
    path.write_text("old")
    with contextlib.suppress(ZeroDivisionError), tables.atomic(path) as temporary:
        temporary.write_text("half")
        _ = 1 / 0

    assert path.read_text() == "old"
    assert [one.name for one in tmp_path.iterdir()] == ["note.txt"]


FULL = Path("/dev/full")


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_said_plainly(tmp_path):
    """The message says what to do, and the old file is untouched."""
    path = tmp_path / "note.txt"
    path.write_text("old")
    with pytest.raises(StoreTrouble, match="free some space"), tables.atomic(path), FULL.open("w") as full:
        full.write("x" * 100_000)

    assert path.read_text() == "old"


def test_a_file_that_is_no_table_is_refused(tmp_path):
    """Bytes that are no Parquet are named as such."""
    (tmp_path / "splits.parquet").write_bytes(b"nonsense")
    with pytest.raises(BadData, match="splits table"):
        tables.read(tables.SPLITS, tmp_path / "splits.parquet")


def test_a_table_killed_while_written_is_the_old_or_the_new(tmp_path):
    """A kill at a random moment leaves a table that can be read."""
    code = (
        "import sys, polars as pl\nfrom pathlib import Path\nfrom grandrounds import tables\n"
        "frame = pl.DataFrame({'case': [str(k) for k in range(20000)], 'repeat': [0]*20000, 'fold': [0]*20000,"
        " 'role': ['train']*20000})\npath = Path(sys.argv[1])\ntables.write(frame, tables.SPLITS, path)\n"
        "print('ready', flush=True)\nwhile True: tables.write(frame, tables.SPLITS, path)\n"
    )
    path = tmp_path / "splits.parquet"
    process = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE)
    process.stdout.readline()
    process.stdout.close()
    process.kill()
    process.wait()

    assert tables.read(tables.SPLITS, path).frame.height == 20000
