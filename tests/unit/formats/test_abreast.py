"""Work that is shared out comes back in order, and a refusal comes home as it was."""

import multiprocessing
import os
import time
from pathlib import Path

import psutil
import pytest

from grandrounds import processes
from grandrounds.errors import BadData
from grandrounds.formats import abreast as module
from grandrounds.formats import isolated
from grandrounds.formats.abreast import ALONE, Crew


def squares(numbers):
    return [number**2 for number in numbers]


def whose(numbers):
    time.sleep(0.02)  # so that both processes get some
    return [os.getpid() for _ in numbers]


def clock(numbers):
    return [time.monotonic() for _ in numbers]


def refuse_the_fifth(numbers):
    if 5 in numbers:
        raise BadData("the fifth is bad", where="fifth.png", remedy="leave it out")
    return numbers


def die(numbers):
    if multiprocessing.parent_process() is not None:
        os._exit(1)
    time.sleep(0.02)
    return numbers


@pytest.fixture
def at_once(monkeypatch):
    """Processes start however little there is to do."""
    monkeypatch.setattr(module, "_WORTH_S", 0.0)


@pytest.fixture
def two(at_once):
    """A crew of two."""
    with Crew(2) as crew:
        yield crew


@pytest.mark.parametrize("n", [0, 1, 7, 40])
def test_order_and_content_do_not_depend_on_processes(n, two):
    """One process or two, what comes out is the same."""
    alone, shared = ([one for piece in crew.abreast(squares, range(n), n_each=3) for one in piece]
                     for crew in (ALONE, two))  # fmt: skip

    assert alone == shared == [number**2 for number in range(n)]


def test_the_work_is_shared_out(at_once):
    """Whoever asks does a share of it, and others do the rest."""
    with Crew(3) as crew:
        pids = [pid for piece in crew.abreast(whose, range(300), n_each=2) for pid in piece]

    assert pids[:2] == [os.getpid()] * 2
    assert len(set(pids)) == 3
    assert 0.1 < pids.count(os.getpid()) / len(pids) < 0.9


def test_the_same_processes_do_what_follows(two):
    """Nobody waits a second time for a process to start, and no more are there than were asked for."""
    first, second = ({pid for piece in two.abreast(whose, range(300), n_each=2) for pid in piece} for _ in range(2))

    assert len(first) == 2
    assert second == first


def test_the_processes_end_with_the_crew(at_once):
    """Nothing goes on running behind the back of whoever asked."""
    with Crew(2) as crew:
        others = {pid for piece in crew.abreast(whose, range(300), n_each=2) for pid in piece} - {os.getpid()}

    assert len(others) == 1
    assert not any(psutil.pid_exists(pid) for pid in others)


def test_few_pieces_are_ahead(two):
    """What was read and not taken yet is bounded, however slow its reader is, so that memory stays flat."""
    worked, taken = [], []
    for (when,) in two.abreast(clock, range(400), n_each=1):
        worked.append(when)
        time.sleep(0.002)
        taken.append(time.monotonic())

    ahead = [sum(when < now for when in worked) - at for at, now in enumerate(taken)]
    assert max(ahead) <= 5


def test_little_work_starts_no_process():
    """Where the rest takes no time, it stays here."""
    with Crew(2) as crew:
        assert {pid for piece in crew.abreast(whose, range(8), n_each=2) for pid in piece} == {os.getpid()}


def test_little_work_with_a_long_outlook_starts_processes(monkeypatch):
    """Whoever knows that much more will follow has the others start at once."""
    monkeypatch.setattr(module, "_WORTH_S", 100.0)
    with Crew(2) as crew:
        pids = {pid for piece in crew.abreast(whose, range(300), n_each=2, outlook=1000) for pid in piece}

    assert len(pids) == 2


def test_whoever_has_enough_may_stop(two):
    """Work that nobody takes any more is given up, and the crew does other work."""
    for (number,) in two.abreast(squares, range(400), n_each=1):
        if number > 100:
            break

    assert [one for (one,) in two.abreast(squares, range(9), n_each=1)] == squares(range(9))


def test_a_refusal_comes_home_with_what_where_and_remedy(two):
    """Whoever waits for the work sees the refusal of the process that did it."""
    with pytest.raises(BadData) as error:
        list(two.abreast(refuse_the_fifth, range(9), n_each=2))

    assert (error.value.what, error.value.where, error.value.remedy) == (
        "the fifth is bad",
        "fifth.png",
        "leave it out",
    )


def test_a_process_that_dies_is_a_refusal(two):
    """A dead process is told in words, with what to do."""
    with pytest.raises(BadData, match="ran out of memory"):
        list(two.abreast(die, range(400), n_each=2))


def decoder(_items):
    return [isolated.decoded(os.getpid, path=Path("x"))]


def test_a_decoder_in_a_process_of_its_own_ends_with_who_asked_for_it():
    """Also where that process is ended from outside, and so has no time to clear up."""
    executor = processes.fresh(1)
    (decoding,) = executor.submit(decoder, [1]).result()
    assert psutil.pid_exists(decoding)
    processes.end(executor)

    deadline = time.monotonic() + 20
    while psutil.pid_exists(decoding) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not psutil.pid_exists(decoding)
