"""Which families of a study fuse the modalities of an exam, and which are the controls beside them; names tell.

Fusion is late behind `fusion:` and joint behind `exams:`. `fusion:…@only-axial` reads one modality, and
`fusion:…@axial-shuffled-columns` reads another one beside it that was dealt out anew among the cases.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from grandrounds.report.ranked import Ranked

_LATE, _JOINT = "fusion", "exams"
_CHANCE = 0.5  # AUC of guessing
_ONLY = re.compile(r"(.+)@only-(.+)")
_SHUFFLED = re.compile(r"(.+)@(.+)-shuffled-(.+)")


class Fusion(NamedTuple):
    """A family that reads several modalities, these alone by their names, and controls with one dealt out anew."""

    name: str
    singles: dict[str, str]
    shuffled: tuple[tuple[str, str, str], ...]  # beside which modality, which one, the family

    @property
    def is_late(self) -> bool:
        """Whether it weighs what is said of each modality, instead of reading them jointly."""
        return _LATE in _layers(self.name)


def shuffled(families: Iterable[str]) -> tuple[str, ...]:
    """Return the families that are controls with a modality dealt out anew.

    >>> shuffled(["prior", "fusion:resnet-18", "fusion:resnet-18@images-shuffled-columns"])
    ('fusion:resnet-18@images-shuffled-columns',)
    """
    return tuple(name for name in families if _fuses(name) and _SHUFFLED.fullmatch(name))


def fusing(families: Iterable[str]) -> list[str]:
    """Return the families that fuse modalities, late or jointly, without their controls.

    >>> fusing(["resnet-18", "fusion:resnet-18", "fusion:resnet-18@only-axial", "exams:joint:resnet-18@attention"])
    ['fusion:resnet-18', 'exams:joint:resnet-18@attention']
    """
    return [one for one in families if _fuses(one) and not (_ONLY.fullmatch(one) or _SHUFFLED.fullmatch(one))]


def late(ranked: Ranked) -> list[str]:
    """Return the families that weigh what is said of each series, best first."""
    return [name for name in fusing(ranked.scored) if _LATE in _layers(name)]


def joint(ranked: Ranked) -> list[str]:
    """Return the networks that read all series of an exam jointly, best first."""
    return [name for name in fusing(ranked.scored) if _LATE not in _layers(name)]


def alone(ranked: Ranked) -> dict[str, str]:
    """Return of each modality the best family that reads it alone, of whichever fusion it is a control."""
    families: dict[str, str] = {}
    for fusion in fusions(ranked):
        for one, family in fusion.singles.items():
            families[one] = min(families.get(one, family), family, key=ranked.families.index)
    return families


def fusions(ranked: Ranked) -> list[Fusion]:
    """Return each fusion beside which controls ran, late ones first."""
    names = sorted(ranked.families)
    only = [found for found in map(_ONLY.fullmatch, names) if found and _fuses(found[0])]
    mixed = [found for found in map(_SHUFFLED.fullmatch, names) if found and _fuses(found[0])]
    made = [
        Fusion(
            name,
            {found[2]: found[0] for found in only if found[1] == name},
            tuple((found[2], found[3], found[0]) for found in mixed if found[1] == name),
        )
        for name in dict.fromkeys(found[1] for found in only)
    ]
    return sorted(made, key=lambda one: not one.is_late)


def better_than_chance(ranked: Ranked, family: str) -> bool:
    """Whether a family's AUC is shown to be above that of guessing."""
    return (ranked.score(family, "auc").low or 0) > _CHANCE


def _layers(name: str) -> list[str]:
    return name.split("@", maxsplit=1)[0].split(":")[:-1]


def _fuses(name: str) -> bool:
    return not {_LATE, _JOINT}.isdisjoint(_layers(name))
