"""A005: is the leading family shown to be better than every floor?"""

from __future__ import annotations

from grandrounds.audits.protocol import AuditTables, Finding, counted, not_applicable
from grandrounds.audits.standing import named, paired


def audit(tables: AuditTables) -> Finding:
    """Return a finding where the best contender does not beat a floor, a tip where only others do not."""
    stand = paired(tables)
    if stand is None:
        return not_applicable("there are no scores with comparisons")
    if not stand.floors or not stand.contenders:
        return not_applicable("no floor and contender are among the families")
    below = {
        family: [floor for floor in stand.floors if stand.verdict(family, floor) != "better"]
        for family in stand.contenders
    }
    rows = tuple(f"{family}: not shown to be better than {', '.join(ones)}" for family, ones in below.items() if ones)
    best = stand.contenders[0]
    if below[best]:
        return Finding(
            "finding",
            f"`{best}`, the best of {counted(len(below), 'contender')}, is not shown to be better than "
            f"{named(below[best])}. A floor looks at next to nothing: what was learned beyond it may be nothing too.",
            rows,
        )
    if rows:
        weak = named([family for family, ones in below.items() if ones])
        return Finding("tip", f"`{best}` is better than every floor; of {weak} that is not shown.", rows)
    return Finding("passed", f"Every contender is better than {named(stand.floors)}.")
