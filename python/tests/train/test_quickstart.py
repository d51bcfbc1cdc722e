"""`mashbill quickstart --train`, the first training that a newcomer sees. Here it is cut short; with MASHBILL_FULL=1 in
the environment it is what he gets, which takes minutes."""

import json
import os
import re
import subprocess
from pathlib import Path

from conftest import COMMAND, SHIPPED
from mashbill.train.__main__ import INSTALL
from runs import ENVIRONMENT, unigram_entropy

FULL = bool(os.environ.get("MASHBILL_FULL"))
TEMPLATE = SHIPPED.parent / "assets" / "quickstart" / "train.yaml"


def quickstart(folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    if not FULL:
        # Where there is a configuration already, that one is used.
        folder.mkdir(parents=True, exist_ok=True)
        text = TEMPLATE.read_text().replace("FOLDER", str(folder)).replace("steps: 450", "steps: 2")
        text = text.replace("warmup_steps: 20", "warmup_steps: 0")
        (folder / "train.yaml").write_text(text)
    command = [COMMAND, "quickstart", "--train", "--output", folder]
    return subprocess.run(command, capture_output=True, text=True, timeout=900, check=False, env=environment)


def test_the_quickstart_trains_and_the_checkpoint_generates(tmp_path: Path) -> None:
    folder = tmp_path / "quickstart"
    ran = quickstart(folder, dict(os.environ) if FULL else ENVIRONMENT)
    assert ran.returncode == 0, ran.stderr
    assert "warning:" not in ran.stderr.replace("warning: the loss went", "")
    entropy = unigram_entropy(folder / "tokenized")
    assert f"unigram entropy of the tokens: {entropy:.2f}," in ran.stderr
    fell = re.search(r"the loss (?:fell|went) from ([\d.]+) to ([\d.]+), where the unigram entropy is", ran.stderr)
    assert fell is not None, ran.stderr
    assert float(fell[1]) > 10.0
    losses = [json.loads(line)["loss"] for line in (folder / "run" / "metrics.jsonl").read_text().splitlines()]
    assert len(losses) == (450 if FULL else 2)
    if FULL:
        print(ran.stderr)
        assert float(fell[2]) < entropy - 0.7
    assert "continues a text:\nQuestion: how many" in ran.stderr


def test_without_torch_the_quickstart_says_what_to_install(tmp_path: Path) -> None:
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "sitecustomize.py").write_text(
        "import importlib.util as u\nf = u.find_spec\n"
        "u.find_spec = lambda name, package=None: None if name == 'torch' else f(name, package)\n"
    )
    path = os.pathsep.join([str(hidden), *filter(None, [os.environ.get("PYTHONPATH")])])
    ran = quickstart(tmp_path / "quickstart", {**ENVIRONMENT, "PYTHONPATH": path})
    assert ran.returncode == 2, ran.stderr
    assert ran.stderr.endswith(f"error: `torch` is not installed, which training needs\nhint: {INSTALL}\n")
