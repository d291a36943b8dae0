"""How a network is trained, as data."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from grandrounds.specs import Spec

Imbalance = Literal["auto", "weights", "none"]
InputKind = Literal["channel", "none", "mean", "scale", "pca", "zca"]


class TrainingSpec(Spec):
    """How a network is trained; each network sets its own defaults.

    Args:
        max_epochs: Enough passes over a small set: more do not help, so that a study plans no more than these.
        batch_size: Images in a step; the batches of a pass differ by one image at most.
        optimiser: `"adamw"`, or `"sgd"` with Nesterov momentum 0.9.
        learning_rate: At its peak, after the warm-up.
        weight_decay: On the weights; biases and norms are free of it.
        warmup: Part of all steps over which the learning rate rises; it then falls as a cosine.
        averaging: Decay of an exponential mean of the weights over the steps, which is then what is kept; 0 keeps the
            weights themselves.
        loss: `"cross-entropy"`, or `"binary"`: each class against the rest.
        label_smoothing: Part of the target that is spread over all classes.
        imbalance: `"weights"` weighs the loss by inverse class frequency, `"auto"` does so where the rarest class
            has less than a third of the commonest one's images.
        shift: Greatest random shift, as part of the side; whole pixels.
        rotate_deg: Greatest random rotation.
        gain: Greatest random change of contrast and of brightness, as part of the range 0 to 1.
        noise: Standard deviation of added noise, in units of the pixels.
        input: What training images teach about the input: `"channel"` brings each channel to mean 0 and standard
            deviation 1, `"mean"` takes each pixel's mean away, `"scale"` also divides by each pixel's standard
            deviation, `"pca"` and `"zca"` whiten images of up to 64×64 values, `"none"` does nothing.
    """

    max_epochs: int = Field(default=40, ge=1)
    batch_size: int = Field(default=32, ge=2)
    optimiser: Literal["adamw", "sgd"] = "adamw"
    learning_rate: float = Field(default=1e-3, gt=0)
    weight_decay: float = Field(default=0.05, ge=0)
    warmup: float = Field(default=0.1, ge=0, lt=1)
    averaging: float = Field(default=0.0, ge=0, lt=1)
    loss: Literal["cross-entropy", "binary"] = "cross-entropy"
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    imbalance: Imbalance = "auto"
    shift: float = Field(default=0.1, ge=0, le=0.5)
    rotate_deg: float = Field(default=0.0, ge=0, le=180)
    gain: float = Field(default=0.0, ge=0, lt=1)
    noise: float = Field(default=0.0, ge=0)
    input: InputKind = "channel"
