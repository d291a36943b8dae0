from __future__ import annotations

import dataclasses

import numpy as np
import polars as pl
import pytest

from grandrounds import families
from grandrounds.errors import BadData, BadSpec
from grandrounds.families.committee import dealt
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


def test_members_may_differ_from_their_recipe():
    """What `of` sets holds for every member, and for what the committee is taken to cost."""
    committee, _ = fitted(n_members=2, of={"batch_size": 12, "max_epochs": 2})

    assert {(member.params.batch_size, member.params.max_epochs) for member in committee.members} == {(12, 2)}
    assert families.params_of("ensemble:li2014", {"n_members": 2, "of": {"max_epochs": 2}}).max_epochs == 4
    with pytest.raises(BadSpec, match="widht"):
        families.build("ensemble:li2014", {"of": {"widht": 2}}).fit(VIEW, VIEW, Budget(), 0, lambda _: None)


def test_has_a_price():
    """A committee costs for each pass what its member does."""
    price = time_batch("ensemble:li2014", {}, (1, 16, 16), 100, 20, 2, Budget())

    assert price.seconds_per_epoch > 0
    assert price.fixed_s >= 0


def test_no_member_sees_the_patients_it_left_out_nor_valid():
    """Parts share no patient; each member saw the training patients alone, and the committee's record has them all."""
    train, valid = noise_view((1, 16, 16), 40, 2), noise_view((1, 16, 16), 12, 2, seed=1)
    twos = [f"patient {row // 2}" for row in range(40)]
    train = dataclasses.replace(train, samples=train.samples.with_columns(patient=pl.Series(twos)))
    others = valid.samples.with_columns(patient="other " + pl.col("patient"))
    valid = dataclasses.replace(valid, samples=others)
    committee = families.build("folds:lbp-svm", {}).fit(train, valid, Budget(), 0, lambda _: None)
    parts = dealt(train, 5, 0)

    assert sorted(np.bincount(parts)) == [8] * 5
    assert all(len(set(parts[at : at + 2])) == 1 for at in range(0, 40, 2))
    assert [member.record.patients for member in committee.members] == [train.patients] * 5
    assert committee.record.patients == train.patients | valid.patients
    assert np.allclose(committee.predict(valid), np.mean([one.predict(valid) for one in committee.members], axis=0))


def test_members_of_a_cut_committee_differ_and_come_back(tmp_path):
    """Each member learned from other patients, and what was saved decides as before."""
    committee, told = fitted("folds:li2014", n_members=3)
    committee.save(tmp_path)

    assert [epoch.epoch for epoch in told] == [1, 2, 3, 4, 5, 6]
    assert not np.allclose(committee.members[0].predict(VIEW), committee.members[1].predict(VIEW))
    assert np.array_equal(families.load("folds:li2014", tmp_path).predict(VIEW), committee.predict(VIEW))
    assert "without one of 3 parts of the training patients" in committee.record.notes[0]


def test_one_patient_cannot_be_dealt():
    """Folds need patients to leave out; a committee of seeds does not."""
    alone = dataclasses.replace(VIEW, samples=VIEW.samples.with_columns(patient=pl.lit("one")))
    with pytest.raises(BadData, match="use ensemble:"):
        families.build("folds:lbp-svm", {}).fit(alone, alone, Budget(), 0, lambda _: None)


def test_what_went_otherwise_than_planned_is_told_of_every_member():
    """One of them may stop early, for whatever reason, and the committee's reader has to know which."""
    committee, _ = fitted(epochs=36, of={"patience": 1})
    stopped = [
        f"member {at}: {note}"
        for at, member in enumerate(committee.members, start=1)
        for note in member.record.departures
    ]

    assert len(stopped) > 1
    assert list(committee.record.departures) == stopped


def test_members_that_cannot_differ_are_told():
    """A family that draws nothing at random gives the same model three times."""
    same = "all members are the same: lbp-svm draws nothing at random"

    assert same in fitted("ensemble:lbp-svm")[0].record.departures
    assert not fitted()[0].record.departures


def test_what_each_member_chose_is_told_under_its_number():
    """Members over folds are judged on the part that they leave out, and never on valid."""
    view = noise_view((1, 16, 16), 60, 2, seed=3)
    committee = families.build("folds:lbp-svm", {"n_members": 3}).fit(view, VIEW, Budget(), 0, lambda _: None)
    notes, alone = committee.record.notes, [set(member.record.notes) for member in committee.members]

    assert not any(" on valid" in note for note in notes)
    assert any(note.startswith("member 1: ") for note in notes)
    for at, (one, others) in enumerate(zip(alone, [alone[1:], alone[::2], alone[:2]], strict=True), start=1):
        for note in one - set.intersection(*others):
            assert f"member {at}: {note.replace(' on valid', ' on the part left out')}" in notes


def test_a_class_of_one_patient_is_no_class_for_members_over_folds():
    """Whoever leaves that patient out has one class left: more folds of the study would not help."""
    labels = np.zeros(24, dtype=np.int64)
    labels[0] = 1
    rare = dataclasses.replace(VIEW, labels=labels)
    with pytest.raises(BadData, match="a single class is left") as caught:
        families.build("folds:lbp-svm", {}).fit(rare, VIEW, Budget(), 0, lambda _: None)
    assert "ensemble:" in caught.value.remedy
