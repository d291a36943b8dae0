"""The page as a reader, a screen reader and an attacker meet it."""

from __future__ import annotations

import dataclasses
import os
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import polars as pl
import pytest

from grandrounds import tables
from grandrounds.errors import StoreTrouble
from grandrounds.report import ReportContent, classes, plots, write
from grandrounds.report.blocks import Panels
from grandrounds.report.page import SECTIONS, render
from grandrounds.report.palette import Look
from grandrounds.report.ranked import Ranked, Score
from grandrounds.tables import Task

GOLDEN = Path(__file__).parents[2] / "golden" / "report.txt"
VOID = {"meta", "img", "br", "link", "base", "input"}


class Outline(HTMLParser):
    """Elements and text of a page, read as a browser would."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.lines: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep an element."""
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Check that elements nest."""
        assert self._open.pop() == tag, f"{tag} closes another element"

    def handle_data(self, data: str) -> None:
        """Keep text that is shown."""
        if data.strip() and "style" not in self._open:
            self.lines.append(" ".join(data.split()))

    def counted(self) -> Counter[str]:
        """Return how often each element occurs, but for the marks whose form follows the order of the names."""
        return Counter(tag for tag, _ in self.elements if tag not in ("path", "circle"))

    def named(self, tag: str) -> list[dict[str, str | None]]:
        """Return the attributes of every element of that name."""
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def text(self) -> str:
        """All text, a line for each piece."""
        return "\n".join(self.lines)


def test_words_and_numbers_are_as_before(content: ReportContent) -> None:
    """The text of the made-up report equals the kept one; GRANDROUNDS_GOLDEN=write keeps the new one."""
    text = Outline(render(content)).text + "\n"
    if os.environ.get("GRANDROUNDS_GOLDEN") == "write":
        GOLDEN.write_text(text, encoding="utf-8")

    assert text == GOLDEN.read_text(encoding="utf-8")


def test_page_is_whole_and_asks_for_nothing(content: ReportContent, tmp_path: Path) -> None:
    """One file below 3 MB with a strict policy, without a script and without an address outside itself."""
    path = write(content, tmp_path / "report.html")
    page = path.read_text(encoding="utf-8")
    outline = Outline(page)

    assert path.stat().st_size < 3_000_000
    assert "default-src 'none'; style-src 'unsafe-inline'; img-src data:" in page
    assert not {"script", "link", "iframe", "object", "base", "form"} & {tag for tag, _ in outline.elements}
    assert not re.search(r"url\(|@import|https?:", page)
    assert list(tmp_path.iterdir()) == [path]


def test_landmarks_headings_tables_and_drawings_have_names(content: ReportContent) -> None:
    """One main, one h1, a caption and scopes for each table, a text alternative for each picture."""
    outline = Outline(render(content))
    counts = {tag: len(outline.named(tag)) for tag in ("main", "h1", "header", "nav", "footer", "table", "caption")}

    assert {counts[tag] for tag in ("main", "h1", "header", "nav", "footer")} == {1}
    assert counts["table"] == counts["caption"] > 10
    assert all(cell.get("scope") in ("row", "col") for cell in outline.named("th"))
    assert all(one.get("alt") for one in outline.named("img"))
    assert all(one.get("aria-hidden") or (one.get("role") and one.get("aria-label")) for one in outline.named("svg"))
    assert all(one.get("tabindex") == "0" for one in outline.named("pre"))
    anchors = {one.get("id") for _, one in outline.elements}
    assert {str(one["href"]).removeprefix("#") for one in outline.named("a") if str(one["href"])[0] == "#"} <= anchors


def test_payloads_stay_text(
    hostile_content: ReportContent, calm_content: ReportContent, hostile_words: tuple[str, ...]
) -> None:
    """Sixty attacks in every place that data can reach add no element, no attribute, no address and no style."""
    outline, calm = Outline(render(hostile_content)), Outline(render(calm_content))

    assert len(hostile_words) == 60
    assert outline.counted() == calm.counted()
    assert not [key for _, attributes in outline.elements for key in attributes if key.startswith("on")]
    assert all(str(one["href"]).startswith("#") for one in outline.named("a"))
    assert all(str(one["src"]).startswith("data:image/png;base64,") for one in outline.named("img"))
    assert all(" ".join(payload.split()) in outline.text for payload in hostile_words)


def test_the_attacked_page_has_every_section(hostile_content: ReportContent) -> None:
    """No section of the page escapes the attacks, here and in the browser, by having nothing to show."""
    ranked = Ranked.of(hostile_content)
    assert [build.__name__ for build in SECTIONS if build(ranked) is None] == []


def test_every_table_may_be_missing(content: ReportContent) -> None:
    """Without any one table, and without all of them, there still is a page."""
    names = [
        field.name for field in dataclasses.fields(content) if isinstance(getattr(content, field.name), pl.DataFrame)
    ]
    empty = {name: tables.empty(tables.SCHEMAS[name]) for name in names}

    for name in names:
        assert content.title in render(dataclasses.replace(content, **{name: empty[name]}))
    bare = Outline(render(ReportContent(title="Nothing", task=Task(classes=("a", "b", "c"))))).text
    assert "There are no scores to show." in bare
    assert "No split table came along" in bare


def test_bare_predictions_are_counted(content: ReportContent) -> None:
    """A CSV of predictions, without samples or labels, still says how many images and patients there are."""
    predictions = tables.check(
        pl.DataFrame({
            "sample": ["s1", "s2", "s3"], "case": ["s1", "s2", "s3"], "patient": ["p1", "p1", "p2"],
            "family": "model", "trial": "model-0", "role": "test", "label": ["normal", "normal", "fibrosis"],
        }),
        tables.PREDICTIONS,
    )  # fmt: skip
    outline = Outline(render(ReportContent(title="CSV", task=content.task, predictions=predictions)))

    assert "what follows is counted from the predictions" in outline.text
    assert outline.lines[outline.lines.index("Patients") + 1] == "2"


def test_undefined_is_said_with_its_reason(content: ReportContent) -> None:
    """A metric that could not be computed reads undefined, in figures and tables, and a note says why."""
    outline = Outline(render(content))

    assert "undefined" in outline.lines
    assert "precision of fibrosis (prior): undefined in 3 of 3 folds: no sample is called fibrosis." in outline.text


def test_nan_reads_as_null(content: ReportContent) -> None:
    """NaN, which a judge may write for undefined, never reaches the page."""
    holes = pl.when(pl.col("family") == "prior").then(float("nan"))
    scores = content.scores.with_columns(
        holes.otherwise(pl.col(name)).alias(name) for name in ("estimate", "low", "high")
    )
    curves = content.curves.with_columns(holes.otherwise(pl.col(name)).alias(name) for name in ("y", "low", "high"))
    page = render(dataclasses.replace(content, scores=scores, curves=curves))

    assert not re.search(r"\bnan\b", page, re.IGNORECASE)


def test_one_family_needs_no_comparison(build) -> None:
    """A study of one family has a ranking and no section of differences."""
    outline = Outline(render(build(families=("resnet-18",))))

    assert "Ranking" in outline.lines
    assert "Is the difference real?" not in outline.lines


def test_binary_task_names_its_positive_class(build) -> None:
    """Sensitivity and specificity come with the class that they speak of."""
    text = Outline(render(build(classes=("benign", "malignant")))).text

    assert "The positive class is malignant: its recall is the sensitivity" in text
    assert "sensitivity (recall of malignant)" in text
    assert "AUC of malignant, margin 0.02" in text


def test_two_classes_have_the_table_that_papers_print(build) -> None:
    """Accuracy, specificity and sensitivity stand side by side; the more classes there are, the less that means."""
    two = Outline(render(build(classes=("healthy", "ill")))).text

    assert "Accuracy, specificity and sensitivity at the highest probability." in two
    assert "Sensitivity (recall of ill)" in two
    assert "at the highest probability" not in Outline(render(build())).text


def test_each_class_has_its_curves_beside_the_mean(content: ReportContent) -> None:
    """With more than two classes every class has a panel of its own, and the mean over classes one more."""
    roc = content.curves.filter(pl.col("curve") == "roc")
    mean = roc.filter(pl.col("label") == content.task.classes[0]).with_columns(label=pl.lit(None, pl.String()))
    both = pl.concat([roc, mean])
    recalled = both.with_columns(curve=pl.lit("precision-recall"))
    ranked = Ranked.of(dataclasses.replace(content, curves=pl.concat([both, recalled])))

    for section in (classes.roc(ranked), classes.precision_recall(ranked)):
        assert section is not None
        (panels,) = section.blocks
        assert isinstance(panels, Panels)
        assert len(panels.panels) == len(content.task.classes) + 1


def test_names_of_a_plot_do_not_cover_each_other() -> None:
    """Families at one place have their names at different heights."""
    look = Look("c0", "circle", None)
    rows = [(name, 10.0, Score(0.9, 0.8, 1.0), look) for name in ("one", "two", "three")]
    drawn = plots.price_and_value(rows, ["one"], "seconds", "AUC")
    heights = re.findall(r'y="([^"]+)"[^>]*>(?:one|two|three)<', drawn)

    assert len(set(heights)) == 3


def test_only_relative_links_are_links(content: ReportContent) -> None:
    """An address with a scheme or a host is shown as text."""
    links = (("near", "patch-split/report.html"), ("far", "https://example.invalid"), ("root", "//example.invalid"))
    outline = Outline(render(dataclasses.replace(content, links=links)))

    assert [one["href"] for one in outline.named("a") if not str(one["href"]).startswith("#")] == [links[0][1]]


def test_what_is_no_png_is_not_embedded(content: ReportContent) -> None:
    """Bytes that are no PNG are left out, so that no SVG comes in as a picture."""
    thumbnails = dict.fromkeys(content.thumbnails, b"<svg onload=alert(1)>")

    assert "<img" not in render(dataclasses.replace(content, thumbnails=thumbnails))


def test_failed_trials_are_counted(content: ReportContent) -> None:
    """A family with a failed fold says so, and why."""
    text = Outline(render(content)).text

    assert "2 of 3 done, 1 failed" in text
    assert "the loss was not finite in epoch 3 (1 of 3 trials)" in text


def test_unwritable_folder_is_refused_with_a_remedy(content: ReportContent, tmp_path: Path) -> None:
    """A path that cannot be written is a refusal, not a traceback."""
    (tmp_path / "file").write_text("not a folder")

    with pytest.raises(StoreTrouble, match="what to do"):
        write(content, tmp_path / "file" / "report.html")


def test_names_in_backticks_stand_out(content: ReportContent) -> None:
    """A verdict's `name` is set as a name; a lone backtick stays what it is."""
    sentences = ("It is `<b>x</b>` that leads.", "A lone ` stays.")
    page = render(dataclasses.replace(content, verdict_sentences=sentences))

    assert "<p>It is <b>&lt;b&gt;x&lt;/b&gt;</b> that leads.</p>" in page
    assert "<p>A lone ` stays.</p>" in page
