"""The help texts, kept as they are: a change of them is a change that users see.

Write them anew with `GRANDROUNDS_GOLDEN=write pytest tests/golden`.
"""

import dataclasses
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from grandrounds.cli.options import Deciding, Judged, Wanted
from grandrounds.data import SourceOptions

HOME = Path(__file__).parent
COMMANDS = (
    "",
    "demo",
    "inspect",
    "plan",
    "run",
    "tune",
    "mask",
    "report",
    "audit",
    "predict",
    "evaluate",
    "describe",
    "names",
    "list",
)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_what_it_was(command):
    """Every command explains itself, with an example."""
    arguments = [sys.executable, "-m", "grandrounds", *([command] if command else []), "--help"]
    environment = os.environ | {"COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb"}
    said = subprocess.run(arguments, capture_output=True, text=True, check=True, env=environment).stdout
    golden = HOME / f"help-{command or 'grandrounds'}.txt"
    if os.environ.get("GRANDROUNDS_GOLDEN") == "write":
        golden.write_text(said, encoding="utf-8")

    assert said == golden.read_text(encoding="utf-8")
    assert "grandrounds" in said.partition("\n\n")[2]
    options = re.findall(r"^│ [* ]{1,2}(--[a-z.-]+)", said, re.MULTILINE)
    assert sorted(options) == sorted(set(options)), "of two options with one name only one would be heard"


def test_no_two_groups_of_options_share_a_name():
    """Of two options with one name only one would be heard, and the help would not show it."""
    groups = [[field.name for field in dataclasses.fields(group)] for group in (Judged, Wanted, Deciding)]
    names = [name for group in (*groups, SourceOptions.model_fields) for name in group]
    assert sorted(names) == sorted(set(names))


def test_commands_import_nothing_heavy_before_they_are_called():
    """Whoever asks for help does not wait for what trains and judges."""
    heavy = ("torch", "sklearn", "skimage", "scipy.stats", "numba", "matplotlib", "monai")
    code = f"import sys, grandrounds.cli.commands; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
