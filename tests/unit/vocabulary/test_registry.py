"""Registries answer by name."""

from dataclasses import dataclass

import pytest

from grandrounds import registry
from grandrounds.errors import BadSpec, MissingExtra
from grandrounds.registry import Registry


@dataclass(frozen=True)
class Entry:
    name: str


RESNETS = Registry("family", [Entry("resnet-18"), Entry("resnet-50"), Entry("prior")])


def test_an_entry_is_found_by_its_name():
    """Names are exact."""
    assert RESNETS.get("prior") == Entry("prior")


def test_a_misspelt_name_gets_a_hint():
    """The nearest names are suggested."""
    with pytest.raises(BadSpec, match="did you mean 'resnet-18'"):
        RESNETS.get("resnett-18")


def test_a_strange_name_gets_the_list():
    """Where nothing is near, everything is listed."""
    with pytest.raises(BadSpec, match="choose one of: resnet-18, resnet-50, prior"):
        RESNETS.get("xyzzy")


def test_two_entries_of_one_name_are_refused():
    """A name means one thing."""
    with pytest.raises(BadSpec, match="share a name"):
        Registry("family", [Entry("a"), Entry("a")])


def test_a_missing_package_names_the_extra():
    """The message is the command that adds it."""
    with pytest.raises(MissingExtra, match=r"pip install 'grandrounds\[models\]'"):
        registry.load("json:dumps", requires=("no_such_package",), wanted_by="The family x")


def test_a_path_is_imported():
    """An import path gives the object."""
    assert registry.load("json:dumps")([1]) == "[1]"


def test_a_prefix_makes_entries_that_are_not_listed():
    """What begins with a prefix is made when it is asked for; everything else is looked up as ever."""
    opened = Registry("number", [Entry("one")], prefixes={"len ": "builtins:len"})

    assert opened.get("len abc") == 7
    assert opened.get("one") == Entry("one")
    assert opened.names() == ["one"]
    with pytest.raises(BadSpec, match="no number called 'leng'"):
        opened.get("leng")
