"""What tuning prints in a terminal."""

import polars as pl
from rich.console import Console

from grandrounds.cli.listing import tried_table


def test_values_that_all_recipes_share_stand_below_the_table():
    """A column that never changes would push those that do out of a terminal's width."""
    tried = pl.DataFrame(
        {"learning_rate": [0.003, 0.001], "max_epochs": [40, 40], "mean": [0.9, 0.8], "passes": [1.0, 1.0]}
    )
    console = Console(width=80, record=True)

    console.print(tried_table("resnet-18", tried))
    said = console.export_text()

    head = next(line for line in said.splitlines() if "learning_rate" in line)
    assert "max_epochs" not in head
    assert "in all of them: max_epochs = 40" in " ".join(said.split())
    assert "passes" in head
