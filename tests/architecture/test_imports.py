"""What a command imports, measured in a fresh process: import-linter does not see a package's own `__init__`."""

import json
import subprocess
import sys

import pytest

PROBE = """
import json, sys
sys.argv = ["grandrounds", *{arguments!r}]
from grandrounds.cli import main
try:
    main()
except SystemExit:
    pass
print("MODULES", json.dumps(sorted({{name.split(".")[0] for name in sys.modules}})), file=sys.stderr)
"""


def modules_after(arguments, cwd):
    done = subprocess.run(
        [sys.executable, "-c", PROBE.format(arguments=arguments)], capture_output=True, text=True, cwd=cwd, check=True
    )
    return set(json.loads(done.stderr.rpartition("MODULES ")[2]))


@pytest.mark.parametrize("kind", ["families", "datasets", "metrics", "audits"])
def test_list_imports_no_torch(kind, tmp_path):
    """A list is printed from names, not from networks."""
    assert {"torch", "timm", "torchvision"} & modules_after(["list", kind], tmp_path) == set()


def test_report_of_a_csv_imports_no_torch(tmp_path):
    """Judging somebody's predictions needs neither models nor pixels."""
    rows = "\n".join(
        f"s{k},p{k % 10},{'a' if k % 3 else 'b'},{0.5 + 0.04 * (k % 10)},{0.5 - 0.04 * (k % 10)}" for k in range(40)
    )
    (tmp_path / "predictions.csv").write_text(f"sample,patient,label,prob_a,prob_b\n{rows}\n")

    loaded = modules_after(["report", "predictions.csv"], tmp_path)

    assert (tmp_path / "predictions" / "report.html").exists()
    assert {"torch", "timm", "torchvision", "pydicom"} & loaded == set()


def test_help_imports_nothing_heavy(tmp_path):
    """Help answers at once because it imports no library that computes."""
    assert {"torch", "polars", "scipy", "sklearn", "matplotlib", "numba"} & modules_after(["--help"], tmp_path) == set()


def test_importing_the_package_opens_no_socket(tmp_path):
    """Import has no side effects: nothing is fetched and nothing is written."""
    code = """
import sys
touched = []
sys.addaudithook(lambda event, args: touched.append(event) if event.startswith("socket.") else None)
import grandrounds, grandrounds.api
print(touched)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True)

    assert done.stdout.strip() == "[]"
    assert list(tmp_path.iterdir()) == []


WITHOUT_TORCH = """
import sys
class Absent:  # as if they were not installed; a None in sys.modules would be taken for a module by SciPy
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "torchvision", "timm", "medmnist"):
            raise ModuleNotFoundError(name=name)
sys.meta_path.insert(0, Absent())
from grandrounds.cli import main
main({arguments!r})
"""


def without_torch(arguments, cwd):
    code = WITHOUT_TORCH.format(arguments=[str(one) for one in arguments])
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=cwd, check=False)


def test_the_core_lists_inspects_and_judges_without_torch(archive, tmp_path):
    """What needs no model needs no torch."""
    lines = [f"s{k},p{k // 2},{'a' if k % 3 else 'b'},{0.3 + 0.01 * k},{0.7 - 0.01 * k}" for k in range(40)]
    (tmp_path / "predictions.csv").write_text("\n".join(["sample,patient,label,prob_a,prob_b", *lines]) + "\n")

    for arguments in (["list", "families"], ["inspect", archive], ["report", "predictions.csv"]):
        done = without_torch(arguments, tmp_path)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "predictions/scores.parquet").exists()


def test_a_family_without_its_packages_is_one_sentence_with_the_command(tmp_path):
    """A missing extra says how to add it."""
    code = """
import sys
sys.modules["torch"] = None
from grandrounds import families
families.build("li2014")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False)

    assert "pip install 'grandrounds[models]'" in done.stderr
