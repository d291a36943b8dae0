from __future__ import annotations

import cv2
import numpy as np
import pytest

from grandrounds.data.glance import EDGE_PX, Glances, squared
from grandrounds.data.near import LEAST_SCORE, MOST_SCORE, copies_between, least_score, near_duplicates
from grandrounds.data.overlay import has_content
from grandrounds.image import Image


def texture(seed: int, side: int = 96) -> np.ndarray:
    """Return an image with structure at several scales, as tissue has."""
    rng = np.random.default_rng(seed)
    layers = [cv2.GaussianBlur(rng.normal(0, 1, (side, side)), (0, 0), scale) * scale for scale in (1.5, 4, 12)]
    return (np.sum(layers, axis=0) * 40 + 128).astype(np.float32)


def seen(images: dict[str, np.ndarray]) -> Glances:
    grey = np.stack([squared(Image(np.ascontiguousarray(one, dtype=np.float32)[None])) for one in images.values()])
    return Glances(tuple(images), grey, (None,) * len(images))


def pairs(images: dict[str, np.ndarray]) -> set[frozenset[str]]:
    found = near_duplicates(seen(images), {name: name for name in images})
    return {frozenset(pair) for pair in found.select("sample_a", "sample_b").iter_rows()}


def turned(image: np.ndarray) -> np.ndarray:
    side = image.shape[0]
    turn = cv2.getRotationMatrix2D((side / 2, side / 2), 4, 1)
    return cv2.warpAffine(image, turn, (side, side), borderMode=cv2.BORDER_REPLICATE)


CHANGES = {
    "shift": lambda image: np.pad(image, ((4, 0), (3, 0)), mode="edge")[:96, :96],
    "crop": lambda image: image[3:-2, 2:-4],
    "brightness": lambda image: image * 0.8 + 20,
    "smaller": lambda image: cv2.resize(image, (64, 60), interpolation=cv2.INTER_AREA),
    "rotation": turned,
    "noise": lambda image: image + np.random.default_rng(9).normal(0, 0.02 * np.ptp(image), image.shape),
    "mirror": lambda image: image[:, ::-1],
}


@pytest.mark.parametrize("kind", CHANGES)
@pytest.mark.parametrize("n_others", [1, 260])
def test_a_changed_copy_is_found_and_nothing_else(kind: str, n_others: int) -> None:
    """Among few and among many other images, the copy is confirmed and no two of the others are."""
    images = {f"other-{seed}": texture(seed) for seed in range(1, n_others + 1)}
    images |= {"one": texture(0), "copy": CHANGES[kind](texture(0))}

    assert pairs(images) == {frozenset({"one", "copy"})}


def test_a_mirrored_pair_is_called_so() -> None:
    """The pair says that one side is to be mirrored, with its correlation."""
    images = {"one": texture(0), "copy": texture(0)[:, ::-1], "other": texture(1)}
    row = near_duplicates(seen(images), {name: name for name in images}).row(0, named=True)

    assert row["mirrored"]
    assert row["correlation"] > 0.999


@pytest.mark.parametrize("turned_deg", [0, 90, 180, 270])
@pytest.mark.parametrize("mirrored", [False, True])
def test_a_copy_that_lies_otherwise_is_found_and_how(*, mirrored: bool, turned_deg: int) -> None:
    """Of a copy in any of the eight ways that a square lies, the row tells how to lay it back over the first."""
    one = texture(0)
    moved = CHANGES["shift"](one)
    copy = np.rot90(moved, -turned_deg // 90)
    copy = copy[:, ::-1] if mirrored else copy
    images = {f"other-{seed}": texture(seed) for seed in range(1, 9)} | {"one": one, "copy": copy}
    row = near_duplicates(seen(images), {name: name for name in images}).row(0, named=True)

    assert {row["sample_a"], row["sample_b"]} == {"one", "copy"}
    assert (row["mirrored"], row["turned_deg"]) == (mirrored, turned_deg)


def test_a_window_that_clips_hides_no_copy() -> None:
    """What another window shows as plain black or white does not count against a copy."""
    images = {"one": texture(0), "copy": texture(0).clip(100, 150), "other": texture(1)}

    assert pairs(images) == {frozenset({"one", "copy"})}


def test_where_people_look_alike_more_is_asked_of_a_copy() -> None:
    """Images that share most of what they show raise the score that a copy has to reach; unrelated ones do not."""
    shared = texture(999)
    alike = seen({str(seed): shared + 0.2 * texture(seed) for seed in range(260)}).grey
    unrelated = seen({str(seed): texture(seed) for seed in range(260)}).grey

    assert least_score(unrelated) == LEAST_SCORE
    assert LEAST_SCORE < least_score(alike) <= MOST_SCORE


def test_people_who_look_alike_are_not_taken_for_one() -> None:
    """Where all images share most of what they show, the copy is found and nobody else is."""
    shared = texture(999)
    images = {str(seed): shared + 0.2 * texture(seed) for seed in range(260)}
    images["copy"] = CHANGES["noise"](images["7"])

    assert pairs(images) == {frozenset({"7", "copy"})}


@pytest.mark.parametrize("n_others", [1, 260])
def test_a_copy_of_an_image_of_another_set_is_found(n_others: int) -> None:
    """Each changed copy is found with its original; sisters within either set are none of each other's."""
    here = {f"here-{seed}": texture(seed) for seed in range(n_others)} | {"sister": CHANGES["noise"](texture(0))}
    there = {f"there-{seed}": texture(1000 + seed) for seed in range(n_others)} | {"again": texture(1000)}
    copies = {kind: change(texture(2000 + at)) for at, (kind, change) in enumerate(CHANGES.items())}
    originals = {f"of {kind}": texture(2000 + at) for at, kind in enumerate(CHANGES)}
    ones, others = seen(there | copies), seen(here | originals)
    found = copies_between(ones.grey, others.grey)

    assert [(ones.samples[one.one], others.samples[one.other]) for one in found] == [
        (kind, f"of {kind}") for kind in CHANGES
    ]
    assert [one.turn.mirrored for one in found] == [kind == "mirror" for kind in CHANGES]


def test_an_empty_set_has_no_copies() -> None:
    """No picture, and none with content, has a copy anywhere."""
    none, blank, one = (
        np.zeros((0, EDGE_PX, EDGE_PX), np.uint8),
        seen({"a": np.zeros((96, 96))}),
        seen({"b": texture(1)}),
    )

    assert copies_between(none, one.grey) == copies_between(one.grey, none) == []
    assert copies_between(blank.grey, one.grey) == copies_between(one.grey, blank.grey) == []


def test_images_without_content_match_nothing() -> None:
    """Blank, nearly blank and smoothly shaded images are no copies of each other."""
    ramp = np.linspace(0, 1, 96)
    images = {f"blank-{value}": np.full((96, 96), value) for value in range(5)}
    images |= {f"ramp-{slope}": np.outer(np.ones(96), ramp) * slope for slope in range(1, 5)}
    images["speck"] = np.where(np.arange(96 * 96).reshape(96, 96) == 4000, 9.0, 0.0)

    assert not has_content(seen(images).grey).any()
    assert pairs(images) == set()


def test_noise_is_not_content_that_matches() -> None:
    """Fields of noise differ in every detail."""
    rng = np.random.default_rng(0)

    assert pairs({f"noise-{index}": rng.normal(0, 1, (96, 96)) for index in range(40)}) == set()


def test_of_identical_images_one_takes_part() -> None:
    """Identical images are reported elsewhere; they do not fill the list."""
    images = {f"same-{index}": texture(0) for index in range(6)} | {"copy": CHANGES["crop"](texture(0))}
    found = near_duplicates(seen(images), {name: name.split("-")[0] for name in images})

    assert found.select("sample_a", "sample_b").rows() == [("same-0", "copy")]


def test_volumes_and_colours_become_grey_squares() -> None:
    """A volume shows its middle slice, colours their luminance, and a blank image stays blank."""
    volume = np.zeros((1, 5, 20, 30), np.float32)
    volume[0, 2, :10] = 1000

    assert squared(Image(volume))[:30].min() > 200
    assert squared(Image(np.ones((3, 9, 9), np.uint8))).shape == (EDGE_PX, EDGE_PX)
    assert squared(Image(np.ones((1, 9, 9), np.uint8))).max() == 0
