from __future__ import annotations

import importlib.util
import re
import tomllib
from pathlib import Path

import pytest

import grandrounds
from grandrounds import tables
from grandrounds.audits import AUDITS
from grandrounds.data.catalogue import SOURCES
from grandrounds.evaluate.catalogue import METRICS
from grandrounds.families import FAMILIES
from grandrounds.formats.catalogue import FORMATS
from grandrounds.prepare import STEPS

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "changes").glob("*.md")), *sorted(DOCS.rglob("*.md"))]
PAGES = [page for page in PAGES if not {"generated", "_build"} & set(page.parts)]

_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_TOCTREE = re.compile(r"^```\{toctree\}\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


@pytest.fixture(scope="module")
def generated(tmp_path_factory):
    """Every generated part of the reference, by name."""
    spec = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    folder = tmp_path_factory.mktemp("generated")
    generate.main(folder)
    return {path.stem: path.read_text(encoding="utf-8") for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("page", "registry"),
    [
        ("families", FAMILIES),
        ("datasets", SOURCES),
        ("metrics", METRICS),
        ("audits", AUDITS),
        ("steps", STEPS),
        ("formats", FORMATS),
    ],
)
def test_every_entry_of_a_registry_is_on_its_page(page, registry, generated):
    """What has a name is in the reference, and the generated part is included there."""
    assert [name for name in registry.names() if name not in generated[page]] == []
    assert f"generated/{page}.md" in (DOCS / "reference" / f"{page}.md").read_text(encoding="utf-8")


def test_every_generated_part_is_included(generated):
    """A part that is generated is shown on a page."""
    shown = "".join(path.read_text(encoding="utf-8") for path in (DOCS / "reference").glob("*.md"))
    assert [name for name in generated if f"generated/{name}.md" not in shown] == []


def test_every_public_name_is_on_the_python_page(generated):
    """Whatever `grandrounds` exports is in the reference."""
    assert [name for name in grandrounds.__all__ if f"`{name}`" not in generated["python"]] == []


def test_every_table_has_its_columns_on_the_tables_page(generated):
    """Each column of each schema is in the reference."""
    for schema in tables.SCHEMAS.values():
        _, _, section = generated["tables"].partition(f"## {schema.name}\n")
        assert [name for name in schema.columns if f"| `{name}` |" not in section.split("\n## ")[0]] == []


def test_every_audit_has_a_page_of_its_own():
    """An audit's finding can be looked up."""
    assert [
        entry.name for entry in AUDITS if not (DOCS / "reference/audits" / f"{entry.name.lower()}.md").exists()
    ] == []


def test_the_glossary_defines_each_term_once_and_in_order():
    """Terms are unique, sorted, and every table's name is among them."""
    terms = re.findall(r"^\*\*(.+?)\*\*: ", (DOCS / "reference/glossary.md").read_text(encoding="utf-8"), re.MULTILINE)
    plain = [term.lower() for term in terms]
    assert plain == sorted(set(plain))
    singular = {name: "history" if name == "history" else name.removesuffix("s") for name in tables.SCHEMAS}
    assert [name for name, term in singular.items() if not {name, term} & set(plain)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_relative_link_leads_somewhere(page):
    """A link or picture inside the repository exists."""
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    targets = [link.partition("#")[0] for link in _LINK.findall(text) if "://" not in link]
    assert [target for target in targets if target and not (page.parent / target).exists()] == []


def test_every_page_is_in_a_table_of_contents():
    """No page of the documentation is out of reach."""
    listed = {
        (index.parent / entry).with_suffix(".md").resolve()
        for index in DOCS.rglob("*.md")
        for block in re.findall(
            r"^```\{toctree\}\n(.*?)^```$", index.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
        )
        for entry in block.splitlines()
        if entry and not entry.startswith(":") and "*" not in entry
    }
    reachable = {DOCS / "index.md", *listed, *(DOCS / "reference/audits").glob("*.md")}
    assert [page for page in PAGES if DOCS in page.parents and page not in reachable] == []


def test_the_citation_names_this_version():
    """CITATION.cff speaks of the version that pyproject.toml builds."""
    built = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert f"\nversion: {built}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")


def test_every_changelog_fragment_has_a_known_kind():
    """Fragments are named so that the changes page finds them."""
    fragments = [path for path in (ROOT / "changes").iterdir() if path.name != "README.md"]
    wrong = [
        path.name for path in fragments if not re.fullmatch(r"\+[\w-]+\.(added|changed|fixed|removed)\.md", path.name)
    ]
    assert wrong == []
