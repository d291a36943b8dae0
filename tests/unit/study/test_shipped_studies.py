"""The studies that come with the project: whoever runs one gets what its head says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from grandrounds import api
from grandrounds.families import FAMILIES

STUDIES = sorted((Path(__file__).parents[3] / "studies").glob("*.toml"))


@pytest.mark.parametrize("path", STUDIES, ids=[path.stem for path in STUDIES])
def test_every_study_can_be_run_as_it_stands(path):
    """It is whole, each family is known, and floors stand beside the others; its head says where to run it."""
    planned = api.study_in(path)
    assert planned is not None
    study, _ = planned
    families = [recipe.family for recipe in study.recipes]

    assert all(FAMILIES.get(name) for name in families)
    assert {"prior", "thumbnail"} < set(families)
    assert all(recipe.epochs > 0 for recipe in study.recipes if FAMILIES.get(recipe.family).iterates)
    assert re.search(rf"grandrounds (run|tune) {path.name}", path.read_text(encoding="utf-8"))
