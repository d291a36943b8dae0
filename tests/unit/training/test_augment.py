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


@pytest.fixture
def volumes():
    """Three volumes of two channels; slices are square."""
    return torch.rand(3, 2, 5, 9, 9, generator=torch.Generator().manual_seed(0))


def test_a_volume_turns_in_the_plane_of_its_slices(volumes):
    """Each slice is turned by the same quarter, and stays where it was in the stack."""
    turned = apply(volumes, moved((5, 9, 9), 3, shift_px=(0.0, 0.0, 0.0), angle_rad=math.pi / 2))

    assert any(torch.allclose(turned, volumes.rot90(k, (3, 4)), atol=1e-4) for k in (1, 3))


def test_a_volume_is_mirrored_between_left_and_right_alone(volumes):
    """Columns change places; rows and slices do not."""
    mirrored = apply(volumes, moved((5, 9, 9), 3, shift_px=(0.0, 0.0, 0.0), mirrored=[1.0, -1.0, 1.0]))

    assert torch.allclose(mirrored[1], volumes[1].flip(-1), atol=1e-5)
    assert torch.allclose(mirrored[0], volumes[0], atol=1e-5)


def test_a_volume_has_one_contrast_and_one_brightness(volumes):
    """All of its slices change alike, and each volume in its own way."""
    change = draw((5, 9, 9), 3, TrainingSpec(shift=0, gain=0.5), torch.Generator().manual_seed(0), flips=False)
    shown = apply(volumes, change)
    slopes = (shown[:, :, :, 0, 0] - shown[:, :, :, 4, 4]) / (volumes[:, :, :, 0, 0] - volumes[:, :, :, 4, 4])

    assert torch.allclose(slopes, slopes[:, :1, :1].expand_as(slopes), atol=1e-3)
    assert slopes[:, 0, 0].std() > 0.05


def test_noise_differs_between_the_slices_of_a_volume(volumes):
    """It has the wanted size, and no slice repeats another's."""
    change = draw((5, 9, 9), 3, TrainingSpec(shift=0, noise=0.1), torch.Generator(), flips=False)
    noise = apply(volumes, change, torch.Generator().manual_seed(0)) - volumes

    assert 0.09 < noise.std() < 0.11
    assert torch.corrcoef(noise.transpose(1, 2).flatten(2).reshape(15, -1)).triu(1).abs().max() < 0.4


def test_an_erased_box_of_a_volume_spans_some_slices():
    """It is as long as wide by chance alone, covers part of the depth, and shows the mean of the whole volume."""
    images = torch.rand(60, 1, 20, 20, 20, generator=torch.Generator().manual_seed(0))
    change = draw((20, 20, 20), 60, TrainingSpec(shift=0, erase=1.0), torch.Generator().manual_seed(1), flips=False)
    shown = apply(images, change)
    covered = (shown != images)[:, 0]  # (N, D, H, W)
    depth = covered.any(dim=(2, 3)).sum(dim=1)

    assert torch.allclose(shown[0, 0][covered[0]], images[0].mean())
    assert depth.min() >= 1
    assert depth.max() <= 9
    assert depth.float().std() > 1


def test_elastic_displacement_moves_volumes_along_their_depth_too():
    """A ramp along the slices changes, smoothly from slice to slice."""
    ramp = torch.linspace(0.0, 1.0, 17)[:-1].view(16, 1, 1).expand(40, 1, 16, 16, 16)
    change = draw((16, 16, 16), 40, TrainingSpec(shift=0, elastic=0.03), torch.Generator().manual_seed(0), flips=False)
    gone = (apply(ramp, change) - ramp)[:, :, 4:12, 4:12, 4:12]

    assert 0.01 < gone.std() < 0.04
    assert (gone[:, :, 1:] - gone[:, :, :-1]).abs().mean() < gone.std() / 2


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


@pytest.mark.parametrize("space", [(12, 20), (6, 12, 20)])
def test_every_change_repeats_in_planes_and_volumes(space):
    """All changes at once are drawn alike for the same seed, keep the shape, and write to nothing."""
    spec = TrainingSpec(shift=0.2, rotate_deg=15, zoom=0.2, elastic=0.03, gain=0.2, noise=0.1, erase=0.5)
    images = torch.rand(8, 2, *space, generator=torch.Generator().manual_seed(0))
    before = images.clone()

    def changed(seed):
        generator = torch.Generator().manual_seed(seed)
        return apply(images, draw(space, 8, spec, generator, flips=True), generator)

    assert torch.equal(changed(1), changed(1))
    assert not torch.equal(changed(1), changed(2))
    assert changed(1).shape == images.shape
    assert torch.equal(images, before)


def test_zoom_makes_things_larger_or_smaller():
    """A disc of a quarter of the side grows and shrinks by no more than the factor."""
    axis = torch.arange(64) - 31.5
    disc = ((axis[:, None] ** 2 + axis[None, :] ** 2).sqrt() < 16).float().expand(200, 1, 64, 64)
    change = draw((64, 64), 200, TrainingSpec(shift=0, zoom=0.25), torch.Generator().manual_seed(0), flips=False)
    areas = apply(disc, change).sum(dim=(1, 2, 3)) / disc[0].sum()

    assert 1 / 1.25**2 - 0.03 < areas.min() < 0.75
    assert 1.4 < areas.max() < 1.25**2 + 0.03


def test_elastic_displacement_has_the_wanted_size():
    """Neighbours move together, and pixels move by about the standard deviation."""
    ramp = torch.linspace(0.0, 1.0, 65)[:-1].expand(300, 1, 64, 64)  # each pixel's own column, as part of the side
    change = draw((64, 64), 300, TrainingSpec(shift=0, elastic=0.02), torch.Generator().manual_seed(0), flips=False)
    moved = (apply(ramp, change) - ramp)[:, :, 16:48, 16:48]

    assert 0.01 < moved.std() < 0.025
    assert (moved[..., 1:] - moved[..., :-1]).abs().mean() < moved.std() / 5


def test_an_erased_box_shows_the_mean():
    """Chosen images lose a box to their mean; the others stay as they are."""
    images = torch.rand(100, 2, 20, 30, generator=torch.Generator().manual_seed(0))
    change = draw((20, 30), 100, TrainingSpec(shift=0, erase=0.4), torch.Generator().manual_seed(1), flips=False)
    shown = apply(images, change)
    covered = (shown != images).any(dim=1)  # (N, H, W)
    chosen = covered.any(dim=(1, 2))

    assert 25 < int(chosen.sum()) < 55
    assert torch.allclose(shown[chosen][0][0][covered[chosen][0]], images[chosen][0][0].mean())
    assert 0.005 < covered[chosen].float().mean() < 0.17
