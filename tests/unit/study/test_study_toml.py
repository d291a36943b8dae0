"""What `study.toml` shows of a study."""

from __future__ import annotations

import pytest

from grandrounds.specs import parse, read, read_toml
from grandrounds.study import planning
from grandrounds.study.spec import Study


@pytest.mark.parametrize(
    ("source", "tables"),
    [
        ("simulated-hrct", {"hrct", "patches"}),
        ("breastmnist", set()),
        ("nosuch", {"hrct", "knee", "patches", "series"}),
    ],
)
def test_a_study_shows_the_options_that_its_source_reads(source, tables, tmp_path):
    """What would be passed over is no choice to make; read again it is the same study."""
    study = parse(Study, {"name": "x", "data": {"source": source}, "prepare": {}, "recipes": [{"family": "prior"}]})
    (tmp_path / "study.toml").write_text(planning.toml(study))
    shown = read_toml(tmp_path / "study.toml")["data"]["options"]

    assert {name for name, value in shown.items() if isinstance(value, dict)} == tables
    assert read(Study, tmp_path / "study.toml") == study
