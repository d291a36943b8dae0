from __future__ import annotations

import numpy as np
import pytest

from grandrounds import families
from grandrounds.errors import BadSpec
from grandrounds.families.price import noise_view, time_batch
from grandrounds.families.protocol import Budget

VIEW = noise_view((1, 16, 16), 24, 2)


def fitted(name="ensemble:li2014", epochs=6, **params):
    told = []
    return families.build(name, params).fit(VIEW, VIEW, Budget(epochs=epochs), 0, told.append), told


def test_members_share_the_budget_and_decide_together():
    """Three members make a third of the passes each; their probabilities are averaged."""
    committee, told = fitted()

    assert [epoch.epoch for epoch in told] == [1, 2, 3, 4, 5, 6]
    assert {epoch.n_epochs for epoch in told} == {6}
    assert all(np.diff([epoch.time_s for epoch in told]) > 0)
    assert committee.record.epochs == 6
    single = [member.predict(VIEW) for member in committee.members]
    assert not np.allclose(single[0], single[1])
    assert np.allclose(committee.predict(VIEW), np.mean(single, axis=0))


def test_saves_and_loads(tmp_path):
    """What was saved decides as before."""
    committee, _ = fitted(n_members=2)
    committee.save(tmp_path)

    assert np.array_equal(families.load("ensemble:li2014", tmp_path).predict(VIEW), committee.predict(VIEW))


def test_reads_what_its_members_read():
    """Iterating, sizes and packages are those of the member's family; a committee of anything may be asked for."""
    entry = families.FAMILIES.get("ensemble:alexnet")

    assert (entry.smallest_px, entry.iterates) == (63, True)
    assert not families.FAMILIES.get("ensemble:lbp-svm").iterates
    assert families.params_of("ensemble:nin").max_epochs == 3 * families.params_of("nin").max_epochs
    with pytest.raises(BadSpec, match="did you mean 'resnet-18'"):
        families.FAMILIES.get("ensemble:resnet18")


def test_has_a_price():
    """A committee costs for each pass what its member does."""
    price = time_batch("ensemble:li2014", {}, (1, 16, 16), 100, 20, 2, Budget())

    assert price.seconds_per_epoch > 0
    assert price.fixed_s >= 0
