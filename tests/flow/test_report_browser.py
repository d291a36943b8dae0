"""The report in a real browser: nothing is requested, nothing runs, nothing runs over."""

from __future__ import annotations

import runpy
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from grandrounds import api
from grandrounds.report import write
from grandrounds.study.spec import JudgeSpec

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")
MADE_UP = runpy.run_path(str(Path(__file__).parents[1] / "unit" / "report" / "conftest.py"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    with playwright.sync_playwright() as engine:
        started = engine.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("reports")
    contents = {"made-up": MADE_UP["made_up"](), "hostile": MADE_UP["hostile"](MADE_UP["payloads"]())}
    written = {name: write(content, folder / f"{name}.html") for name, content in contents.items()}
    theirs = {"of others": hostile_file(folder / "theirs", MADE_UP["payloads"]())}
    return written | theirs | {"several tasks": hostile_file(folder / "tasks", MADE_UP["payloads"](), n_tasks=3)}


def hostile_file(folder: Path, payloads: tuple[str, ...], n_tasks: int = 0) -> Path:
    """Return the report of a file whose classes, families, samples, patients and tasks are payloads, each once."""
    folder.mkdir()
    classes, families, names = payloads[:3], payloads[3:9], payloads[9 : len(payloads) - n_tasks]
    draw = np.random.default_rng(0)
    frames = []
    for family in families:
        probs = draw.dirichlet([1, 1, 1], size=len(names))
        frames.append(
            pl.DataFrame({"sample": names, "patient": names, "label": [classes[k % 3] for k in range(len(names))]})
            .with_columns(pl.Series(f"prob_{name}", probs[:, k]) for k, name in enumerate(classes))
            .with_columns(family=pl.lit(family))
        )
    tasks = [pl.concat(frames).with_columns(task=pl.lit(name)) for name in payloads[len(payloads) - n_tasks :]]
    pl.concat(tasks or frames).write_parquet(folder / "hostile.parquet")
    return api.rereport(folder / "hostile.parquet", folder / "out", judge=JudgeSpec(resamples=100))


@pytest.mark.parametrize("name", ["made-up", "hostile", "of others", "several tasks"])
@pytest.mark.parametrize("width", [390, 1280])
def test_page_is_quiet_and_fits(browser: Any, reports: dict[str, Path], name: str, width: int) -> None:
    """No console message, dialog, script or request, and the page never scrolls sideways."""
    page = browser.new_page(viewport={"width": width, "height": 900})
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(reports[name].as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
    page.wait_for_timeout(200)

    assert said == []
    assert [url for url in asked if not url.startswith("data:")] == [reports[name].as_uri()]
    assert page.evaluate("window.__canary === undefined")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.close()


def test_pictures_show_and_print_leaves_nothing_folded(browser: Any, reports: dict[str, Path]) -> None:
    """Every picture decodes; on paper the folded parts are open and the warnings head each page."""
    page = browser.new_page()
    page.goto(reports["made-up"].as_uri())
    assert page.evaluate("[...document.images].every(one => one.naturalWidth > 0)")

    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.querySelector('.watermark')).display") == "table-header-group"
    assert page.evaluate(
        "[...document.querySelectorAll('details pre')].every(one => one.getBoundingClientRect().height > 0)"
    )
    assert page.pdf(prefer_css_page_size=True).startswith(b"%PDF")
    page.close()


def test_scrolled_tables_are_reached_by_keyboard(browser: Any, reports: dict[str, Path]) -> None:
    """On a phone the ranking scrolls inside its own container, which takes the focus."""
    page = browser.new_page(viewport={"width": 390, "height": 844})
    page.goto(reports["made-up"].as_uri())
    box = page.locator("#ranking .scroll").first
    box.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_timeout(300)

    assert box.evaluate("one => one.scrollLeft") > 0
    page.close()


def test_a_link_to_a_closed_section_opens_it(browser: Any, reports: dict[str, Path]) -> None:
    """What is closed opens by its link, by its heading with a key, and is small until then."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(reports["made-up"].as_uri())
    assert page.locator("#confusion").is_hidden()
    page.locator("nav a", has_text="What is mistaken for what").click()
    page.wait_for_timeout(300)
    assert page.locator("#confusion").is_visible()

    heading = page.locator("summary", has_text="ROC curves")
    heading.focus()
    page.keyboard.press("Enter")
    assert page.locator("#roc").is_visible()
    page.close()


def test_a_task_opens_its_own_section(browser: Any, reports: dict[str, Path]) -> None:
    """Of several tasks each has a contents list, whose links open what is said of this task and of no other."""
    page = browser.new_page(viewport={"width": 390, "height": 844})
    page.goto(reports["several tasks"].as_uri())
    page.locator("#task-2 nav a", has_text="What is mistaken for what").click()
    page.wait_for_timeout(300)

    assert page.locator("#task-2-confusion").is_visible()
    assert page.locator("#task-1-confusion").is_hidden()
    assert page.locator("#task-2-ranking").is_visible()
    page.close()
