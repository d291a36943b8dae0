"""What training any family imports: what floors do, and torch with its networks; see `few_libraries`."""

from __future__ import annotations

import contextlib
import importlib

for _module in ("grandrounds.study.few_libraries", "torch", "timm"):
    with contextlib.suppress(Exception):
        importlib.import_module(_module)
