"""A report promises only differences that such studies do show: near an AUC of 1 the error alone promises more."""

from __future__ import annotations

import numpy as np

BENCHMARK = "detectable"
AREA = 0.99


def _shown(simulation, n_studies, difference, setting):
    """Return in which share of studies a family is called better than one that is worse by so much."""
    rows = (simulation.compared(1000 + seed, *setting, (AREA, AREA - difference))[0] for seed in range(n_studies))
    return float(np.mean([row["verdict"] == "better" for row in rows]))


def test_what_is_called_detectable_is_shown_near_the_end_of_the_scale(simulation):
    """Forty of 200 patients ill: what 60 studies call detectable is shown in most of 60, what the error says is not."""
    called, alone = np.median(simulation.said(60, 200, 40, AREA), axis=1)

    assert _shown(simulation, 60, called, (200, 40)) >= 0.7
    assert _shown(simulation, 60, alone, (200, 40)) <= 0.5
