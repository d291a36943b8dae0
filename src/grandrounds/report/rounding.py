"""Numbers as a reader sees them: one rounding for each kind, and a word where there is no number."""

from __future__ import annotations

import math

from grandrounds.wording import with_sign

UNDEFINED = "undefined"
NOT_APPLICABLE = "not applicable"
NOT_RECORDED = "–"
MINUS = "\N{MINUS SIGN}"


def known(value: float | None) -> bool:
    """Return whether there is a number at all."""
    return value is not None and math.isfinite(value)


def share(value: float | None, digits: int = 3) -> str:
    """Return a metric, 0.934, or the word undefined."""
    if value is None or not math.isfinite(value):
        return UNDEFINED
    return f"{value:.{digits}f}".replace("-", MINUS)


def signed(value: float | None, digits: int = 3) -> str:
    """Return a difference with its sign, +0.021."""
    if value is None or not math.isfinite(value):
        return UNDEFINED
    return with_sign(value, digits)


def interval(low: float | None, high: float | None, digits: int = 3) -> str:
    """Return an interval, 0.912 to 0.951, or nothing where it is unknown."""
    return f"{share(low, digits)} to {share(high, digits)}" if known(low) and known(high) else ""


def p_value(value: float | None) -> str:
    """Return a p value, never smaller than can be meant."""
    if value is None or not math.isfinite(value):
        return NOT_RECORDED
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def amount(value: float | None) -> str:
    """Return a cost with three digits that count: 0.0123, 4.56, 12, 1,234."""
    if value is None or not math.isfinite(value):
        return NOT_RECORDED
    if float(value).is_integer() or abs(value) >= 100:
        return f"{value:,.0f}".replace("-", MINUS)
    digits = max(0, min(4, 2 - math.floor(math.log10(abs(value)))))
    return f"{value:.{digits}f}".replace("-", MINUS)


def count(value: float | None) -> str:
    """Return a whole number with thousands marked, or one decimal where it is a mean count."""
    if value is None or not math.isfinite(value):
        return NOT_RECORDED
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.1f}"


def size(n_bytes: float | None) -> str:
    """Return a size in kB or MB."""
    if n_bytes is None or not math.isfinite(n_bytes):
        return NOT_RECORDED
    return f"{amount(n_bytes / 1e6)} MB" if n_bytes >= 1e6 else f"{amount(n_bytes / 1e3)} kB"


def span(low: float | None, high: float | None) -> str:
    """Return a range, or the one value where both ends agree."""
    return amount(low) if low == high else f"{amount(low)} to {amount(high)}"


def listed(names: list[str] | tuple[str, ...]) -> str:
    """Return names joined as one says them: a, b and c."""
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else "".join(names)


def opened(words: str) -> str:
    """Return words with a capital first letter and the others as they are."""
    return words[:1].upper() + words[1:]
