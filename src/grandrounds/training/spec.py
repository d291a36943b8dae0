"""How a network is trained, as data."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from grandrounds.specs import Spec

Imbalance = Literal["auto", "weights", "none"]
InputKind = Literal["channel", "none", "half", "mean", "scale", "pca", "zca"]
Chosen = Literal["auto", "auc", "log loss", "balanced accuracy", "kappa", "last"]


class TrainingSpec(Spec):
    """How a network is trained; each network sets its own defaults.

    Args:
        max_epochs: Enough passes over a small set: more do not help, so that a study plans no more than these.
        batch_size: Images in a step; the batches of a pass differ by one image at most.
        optimiser: `"adamw"`, or `"sgd"` with Nesterov momentum.
        momentum: Of `"sgd"`.
        learning_rate: At its peak, after the warm-up.
        weight_decay: On the weights; biases and norms are free of it.
        warmup: Part of all steps over which the learning rate rises.
        schedule: Of the learning rate after the warm-up: `"cosine"` falls to zero, `"steps"` falls to a tenth at half
            and again at three quarters of the steps, `"flat"` stays.
        clip: Greatest norm of a step's gradients, longer ones are shortened; 0 for any.
        averaging: Decay of an exponential mean of the weights over the steps, which is then what is kept; 0 keeps the
            weights themselves.
        swa: Part of all steps, at the end, over which weights are averaged alike; what is kept is then such a mean, and
            a single epoch only where training ends before. 0 for none.
        patience: Training stops after so many passes without a gain on `valid`; None for never.
        choose: What chooses the epoch to keep, on `valid`: `"auto"` is macro AUC where every class is there, else log
            loss; `"kappa"` is quadratically weighted, for ordered classes; `"last"` chooses none and keeps the last.
        precision: `"single"`, or `"mixed"`: multiplications in bfloat16; `"auto"` mixes on CUDA devices that can.
        loss: `"cross-entropy"`; `"binary"`: each class against the rest; `"ordinal"`, for ordered classes: a miss
            by more of them costs more.
        label_smoothing: Part of the target that is spread over all classes.
        imbalance: `"weights"` weighs the loss by inverse class frequency, `"auto"` does so where the rarest class
            has less than a third of the commonest one's images.
        mixup: Both parameters of the beta distribution by which two images and their labels are mixed; 0 for none.
        mirror: `"auto"` mirrors left and right where the set allows it, `"never"` does not.
        shift: Greatest random shift, as part of the side; whole pixels.
        rotate_deg: Greatest random rotation.
        zoom: Greatest random change of size: 0.1 makes things up to 1.1 times as large or as small.
        elastic: Standard deviation of a smooth random displacement at the points that it is drawn for, four along each
            axis, as part of the side; between them it is less.
        gain: Greatest random change of contrast, as part of it; brightness changes by half as much of the range 0 to 1.
        noise: Standard deviation of added noise, in units of the pixels.
        erase: How often a random box is covered with the image's mean, as a part of all images.
        test_mirror: Whether what is predicted is the mean over the image and its mirror image, where the set allows
            mirroring; this doubles the time.
        side_px: The shorter side to which the network itself resizes what it reads; None: as prepared.
        input: What training images teach about the input: `"channel"` brings each channel to mean 0 and standard
            deviation 1, `"mean"` takes each pixel's mean away, `"scale"` also divides by each pixel's standard
            deviation, `"pca"` and `"zca"` whiten images of up to 64×64 values, `"none"` does nothing,
            and `"half"` brings the range 0 to 1 to −1 to 1.
        self_supervised: Part of the epochs in which the network learns from the training images without their labels
            before it sees any; a pass over two views of each counts as two epochs; 0 for none.
    """

    max_epochs: int = Field(default=40, ge=1)
    batch_size: int = Field(default=32, ge=2)
    optimiser: Literal["adamw", "sgd"] = "adamw"
    momentum: float = Field(default=0.9, ge=0, lt=1)
    learning_rate: float = Field(default=1e-3, gt=0)
    weight_decay: float = Field(default=0.05, ge=0)
    warmup: float = Field(default=0.1, ge=0, lt=1)
    schedule: Literal["cosine", "steps", "flat"] = "cosine"
    clip: float = Field(default=0.0, ge=0)
    averaging: float = Field(default=0.0, ge=0, lt=1)
    swa: float = Field(default=0.0, ge=0, le=1)
    patience: int | None = Field(default=None, ge=1)
    choose: Chosen = "auto"
    precision: Literal["auto", "single", "mixed"] = "auto"
    loss: Literal["cross-entropy", "binary", "ordinal"] = "cross-entropy"
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    imbalance: Imbalance = "auto"
    mixup: float = Field(default=0.0, ge=0)
    mirror: Literal["auto", "never"] = "auto"
    shift: float = Field(default=0.1, ge=0, le=0.5)
    rotate_deg: float = Field(default=0.0, ge=0, le=180)
    zoom: float = Field(default=0.0, ge=0, le=1)
    elastic: float = Field(default=0.0, ge=0, le=0.2)
    gain: float = Field(default=0.0, ge=0, lt=1)
    noise: float = Field(default=0.0, ge=0)
    erase: float = Field(default=0.0, ge=0, le=1)
    test_mirror: bool = False
    side_px: int | None = Field(default=None, ge=8, le=1024)
    input: InputKind = "channel"
    self_supervised: float = Field(default=0.0, ge=0, lt=1)

    @model_validator(mode="after")
    def _one_mean(self) -> Self:
        if self.averaging and self.swa:
            raise ValueError("averaging and swa are two means of the weights; give one of them")
        return self
