"""Prepare images: deterministic steps that learn nothing, kept on disk by identity."""

from grandrounds.prepare.ahead import Ahead
from grandrounds.prepare.array import PreparedArray, materialise
from grandrounds.prepare.catalogue import STEPS
from grandrounds.prepare.default import Default, default_pipeline
from grandrounds.prepare.pipeline import Pipeline, build_step
from grandrounds.prepare.step import Step, StepEntry

__all__ = [
    "STEPS",
    "Ahead",
    "Default",
    "Pipeline",
    "PreparedArray",
    "Step",
    "StepEntry",
    "build_step",
    "default_pipeline",
    "materialise",
]
