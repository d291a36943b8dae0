"""Worker processes have what they are to have, and outlive nobody."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import psutil
import pytest

from grandrounds.study import engine
from grandrounds.study.spec import Ask, DataSpec, Means

PROGRAM = """
import os, sys, time
from grandrounds.processes import end, fresh, furnished

def loaded(module):
    return module in sys.modules

def barred():
    import torch
    return torch.cuda._is_in_bad_fork()

if __name__ == "__main__":
    executor = {executor}
    print(executor.submit({work}).result(), flush=True)
    time.sleep({wait_s})
    end(executor)
"""
FURNISHED = "furnished(2, ['colorsys', 'a_module_that_is_not_there'])"
KINDS = pytest.mark.parametrize("executor", ["fresh(1)", FURNISHED])
linux = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere no process branches off from another")


@contextmanager
def program(folder, work, executor, *, wait_s=0.0, **environment):
    """A running program that has one worker do some work, and then waits."""
    path = folder / "program.py"
    path.write_text(PROGRAM.format(executor=executor, work=work, wait_s=wait_s), encoding="utf-8")
    with subprocess.Popen(
        [sys.executable, str(path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ | environment, start_new_session=True,
    ) as started:  # fmt: skip
        try:
            yield started
        finally:
            started.kill()


def is_gone(process, within_s=10.0):
    last = time.monotonic() + within_s
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        if time.monotonic() > last:
            return False
        time.sleep(0.05)
    return True


@linux
def test_furnished_processes_have_their_libraries_before_they_work(tmp_path):
    """What takes seconds to import is there when a process starts; a library that is missing is nobody's trouble."""
    with program(tmp_path, "loaded, 'colorsys'", FURNISHED) as started:
        assert started.communicate() == ("True\n", "")
    with program(tmp_path, "loaded, 'colorsys'", "furnished(1, ['colorsys'])") as started:
        assert started.communicate() == ("False\n", "")  # for one by itself it would take longer


@linux
def test_what_trials_import_leaves_the_graphics_card_to_them(tmp_path):
    """CUDA that was touched before a process branched off cannot be used in it."""
    if not hasattr(pytest.importorskip("torch")._C, "_cuda_getDeviceCount"):
        pytest.skip("this torch was built without CUDA")
    touched = "import torch; torch._C._cuda_getDeviceCount()"
    (tmp_path / "touching.py").write_text(touched, encoding="utf-8")
    said = []
    for module in (engine.LIBRARIES, "touching"):
        with program(tmp_path, "barred", f"furnished(2, ['{module}'])", PYTHONPATH=str(tmp_path)) as started:
            said.append(started.communicate()[0])

    assert said == ["False\n", "True\n"]


@linux
def test_a_broken_library_is_left_to_whoever_needs_it(tmp_path):
    """A package whose parts are not there must not end the process that others branch off from."""
    (tmp_path / "torch.py").write_text("raise OSError('a part is not there')", encoding="utf-8")
    with program(tmp_path, "loaded, 'scipy.stats'", f"furnished(2, ['{engine.LIBRARIES}'])",
                 PYTHONPATH=str(tmp_path)) as started:  # fmt: skip
        assert started.communicate() == ("True\n", "")


@linux
def test_where_no_process_can_branch_off_processes_are_fresh(tmp_path):
    """A folder for temporary files may lie deeper than a socket's path may be long."""
    deep = tmp_path / ("deep" * 30)
    deep.mkdir()
    with program(tmp_path, "loaded, 'colorsys'", FURNISHED, TMPDIR=str(deep)) as started:
        assert started.communicate() == ("False\n", "")


@KINDS
def test_workers_end_with_their_program(executor, tmp_path):
    """A program that is killed leaves nobody behind, not even the process that others branched off from."""
    with program(tmp_path, "os.getpid", executor, wait_s=60) as started:
        worker = psutil.Process(int(started.stdout.readline()))
        behind = [worker, *psutil.Process(started.pid).children(recursive=True)]
        started.kill()

        assert [is_gone(process) for process in behind] == [True] * len(behind)


@KINDS
def test_ctrl_c_is_the_programs(executor, tmp_path):
    """The key reaches every process of a terminal, and only the program itself says so."""
    with program(tmp_path, "os.getpid", executor, wait_s=60) as started:
        started.stdout.readline()
        os.killpg(started.pid, signal.SIGINT)

        assert started.communicate()[1].count("KeyboardInterrupt") == 1


@linux
def test_ctrl_c_during_the_import_is_the_programs(tmp_path):
    """Nor does the process that imports for all others speak up in the middle of it."""
    (tmp_path / "slow.py").write_text("import time\ntime.sleep(2)\n", encoding="utf-8")
    with program(tmp_path, "os.getpid", "furnished(2, ['slow'])", PYTHONPATH=str(tmp_path)) as started:
        time.sleep(1)
        os.killpg(started.pid, signal.SIGINT)

        assert started.communicate()[1].count("KeyboardInterrupt") == 1


def test_processes_have_the_environment_of_today(monkeypatch):
    """What is set after the first study holds for the second."""
    for value in ("first", "second"):
        monkeypatch.setenv("GRANDROUNDS_TRIED", value)
        with engine.workers(_ask()) as executor:
            assert executor.submit(os.getenv, "GRANDROUNDS_TRIED").result() == value


def test_workers_end_with_the_block():
    """Nobody waits for them, and none is left."""
    with engine.workers(_ask()) as executor:
        numbers = {executor.submit(os.getpid).result() for _ in range(4)}

    assert numbers
    assert not [number for number in numbers if psutil.pid_exists(number)]


def _ask():
    return Ask(name="two", data=DataSpec(source="nowhere"), families=("prior",), means=Means(workers=2))
