"""What tuning prints in a terminal."""

import polars as pl
from rich.console import Console

from grandrounds.cli.tried_table import TriedTable

MEASURED = {
    "mean": [0.9, 0.8], "low": [0.81, 0.7], "high": [0.95, 0.88], "difference": [0.1, None],
    "difference_low": [0.02, None], "difference_high": [0.19, None], "verdict": ["better", None],
    "part": [1.0, 1.0], "recipe": [1, 0],
}  # fmt: skip


def printed(tried, width=80, usual=0):
    console = Console(width=width, record=True)
    console.print(TriedTable("resnet-18", tried, "AUC of ill", usual))
    return console.export_text()


def test_values_that_all_recipes_share_stand_below_the_table():
    """A column that never changes would push those that do out of a terminal's width."""
    said = printed(pl.DataFrame({"learning_rate": [0.003, 0.001], "max_epochs": [40, 40], **MEASURED}))

    head = next(line for line in said.splitlines() if "learning_rate" in line)
    assert "max_epochs" not in head
    assert "in all of them: max_epochs = 40" in " ".join(said.split())


def test_the_part_of_the_passes_is_told_where_a_recipe_was_dropped_early():
    """Where each was trained in full there is nothing to say of them."""
    rates = {"learning_rate": [0.003, 0.001]}

    assert "part:" not in printed(pl.DataFrame(rates | MEASURED))
    assert "part: of the passes" in " ".join(printed(pl.DataFrame(rates | MEASURED | {"part": [1.0, 0.33]})).split())


def test_what_the_deviation_is_of_is_told_where_one_stands():
    """With one training of each recipe there is none, and no column to explain."""
    rates = {"learning_rate": [0.003, 0.001]}

    assert "SD: over trainings" in printed(pl.DataFrame(rates | MEASURED | {"sd": [0.01, None]}))
    assert "SD" not in printed(pl.DataFrame(rates | MEASURED | {"sd": [None, None]}))


def test_a_value_and_its_difference_stand_beside_their_intervals():
    """What decided is named, and the usual recipe differs from nothing."""
    said = printed(pl.DataFrame({"learning_rate": [0.003, 0.001], **MEASURED}), width=120)
    best, usual = (next(line for line in said.splitlines() if f"│{rate}" in line) for rate in ("0.003", "0.001"))

    assert "AUC of ill (95 %)" in said
    assert "0.900 (0.810 to 0.950)" in best
    assert "+0.100 (+0.020 to +0.190) better" in best
    assert usual.split("│")[3].strip() == "–"


def test_a_narrow_terminal_breaks_no_number():
    """Interval and verdict stand below what they belong to."""
    said = printed(pl.DataFrame({"learning_rate": [0.003, 0.001], **MEASURED}), width=60)
    cells = [[cell.strip() for cell in line.strip("│").split("│")] for line in said.splitlines() if "│" in line]

    assert ["0.003", "0.900", "+0.100"] in cells
    assert ["", "(0.810 to 0.950)", "(+0.020 to +0.190)"] in cells
    assert ["", "", "better"] in cells


def test_of_several_parameters_only_what_is_not_as_usual_is_told():
    """A column for each would break the words of all at the width of a terminal."""
    tried = {"n_hidden": [256, 128], "whitening": ["zca", "zca"], "window_px": [8, 8], "cells": [1, 2], **MEASURED}
    said = printed(pl.DataFrame(tried))

    assert "│n_hidden = 256" in said
    assert "│cells = 1" in said
    assert "│as usual" in said
    assert "as usual: n_hidden = 128, cells = 2" in " ".join(said.split())
    assert "in all of them: whitening = zca, window_px = 8" in " ".join(said.split())


def test_without_a_usual_recipe_every_value_is_told():
    """As where nobody asked for it."""
    tried = {"n_hidden": [256, 128], "cells": [1, 2], **MEASURED, "difference": [None, None]}
    said = printed(pl.DataFrame(tried, schema_overrides={"difference": pl.Float64}), usual=None)

    assert said.count("cells = ") == 2
    assert "as usual" not in said


def test_the_usual_recipe_is_named_where_it_could_not_be_trained():
    """What is as usual does not follow from what was measured."""
    tried = {"n_hidden": [256, 128], "cells": [1, 2], **MEASURED, "mean": [0.9, None], "difference": [None, None]}
    said = printed(pl.DataFrame(tried, schema_overrides={"difference": pl.Float64}))

    assert "as usual: n_hidden = 128, cells = 2" in " ".join(said.split())
