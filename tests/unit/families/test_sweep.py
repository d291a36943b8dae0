from __future__ import annotations

import numpy as np
import pytest

from grandrounds import families
from grandrounds.errors import BadSpec, Diverged
from grandrounds.families.price import noise_view
from grandrounds.families.protocol import Budget

VIEW = noise_view((1, 16, 16), 24, 2)


def test_a_sweep_keeps_the_rate_that_valid_prefers(tmp_path):
    """Three rates share the budget, the best on valid is kept as a plain member, and the note has all three."""
    told = []
    family = families.build("sweep:li2014")
    fitted = family.fit(VIEW, VIEW, Budget(epochs=9), 0, told.append)
    fitted.save(tmp_path)
    loaded = families.load("sweep:li2014", tmp_path)
    middle = families.params_of("li2014").learning_rate
    note = next(one for one in fitted.record.notes if one.startswith("learning rate"))
    scores = [float(part.rpartition(": ")[2]) for part in note.partition("(")[2].rstrip(")").split(", ")]

    assert [epoch.epoch for epoch in told] == list(range(1, 10))
    assert fitted.record.epochs == 9
    assert [f"{middle * factor:.3g}" in note for factor in (1 / 3, 1, 3)] == [True] * 3
    assert fitted.params.learning_rate == pytest.approx(middle * 3.0 ** (np.argmax(scores) - 1), rel=0.01)
    assert np.array_equal(loaded.predict(VIEW), fitted.predict(VIEW))


def test_a_sweep_may_start_from_another_recipe():
    """The rates lie about the one that `of` sets, and what else it sets stays."""
    family = families.build("sweep:li2014", {"n_members": 2, "factor": 4.0, "of": {"learning_rate": 0.01, "clip": 2.0}})
    fitted = family.fit(VIEW, VIEW, Budget(epochs=2), 0, lambda _: None)

    assert fitted.params.learning_rate in (0.005, 0.02)
    assert fitted.params.clip == 2.0


def test_a_sweep_reaches_the_learning_rate_of_what_a_family_is_made_of():
    """A committee has none of its own: its members' is swept, about what `of` sets for them."""
    of = {"n_members": 2, "of": {"learning_rate": 0.01, "clip": 2.0}}
    family = families.build("sweep:ensemble:li2014", {"n_members": 2, "factor": 4.0, "of": of})
    fitted = family.fit(VIEW, VIEW, Budget(epochs=4), 0, lambda _: None)

    assert {one.params.learning_rate for one in fitted.members} <= {0.005, 0.02}
    assert {one.params.clip for one in fitted.members} == {2.0}


def test_a_sweep_needs_a_learning_rate():
    """Families that choose their settings on valid have nothing to sweep."""
    with pytest.raises(BadSpec, match="no learning rate"):
        families.FAMILIES.get("sweep:lbp-svm")


def test_a_sweep_is_priced_as_all_of_its_members():
    """Enough passes for a sweep are those of all of its members."""
    assert families.params_of("sweep:li2014").max_epochs == 3 * families.params_of("li2014").max_epochs


def test_a_rate_at_which_nothing_can_be_trained_does_not_end_the_sweep():
    """Trying a rate that is too high is what a sweep is for; it is told of."""
    too_high = {"optimiser": "sgd", "learning_rate": 1e17, "batch_size": 4}
    fitted = families.build("sweep:li2014", {"of": too_high, "factor": 1e20}).fit(
        VIEW, VIEW, Budget(epochs=6), 0, lambda _: None
    )
    note = next(one for one in fitted.record.notes if one.startswith("learning rate"))

    assert note.startswith("learning rate 0.001 ")
    assert note.count("the loss was no number") == 2


def test_a_sweep_of_nothing_but_such_rates_is_refused():
    """With the words of the training."""
    family = families.build("sweep:li2014", {"of": {"optimiser": "sgd", "learning_rate": 1e20, "batch_size": 4}})
    with pytest.raises(Diverged, match="not a number in the first epoch"):
        family.fit(VIEW, VIEW, Budget(epochs=3), 0, lambda _: None)
