"""The command that the wheel carries is the program that `cargo install` builds."""

import os
import subprocess
import sys
from pathlib import Path

import mashbill

PROGRAM = Path(os.environ["MASHBILL"])
COMMAND = Path(sys.executable).parent / "mashbill"


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_the_same_version_everywhere() -> None:
    expected = f"mashbill {mashbill.__version__}\n"
    assert run(COMMAND, "--version").stdout == expected
    assert run(sys.executable, "-m", "mashbill", "--version").stdout == expected
    assert run(PROGRAM, "--version").stdout == expected


def test_the_same_help() -> None:
    assert run(COMMAND, "tokenize", "--help").stdout == run(PROGRAM, "tokenize", "--help").stdout


def test_the_same_bytes_and_exit_codes(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "Twenty casks of rye."}\n{"text": 7}\n')
    arguments = ["tokenize", "--input", str(tmp_path / "a.jsonl"), "--tokenizer", "gpt2", "--max-seq-length", "8"]
    shards = []
    for program in (COMMAND, PROGRAM):
        output = tmp_path / f"out{len(shards)}"
        ran = run(program, *arguments, "--output", str(output))
        assert ran.returncode == 0, ran.stderr
        shards.append((output / "a" / "shard_0000.parquet").read_bytes())
    assert shards[0] == shards[1]
    assert run(COMMAND, "tokenize", "--input", str(tmp_path / "nowhere")).returncode == 2
