"""Which simulated set: the part that can be said without simulating anything."""

from __future__ import annotations

from pydantic import Field

from grandrounds.specs import Spec


class HrctSpec(Spec):
    """Which set to simulate.

    Args:
        n_patients: Number of patients. Every disease is in three of eight, normal tissue is labelled in two of three.
        seed: Root of all randomness.
        n_slices: Sections a patient, 10 mm apart.
        size_px: Height and width of a section; the field of view stays that of one lung.
        patient_effect: How much patients differ in tissue, severity and dose: 1 as published, 0 not at all.
        sharp_share: Share of patients whose images have the sharp kernel.
    """

    n_patients: int = Field(default=24, ge=1, le=9999)
    seed: int = 0
    n_slices: int = Field(default=6, ge=1, le=10)
    size_px: int = Field(default=256, ge=64, le=768)
    patient_effect: float = Field(default=1.0, ge=0, le=1)
    sharp_share: float = Field(default=0.5, ge=0, le=1)
