"""Equal budgets."""

from hypothesis import given
from hypothesis import strategies as st

from grandrounds.study.shares import USABLE, Cost, epochs_for, share_s

COSTS = st.builds(Cost, st.floats(0.01, 30), st.floats(0, 30), st.integers(0, 200))


def test_families_get_equal_seconds_not_equal_epochs():
    """A family four times as slow gets about a quarter of the epochs."""
    quick, slow = Cost(1.0, 2.0, 1000), Cost(4.0, 2.0, 1000)

    assert (epochs_for(quick, 82), epochs_for(slow, 82)) == (80, 20)


def test_families_that_do_not_iterate_get_no_epochs():
    """A support vector machine has no epochs to be given."""
    assert epochs_for(Cost(0.0, 3.0, 0), 1000) == 0


def test_a_share_is_the_same_for_everybody():
    """Two workers for a minute, four contenders, three folds: ten seconds each, less what starting takes."""
    assert share_s(4, n_trials=3, budget_s=60, workers=2) == 10 * USABLE


@given(st.lists(COSTS, min_size=1, max_size=6), st.integers(1, 15), st.floats(10, 7200), st.integers(1, 8))
def test_shares_fit_the_budget_or_are_one_epoch(costs, n_trials, budget_s, workers):
    """Nobody gets more than is enough, and what iterates fits its share unless it is down to one epoch."""
    share = share_s(len(costs), n_trials=n_trials, budget_s=budget_s, workers=workers)
    for cost in costs:
        epochs = epochs_for(cost, share)

        assert epochs <= cost.enough_epochs
        assert epochs <= 1 or cost.seconds(epochs) <= share + 1e-6
