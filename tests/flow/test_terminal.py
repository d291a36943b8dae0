"""What somebody sees in a terminal: lines that fit, with what is to be copied in one piece."""

import errno
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from grandrounds.cli.folding import folded
from grandrounds.cli.options import seconds
from grandrounds.errors import BadData, BadSpec


def in_terminal(*arguments: str, width: int, cwd: Path) -> list[str]:
    """Return the lines that a command writes to a terminal of this width."""
    ours, theirs = pty.openpty()
    environment = os.environ | {"COLUMNS": str(width), "NO_COLOR": "1", "TERM": "xterm"}
    command = [sys.executable, "-m", "grandrounds", *arguments]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, cwd=cwd, env=environment):
        os.close(theirs)
        said = b""
        try:
            while part := os.read(ours, 65536):
                said += part
        except OSError as error:  # what Linux says when the last writer is gone
            if error.errno != errno.EIO:
                raise
    os.close(ours)
    return said.decode().replace("\r\n", "\n").splitlines()


@pytest.mark.parametrize("width", [60, 80])
def test_an_error_is_folded_at_words_where_the_terminal_ends(tmp_path, width):
    """The remedy begins in one column and no line is longer than the terminal."""
    (tmp_path / "ours.csv").write_text("id,truth\na,b\n")

    lines = in_terminal("report", "ours.csv", width=width, cwd=tmp_path)

    assert lines[0] == "grandrounds: the columns sample and label are missing"
    assert lines[2].startswith("  what to do: say which it is with --sample COLUMN")
    assert len(lines) > 4
    assert max(map(len, lines)) <= width
    assert all(line.startswith(" " * 14) and line[14] != " " for line in lines[3:])


def test_what_is_to_be_copied_out_of_an_error_stays_in_one_line():
    """A path and a command are as they are, however narrow the terminal."""
    path = "a folder with spaces in its name and a name that is longer than the terminal is wide"
    remedy = f"go on with it as it is: grandrounds run {path}; or choose another folder with -o"
    error = BadData("the folder holds another study, which was asked for differently", where=path, remedy=remedy)

    lines = folded(str(error), 60).splitlines()

    assert lines == [
        "the folder holds another study, which was asked for",
        "differently",
        f"  where:      {path}",
        "  what to do: go on with it as it is:",
        f"              grandrounds run {path};",
        "              or choose another folder with -o",
    ]


def test_what_is_set_in_goes_on_set_in():
    """A line that belongs to the one above is seen to, and the next command is copied in one piece."""
    said = (
        "shortcuts\n    finding: the edge tells the label\nRun it with: grandrounds run DATA --families prior,best.toml"
    )

    assert folded(said, 24).splitlines() == [
        "shortcuts",
        "    finding: the edge",
        "    tells the label",
        "Run it with:",
        "grandrounds run DATA --families prior,best.toml",
    ]


def test_an_error_that_goes_to_a_file_is_not_folded(tmp_path):
    """Scripts look for a message in one line."""
    (tmp_path / "ours.csv").write_text("id,truth\na,b\n")

    said = subprocess.run(
        [sys.executable, "-m", "grandrounds", "report", "ours.csv"],
        capture_output=True, text=True, check=False, cwd=tmp_path, env=os.environ | {"COLUMNS": "60"},
    ).stderr  # fmt: skip

    assert len(said.splitlines()) == 3


@pytest.mark.parametrize(
    ("text", "remedy"),
    [("5", "write 5s, 5m or 5h"), ("soon", "write 90s, 5m or 2h"), ("0m", "write 90s"), ("0", "write 90s")],
)
def test_a_time_wants_its_unit(text, remedy):
    """Whoever means five minutes would have had five seconds."""
    with pytest.raises(BadSpec) as caught:
        seconds(text)
    assert caught.value.remedy.startswith(remedy)


def test_a_prediction_shows_how_far_it_is(tmp_path, archive):
    """On a terminal, and not among the answers."""
    run = ["run", str(archive), "-o", "run", "--families", "prior,lbp-svm", "--budget", "10s", "--seeds", "1"]
    subprocess.run([sys.executable, "-m", "grandrounds", *run], cwd=tmp_path, check=True, capture_output=True)
    said = in_terminal("predict", "run", str(archive), "-o", "answers.csv", width=100, cwd=tmp_path)

    assert any("Predicting" in line and "/160" in line for line in said)
    assert "Predicting" not in (tmp_path / "answers.csv").read_text()
