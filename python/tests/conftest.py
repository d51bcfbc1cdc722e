"""A tokenized folder that the tests read, made once by the command itself."""

import json
import os
import random
import subprocess
from pathlib import Path

import pytest

LENGTH = 32


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three splits of several shards in two categories, with rows of 32 tokens."""
    root = tmp_path_factory.mktemp("loader")
    words = [
        "the",
        "still",
        "house",
        "runs",
        "rye",
        "corn",
        "malted",
        "barley",
        "and",
        "wheat",
        "through",
        "copper",
        "until",
        "dawn",
    ]
    draw = random.Random(5)
    for name, documents in {"grain/rye": 150, "grain/corn": 90, "water": 70}.items():
        path = root / "input" / f"{name}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w") as file:
            for number in range(documents):
                text = " ".join(draw.choices(words, k=draw.randint(3, 60)))
                record = {"id": f"{path.stem}-{number}", "text": text}
                # Every third record does not say where it comes from.
                if number % 3:
                    record["source"] = "still" if number % 3 == 1 else "barrel"
                file.write(json.dumps(record) + "\n")
    return tokenized(root / "input", root / "output")


@pytest.fixture(scope="session")
def grouped(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same documents with those of `grain` in one split, whose files are groups of their own."""
    return tokenized(folder.parent / "input", tmp_path_factory.mktemp("grouped") / "output", "--split-names", "folder")


@pytest.fixture(scope="session")
def parted(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same documents with a fifth of them held out."""
    return tokenized(folder.parent / "input", tmp_path_factory.mktemp("parted") / "output", "--val-fraction", "0.2")


def tokenized(source: Path, output: Path, *flags: str) -> Path:
    """The folder that the command makes of `source`."""
    command = [os.environ["MASHBILL"], "tokenize", "--input", str(source), "--recursive", "--output", str(output)]
    command += ["--tokenizer", "gpt2", "--max-seq-length", str(LENGTH), "--shard-size", "0.000005", "--quiet", *flags]
    subprocess.run(command, check=True, timeout=120)
    return output
