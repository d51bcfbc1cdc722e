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


def test_what_is_printed_on_a_closed_stdout_goes_into_no_file(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "Twenty casks of rye."}\n')
    out = tmp_path / "out"
    script = (
        f'exec "{COMMAND}" tokenize --input "{tmp_path}" --output "{out}" --tokenizer gpt2 --max-seq-length 8 --json'
    )
    for closed in (">&-", "2>&-", "<&- >&- 2>&-"):
        assert run("sh", "-c", f"{script} {closed}").returncode == 0, closed
    verified = run(COMMAND, "verify", out)
    assert verified.returncode == 0, verified.stderr


def test_help_of_training_needs_no_package() -> None:
    ran = run(PROGRAM, "train", "--help")
    assert ran.returncode == 0, ran.stderr
    assert "--config" in ran.stdout


def test_the_doctor_looks_at_the_python_that_it_runs_in() -> None:
    ran = run(sys.executable, "-m", "mashbill", "doctor", "--tokenizer", "gpt2")
    assert f"`{sys.executable}` is {sys.version.split()[0]}" in ran.stderr, ran.stderr


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
