"""The leak certificate: what kept patients apart in this study, written from its record alone.

It answers what TRIPOD+AI asks in item 12a (how the data were partitioned) and in item 12c (models, steps of building
and tuning, internal validation), but for the rationale. Nothing is certified that the record does not hold.

Reference: Collins et al., BMJ 385:e078378 (2024).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl

from grandrounds.report import methods
from grandrounds.report.blocks import Block, Folded, Prose, Section
from grandrounds.report.ranked import Ranked
from grandrounds.report.rounding import count, listed

AUDITED = (
    "A000",
    "A001",
    "A002",
    "A009",
    "A011",
    "A012",
    "A017",
    "A018",
)  # they look for test in training or in a choice
_STAGES = {
    "When drawn": "every case has exactly one role in each fold, and each fold has cases to train on and to test on. A "
    "plan with a patient on two sides is refused, unless it is official or was asked for by sample; then it is marked.",
    "When loaded": "the hash of the plan and the fingerprint of the data are compared with those noted when it was "
    "drawn; a change of either is refused.",
    "When fitted": "a family is handed images and labels of train and valid and no others. Early stopping and the "
    "choice of what ships use valid; calib, where there is one, only recalibrates.",
    "When predicted": "the images of calib and test are handed over after fitting, without their labels, and the "
    "opening of test is written into the ledger beside the data first.",
}
_ITEMS = (
    "For TRIPOD+AI the paragraph answers item 12a (how the data were partitioned) and item 12c (models, steps of "
    "building, tuning, internal validation), but for why these models were chosen, which only the authors know."
)
_NEAR = "Images that are nearly but not quite identical are not looked for here: `grandrounds inspect` lists them."
_NO_PLAN = "No leak certificate can be given: no split plan came along, so nobody can check who was trained on."
_UNKNOWN = "Whether a patient was both trained on and tested on cannot be certified, because the patients are unknown."


def certificate(ranked: Ranked) -> Section:
    """Return how patients were kept apart, and plainly where that is unknown or not so."""
    content = ranked.content
    if not content.split_record:
        return Section("certificate", "Leak certificate", (Prose((_NO_PLAN,)),))
    parts = (_claim(ranked), _plan(ranked), _grouping(ranked), methods.training(ranked), *_opened(ranked), _NEAR)
    paragraph = " ".join(part for part in parts if part)
    stages = tuple(f"{stage}: {words}" for stage, words in _STAGES.items())
    blocks: list[Block] = [Prose((paragraph,)), Folded("What is checked, and when", (Prose(stages, listed=True),))]
    checked = tuple(_checked(content.findings))
    if checked:
        blocks.append(Folded("What the audits of leaks say", (Prose(checked, listed=True),)))
    return Section("certificate", "Leak certificate", (*blocks, Prose((_ITEMS,))), _short(ranked))


def _claim(ranked: Ranked) -> str:
    content = ranked.content
    found = [row["audit"] for row in _audited(content.findings) if row["outcome"] == "finding"]
    if content.split_record.get("leaky") or "A001" in found:
        return "This split leaks: patients stand in two roles of one fold, so that the scores may be too good."
    if "A012" in found:
        return "Models saw patients that they are tested on, as A012 found: the scores do not hold for new patients."
    if not content.patient_known:
        return _UNKNOWN
    clean = "No patient was both trained on and tested on: none stands in two roles of one fold."
    return f"{clean} Read with it what {listed(found)} found." if found else clean


def _short(ranked: Ranked) -> str:
    """Return the claim in a few words."""
    claim = _claim(ranked)
    if claim == _UNKNOWN:
        return "cannot be given: patients are unknown"
    return "no patient was both trained on and tested on" if claim.startswith("No patient") else "leaks"


def _plan(ranked: Ranked) -> str:
    content, record = ranked.content, ranked.content.split_record
    n_folds = content.splits.select("repeat", "fold").n_unique()
    made = {
        "official": "came with the data and was used as given",
        "kfold": f"divides the cases into {n_folds} folds",
        "inside": f"divides what no official test role holds into {n_folds} folds, and leaves that role closed",
        "holdout": "divides the cases once" if n_folds == 1 else f"divides the cases {n_folds} times",
    }.get(ranked.scheme, f"follows the scheme {ranked.scheme or 'unknown'}")
    drawn = "" if ranked.scheme == "official" else f", drawn from the seed {record.get('seed')}"
    return (
        f"The split plan {record.get('identity')} {made}{drawn}. It was fixed before anything was trained, belongs to "
        f"the data with the fingerprint {record.get('fingerprint')}, and is the same for every family. "
        "What is checked when it is drawn and loaded, and when families are fitted and predict, stands below."
    )


def _grouping(ranked: Ranked) -> str:
    content = ranked.content
    if not content.patient_known:
        return (
            "The data name no patients: each image was taken for a patient of its own, and images of one person may "
            "stand on two sides without anybody seeing it."
        )
    n = count(content.samples["patient"].n_unique()) if not content.samples.is_empty() else "the"
    ids = f"The ids of {n} patients came with the data"
    if _mapping(content.split_record.get("spec")).get("group") == "sample":
        return f"{ids}, but the cases were divided without regard to them, as was asked for."
    if ranked.scheme == "official":
        return f"{ids}; the official split was checked against them."
    return (
        f"{ids}, and all cases of a patient were kept together; ids that differ only in case, padding, control "
        "characters or Unicode form counted as one patient."
    )


def _opened(ranked: Ranked) -> Iterator[str]:
    """Yield how often the test role was opened, by this study and by any other on the same data."""
    opened = _mapping(ranked.content.record.get("test role opened"))
    times, by_trials = opened.get("times"), opened.get("by trials")
    if not isinstance(times, int):
        yield "How often the test role was opened is not on record."
    elif times:
        yield (
            f"The ledger beside the data counts {count(times)} opening{'' if times == 1 else 's'} of "
            f"{ranked.tested_on}, by {by_trials} trial{'' if by_trials == 1 else 's'} of this study and any other, "
            f"{_days(opened.get('first'), opened.get('last'))}."
        )
    else:
        yield f"The ledger within reach counts no opening of {ranked.tested_on}, so it is not the one of this study."


def _checked(findings: pl.DataFrame) -> Iterator[str]:
    for row in _audited(findings):
        yield f"{row['audit']}, {row['title']}: {row['sentence']}"


def _audited(findings: pl.DataFrame) -> list[dict[str, Any]]:
    return findings.filter(pl.col("audit").is_in(AUDITED)).to_dicts()


def _days(first: object, last: object) -> str:
    one, other = str(first)[:10], str(last)[:10]  # the day of ISO 8601
    return f"on {one}" if one == other else f"from {one} to {other}"


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
