"""Hostile manifests, met by every command that reads one: words, little memory and time, and nothing outside.

By default each meets some of the commands; with MASHBILL_LONG=1 each meets all of them, and a manifest of 2 GB does.
"""

import json
import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cases import Workshop
from hostile import manifests
from launch import launch

LONG = os.environ.get("MASHBILL_LONG") == "1"

MEMORY_MAX = 10**9
SECONDS_MAX = 60
LINE_MAX = 5000

TOKENIZE = ["tokenize", "--input", "data", "--output", "out", "--tokenizer", "gpt2", "--max-seq-length", "16"]
COMMANDS = [
    ["verify", "out"],
    [*TOKENIZE, "--skip-existing"],
    ["inspect", "out", "--step", "0", "--batch-size", "1"],
    ["verify", "out", "--deep"],
    ["inspect", "out", "--random"],
    [*TOKENIZE, "--prune"],
    ["report", "out", "--output", "page.html"],
    ["inspect", "out", "--doc", "0"],
    [*TOKENIZE, "--force"],
    ["inspect", "out", "--doc", "0", "--batch-size", "1"],
    TOKENIZE,
]


def run(binary: Path, folder: Path, command: list[str]) -> tuple[int, str, int, float]:
    """The exit code, what was said, the peak of memory in bytes, and the seconds."""
    begun = time.monotonic()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    environment |= {"HF_HUB_OFFLINE": "1", "NO_COLOR": "1"}
    said = folder.parent / "said"
    with said.open("wb") as file:
        given = [str(binary), *command]
        code, peak = launch(given, environment=environment, stdout=file, stderr=file, folder=folder)
    return code, said.read_text(), peak, time.monotonic() - begun


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


@pytest.fixture(scope="module")
def good(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "data").mkdir()
    for name in ("a", "b"):
        lines = (json.dumps({"text": f"{name} {n} " + "word " * 20}) for n in range(20))
        (folder / "data" / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    code, said, *_ = run(workshop.binary, folder, TOKENIZE)
    assert code == 0, said
    return folder


def check(binary: Path, good: Path, place: Path, text: str, commands: list[list[str]]) -> list[str]:
    """What went wrong."""
    wrong = []
    for command in commands:
        shutil.rmtree(place, ignore_errors=True)
        root = place / "root"
        shutil.copytree(good, root)
        (root / "out" / "manifest.json").write_text(text)
        (root / "precious").mkdir()
        (root / "precious" / "file").write_text("precious")
        before = files(root)
        code, said, memory, seconds = run(binary, root, command)
        of = " ".join(command)
        if code not in {0, 1, 2, 3, 4} or "panicked" in said:
            wrong.append(f"{of}: exit {code}: {said[-1000:]}")
        if code in {1, 2} and "hint: " not in said:
            wrong.append(f"{of}: no hint: {said[-1000:]}")
        longest = max(map(len, said.split("\n")))
        if longest > LINE_MAX or any(ord(character) < 32 and character != "\n" for character in said):
            wrong.append(f"{of}: a line of {longest} characters, or control characters: {said[:1000]!r}")
        if memory > MEMORY_MAX or seconds > SECONDS_MAX:
            wrong.append(f"{of}: {memory / 1e6:.0f} MB, {seconds:.0f} s")
        changed = {name for name in files(root) ^ before if not name.startswith("out")} - {"page.html"}
        if changed or (root / "precious" / "file").read_text() != "precious" or len(list(place.iterdir())) > 3:
            wrong.append(f"{of}: files outside: {changed}")
    shutil.rmtree(place, ignore_errors=True)
    return wrong


def test_every_command_meets_hostile_manifests(workshop: Workshop, good: Path, tmp_path: Path) -> None:
    hostile = manifests(json.loads((good / "out" / "manifest.json").read_text()))
    assert len(hostile) >= 60

    def one(index: int) -> list[str]:
        name, text = hostile[index]
        commands = COMMANDS if LONG else [COMMANDS[(2 * index + more) % len(COMMANDS)] for more in (0, 1)]
        return [f"{name}: {each}" for each in check(workshop.binary, good, tmp_path / str(index), text, commands)]

    with ThreadPoolExecutor(2) as threads:
        wrong = [each for found in threads.map(one, range(len(hostile))) for each in found]
    assert not wrong, "\n".join(wrong)


@pytest.mark.skipif(not LONG, reason="a manifest of 2 GB: MASHBILL_LONG=1")
def test_a_manifest_of_two_gigabytes_is_not_read(workshop: Workshop, good: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    shutil.copytree(good, root)
    with (root / "out" / "manifest.json").open("r+b") as file:
        file.truncate(2 * 10**9)
    for command in COMMANDS:
        code, said, memory, seconds = run(workshop.binary, root, command)
        assert code in {1, 4} and "larger than" in said, said
        assert memory < MEMORY_MAX and seconds < SECONDS_MAX, (command, memory, seconds)
