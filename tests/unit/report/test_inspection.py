from __future__ import annotations

import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from grandrounds.report import inspection
from grandrounds.report.inspected import content_of

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
JPEG = bytes.fromhex("ffd8ffe000104a46494600010100000100010000ffd9")
SPAN = {"low": 1.0, "median": 2.0, "high": 3.0}


def made_up(word: str = "scan", **changes: Any) -> inspection.InspectionContent:
    """Return the content of a page on which `word` stands wherever the data have a say."""
    pair = {"a": f"{word}-1", "b": f"{word}-2", "mirrored": True, "turned_deg": 90,
            "correlation": 0.99, "patients": "different", "labels": "different", "roles": "same"}  # fmt: skip
    group = {"what": f"the column {word!r}", "shapes": [f"[{word}]_9"], "n_groups": 4, "smallest": 1, "median": 2.0,
             "largest": 3, "n_pairs": 5, "n_inside": 4, "n_by_chance": 0.2, "n_one_label": 3,
             "option": f"--patient {word}"}  # fmt: skip
    found: dict[str, Any] = {
        "name": word, "dataset_hash": "abc", "n_patients": 9, "n_cases": 10, "n_samples": 20, "n_bad": 1,
        "patient_known": True, "named": True, "simulated": False, "samples_per_patient": SPAN,
        "height_px": SPAN, "width_px": SPAN, "depth_px": SPAN, "row_spacing_mm": None, "low": SPAN, "mean": SPAN,
        "high": SPAN, "modalities": {word: 20}, "planes": {}, "sides": {}, "scanners": {word: 3}, "sites": 2,
        "duplicates": {"n_groups": 1, "n_surplus": 2, "across_labels": 1, "across_patients": 1, "across_roles": None},
        "near": [pair], "groupings": [group], "notes": [word], "warnings": [word],
        "flow": [{"stage": stage, "reason": word, "n_images": 3} for stage in ("found", "label unknown", "analysed")],
        "bad": [{"path": f"/secret/{word}.png", "member": None, "frame": 3, "reason": word}],
    } | changes  # fmt: skip
    sites = [(what, value, label, n, 2 * n) for what, value, label, n in (
        ("all", "all", word, 9), ("all", "all", "b", 12), ("site", word, word, 2), ("site", "B", "b", 12),
        ("sex", "female", word, 3))]  # fmt: skip
    probe = {"probe": "size", "what": word, "metric": "auc", "estimate": 0.91, "low": 0.88, "high": 0.94,
             "n_patients": 9, "verdict": "finding", "sentence": word}  # fmt: skip
    return content_of(
        found,
        classes=(word, "b"),
        counts=pl.DataFrame({"label": [word, "b"], "site": [word, "B"], "sex": ["female", None], "age": [None, None],
                             "n_patients": [2, 12], "n_samples": [4, 24]}),
        totals=pl.DataFrame(sites, schema=["what", "value", "label", "n_patients", "n_samples"], orient="row"),
        spread=pl.DataFrame({"what": [word] * 2, "low": [0.0, 1.0], "high": [1.0, 2.0], "n": [3, 17]}),
        sheet={word: [(f"{word}-1", JPEG)], "b": []},
        pairs={f"{word}-1": JPEG, f"{word}-2": JPEG},
        probes=pl.DataFrame([probe]),
    )  # fmt: skip


class Reader(HTMLParser):
    """Collects tags and attributes as a browser would see them."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note one tag."""
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]


def test_every_part_stands_on_the_page() -> None:
    """Images, who, measures, pairs, shortcuts, flow, bad files and notes each have their section."""
    anchors = [section.anchor for section in inspection.sections(made_up())]
    page = inspection.render(made_up())

    assert anchors == ["look", "who", "measures", "pairs", "shortcuts", "flow", "bad", "notes"]
    assert all(f'id="{anchor}"' in page for anchor in anchors)
    assert "different labels, different patients, mirrored, turned by 90°" in page
    assert "0.910" in page
    assert "0.880 to 0.940" in page


def test_candidates_for_patients_show_where_patients_are_unknown() -> None:
    """Groupings come with evidence and option, and counts of patients are gone."""
    content = made_up(patient_known=False)
    page = inspection.render(content)

    assert "4 of 5 alike pairs fall into one group; by chance 0.2" in page
    assert "--patient scan" in page
    assert "patients, and below them images" not in page.lower()


def test_sparse_cells_are_tinted_and_empty_ones_visible() -> None:
    """Two patients of a class at a site are tinted; nobody is a dash; twelve are neither."""
    who = next(section for section in inspection.sections(made_up()) if section.anchor == "who")
    sites = next(block for block in who.blocks if getattr(block, "caption", "").startswith("Site"))
    cells = {row[0].text: row[1:] for row in sites.rows}

    assert cells["scan"][0].shade == pytest.approx(0.8)
    assert cells["scan"][1].text == "–"
    assert cells["B"][1].shade is None


def test_the_page_is_closed(hostile_words: tuple[str, ...]) -> None:
    """No script, handler or address comes out of hostile words, wherever the data put them."""
    for word in hostile_words:
        page = inspection.render(made_up(word))
        body = page.split("</style>", 1)[1]
        reader = Reader()
        reader.feed(body)

        assert "default-src 'none'" in page
        assert reader.tags.isdisjoint({"script", "iframe", "link", "base", "object", "form", "style", "meta"})
        assert not any(name.startswith("on") for name, _ in reader.attributes)
        assert all(value.startswith("data:image/jpeg;base64,") for name, value in reader.attributes if name == "src")
        assert all(value.startswith("#") for name, value in reader.attributes if name == "href")
        assert "/secret" not in page


def test_bad_files_without_names_are_numbered() -> None:
    """Where nobody asked for names, a bad file has its number and reason."""
    page = inspection.render(made_up("kind", named=False))

    assert "kind.png" not in page
    assert "file 1" in page


def test_an_empty_set_of_findings_says_so() -> None:
    """Nothing found is said in words, not by a gap."""
    none = {"n_groups": 0, "n_surplus": 0, "across_labels": 0, "across_patients": 0, "across_roles": None}
    page = inspection.render(made_up(duplicates=none, near=[], warnings=[], bad=[], n_bad=0))

    assert "No two images have the same pixels." in page
    assert "No two images are nearly identical." in page
    assert "Before you train" not in page


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")
def test_page_is_quiet_and_fits(tmp_path: Path) -> None:
    """In a browser no message appears, nothing is requested, and the page never scrolls sideways."""
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    path = inspection.write(made_up("x" * 70), tmp_path / "inspection.html")
    said: list[str] = []
    asked: list[str] = []
    with playwright.sync_playwright() as engine:
        browser = engine.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 390, "height": 900})
        page.on("console", lambda message: said.append(message.text))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(path.as_uri())
        page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
        width = page.evaluate("document.documentElement.scrollWidth")
        browser.close()

    assert said == []
    assert [url for url in asked if not url.startswith("data:")] == [path.as_uri()]
    assert width <= 390
