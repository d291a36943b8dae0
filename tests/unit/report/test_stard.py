from __future__ import annotations

import polars as pl

from grandrounds.report.stard import MOST_REASONS, diagram, flow_section

ROWS = [
    ("found", None, 100, 20, 10),
    ("set aside", "a localiser", 5, 5, 3),
    *(("refused", f"reason {turn}", turn + 1, None, None) for turn in range(MOST_REASONS + 2)),
    ("analysed", "ill", 30, 6, 3),
    ("analysed", "well", 29, 5, 3),
]
FRAME = pl.DataFrame(ROWS, schema=["stage", "reason", "n_images", "n_cases", "n_patients"], orient="row")


def test_boxes_hold_every_image_once() -> None:
    """Each way out is one box with its reasons; those that are rare are summed up, and nothing gets lost."""
    drawn = diagram(FRAME)

    assert [box.title for box in drawn.left_out] == ["Set aside", "Refused"]
    assert drawn.found.counts == "100 images, 20 cases, 10 patients"
    assert drawn.left_out[1].counts == "36 images"
    assert drawn.left_out[1].lines[0] == "reason 7: 8"
    assert drawn.left_out[1].lines[-1] == "2 more reasons: 3"
    assert drawn.analysed.counts == "59 images, 11 cases"  # patients of two classes may be the same people
    assert [box.title for box in drawn.classes] == ["ill", "well"]


def test_patients_are_not_counted_where_nobody_knows_them() -> None:
    """A page on which patients are unknown counts none."""
    section = flow_section(FRAME, patient_known=False)

    assert section is not None
    assert "patients" not in str(section)


def test_no_diagram_where_nothing_was_left_out() -> None:
    """A way without exits needs no picture."""
    assert flow_section(FRAME.filter(pl.col("stage").is_in(["found", "analysed"]))) is None
    assert flow_section(None) is None
