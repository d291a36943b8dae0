"""Specifications go to TOML and back, and misspellings are named."""

import tomllib

import pytest

from grandrounds import specs
from grandrounds.errors import BadSpec


class Inner(specs.Spec):
    folds: int = 5
    names: tuple[str, ...] = ("a",)


class Outer(specs.Spec):
    seed: int = 0
    note: str | None = None
    split: Inner = Inner()
    many: tuple[Inner, ...] = ()


def test_toml_round_trip(tmp_path):
    """What is written is what is read, comments and nested tables included."""
    spec = Outer(seed=3, split=Inner(folds=2), many=(Inner(), Inner(folds=7)))
    (tmp_path / "study.toml").write_text(specs.to_toml(spec, {"seed": "Root.", "split.folds": "How many."}))

    assert specs.read(Outer, tmp_path / "study.toml") == spec
    assert "# How many.\nfolds = 2" in (tmp_path / "study.toml").read_text()


def test_a_misspelt_key_names_the_nearest():
    """The message helps to mend the line."""
    with pytest.raises(BadSpec, match=r"'sed'.*did you mean 'seed'"):
        specs.parse(Outer, {"sed": 1})


def test_a_misspelt_key_in_a_table_names_the_nearest_there():
    """Nested tables have keys of their own."""
    with pytest.raises(BadSpec, match=r"'split.fold'.*did you mean 'folds'"):
        specs.parse(Outer, {"split": {"fold": 1}})


def test_a_wrong_value_is_named():
    """The message names the key and what was expected."""
    with pytest.raises(BadSpec, match=r"split.folds.*integer"):
        specs.parse(Outer, {"split": {"folds": "many"}})


def test_identity_follows_content():
    """Equal content has one hash, other content another."""
    assert Outer(seed=1).identity() == Outer(seed=1).identity() != Outer(seed=2).identity()


def test_differences_are_told_with_both_values():
    """By key, with that of the table it stands in; what is not asked about does not count."""
    one, other = Outer(seed=1, split=Inner(folds=3)), Outer(note="x" * 99, split=Inner(folds=3, names=("a", "b")))

    assert specs.differences(one, other, ("seed", "split", "many")) == [
        "seed is 1, not 0", 'split.names is ["a"], not ["a", "b"]'
    ]  # fmt: skip
    [told] = specs.differences(one, other, ("note",))
    assert told.startswith('note is unset, not "xxx')
    assert len(told) < 90


def test_a_copy_is_validated():
    """A changed copy obeys the same rules as a new record."""
    with pytest.raises(BadSpec):
        Outer().replaced(seeds=3)


def test_a_file_that_is_no_toml_is_refused(tmp_path):
    """The message says where."""
    (tmp_path / "study.toml").write_text("seed = = 1")
    with pytest.raises(BadSpec, match="not valid TOML"):
        specs.read(Outer, tmp_path / "study.toml")


def test_plain_toml(tmp_path):
    """Without comments the output is plain TOML."""
    assert tomllib.loads(specs.to_toml(Outer(seed=1)))["seed"] == 1
