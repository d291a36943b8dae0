"""The simulations of the benchmarks: what is tested here is what the documentation prints."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import pytest

_BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def simulation(request: pytest.FixtureRequest) -> ModuleType:
    """Return the benchmark that the test module names as its `BENCHMARK`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(_BENCHMARKS)  # benchmarks import one another
        return importlib.import_module(request.module.BENCHMARK)
