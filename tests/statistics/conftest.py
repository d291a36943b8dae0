"""The simulations of the benchmarks: what is tested here is what the documentation prints."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

_BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def simulation(request: pytest.FixtureRequest) -> ModuleType:
    """Return the benchmark that the test module names as its `BENCHMARK`."""
    name = request.module.BENCHMARK
    spec = importlib.util.spec_from_file_location(name, _BENCHMARKS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
