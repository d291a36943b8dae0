"""Every family of image classifier reads the same medical cases under one leak-free protocol.

>>> import grandrounds
>>> grandrounds.__version__.count(".")
2

The verbs are imported when they are first used, so that `import grandrounds` is quick and touches nothing.
"""

from __future__ import annotations

import importlib
import importlib.metadata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from grandrounds.api import audit, demo, inspect, plan, predict, rereport, run
    from grandrounds.data import Dataset, SourceOptions, open_dataset
    from grandrounds.errors import Refusal
    from grandrounds.evaluate.columns import Columns
    from grandrounds.running import Outcome
    from grandrounds.splits import SplitSpec
    from grandrounds.study.spec import Ask, DataSpec, JudgeSpec, Means, Study

__version__ = importlib.metadata.version("grandrounds")

_HOMES = {
    "Ask": "grandrounds.study.spec",
    "Columns": "grandrounds.evaluate.columns",
    "DataSpec": "grandrounds.study.spec",
    "Dataset": "grandrounds.data",
    "JudgeSpec": "grandrounds.study.spec",
    "Means": "grandrounds.study.spec",
    "Outcome": "grandrounds.running",
    "Refusal": "grandrounds.errors",
    "SourceOptions": "grandrounds.data",
    "SplitSpec": "grandrounds.splits",
    "Study": "grandrounds.study.spec",
    "audit": "grandrounds.api",
    "demo": "grandrounds.api",
    "inspect": "grandrounds.api",
    "open_dataset": "grandrounds.data",
    "plan": "grandrounds.api",
    "predict": "grandrounds.api",
    "rereport": "grandrounds.api",
    "run": "grandrounds.api",
}

__all__ = [
    "Ask",
    "Columns",
    "DataSpec",
    "Dataset",
    "JudgeSpec",
    "Means",
    "Outcome",
    "Refusal",
    "SourceOptions",
    "SplitSpec",
    "Study",
    "audit",
    "demo",
    "inspect",
    "open_dataset",
    "plan",
    "predict",
    "rereport",
    "run",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'grandrounds' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
