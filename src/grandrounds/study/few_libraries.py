"""What training a floor imports, so that workers can begin with it; see `processes.furnished`.

A library that is missing or broken is left to whoever needs it, who can say so.
"""

from __future__ import annotations

import contextlib
import importlib

for _library in ("scipy.stats", "sklearn.svm"):
    with contextlib.suppress(Exception):
        importlib.import_module(_library)
