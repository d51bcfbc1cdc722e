"""The examples do what they say."""

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples" / "load"


def run(name: str, folder: Path) -> list[str]:
    ran = subprocess.run(
        [sys.executable, str(EXAMPLES / name), str(folder)], capture_output=True, text=True, timeout=120, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.splitlines()


def test_the_numpy_example_counts_targets(folder: Path) -> None:
    assert [line.split(":")[0] for line in run("with_numpy.py", folder)] == ["corn", "rye", "water"]


@pytest.mark.parametrize("name", ["with_torch.py", "with_trainer.py"])
def test_the_torch_examples_go_on_with_the_same_losses(folder: Path, name: str) -> None:
    *_, straight, stopped = (line.split(":")[1].split() for line in run(name, folder) if "stopped" in line)
    assert len(straight) == 6
    assert straight == stopped
