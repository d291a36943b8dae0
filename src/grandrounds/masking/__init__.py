"""Lung masks as an artefact: a U-Net trained on simulated chests, judged on others, and applied to a set of images."""

from grandrounds.masking.agreement import Agreement, Mask, dice, over_patients
from grandrounds.masking.making import PICTURE, Made, make
from grandrounds.masking.model import MaskSpec, Model, read, trained

__all__ = [
    "PICTURE",
    "Agreement",
    "Made",
    "Mask",
    "MaskSpec",
    "Model",
    "dice",
    "make",
    "over_patients",
    "read",
    "trained",
]
