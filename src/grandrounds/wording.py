"""Numbers and what they count in words, and paths without where they lead."""

from __future__ import annotations

from pathlib import PureWindowsPath

_ADDRESS = "://"
_ONE = {"are": "is", "have": "has", "were": "was", "take": "takes", "stand": "stands"}


def many(n: int, what: str, do: str = "") -> str:
    """Return a number and what it counts, and what that does where a sentence goes on.

    >>> many(1, "set"), many(1200, "pair"), many(1, "exam", "have"), many(2, "series", "are")
    ('1 set', '1,200 pairs', '1 exam has', '2 series are')
    """
    several = what if what.endswith("s") else f"{what}s"
    words = f"{n:,} {what if n == 1 else several}"
    return f"{words} {_ONE[do] if n == 1 else do}" if do else words


def with_sign(value: float, digits: int = 3) -> str:
    """Return a difference with its sign, and a minus that is one.

    >>> with_sign(0.0214), with_sign(-0.1)
    ('+0.021', '−0.100')
    """
    return f"{value:+.{digits}f}".replace("-", "−")


def percent(share: float, digits: int = 0) -> str:
    """Return a share as people write it.

    >>> percent(0.8), percent(0.0012, 1)
    ('80 %', '0.1 %')
    """
    return f"{share:.{digits}%}".replace("%", " %")


def last_part(path: str) -> str:
    r"""Return the last part of a path of any system; what is no path, or an address, as it is.

    >>> last_part("/ward/labels.csv"), last_part("C:\\ward\\x"), last_part("hrct"), last_part("https://a/b")
    ('…/labels.csv', '…/x', 'hrct', 'https://a/b')
    """
    name = PureWindowsPath(path).name  # it knows both separators
    return path if name == path or _ADDRESS in path else f"…/{name}"


def is_rooted(path: str) -> bool:
    """Return whether a path begins at the root of a disk, of any system.

    >>> is_rooted("/ward/x"), is_rooted("C:/ward"), is_rooted("ward/x"), is_rooted("https://a/b")
    (True, True, False, False)
    """
    return path.startswith("/") or (PureWindowsPath(path).is_absolute() and _ADDRESS not in path)
