"""Finding the body or joint, the lungs, the stains."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from grandrounds.errors import BadData
from grandrounds.image import Geometry, Image
from grandrounds.prepare import build_step
from grandrounds.prepare.lungs import lungs_of


def joint():
    """A bright ring with a dark middle on a dim background, and a bright letter in the corner."""
    rows, columns = np.mgrid[:60, :80]
    far = np.hypot(rows - 25, columns - 50)
    pixels = np.full((60, 80), 10, dtype=np.uint8)
    pixels[far < 15] = 200
    pixels[far < 5] = 20
    pixels[2:6, 2:5] = 255
    return Image(pixels[None])


def test_the_background_is_removed_and_cut_off():
    """The box of the joint with its margin; the letter is gone, the dark middle is not."""
    done = build_step({"step": "otsu_crop", "margin_px": 3})(joint())

    assert done.space == (29 + 6, 29 + 6)
    assert done.pixels.max() == 200
    assert (done.pixels == 20).any()


def test_a_bright_background_is_removed_too():
    """As on a slide under the microscope."""
    negative = Image(255 - joint().pixels)
    done = build_step({"step": "otsu_crop", "margin_px": 3, "bright_background": True})(negative)

    assert done.space == (35, 35)
    assert done.pixels.min() == 55


def test_a_margin_ends_at_the_edge_of_the_image():
    """Nothing is invented."""
    assert build_step({"step": "otsu_crop", "margin_px": 500})(joint()).space == (60, 80)


def test_in_a_volume_the_largest_body_is_kept():
    """Slices without it are cut off as well."""
    volume = np.zeros((1, 8, 20, 20), dtype=np.uint8)
    volume[:, 2:6, 4:14, 5:16] = 100
    volume[:, 0, 0:2, 0:2] = 255
    done = build_step({"step": "otsu_crop", "margin_px": 1})(Image(volume))

    assert done.space == (4, 12, 13)
    assert done.pixels.max() == 100


def test_an_even_image_has_no_body():
    """It stays whole."""
    image = Image(np.full((1, 5, 5), 3, dtype=np.uint8))

    assert build_step({"step": "otsu_crop"})(image) is image
    assert build_step({"step": "center"})(image) is image


def test_the_body_comes_to_the_middle():
    """By whole pixels, in an image of the same size."""
    done = build_step({"step": "center", "value": 10})(joint())
    rows, columns = np.nonzero(done.pixels[0] == 200)

    assert done.space == (60, 80)
    assert abs(rows.min() + rows.max() - 59) <= 1
    assert abs(columns.min() + columns.max() - 79) <= 1
    assert (done.pixels == 200).sum() == (joint().pixels == 200).sum()


def test_hounsfield_units_must_look_like_it():
    """A statement that cannot be true is refused."""
    ct = Image(np.array([[[-1000, 40]]], dtype=np.int16))
    done = build_step({"step": "hounsfield"})(ct)

    assert (done.unit, ct.unit) == ("hu", "grey")
    assert build_step({"step": "hounsfield"})(done) is done
    with pytest.raises(BadData, match="cannot be the Hounsfield units"):
        build_step({"step": "hounsfield"})(joint())


def phantom():
    """A trunk with two lungs, a windpipe, bowel gas, a table and a nodule at the edge of a lung."""
    z, y, x = np.mgrid[:30, :100, :100]
    hu = np.full(z.shape, -1000, dtype=np.int16)
    hu[((y - 45) / 38) ** 2 + ((x - 50) / 46) ** 2 < 1] = 40
    tall = (z > 2) & (z < 27)
    for centre in (28, 72):
        hu[tall & (((y - 45) / 24) ** 2 + ((x - centre) / 15) ** 2 < 1)] = -850
    hu[np.hypot(y - 45, x - 50) < 4] = -990  # windpipe
    hu[np.hypot(y - 62, x - 50) < 5] = -980  # bowel
    hu[(y > 90) & (y < 96) & (x > 5) & (x < 95)] = 100
    hu[(y > 92) & (y < 94) & (x > 7) & (x < 93)] = -900  # inside of the table
    nodule = np.sqrt(((z - 15) * 1.5) ** 2 + (y - 45) ** 2 + (x - 16) ** 2) < 2.5
    hu[nodule] = 30
    return Image(hu[None], Geometry((4.5, 3.0, 3.0)), unit="hu", modality="CT"), nodule


def test_two_lungs_are_found_and_nothing_else():
    """No windpipe, no bowel, no table; the nodule belongs to its lung."""
    image, nodule = phantom()
    mask = lungs_of(image)
    lung = image.pixels[0] == -850
    n_parts = ndimage.label(mask)[1]

    assert n_parts == 2
    assert mask[lung].mean() > 0.99
    assert mask[nodule].mean() > 0.8
    assert not mask[image.pixels[0] < -870].any()
    assert 2 * (mask & lung).sum() / (mask.sum() + lung.sum()) > 0.97


def test_a_section_is_masked_as_its_volume_is():
    """Nearly; and a section without lungs becomes air."""
    image, _ = phantom()
    volume = lungs_of(image)
    flat = Geometry((3.0, 3.0))
    section = Image(image.pixels[:, 10], flat, unit="hu")
    below = Image(image.pixels[:, 0], flat, unit="hu")

    assert (lungs_of(section) ^ volume[10]).mean() < 0.01
    assert (build_step({"step": "lung_mask"})(below).pixels == -1000).all()
    assert build_step({"step": "lung_mask", "crop": True})(below).space == below.space


def test_the_mask_fills_and_may_crop():
    """Outside is the value asked for; the box has a margin in millimetres."""
    image, _ = phantom()
    done = build_step({"step": "lung_mask", "fill_hu": -1024})(image)
    cropped = build_step({"step": "lung_mask", "crop": True, "margin_mm": 9})(image)

    assert done.space == image.space
    assert done.pixels.dtype == np.int16
    assert done.pixels[0, 0, 0, 0] == -1024
    assert cropped.space[0] == 24 + 2 * 2
    assert cropped.space[1] < 60


def test_what_shows_no_lungs_is_refused():
    """Grey values, an unknown spacing, a volume of something else."""
    image, _ = phantom()
    step = build_step({"step": "lung_mask"})

    with pytest.raises(BadData, match="Hounsfield units"):
        step(Image(image.pixels, image.geometry))
    with pytest.raises(BadData, match="needs the spacing"):
        step(Image(image.pixels, unit="hu"))
    with pytest.raises(BadData, match="no lung was found"):
        step(Image(np.full((1, 5, 40, 40), 40, dtype=np.int16), image.geometry, unit="hu"))


@pytest.mark.parametrize(("name", "n_tumour_least"), [("lung1", 0.95), ("lung2", 0.3)])
def test_the_lungs_of_real_chests(name, n_tumour_least, real_data):
    """Two lungs of a plausible volume; the share of the outlined tumour that lies inside is printed."""
    from grandrounds import formats

    folder = real_data / "lung_ct"
    if not folder.is_dir():
        pytest.skip("the real chest CT are not there")
    image = build_step({"step": "hounsfield"})(formats.read(folder / f"{name}_image.nrrd"))
    tumour = formats.read(folder / f"{name}_label.nrrd").pixels[0] > 0
    mask = lungs_of(image)
    litres = mask.sum() * np.prod(image.geometry.spacing_mm) / 1e6
    n_parts = ndimage.label(mask)[1]
    share = mask[tumour].mean()
    print(f"{name}: {litres:.2f} litres in {n_parts} parts; {share:.0%} of the tumour inside")

    assert n_parts == 2
    assert 2 < litres < 8
    assert share > n_tumour_least


def stained(blue, pink, seed=0):
    """A picture of two stains in given colours (optical densities) and glass."""
    rng = np.random.default_rng(seed)
    amounts = rng.gamma(2.0, 0.4, (2, 4096)) * (rng.random((2, 4096)) < 0.7)
    light = 240 * np.exp(-np.array([blue, pink]).T @ amounts)
    return Image(light.clip(0, 255).round().astype(np.uint8).reshape(3, 64, 64))


REFERENCE = ((0.5626, 0.7201, 0.4062), (0.2159, 0.8012, 0.5581))


def test_slides_of_two_laboratories_come_to_the_same_colours():
    """The same tissue in two stainings differs less afterwards, and the reference hardly changes."""
    one, other = stained(*REFERENCE), stained((0.65, 0.70, 0.29), (0.07, 0.99, 0.11))
    step = build_step({"step": "stain"})

    def apart(a, b):
        return np.abs(a.pixels.astype(float) - b.pixels).mean()

    assert apart(step(one), step(other)) < 0.35 * apart(one, other)
    assert step(one).pixels.dtype == np.uint8


def test_glass_stays_glass():
    """Without tissue there are no stains to find."""
    glass = Image(np.full((3, 20, 20), 245, dtype=np.uint8))

    assert build_step({"step": "stain"})(glass) is glass
    with pytest.raises(BadData, match="red, green and blue"):
        build_step({"step": "stain"})(joint())
