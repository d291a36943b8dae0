from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from grandrounds import data
from grandrounds.data import SourceOptions
from grandrounds.data.grouping import groupings
from grandrounds.errors import BadData, BadSpec, Refusal
from grandrounds.layouts.copies import COPIES, OPTIONS


def opened(picture: Callable[..., Path], names: list[str], folder: Path, **options: str) -> data.Dataset:
    for seed, name in enumerate(names):
        picture(f"set/{name}.png", seed)
    return data.open_dataset(folder / "set", SourceOptions(**options))


NAMES = {
    "the number after a word such as patient": [f"{label}/scan_patient{n}_{k}" for n in range(6) for k in range(3)
                                                 for label in (["a", "b"][n % 2],)],
    "the number that a name begins with": [f"{'ab'[n % 2]}/{n:03d}-{k}" for n in range(6) for k in range(3)],
    "the folder that a file lies in": [f"{'ab'[n % 2]}/q{n}x/{k}" for n in range(6) for k in range(3)],
    "what stands before the first underscore": [f"{'ab'[n % 2]}/x-{'uvwxyz'[n]}_{k}" for n in range(6)
                                                for k in range(3)],
    "the letters and digits that a name begins with": [f"{'ab'[n % 2]}/PX{n}_{k}" for n in range(6) for k in range(3)],
}  # fmt: skip


@pytest.mark.parametrize("what", NAMES)
def test_each_habit_of_naming_is_found(what: str, picture: Callable[..., Path], tmp_path: Path) -> None:
    """Six patients with three images each are told from the names, and the option that is shown does just that."""
    dataset = opened(picture, NAMES[what], tmp_path)
    found = {one.what: one for one in groupings(dataset, [])}[what]
    pattern = found.option.removeprefix("--patient-pattern ").strip("'")
    applied = data.open_dataset(tmp_path / "set", SourceOptions(patient_pattern=pattern))

    assert (found.n_groups, found.smallest, found.median, found.largest, found.n_one_label) == (6, 3, 3.0, 3, 6)
    assert not dataset.patient_known
    assert applied.patient_known
    assert applied.samples["patient"].n_unique() == 6
    assert any("told from names" in note for note in applied.notes)


def test_evidence_counts_alike_images_inside_groups(picture: Callable[..., Path], tmp_path: Path) -> None:
    """Pairs of alike images inside one group speak for it; what chance would give is said beside them."""
    names = NAMES["the number that a name begins with"]
    dataset = opened(picture, names, tmp_path)
    alike = [("a/000-0", "a/000-1"), ("b/001-0", "b/001-2"), ("a/000-0", "b/001-0")]
    found = {one.what: one for one in groupings(dataset, alike)}["the number that a name begins with"]

    assert (found.n_pairs, found.n_inside) == (3, 2)
    assert found.n_by_chance == pytest.approx(3 * 6 * 3 * 2 / (18 * 17))
    assert "2 fall into one group" in found.sentence


def test_patterns_show_no_name(picture: Callable[..., Path], tmp_path: Path) -> None:
    """Names are shown as letters and digits, never as they are."""
    found = groupings(opened(picture, NAMES["the letters and digits that a name begins with"], tmp_path), [])
    words = " ".join(shape for one in found for shape in one.shapes)

    assert "a/[aa9]_9" in words
    assert "PX" not in " ".join(one.sentence for one in found) + words


def test_classes_and_unique_names_are_no_patients(picture: Callable[..., Path], tmp_path: Path) -> None:
    """A folder named after its class is not a patient, nor is a name that never comes again."""
    dataset = opened(picture, [f"{label}/{label}_{n}" for label in ("cat", "dog", "cow") for n in range(5)], tmp_path)

    assert groupings(dataset, []) == ()


def test_known_patients_are_not_guessed_at(picture: Callable[..., Path], tmp_path: Path) -> None:
    """Where patients are known nothing is proposed, and a pattern is refused."""
    rows = [f"{picture(f'p{n}_{k}.png', 10 * n + k).name},{'ab'[n % 2]},{n}" for n in range(4) for k in range(2)]
    table = tmp_path / "t.csv"
    table.write_text("image,label,patient\n" + "\n".join(rows), encoding="utf-8")

    assert groupings(data.open_dataset(table), [("p0_0", "p0_1")]) == ()
    with pytest.raises(BadSpec, match="tells its patients itself"):
        data.open_dataset(table, SourceOptions(patient_pattern=r"^(p\d)"))


def test_a_column_called_like_an_id_is_proposed(picture: Callable[..., Path], tmp_path: Path) -> None:
    """A column whose name nobody recognises, yet which sounds like an id, is a candidate."""
    rows = [f"{picture(f'{n}{k}.png', 10 * n + k).name},{'ab'[n % 2]},X{n}" for n in range(4) for k in range(2)]
    table = tmp_path / "t.csv"
    table.write_text("image,label,anonymised_patient_code\n" + "\n".join(rows), encoding="utf-8")
    found = groupings(data.open_dataset(table), [])

    assert [one.option for one in found][:1] == ["--patient anonymised_patient_code"]


@pytest.mark.parametrize(
    ("pattern", "error"),
    [(r"^(\d+", BadSpec), (r"^\d+", BadSpec), (r"(?<=a)(\d)", BadSpec), ("(a)" * 90, BadSpec), (r"^(zzz)", BadData)],
)
def test_a_pattern_that_does_not_do_is_refused(
    pattern: str, error: type[Refusal], picture: Callable[..., Path], tmp_path: Path
) -> None:
    """No group, not understood, too long, or fitting no name: the message names the option and no name."""
    names = NAMES["the number that a name begins with"]
    with pytest.raises(error) as caught:
        opened(picture, names, tmp_path, patient_pattern=pattern)

    assert "patient_pattern" in str(caught.value)
    assert "000-0" not in str(caught.value)


def test_a_pattern_runs_in_linear_time(picture: Callable[..., Path], tmp_path: Path) -> None:
    """A pattern that lets other engines backtrack forever is answered at once."""
    name = "a" * 60
    dataset = opened(picture, [f"{label}/{name}{n}x" for n in range(2) for label in "uv"], tmp_path,
                     patient_pattern=r"((?:a+)+\dx)$")  # fmt: skip

    assert dataset.samples["patient"].n_unique() == 2


def test_cases_are_not_proposed_as_patients(tmp_path: Path) -> None:
    """Where patients are unknown a case counts as one already, so groups that are the cases say nothing new."""
    dataset = data.open_dataset(COPIES["mrnet"](tmp_path), OPTIONS["mrnet"])

    assert groupings(dataset, []) == ()


def test_ways_that_differ_are_all_proposed(picture: Callable[..., Path], tmp_path: Path) -> None:
    """Folders and beginnings of names give different groups: both are shown, the one with more alike inside first."""
    names = [f"{'ab'[n % 2]}/q{n}/{start}_{k}" for n in range(6) for start in ("u", "v", "w") for k in range(2)]
    dataset = opened(picture, names, tmp_path)

    found = groupings(dataset, [("a/q0/u_0", "b/q1/u_1"), ("a/q2/v_0", "a/q4/v_1")])

    assert [(one.what, one.n_groups) for one in found] == [
        ("what stands before the first underscore", 3),
        ("the folder that a file lies in", 6),
    ]
