"""Simulated HRCT beside real lung CT: histogram and texture spectrum of normal lung, and the five patterns as pictures.

    GRANDROUNDS_TEST_DATA=… python benchmarks/simulated_vs_real.py docs/images

Result (6 simulated patients an arm, two real CT volumes): median of normal lung -882 and -829 HU real, -849 and -856
simulated (soft, sharp); sd of a patch 80 and 94 real, 97 and 136 simulated. Takes 20 s on one core. The real
sections are 5 mm thick, the simulated ones 1.25 mm: thick ones are less noisy. Of the real CT only curves are drawn.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import SimpleITK as sitk  # noqa: N813  (its own documentation's name)
from matplotlib.figure import Figure
from scipy import ndimage

from grandrounds.data.hrct_section import draw_patient, simulate
from grandrounds.data.patches import boxes, spread
from grandrounds.layouts.geneva import rasterise

SIZE_PX = 32
FREQUENCIES_PER_MM = np.linspace(0.04, 0.66, 16)
QUIET = 0.25  # the quarter of the patches with the least variance: parenchyma and noise without large vessels
WINDOW = {"cmap": "gray", "vmin": -1350, "vmax": 150}  # lung window, level -600, width 1500
PATTERNS = ("normal", "emphysema", "ground_glass", "fibrosis", "micronodules")


def real_sections(path):
    image = sitk.ReadImage(str(path))
    volume = sitk.GetArrayFromImage(image).astype(np.float32)  # (D, H, W)
    middle = len(volume) // 2
    for z in range(middle - 12, middle + 12, 3):
        air = ndimage.binary_opening(volume[z] < -600, iterations=2)
        parts, _ = ndimage.label(air)
        edge = np.unique(np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]]))
        sizes = np.bincount(parts.ravel())
        sizes[edge] = 0
        sizes[0] = 0
        largest = np.argsort(sizes)[-2:]
        lung = ndimage.binary_erosion(ndimage.binary_closing(np.isin(parts, largest), iterations=6), iterations=8)
        yield volume[z], lung, image.GetSpacing()[0]


def simulated_sections(*, sharp, n_patients=6):
    for seed in range(100, 100 + n_patients):
        patient = draw_patient(seed, 256, (), ("normal",), sharp=sharp)
        for index, z_mm in enumerate((-20.0, 0.0, 20.0)):
            one = simulate(patient, z_mm, index)
            yield one.hu, ndimage.binary_erosion(one.lung, iterations=7), patient.grid.pixel_mm


def spectrum(patch, pixel_mm):
    """Return the power (HU² mm²) at FREQUENCIES_PER_MM, radial mean, Hann window, plane removed by its mean."""
    window = np.hanning(SIZE_PX)[:, None] * np.hanning(SIZE_PX)
    power = np.abs(np.fft.fft2((patch - patch.mean()) * window)) ** 2 * pixel_mm**2 / (window**2).sum()
    f = np.hypot(*np.meshgrid(np.fft.fftfreq(SIZE_PX, pixel_mm), np.fft.fftfreq(SIZE_PX, pixel_mm)))
    ring = np.digitize(f.ravel(), (FREQUENCIES_PER_MM[1:] + FREQUENCIES_PER_MM[:-1]) / 2)
    n = np.bincount(ring, minlength=len(FREQUENCIES_PER_MM))
    return np.bincount(ring, power.ravel(), len(FREQUENCIES_PER_MM)) / n


def measure(sections):
    found = []
    for hu, lung, pixel_mm in sections:
        for top, left, bottom, right in boxes(lung, 1, fraction=1.0):
            patch = hu[top:bottom, left:right]
            found.append((patch, spectrum(patch, pixel_mm)))
    patches, spectra = (np.array(one) for one in zip(*found, strict=True))  # (n, 32, 32), (n, 16)
    quiet = patches.std(axis=(1, 2)) <= np.quantile(patches.std(axis=(1, 2)), QUIET)
    return {"patches": patches, "all": spectra.mean(axis=0), "quiet": spectra[quiet].mean(axis=0)}


def summarise(name, arm):
    patches = arm["patches"]
    sd = patches.std(axis=(1, 2))
    low, median, high = np.percentile(patches, [5, 50, 95])
    print(
        f"{name:16s} n={len(patches):4d}  mean {patches.mean():5.0f}  p5 {low:5.0f}  median {median:5.0f} "
        f" p95 {high:5.0f}  below -950 {100 * (patches < -950).mean():4.1f} %  patch sd"
        f" p10 {np.percentile(sd, 10):3.0f} p50 {np.percentile(sd, 50):3.0f} p90 {np.percentile(sd, 90):3.0f}"
    )
    at = [np.abs(FREQUENCIES_PER_MM - f).argmin() for f in (0.08, 0.16, 0.33, 0.5, 0.62)]
    for kind in ("all", "quiet"):
        values = "  ".join(f"{FREQUENCIES_PER_MM[i]:.2f}/mm {arm[kind][i]:.0f}" for i in at)
        print(f"{'':16s} spectrum of {kind} patches, HU² mm²: {values}")


def draw_comparison(arms, path):
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    styles = {"real": "-", "simulated": "--"}
    for i, (name, arm) in enumerate(arms.items()):
        style, colour = styles[name.split()[0]], f"C{i}"
        counts, edges = np.histogram(arm["patches"], bins=np.arange(-1024, -300, 8), density=True)
        left.plot((edges[1:] + edges[:-1]) / 2, counts, style, color=colour, label=name)
        right.semilogy(FREQUENCIES_PER_MM, arm["all"], style, color=colour, label=f"{name}, all patches")
        right.semilogy(
            FREQUENCIES_PER_MM, arm["quiet"], style, color=colour, alpha=0.45, label=f"{name}, quiet quarter"
        )
    left.set(xlabel="attenuation (HU)", ylabel="density", title="Normal lung, vessels included")
    right.set(xlabel="spatial frequency (1/mm)", ylabel="power (HU² mm²)", title="Texture and noise of 32 px patches")
    left.legend(frameon=False)
    right.legend(frameon=False, fontsize=7)
    figure.savefig(path, dpi=110)


def draw_patterns(path):
    figure = Figure(figsize=(15, 6), layout="constrained")
    grid = figure.subplots(3, 5, gridspec_kw={"height_ratios": [3, 1, 1]})
    for column, name in enumerate(PATTERNS):
        diseases = () if name == "normal" else (name,)
        for row, sharp in ((1, True), (2, False)):
            patient = draw_patient(310 + column, 256, diseases, (name,), sharp=sharp)
            one = simulate(patient, 0.0, 0)
            if sharp:
                grid[0, column].imshow(one.hu, **WINDOW)
                grid[0, column].set_title(name.replace("_", " "))
                for contour in one.rois[name]:
                    grid[0, column].plot(*np.concatenate([contour, contour[:1]]).T, color="tab:orange", linewidth=0.8)
            found = [box for roi in one.rois[name] for box in boxes(rasterise(roi.astype(float), one.hu.shape), 1)]
            picked = [np.pad(one.hu[y:yy, x:xx], 1, constant_values=150) for y, x, yy, xx in spread(found, 3)]
            grid[row, column].imshow(np.concatenate(picked, axis=1), **WINDOW)
            grid[row, column].set_title(f"patches, {'sharp' if sharp else 'soft'} kernel", fontsize=8)
    for axes in grid.flat:
        axes.axis("off")
    figure.savefig(path, dpi=80)


def main(out):
    folder = Path(os.environ["GRANDROUNDS_TEST_DATA"]) / "lung_ct"
    arms = {f"real {i}": measure(real_sections(folder / f"lung{i}_image.nrrd")) for i in (1, 2)}
    arms |= {f"simulated {k}": measure(simulated_sections(sharp=k == "sharp")) for k in ("soft", "sharp")}
    for name, arm in arms.items():
        summarise(name, arm)
    out.mkdir(parents=True, exist_ok=True)
    draw_comparison(arms, out / "hrct_real_vs_simulated.png")
    draw_patterns(out / "hrct_patterns.png")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/images"))
