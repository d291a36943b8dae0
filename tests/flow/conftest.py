"""Reads hostile files in a process of its own, with limits on time and memory."""

import json
import subprocess
import sys

import pydicom
import pytest

MOST_S, MOST_MIB = 2.0, 256  # of a core, so that other work on the machine does not count
MOST_WAITED_S = 60.0  # on the clock; more is a hang, also where much else runs
# Reads every file that is named on its input, one by one, in a process of its own, and says what came of each.
READER = """
import json, resource, sys, time, warnings
from pathlib import Path
from grandrounds import formats
from grandrounds.data.dicom_headers import facts_of
from grandrounds.errors import Refusal

warnings.simplefilter("error")
for warm in sys.argv[1:]:
    formats.read(Path(warm))
base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for line in sys.stdin:
    path, member = json.loads(line)
    said, started, began = [], time.process_time(), time.monotonic()
    for what in (lambda: formats.read(Path(path), member=member), lambda: list(facts_of(Path(path), member))):
        try:
            what()
            said.append("read")
        except Refusal as refusal:
            said.append("refused: " + refusal.what)
        except BaseException as error:
            said.append(f"ESCAPED {type(error).__name__}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    spent = time.process_time() - started, time.monotonic() - began
    print(json.dumps([said, *spent, (peak - base) / 1024]), flush=True)
"""


@pytest.fixture(scope="session")
def read_all():
    """A function that reads files in a child process and returns what it said of each; see `_read_all`."""
    return _read_all


def _read_all(places, folder):
    """Read files in a child process; return what it said of each, and check time, memory and the folder.

    Args:
        places: Path and member of each.
        folder: Where nothing may be left behind.
    """
    before = sorted(str(path) for path in folder.rglob("*"))
    # The last starts the process in which two decoders work.
    names = ("CT_small.dcm", "MR_small_RLE.dcm", "JPGLosslessP14SV1_1s_1f_8b.dcm")
    warm = [pydicom.data.get_testdata_file(name, download=False) for name in names]
    lines = [json.dumps([str(path), member]) for path, member in places]
    done = subprocess.run(
        [sys.executable, "-c", READER, *warm],
        input="\n".join(lines),
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
    )
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(places), f"the reader died at {places[len(answers)]}: {done.stderr[-500:]}"
    for (place, _), (said, seconds, waited_s, mib) in zip(places, answers, strict=True):
        assert not any(one.startswith("ESCAPED") for one in said), (place, said)
        assert all(one == "read" or len(one) > 15 for one in said), (place, said)
        assert seconds <= MOST_S, (place, seconds)
        assert waited_s <= MOST_WAITED_S, (place, waited_s)
        assert mib <= MOST_MIB, (place, mib)
    assert sorted(str(path) for path in folder.rglob("*")) == before
    return [said for said, *_ in answers]
