"""Specifications: frozen pydantic models that go to TOML and back.

An unknown key is an error that names the nearest known one. `identity` is a stable hash of the content, used to key
caches and trials.
"""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import reduce
from pathlib import Path
from typing import Any, Self, TypeVar, get_args

import tomlkit
from pydantic import BaseModel, ConfigDict, ValidationError
from tomlkit.items import Table

from grandrounds.errors import BadSpec
from grandrounds.registry import nearest


class Spec(BaseModel):
    """A frozen record with strict keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def identity(self) -> str:
        """Return a hash of the content, the same on every machine."""
        return digest(self.model_dump(mode="json"))

    def replaced(self, **changes: object) -> Self:
        """Return a copy with some fields changed, validated anew."""
        return parse(type(self), self.model_dump() | changes)


def apart(names: Iterable[str]) -> tuple[str, ...]:
    """Return names that a command line may have put into one word with commas between them.

    >>> apart("t1, t2"), apart(["t1,t2", "adc"])
    (('t1', 't2'), ('t1', 't2', 'adc'))
    """
    parts = ",".join([names] if isinstance(names, str) else names).split(",")
    return tuple(part.strip() for part in parts if part.strip())


S = TypeVar("S", bound=Spec)
_LONG = 60  # characters of a value in a message


def digest(content: object) -> str:
    """Return a 16-digit hash of anything that JSON can hold."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def parse(kind: type[S], content: Mapping[str, Any], *, where: object = None, remedy: str | None = None) -> S:
    """Return the spec that plain data describes.

    Args:
        kind: Of the spec.
        content: Its keys and values.
        where: What to name in a refusal.
        remedy: What to advise in a refusal; None where the sentence says it.

    Raises:
        BadSpec: A key is unknown, missing or of the wrong kind; the message says which.
    """
    try:
        return kind.model_validate(dict(content))
    except ValidationError as error:
        raise BadSpec(_explain(kind, error), where=where, remedy=remedy) from None


def read(kind: type[S], path: Path) -> S:
    """Return the spec in a TOML file.

    Raises:
        BadSpec: The file is not TOML, or does not describe such a spec.
    """
    return parse(kind, read_toml(path), where=path)


def read_toml(path: Path) -> dict[str, Any]:
    """Return the plain content of a TOML file.

    Raises:
        BadSpec: The file cannot be read or is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise BadSpec(
            f"cannot read the file: {type(error).__name__}",
            where=path,
            remedy="check the path, and that it is text in UTF-8",
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise BadSpec(f"not valid TOML: {error}", where=path, remedy="mend the line named above") from None


def differences(one: Spec, other: Spec, among: Collection[str]) -> list[str]:
    """Return the keys in which two specs differ, each with what it is in the first and not in the other.

    Args:
        one: The first.
        other: The other, which has these fields, too.
        among: Fields to look at, with all that is in them.
    """
    ours, theirs = (dict(_leaves(each.model_dump(mode="json", include=set(among)))) for each in (one, other))
    keys = (key for key in ours | theirs if ours.get(key) != theirs.get(key))
    return [f"{key} is {_in_short(ours.get(key))}, not {_in_short(theirs.get(key))}" for key in keys]


def _leaves(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in content.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _in_short(value: object) -> str:
    text = "unset" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONG else f"{text[:_LONG]}…"


def to_toml(spec: Spec, comments: Mapping[str, str] | None = None, without: Collection[str] = ()) -> str:
    """Return the spec as TOML.

    Args:
        spec: What is written.
        comments: To `"key"` or `"table.key"` the comment that is put above it.
        without: Keys of the same form that are left out; read again, they have their defaults.
    """
    content = _without_none(spec.model_dump(mode="json"))
    for key in without:
        *tables, last = key.split(".")
        reduce(lambda table, name: table[name], tables, content).pop(last)
    document = tomlkit.document()
    _fill(document, content, comments or {}, "")
    return tomlkit.dumps(document)


def _fill(table: Any, content: Mapping[str, Any], comments: Mapping[str, str], prefix: str) -> None:  # noqa: ANN401
    # TOML wants plain values before tables.
    ordered = sorted(content.items(), key=lambda item: _is_table(item[1]))
    for key, value in ordered:
        said = comments.get(prefix + key, "").splitlines()
        if isinstance(value, dict):
            table.add(key, _inner(value, comments, f"{prefix}{key}.", said))
        elif _is_table(value):
            many = tomlkit.aot()
            for count, one in enumerate(value):
                many.append(_inner(one, comments, f"{prefix}{key}.", said if not count else []))
            table.add(key, many)
        else:
            _comment(table, said)
            table.add(key, value)


def _inner(content: Mapping[str, Any], comments: Mapping[str, str], prefix: str, said: Sequence[str]) -> Table:
    table = tomlkit.table()
    _comment(table, said)  # below the header, for above it a comment would seem to belong to the table before
    _fill(table, content, comments, prefix)
    return table


def _comment(table: Any, said: Sequence[str]) -> None:  # noqa: ANN401
    for line in said:
        table.add(tomlkit.comment(line))


def _is_table(value: object) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and bool(value) and isinstance(value[0], dict))


def _without_none(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, dict):
        return {key: _without_none(one) for key, one in value.items() if one is not None}
    if isinstance(value, list):
        return [_without_none(one) for one in value]
    return value


_OF_A_UNION = re.compile(r"\[|Params$")  # which of several kinds pydantic tried, where one of them is wanted


def _explain(kind: type[Spec], error: ValidationError) -> str:
    lines = []
    told = {one["loc"][:-1] for one in error.errors()}
    for one in error.errors():
        if one["type"] == "too_short" and one["loc"] in told:
            continue  # of a list whose values are refused there is nothing left
        key = ".".join(str(part) for part in one["loc"] if not _OF_A_UNION.search(str(part)))
        if one["type"] == "extra_forbidden":
            known = sorted(_kind_at(kind, one["loc"][:-1]).model_fields)
            hint = nearest(str(one["loc"][-1]), known) or f"known keys: {', '.join(known)}"
            lines.append(f"unknown key {key!r}; {hint}")
        elif one["type"] == "missing":
            lines.append(f"{key} is missing")
        elif one["type"] == "tuple_type":
            # On a command line a list without brackets is several values, or a word.
            lines.append(f"{key}: a list is wanted, in square brackets{_example(kind, one['loc'])}")
        else:
            message = one["msg"].removeprefix("Value error, ")  # pydantic's name for what a validator of ours says
            key = (
                key.rsplit(".", 1)[0] if key.rpartition(".")[2].isdecimal() else key
            )  # which of a list its value tells
            lines.append(f"{key}: {message[0].lower()}{message[1:]}" if key else message)
    return "; ".join(dict.fromkeys(lines))  # each kind of a union says it


def _example(kind: type[Spec], keys: tuple[int | str, ...]) -> str:
    """Return the default of a list at nested keys, as it is written; nothing where there is none."""
    field = _kind_at(kind, keys[:-1]).model_fields.get(str(keys[-1]))
    default = getattr(field, "default", None)
    return f", such as {list(default)}" if isinstance(default, tuple) and default else ""


def _kind_at(kind: type[Spec], keys: tuple[int | str, ...]) -> type[Spec]:
    """Return the spec that stands at nested keys, as far as it can be followed."""
    for key in keys:
        if isinstance(key, str) and key in kind.model_fields:
            kind = next(_specs_in(kind.model_fields[key].annotation), kind)
    return kind


def _specs_in(annotation: Any) -> Iterator[type[Spec]]:  # noqa: ANN401
    if isinstance(annotation, type) and issubclass(annotation, Spec):
        yield annotation
    for inner in get_args(annotation):
        yield from _specs_in(inner)
