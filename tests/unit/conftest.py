from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow


@pytest.fixture
def picture(tmp_path: Path) -> Callable[..., Path]:
    """A function that writes a small PNG of its own pixels under a relative name."""

    def write(name: str, seed: int | None = None) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng(seed if seed is not None else list(name.encode()))
        Pillow.fromarray(rng.integers(0, 255, (6, 8), dtype=np.uint8)).save(path)
        return path

    return write
