"""How well lung masks are: a U-Net and thresholds on simulated dense disease, and both on two real chest CT.

Result    Dice 0.971 (0.962 to 0.976) against 0.818 (0.722 to 0.878) by thresholds on simulated dense disease; agreement
          of both on two real CT 0.913 and 0.922
Hardware  one of two threads of an Intel Xeon, with much other work beside: trained and judged in 762 s
n         12 simulated patients with 4 sections each, 2 real CT; one training

    GRANDROUNDS_TEST_DATA=… python benchmarks/lung_masks.py [FOLDER]

FOLDER keeps the U-Net, which is trained there if there is none yet. Simulated patients: Dice with the true lungs, mean
over patients and its 95 % interval. Real CT, on which nothing was trained or chosen: there is no truth, so the table
has the agreement (Dice) of the U-Net with thresholds, and the share of an outlined tumour that each mask holds.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

from grandrounds import formats, masking
from grandrounds.prepare import build_step
from grandrounds.prepare.lungs import lungs_of


def main(home: Path) -> None:
    began = time.perf_counter()
    if not (home / "unet.json").exists():
        masking.trained(masking.MaskSpec(), home, lambda _what, _done, _all: None)
        print(f"trained and judged in {time.perf_counter() - began:.0f} s on one thread")
    model = masking.read(home)
    print(f"model {model.hash}\n\n{'Dice, simulated dense disease':<32}{'mean':>7}  95 % interval   patients")
    for one in model.facts.dice:
        print(f"{one.what:<32}{one.mean:7.3f}  {one.low:.3f} to {one.high:.3f}  {one.n_patients:8}")
    folder = os.environ.get("GRANDROUNDS_TEST_DATA")
    if not folder:
        print("\nGRANDROUNDS_TEST_DATA names no folder of real images: no agreement")
        return
    print(f"\n{'real CT':<10}{'slices':>7}{'agreement':>11}{'tumour in: U-Net':>19}{'thresholds':>12}{'seconds':>9}")
    for number in (1, 2):
        print(real(model, Path(folder) / "lung_ct", number))


def real(model: masking.Model, folder: Path, number: int) -> str:
    """Return the line of one volume."""
    image = build_step({"step": "hounsfield"})(formats.read(folder / f"lung{number}_image.nrrd"))
    tumour = formats.read(folder / f"lung{number}_label.nrrd").pixels[0] > 0
    began = time.perf_counter()
    by_unet = model.lungs(image)
    seconds = time.perf_counter() - began
    by_threshold = lungs_of(image)
    inside = [(mask & tumour).sum() / tumour.sum() for mask in (by_unet, by_threshold)]
    agreement = masking.dice(by_unet, by_threshold)
    return f"lung{number:<6}{len(tumour):>7}{agreement:11.3f}{inside[0]:19.0%}{inside[1]:12.0%}{seconds:9.1f}"


if __name__ == "__main__":
    if sys.argv[1:]:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as made:
            main(Path(made))
