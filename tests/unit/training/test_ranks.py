from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from safetensors.numpy import load_file

# Gloo was once seen to abort while a process ended ("terminate called without an active exception"): once a network was
# wrapped by DDP, torch 2.14 keeps gloo's threads beyond `destroy_process_group`, and Python may end under them.
pytestmark = pytest.mark.long

SCRIPT = """
import sys
import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn
from grandrounds.training import launched
from grandrounds.training.loop import drive, train
from grandrounds.training.plan import Labelled, Plan
from grandrounds.training.losses import OfLabels
from grandrounds.training.ranks import joined
from grandrounds.training.spec import TrainingSpec

torch.set_num_threads(1)
torch.manual_seed(0)
labels = np.arange(30) % 2
noise = np.random.default_rng(0).normal(0, 0.3, (30, 1, 8, 8))
data = Labelled((noise + labels[:, None, None, None]).astype(np.float32), labels)
network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 2))
spec = TrainingSpec(shift=0.2, mirror="never", batch_size=6, learning_rate=1e-2, averaging=0.9, choose="last")
with joined("cpu"):
    plan = Plan(n_epochs=2, cap_s=60.0, seed=3, device="cpu", flips=False, loss=OfLabels())
    outcome = drive(train(network, data, data, spec, plan, lambda labels, probs: 0.5), lambda epoch: None)
if launched.first():
    save_file(outcome.weights, sys.argv[1])
    print(*outcome.notes)
"""


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """The same training, done by one process and by two."""
    folder, found = tmp_path_factory.mktemp("ranks"), {}
    (folder / "one.py").write_text(SCRIPT, encoding="utf-8")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    for name, starter in (("alone", [sys.executable]), ("together", torchrun)):
        command = [*starter, str(folder / "one.py"), str(folder / f"{name}.safetensors")]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == 0, done.stderr
        found[name] = load_file(folder / f"{name}.safetensors"), done.stdout
    return found


def test_two_processes_train_what_one_trains(weights):
    """Each takes its part of every batch; gradients are shared, so that the weights are those of one process."""
    (alone, _), (together, _) = weights["alone"], weights["together"]

    assert alone.keys() == together.keys()
    assert all(np.allclose(alone[name], together[name], atol=1e-5) for name in alone)


def test_a_training_by_several_says_so(weights):
    """A reader is told how many processes trained together."""
    assert "trained by 2 processes" in weights["together"][1]
    assert "processes" not in weights["alone"][1]


PARTING = """
import sys
import numpy as np
import torch
from torch import nn
from grandrounds.training import launched, simsiam
from grandrounds.training.losses import OfLabels
from grandrounds.training.plan import Plan
from grandrounds.training.ranks import joined
from grandrounds.training.spec import TrainingSpec

torch.set_num_threads(1)
torch.manual_seed(0)
clock = iter(range(0, 10_000, 1 if launched.first() else 40))
simsiam.time.perf_counter = lambda: float(next(clock))
network, encoder = (nn.Sequential(nn.Flatten(), nn.Linear(64, n)) for n in (2, simsiam.N_FEATURES))
pixels = np.random.default_rng(0).random((12, 1, 8, 8), dtype=np.float32)
spec = TrainingSpec(batch_size=6, self_supervised=0.5)
with joined("cpu"):
    plan = Plan(n_epochs=20, cap_s=100.0, seed=3, device="cpu", flips=False, loss=OfLabels())
    epochs = simsiam.begin(network, encoder, pixels, spec, plan).epochs
sys.stdout.write(f"{epochs} epochs\\n")  # in one piece, as both write at once
"""


def test_processes_leave_a_self_supervised_start_together(tmp_path):
    """The clock of one runs faster; had each gone by its own, they would wait for each other in what follows."""
    (tmp_path / "parting.py").write_text(PARTING, encoding="utf-8")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*torchrun, str(tmp_path / "parting.py")], capture_output=True, text=True, check=False, timeout=300
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["4", "epochs", "4", "epochs"]
