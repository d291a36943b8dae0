"""What `study.toml` shows of a study."""

from __future__ import annotations

import pytest

from grandrounds import running
from grandrounds.errors import BadSpec
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


@pytest.mark.parametrize(("text", "missing"), [("", "name"), ('name = "x"\n', "prepare")])
def test_a_study_that_lacks_something_is_refused_with_the_way_to_a_whole_one(text, missing, tmp_path):
    """Who writes one by hand does not know what planning would have put there."""
    path = tmp_path / "mine.toml"
    path.write_text(text + '[data]\nsource = "images"\n\n[[recipes]]\nfamily = "prior"\n')

    with pytest.raises(BadSpec) as refused:
        running.study_in_file(path)

    assert f"{missing} is missing" in str(refused.value)
    assert "grandrounds plan" in str(refused.value)


def test_a_misspelt_key_needs_no_other_advice(tmp_path):
    """The sentence names the nearest key."""
    study = parse(Study, {"name": "x", "data": {"source": "images"}, "prepare": {}, "recipes": [{"family": "prior"}]})
    path = tmp_path / "mine.toml"
    path.write_text("seedz = 3\n" + planning.toml(study))

    with pytest.raises(BadSpec) as refused:
        running.study_in_file(path)

    assert "did you mean 'seed' or 'seeds'" in str(refused.value)
    assert "grandrounds plan" not in str(refused.value)
