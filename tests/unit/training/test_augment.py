from __future__ import annotations

import math

import pytest
import torch

from grandrounds.training.augment import Draw, affine, apply, draw
from grandrounds.training.spec import TrainingSpec


def moved(space, n, shift_px=(0.0, 0.0), angle_rad=0.0, mirrored=1.0):
    shift, angle = torch.tensor(shift_px).expand(n, len(space)), torch.full((n,), angle_rad)
    return Draw(affine(space, shift, angle, torch.as_tensor(mirrored).expand(n)))


@pytest.fixture
def batch():
    return torch.rand(3, 2, 12, 20, generator=torch.Generator().manual_seed(0))


def test_whole_pixel_shift_blurs_nothing(batch):
    """A shift moves pixels as they are."""
    shifted = apply(batch, moved((12, 20), 3, shift_px=(2.0, 1.0)))

    assert torch.allclose(shifted[:, :, :-1, :-2], batch[:, :, 1:, 2:], atol=1e-5)


def test_mirror_is_exact(batch):
    """Mirroring swaps left and right, of the chosen image alone."""
    mirrored = apply(batch, moved((12, 20), 3, mirrored=[1.0, -1.0, 1.0]))

    assert torch.allclose(mirrored[1], batch[1].flip(-1), atol=1e-5)
    assert torch.allclose(mirrored[0], batch[0], atol=1e-5)


def test_quarter_turn_of_a_square():
    """Turning by 90 degrees equals torch's own rotation."""
    square = torch.rand(1, 1, 9, 9, generator=torch.Generator().manual_seed(0))
    turned = apply(square, moved((9, 9), 1, angle_rad=math.pi / 2))

    assert any(torch.allclose(turned, square.rot90(k, (2, 3)), atol=1e-4) for k in (1, 3))


def test_half_turn_of_an_oblong(batch):
    """Rotation keeps the aspect of images that are not square."""
    turned = apply(batch, moved((12, 20), 3, angle_rad=math.pi))

    assert torch.allclose(turned, batch.flip(2, 3), atol=1e-4)


def test_three_dimensions():
    """The same code shifts volumes."""
    volume = torch.rand(1, 1, 6, 8, 10, generator=torch.Generator().manual_seed(0))
    shifted = apply(volume, moved((6, 8, 10), 1, shift_px=(0.0, 0.0, 1.0)))

    assert torch.allclose(shifted[:, :, :-1], volume[:, :, 1:], atol=1e-5)


def test_same_generator_same_images(batch):
    """The draw depends on the generator alone, and the input is not written to."""
    spec = TrainingSpec(shift=0.2, rotate_deg=15, gain=0.2, noise=0.1)
    before = batch.clone()

    def changed(seed):
        generator = torch.Generator().manual_seed(seed)
        return apply(batch, draw((12, 20), 3, spec, generator, flips=True), generator)

    assert torch.equal(changed(5), changed(5))
    assert not torch.allclose(changed(5), changed(6))
    assert torch.equal(batch, before)


def test_a_draw_can_be_taken_apart(batch):
    """Changing chosen images alone equals choosing among the changed ones."""
    spec = TrainingSpec(shift=0.2, rotate_deg=15, gain=0.2)
    change = draw((12, 20), 3, spec, torch.Generator().manual_seed(0), flips=True)
    rows = torch.tensor([2, 0])

    assert torch.allclose(apply(batch[rows], change.of(rows)), apply(batch, change)[rows])


def test_no_mirror_unless_allowed():
    """Without `flips` nothing is mirrored; with it about half of the images are."""
    half, none = (
        draw((8, 8), 200, TrainingSpec(), torch.Generator().manual_seed(0), flips=flips).affine[:, 0, 0]
        for flips in (True, False)
    )

    assert (none == 1).all()
    assert 60 < (half == -1).sum() < 140


def test_nothing_to_do_costs_nothing(batch):
    """Without augmentation the images come back as they are."""
    change = draw((12, 20), 3, TrainingSpec(shift=0), torch.Generator(), flips=False)

    assert apply(batch, change) is batch
