from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom
from statsmodels.stats.proportion import proportion_confint

from grandrounds.errors import BadData
from grandrounds.evaluate.proportions import clopper_pearson, wilson


@pytest.mark.parametrize("level", [0.05, 0.2])
@pytest.mark.parametrize(("k", "n"), [(0, 1), (1, 1), (0, 12), (3, 12), (12, 12), (250, 1000)])
def test_bounds_equal_statsmodels(k, n, level):
    """Both intervals equal statsmodels', at the ends too."""
    hits = np.arange(n) < k
    for ours, method in ((wilson, "wilson"), (clopper_pearson, "beta")):
        found = ours(hits, range(n), level)
        assert (found.low, found.high) == pytest.approx(proportion_confint(k, n, level, method), abs=1e-12)
        assert (found.estimate, found.n) == (k / n, n)


def test_clopper_pearson_never_covers_less_than_it_says():
    """Over all shares and outcomes of 20 patients coverage is at least 95 %; Wilson's is so on average."""
    n, shares = 20, np.linspace(0.01, 0.99, 99)
    coverage = {}
    for ours in (wilson, clopper_pearson):
        bounds = [ours(np.arange(n) < k, range(n)) for k in range(n + 1)]
        inside = np.array([[one.low <= share <= one.high for one in bounds] for share in shares])
        coverage[ours] = (inside * binom.pmf(np.arange(n + 1), n, shares[:, None])).sum(axis=1)
    assert coverage[clopper_pearson].min() >= 0.95
    assert coverage[wilson].mean() == pytest.approx(0.95, abs=0.01)


@pytest.mark.parametrize("ours", [wilson, clopper_pearson])
def test_two_rows_of_a_patient_are_refused(ours):
    """Rows that are not independent are an error with a way out, as are lengths that differ."""
    with pytest.raises(BadData, match="patient-clustered bootstrap"):
        ours(np.array([True, False, True]), ["p", "q", "p"])
    with pytest.raises(BadData, match="do not go together"):
        ours(np.array([True, False]), ["p"])


@pytest.mark.parametrize("ours", [wilson, clopper_pearson])
def test_no_row_is_undefined(ours):
    """Without a row there is no share."""
    found = ours(np.array([], dtype=bool), [])
    assert np.isnan([found.estimate, found.low, found.high]).all()
