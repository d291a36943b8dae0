"""What reading masked lung alone saves: seconds and multiply-adds of `unet-swin` with the mask used and not used.

Result    with lungs in 21 % of the patches of images of 128 pixels 0.58 of the multiply-adds and 0.77 of the time; in
          27 % of those of 64 pixels 0.77 and 0.70; cut to the lungs 0.79 and 0.68, and 0.93 and 1.03
Hardware  one of two threads of an Intel Xeon, with much other work beside, which the times show
Versions  torch 2.14.1, timm 1.0.31
n         16 sections of 8 simulated patients

    python benchmarks/unet_swin.py

16 simulated chest sections, everything but the true lungs turned to air, and the same cut to the box about the lungs as
with `crop = true`, at two sizes. `skips = false` computes all windows and gives the same answers. Seconds are medians
of nine interleaved runs in one thread; ratios of them are what counts on a busy machine. torch counts multiply-adds.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence

import numpy as np
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from grandrounds import families
from grandrounds.data.hrct_chest import Chest, ChestSpec, chests
from grandrounds.families.architectures import ARCHITECTURES
from grandrounds.image import Geometry, Image
from grandrounds.nets.masked_swin import belonging
from grandrounds.prepare import build_step
from grandrounds.prepare.lungs import keep

SIZES_PX = (64, 128)
RUNS = 9


def sections(simulated: Sequence[Chest], side_px: int, *, crop: bool) -> torch.Tensor:
    """Return masked sections in 0 to 1, (B, 1, H, W), in square images of that size."""
    shown = []
    steps = [
        build_step(one)
        for one in (
            {"step": "window", "low_hu": -1000, "high_hu": 400},
            {"step": "resize", "height_px": side_px, "width_px": side_px},
        )
    ]
    for one in simulated:
        image = Image(one.hu[None], Geometry((one.pixel_mm,) * 2), unit="hu", modality="CT")
        masked = keep(image, one.lungs, -1000.0, 5.0 if crop else None, "masked")
        side = max(masked.space)
        image = build_step({"step": "pad_crop", "height_px": side, "width_px": side, "value": -1000.0})(masked)
        for step in steps:
            image = step(image)
        shown.append(image.pixels)
    return torch.from_numpy(np.stack(shown))


def n_multiply_adds(network: torch.nn.Module, images: torch.Tensor) -> float:
    """Return millions for one image; fused attention is not counted, the products that it stands for are."""
    with FlopCounterMode(display=False) as counter, torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
        network(images)
    return counter.get_total_flops() / 2 / len(images) / 1e6


@torch.inference_mode()
def seconds(network: torch.nn.Module, images: torch.Tensor) -> float:
    began = time.perf_counter()
    network(images)
    return time.perf_counter() - began


def main() -> None:
    torch.set_num_threads(1)
    simulated = list(chests(ChestSpec(n_patients=8, n_sections=2, seed=7, dense=True)))
    print(f"{'images':<22}{'patches read':>13}{'million multiply-adds':>27}{'ms an image':>18}")
    print(f"{'':<35}{'all':>9}{'lung':>9}{'ratio':>9}{'all':>6}{'lung':>6}{'ratio':>7}")
    for crop in (False, True):
        for side_px in SIZES_PX:
            images = sections(simulated, side_px, crop=crop)
            networks = []
            for skips in (False, True):
                torch.manual_seed(0)
                params = families.params_of("unet-swin", {"skips": skips})
                networks.append(ARCHITECTURES["unet-swin"].network(params, (1, side_px, side_px), 2).module.eval())
            read = float(belonging(images, 4).float().mean())
            counted = [n_multiply_adds(one, images) for one in networks]
            runs = [[seconds(one, images) for one in networks] for _ in range(RUNS + 1)][1:]
            timed = [1000 * statistics.median(run[k] for run in runs) / len(images) for k in range(2)]
            name = f"{side_px}×{side_px}{', cut to the lungs' if crop else ''}"
            print(
                f"{name:<25}{read:>9.0%} {counted[0]:9.1f}{counted[1]:9.1f}{counted[1] / counted[0]:9.2f}"
                f"{timed[0]:6.1f}{timed[1]:6.1f}{timed[1] / timed[0]:7.2f}"
            )


if __name__ == "__main__":
    main()
