from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from grandrounds.data.patches import boxes, spread

MASKS = hnp.arrays(np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 40)), elements=st.integers(0, 2))
SIZES = st.integers(1, 12)
FRACTIONS = st.floats(0.05, 1)


@given(mask=MASKS, size_px=SIZES, stride_px=SIZES, fraction=FRACTIONS)
def test_boxes_are_exactly_those_of_the_grid_that_hold_enough(mask, size_px, stride_px, fraction):
    """Every box of the grid is kept if and only if enough of its pixels carry the code."""
    found = boxes(mask, 1, size_px=size_px, stride_px=stride_px, fraction=fraction)

    height, width = mask.shape
    expected = [
        (y, x, y + size_px, x + size_px)
        for y in range(0, height - size_px + 1, stride_px)
        for x in range(0, width - size_px + 1, stride_px)
        if (mask[y : y + size_px, x : x + size_px] == 1).sum() >= fraction * size_px**2
    ]
    assert expected == found


def test_half_overlap_is_the_default():
    """A region of 64 by 64 pixels holds three by three patches of 32 with a stride of 16."""
    found = boxes(np.ones((64, 64), np.uint8), 1)

    assert (len(found), found[0], found[-1]) == (9, (0, 0, 32, 32), (32, 32, 64, 64))


def test_three_quarters_are_enough_and_less_is_not():
    """A patch with exactly 75 % of its pixels inside is kept; one pixel fewer, and it is not."""
    mask = np.ones((32, 32), np.uint8)
    mask[:8] = 0
    kept = boxes(mask, 1)
    mask[8, 0] = 0

    assert (len(kept), len(boxes(mask, 1))) == (1, 0)


@given(items=st.lists(st.integers(), unique=True), n=st.integers(1, 30))
def test_spread_keeps_order_and_ends(items, n):
    """A thinned list has the size asked for, in the old order, with its first item."""
    kept = spread(items, n)

    assert min(n, len(items)) == len(kept) == len(set(kept))
    assert kept == sorted(kept, key=items.index)
    assert kept[:1] == items[:1]
