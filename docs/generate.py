"""Write the generated parts of the reference: from registries, schemas, `--help` and changelog fragments.

Run by `make docs`; needs no network and trains nothing. The parts go to `docs/reference/generated/`, which git ignores,
and pages in `docs/reference/` include them, so that a table in the documentation cannot say what the program does not.
"""

from __future__ import annotations

import inspect
import io
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

import grandrounds
from grandrounds import cli, tables
from grandrounds.audits.catalogue import AUDITS
from grandrounds.cli import listing
from grandrounds.data.catalogue import SOURCES
from grandrounds.evaluate.catalogue import METRICS
from grandrounds.families import FAMILIES, params_of, recipes
from grandrounds.families.prefixed import PREFIXED
from grandrounds.formats.catalogue import FORMATS
from grandrounds.prepare import STEPS, Pipeline, build_step
from grandrounds.specs import to_toml
from grandrounds.study.spec import COMMENTS, Ask, DataSpec, Study

HERE = Path(__file__).parent
COMMANDS = (
    "demo",
    "inspect",
    "plan",
    "run",
    "tune",
    "mask",
    "report",
    "audit",
    "predict",
    "evaluate",
    "describe",
    "names",
    "list",
)
KINDS = {"added": "Added", "changed": "Changed", "fixed": "Fixed", "removed": "Removed"}
WIDTH = 88  # columns of a terminal, for the help pages; more do not fit beside the contents


def families() -> str:
    """Return the table of families and the parameters of each."""
    overview = table(
        ("family", "kind", "images", "parameters", "what it is", "needs", "reference"),
        ((f"`{name}`", *said) for name, *said in (row.values() for row in listing.rows("families"))),
    )
    by_name = (
        _params(
            one.name.replace("<model>", "resnet18").replace("<family>", "li2014").replace("<network>", "li2014"),
            heading=f"`{one.name}`",
        )
        for one in PREFIXED
        if one.params  # otherwise they are those of the network behind the colon
    )
    return "\n\n".join([overview, *(_params(one.name) for one in FAMILIES), *by_name])


def datasets() -> str:
    """Return the table of sources, with the address to ask at behind the licence, and the names that need no file."""
    rows = (
        (
            f"`{one.name}`",
            one.summary.replace("*", r"\*"),
            f"`{one.how}`",
            f"[{one.licence}]({one.ask})" if one.ask else one.licence or "your own images",
        )
        for one in SOURCES
    )
    names = ", ".join(f"`{name}`" for one in SOURCES for name in one.names)
    return (
        table(("source", "what it is", "how", "licence, and where to ask"), rows)
        + f"\n\nNames that need no file: {names}.\n"
    )


def metrics() -> str:
    """Return the table of metrics."""
    return table(
        ("metric", "in words", "definition", "better", "by class", "tasks", "reference"),
        (
            (f"`{one.name}`", one.label, one.summary, one.better, "yes" if one.per_class else "no",
             ", ".join(one.kinds), one.reference)
            for one in METRICS
        ),
    )  # fmt: skip


def audits() -> str:
    """Return the table of audits, each linked to its page."""
    rows = ((f"[{one.name}](audits/{one.name.lower()}.md)", one.title, one.summary) for one in AUDITS)
    return table(("audit", "title", "what it checks"), rows)


def steps() -> str:
    """Return the table of preparation steps."""
    rows = ((f"`{one.name}`", one.stage, one.summary, one.reference) for one in STEPS)
    return table(("step", "stage", "what it does", "reference"), rows)


def formats() -> str:
    """Return the table of file formats."""
    rows = ((f"`{one.name}`", one.summary, " ".join(f"`{s}`" for s in one.suffixes), one.reference) for one in FORMATS)
    return table(("format", "what it is", "file endings", "defined in"), rows)


def schemas() -> str:
    """Return one table of columns for each table that grandrounds writes."""
    parts = []
    for schema in tables.SCHEMAS.values():
        key = ", ".join(f"`{name}`" for name in schema.key) or "none"
        rows = (
            (f"`{name}`", str(dtype), "yes" if name in schema.required else "")
            for name, dtype in schema.columns.items()
        )
        parts.append(f"## {schema.name}\n\nKey: {key}.\n\n" + table(("column", "type", "required"), rows))
    return "\n\n".join(parts)


def study() -> str:
    """Return a study with every default, as `grandrounds plan` writes it, with its comments."""
    ask = Ask(name="breastmnist", data=DataSpec(source="breastmnist"), seeds=3)
    wanted = tuple(ask.wanted.values())
    shared = {name: getattr(ask, name) for name in Ask.model_fields if name not in ("families", "recipes")}
    eight_bits = Pipeline(whole=(build_step({"step": "scale", "low": 0, "high": 255}),))
    content = to_toml(Study(prepare=eight_bits, recipes=wanted, **shared), COMMENTS)
    return f"```toml\n{content}```\n"


def command_line() -> str:
    """Return the help of every command."""
    return "\n\n".join(
        f"## grandrounds {name}\n\n```text\n{_help(name)}\n```" if name else f"```text\n{_help()}\n```"
        for name in ("", *COMMANDS)
    )


def python() -> str:
    """Return the public names with their first lines, and the verbs with their signatures."""
    rows, signatures = [], []
    for name in grandrounds.__all__:
        public = getattr(grandrounds, name)
        rows.append((f"`{name}`", "verb" if inspect.isfunction(public) else "record", _first_line(public)))
        if inspect.isfunction(public):
            signature = str(inspect.signature(public)).replace("'", "").replace(" -> ", "\n    -> ")
            signatures.append(name + signature)
    return table(("name", "kind", "what it is"), rows) + "\n\n```text\n" + "\n\n".join(signatures) + "\n```\n"


def changes(folder: Path = HERE.parent / "changes") -> str:
    """Return the changelog fragments gathered by kind."""
    parts = []
    for kind, title in KINDS.items():
        lines = [path.read_text(encoding="utf-8").strip() for path in sorted(folder.glob(f"*.{kind}.md"))]
        if lines:
            parts.append(f"## {title}\n\n" + "\n".join("- " + line.replace("\n", "\n  ") for line in lines))
    return "\n\n".join(parts) or "Nothing yet."


PAGES: Mapping[str, Callable[[], str]] = {
    "families": families,
    "datasets": datasets,
    "metrics": metrics,
    "audits": audits,
    "steps": steps,
    "formats": formats,
    "tables": schemas,
    "study": study,
    "cli": command_line,
    "python": python,
    "changes": changes,
}


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a Markdown table.

    >>> print(table(("a", "b"), [("1", "2 | 3")]))
    | a | b |
    |---|---|
    | 1 | 2 \\| 3 |
    """
    head = tuple(head)
    lines = [head, *rows]
    drawn = ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]
    return "\n".join([drawn[0], "|" + "---|" * len(head), *drawn[1:]])


def _params(name: str, heading: str = "") -> str:
    params = params_of(name)
    meanings = _meanings(type(params))
    rows = [(f"`{key}`", f"`{value}`", meanings.get(key, "")) for key, value in params.model_dump().items()]
    body = table(("parameter", "default", "meaning"), rows) if rows else "Nothing to choose."
    return "\n\n".join(filter(None, [f"## {heading or name}", _recipe(name), body]))


def _recipe(name: str) -> str:
    """Return what the recipe of a family says on top, as a list; nothing of a family without one."""
    if name not in recipes.shipped():
        return ""
    said = recipes.head(recipes.shipped()[name])
    return "\n".join(f"- {key.capitalize()}: {text}" for key, text in said.items() if key != "recipe")


def _meanings(kind: type[Any]) -> dict[str, str]:
    """Return what the `Args` of a spec and of what it builds on say about each field."""
    found: dict[str, str] = {}
    for one in reversed(kind.__mro__):
        _, _, args = (inspect.getdoc(one) if one.__doc__ else "").partition("Args:\n")
        for match in re.finditer(r"^    (\w+): (.*(?:\n {8}.*)*)", args, re.MULTILINE):
            found[match[1]] = " ".join(match[2].split())
    return found


def _first_line(public: object) -> str:
    return (inspect.getdoc(public) or "").partition("\n\n")[0].replace("\n", " ")


def _help(command: str = "") -> str:
    drawn = io.StringIO()
    cli.app.help_print([command] if command else [], console=Console(file=drawn, width=WIDTH, color_system=None))
    return "\n".join(line.rstrip() for line in drawn.getvalue().strip().splitlines())


def main(folder: Path = HERE / "reference" / "generated") -> None:
    """Write every generated part into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, page in PAGES.items():
        (folder / f"{name}.md").write_text(page().rstrip() + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
