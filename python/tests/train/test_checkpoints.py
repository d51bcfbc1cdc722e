"""Checkpoints: which ones are ours, what becomes of damaged ones, and one run at a time in a folder."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mashbill import _mashbill
from mashbill.train import checkpoint, publish
from mashbill.train.error import TrainError
from mashbill.train.lock import Lock
from mashbill.train.metrics import Metrics
from mashbill.train.trainer import Processes
from runs import Run, direct


@pytest.fixture(scope="module")
def four(tokenized: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of 4 steps with checkpoints after 2 and 4."""
    return direct(
        tmp_path_factory.mktemp("four"), tokenized, steps=4, schedule={"kind": "wsd"}, checkpoints={"every": 2}
    ).finish()


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def empty(path: Path) -> None:
    os.truncate(path, 0)


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def link(path: Path) -> None:
    path.rename(path.with_suffix(".elsewhere"))
    path.symlink_to(path.with_suffix(".elsewhere"))


def fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


FILES = (
    "model.safetensors",
    "training_state.json",
    "training_state.pt",
    "config.json",
    "tokenizer.json",
    "checksums.json",
)


@pytest.mark.parametrize("damage", [cut, empty, flip, Path.unlink, link, fifo], ids=lambda each: each.__name__)
def test_a_damaged_file_is_named_and_the_checkpoint_before_is_found(
    four: Run, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    for file in FILES:
        run = four.copied(tmp_path / file)
        damage(run.output / "checkpoints" / "step_00000004" / file)
        found, damaged = checkpoint.newest(run.output / "checkpoints")
        assert found is not None and found.record["step"] == 2, file
        assert [each.folder.name for each in damaged] == ["step_00000004"]
        # A list of checksums that was changed speaks against the file of its line.
        assert file in damaged[0].why or (file, damage) == ("checksums.json", flip), damaged[0].why


def test_a_run_goes_on_from_the_checkpoint_before_a_damaged_one(four: Run, tmp_path: Path) -> None:
    run = four.copied(tmp_path)
    damaged = run.output / "checkpoints" / "step_00000004"
    cut(damaged / "model.safetensors")
    half = (damaged / "model.safetensors").read_bytes()
    ran = run.start("--quiet", "--set", "steps=6")
    assert ran.returncode == 0, ran.stderr
    assert f"the checkpoint `{damaged}` is damaged: model.safetensors is not what was written" in ran.stderr
    assert "it is now `step_00000004.damaged`" in ran.stderr
    assert "resuming from the one before it" in ran.stderr and "step_00000002`" in ran.stderr
    names = sorted(path.name for path in damaged.parent.iterdir())
    assert names == ["step_00000004", "step_00000004.damaged", "step_00000006"]
    assert (damaged.parent / "step_00000004.damaged" / "model.safetensors").read_bytes() == half
    # The steps that were made again are the same; wsd's rates are those of 6 steps from step 2 on.
    assert [run.losses()[step] for step in range(3)] == [four.losses()[step] for step in range(3)]
    assert list(run.losses()) == list(range(6))


def test_without_a_whole_checkpoint_nothing_is_touched(four: Run, tmp_path: Path) -> None:
    run = four.copied(tmp_path)
    for name in ("step_00000002", "step_00000004"):
        cut(run.output / "checkpoints" / name / "training_state.pt")
    before = run.written()
    for _ in range(2):
        ran = run.start("--set", "steps=6")
        assert ran.returncode == 2, ran.stderr
        assert "is whole: `step_00000004`: training_state.pt is not what was written; `step_00000002`: " in ran.stderr
        assert f"move `{run.output / 'checkpoints'}` away" in ran.stderr
        assert run.written() == before


def test_only_names_of_ours_are_used_and_removed(four: Run, tmp_path: Path) -> None:
    run = four.copied(tmp_path)
    folder = run.output / "checkpoints"
    whole = folder / "step_00000004"
    foreign = ["step_00000004 copy", "step_00000004.bak", "step_9", "step_000000009", "step_00000009x", "STEP_00000009"]
    for name in foreign:
        shutil.copytree(whole, folder / name)
    # Copies under names that are ours, after the last checkpoint and before it.
    for number in (3, 50):
        shutil.copytree(whole, folder / checkpoint.name(number))
    (folder / "step_00000010").symlink_to(whole)
    (folder / "step_00000011").write_text("notes")
    (folder / "best").mkdir()
    (folder / "step_00000099").mkdir()
    # A name of ours, but with something in it that the run did not write.
    (folder / "step_00000002" / "scores.json").write_text("{}")
    (folder / ".partial_00000099").mkdir()
    (folder / ".removed_00000001").mkdir()
    assert checkpoint.steps(folder) == [2, 3, 4, 50, 99]
    ran = run.start("--set", "steps=12", "--set", "checkpoints={every: 1, keep: 1}")
    assert ran.returncode == 0, ran.stderr
    assert f"`{folder / 'step_00000002'}` is kept: it holds `scores.json`" in ran.stderr
    assert f"`{folder / 'step_00000099'}` is skipped: it is not a checkpoint of" in ran.stderr
    assert f"`{folder / 'step_00000050'}` is skipped: it is a copy of step 4" in ran.stderr
    assert f"`{folder / 'step_00000003'}` is kept: it is a copy of step 4" in ran.stderr
    assert ran.stderr.count("is kept: it holds `scores.json`") == 1
    for number in (10, 11):
        assert f"`{folder}/step_000000{number}` was in the way and is now `step_000000{number}.damaged`" in ran.stderr
    left = {
        *foreign,
        "best",
        "step_00000050",
        "step_00000099",
        "step_00000002",
        "step_00000003",
        "step_00000010.damaged",
        "step_00000011.damaged",
        "step_00000012",
    }
    assert {path.name for path in folder.iterdir()} == left
    assert (folder / "step_00000011.damaged").read_text() == "notes"
    assert json.loads((folder / "step_00000004 copy" / checkpoint.RECORD).read_text())["step"] == 4


RECORDS: list[dict[str, Any]] = [
    {"step": 4},
    {"step": "4"},
    {"step": True},
    {"rows_taken": "x"},
    {"loader": None},
    {"config": []},
    {"rows": []},
    {"tokens_by_split": [1]},
    {"history": {}},
    {"history": [3]},
]


@pytest.mark.parametrize("change", RECORDS, ids=json.dumps)
def test_a_record_that_is_none_is_damage(four: Run, tmp_path: Path, change: dict[str, Any]) -> None:
    folder = four.copied(tmp_path).output / "checkpoints"
    path, sums = folder / "step_00000004" / checkpoint.RECORD, folder / "step_00000004" / checkpoint.CHECKSUMS
    record = change if change == {"step": 4} else {**json.loads(path.read_text()), **change}
    path.write_text(json.dumps(record))
    sums.write_text(json.dumps({**json.loads(sums.read_text()), path.name: _mashbill.checksum(path)}))
    found, damaged = checkpoint.newest(folder)
    assert found is not None and found.record["step"] == 2
    assert "training_state.json is not a record of `mashbill train`: its `" in damaged[0].why


@pytest.mark.parametrize("name", ["config.yaml", "loader.json", "metrics.jsonl", ".mashbill/lock"])
def test_a_folder_in_the_place_of_a_file_is_told_before_anything_is_done(four: Run, tmp_path: Path, name: str) -> None:
    run = four.copied(tmp_path)
    path = run.output / name
    path.unlink()
    path.mkdir()
    (path / "notes").write_text("mine")
    before = run.written()
    ran = run.start("--set", "steps=6")
    assert ran.returncode == 2
    assert ran.stderr.startswith(
        f"error: `{path}` is in the way: the run writes a file of that name\nhint: move it away"
    )
    assert run.written() == before


@pytest.mark.parametrize("name", ["checkpoints", "tensorboard", ".mashbill"])
def test_a_file_in_the_place_of_a_folder_is_told(tokenized: Path, tmp_path: Path, name: str) -> None:
    run = direct(tmp_path, tokenized)
    run.output.mkdir(parents=True)
    (run.output / name).write_text("mine")
    ran = run.start()
    assert ran.returncode == 2
    assert f"error: `{run.output / name}` is in the way: the run writes a folder of that name\n" in ran.stderr
    assert (run.output / name).read_text() == "mine"


def test_the_order_is_that_of_the_numbers(tmp_path: Path) -> None:
    for step in (99_999_999, 100_000_000, 2_000_000_000, 7):
        (tmp_path / checkpoint.name(step)).mkdir()
    assert checkpoint.steps(tmp_path) == [7, 99_999_999, 100_000_000, 2_000_000_000]
    assert checkpoint.steps(tmp_path / "nowhere") == []


def test_a_failure_leaves_the_checkpoint_before(four: Run, tmp_path: Path) -> None:
    folder = four.copied(tmp_path).output / "checkpoints"

    def write(_: Path) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(TrainError, match=r"step 6 could not be written .* No space left .*step_00000004` is whole"):
        checkpoint.save(folder, 6, write, {"step": 6})
    assert sorted(path.name for path in folder.iterdir()) == ["step_00000002", "step_00000004"]


def test_a_second_run_is_told_who_the_first_is(four: Run, tmp_path: Path) -> None:
    run = four.copied(tmp_path)
    first = Lock(run.output)
    before = run.written()
    ran = run.start("--set", "steps=6")
    assert ran.returncode == 3
    assert f"error: `{run.output}` is in use by process {os.getpid()} on " in ran.stderr
    assert " since 20" in ran.stderr and "UTC" in ran.stderr
    assert run.written() == before
    first.release()
    run.finish("--set", "steps=6")


def test_a_lock_that_a_kill_left_is_no_obstacle(tmp_path: Path) -> None:
    holds = "import sys, pathlib, mashbill.train.lock as lock; held = lock.Lock(pathlib.Path(sys.argv[1]))"
    waits = "print('held', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", f"{holds}; {waits}", str(tmp_path)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    with pytest.raises(TrainError, match=f"is in use by process {process.pid} on .* since "):
        Lock(tmp_path)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    Lock(tmp_path).release()


def test_a_line_that_a_kill_cut_off_is_met(four: Run, tmp_path: Path) -> None:
    run = four.copied(tmp_path)
    path = run.output / "metrics.jsonl"
    whole = path.read_bytes()
    path.write_bytes(b"not a record\n" + whole + b'{"step": 4, "loss": 1.0}\n{"step": 5, "lo')
    ran = run.start("--set", "steps=6")
    assert ran.returncode == 0, ran.stderr
    assert "has 1 lines that are not records; they are left there" in ran.stderr
    assert f"note: from step 4 on, 1 lines of `{path}` are dropped: those steps are redone\n" in ran.stderr
    lines = path.read_bytes().splitlines(keepends=True)
    assert b"".join(lines[:5]) == b"not a record\n" + whole
    assert [json.loads(line)["step"] for line in lines[1:]] == list(range(6))


def test_a_line_that_is_too_long_for_a_record_costs_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mashbill.train.metrics.RECORD_BYTES_MAX", 20)
    path = tmp_path / "metrics.jsonl"
    kept = b'{"step": 0}\n' + b"x" * 50 + b'\n{"step": 1}\n'
    for left in (b"", b"y" * 15, b"y" * 50):
        path.write_bytes(kept + b'{"step": 2}\n' + left)
        Metrics(tmp_path, 4, 2, quiet=True).close()
        assert path.read_bytes() == kept


def test_metrics_that_cannot_be_written_end_the_run_with_a_reason(tmp_path: Path) -> None:
    metrics = Metrics(tmp_path, 4, 0, quiet=True)
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, metrics.file.fileno())
    os.close(full)
    record: dict[str, Any] = {"step": 0, "loss": 1.0}
    with pytest.raises(TrainError, match=r"the metrics cannot be written to .*: No space left on device") as raised:
        metrics.step(record)
    assert raised.value.code == 3
    metrics.close()


def test_what_the_first_process_finds_is_every_process_s() -> None:
    class Other(Processes):
        """A process that is not the first one; what that one found is `told`."""

        def __init__(self, told: tuple[Any, int]) -> None:
            self.rank, self.world_size, self.told = 1, 2, told

        def gather(self, value: Any) -> list[Any]:
            assert value == (None, 0)
            return [self.told, value]

    assert Other(("found", 0)).first(lambda: pytest.fail("only the first one looks")) == "found"
    with pytest.raises(TrainError) as raised:
        Other((None, 3)).first(lambda: pytest.fail("only the first one looks"))
    # It is told once, by the first process.
    assert (raised.value.told, raised.value.code) == (True, 3)


def test_a_file_of_the_run_is_whole_or_what_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "config.yaml"
    publish.whole(path, "one")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(TrainError, match="cannot be written: No space left on device") as raised:
        publish.whole(path, "two")
    assert raised.value.code == 3
    assert [(each.name, each.read_text()) for each in tmp_path.iterdir()] == [("config.yaml", "one")]
