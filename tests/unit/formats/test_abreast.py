"""Work that is shared out comes back in order, and a refusal comes home as it was."""

import os
import time

import pytest

from grandrounds.errors import BadData
from grandrounds.formats import abreast as module
from grandrounds.formats.abreast import abreast


def squares(numbers):
    return [number**2 for number in numbers]


def whose(numbers):
    time.sleep(0.02)  # so that both processes get some
    return [os.getpid() for _ in numbers]


def refuse_the_fifth(numbers):
    if 5 in numbers:
        raise BadData("the fifth is bad", where="fifth.png", remedy="leave it out")
    return numbers


def die(numbers):
    if 0 not in numbers:
        os._exit(1)
    return numbers


@pytest.fixture
def at_once(monkeypatch):
    """Processes start however little there is to do."""
    monkeypatch.setattr(module, "_WORTH_S", 0.0)


@pytest.mark.parametrize("n", [0, 1, 7, 40])
def test_order_and_content_do_not_depend_on_processes(n, at_once):
    """One process or two, what comes out is the same."""
    alone, shared = ([one for piece in abreast(squares, range(n), workers=workers, n_each=3) for one in piece]
                     for workers in (1, 2))  # fmt: skip

    assert alone == shared == [number**2 for number in range(n)]


def test_the_work_is_shared_out(at_once):
    """All but the first piece is done by others, and by more than one."""
    pids = [pid for piece in abreast(whose, range(60), workers=2, n_each=2) for pid in piece]

    assert pids[:2] == [os.getpid()] * 2
    assert os.getpid() not in pids[2:]
    assert len(set(pids[2:])) == 2


def test_little_work_starts_no_process():
    """Where the rest takes no time, it stays here."""
    assert {pid for piece in abreast(whose, range(8), workers=2, n_each=2) for pid in piece} == {os.getpid()}


def test_a_refusal_comes_home_with_what_where_and_remedy(at_once):
    """Whoever waits for the work sees the refusal of the process that did it."""
    with pytest.raises(BadData) as error:
        list(abreast(refuse_the_fifth, range(9), workers=2, n_each=2))

    assert (error.value.what, error.value.where, error.value.remedy) == (
        "the fifth is bad",
        "fifth.png",
        "leave it out",
    )


def test_a_process_that_dies_is_a_refusal(at_once):
    """A dead process is told in words, with what to do."""
    with pytest.raises(BadData, match="ran out of memory"):
        list(abreast(die, range(9), workers=2, n_each=2))
