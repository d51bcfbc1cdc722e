"""What a run refuses to go over: numbers that are not finite, rows seen again and again, data to measure on."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NoReturn

import pytest
from conftest import tokenize
from mashbill import Dataset, _mashbill
from mashbill.train import checkpoint, checks, config_file
from mashbill.train.error import TrainError
from runs import ENVIRONMENT, Run, direct
from safetensors.torch import load_file, save_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

WILD = {"learning_rate": 100.0, "weight_decay": 100.0, "clip": 0.0}


def wild(folder: Path, data: Path) -> Run:
    """A run whose weights grow ten thousandfold a step."""
    return direct(folder, data, optimizer=WILD, schedule={"warmup_steps": 0}, checkpoints={"every": 1, "keep": 1})


def test_a_run_that_diverges_stops_and_keeps_the_last_good_checkpoint(tokenized: Path, tmp_path: Path) -> None:
    run = wild(tmp_path, tokenized)
    ran = run.start()
    assert ran.returncode == 3, ran.stderr
    assert "not finite" in ran.stderr or "is not applied: its loss is" in ran.stderr
    assert "hint: run the same command with `--set optimizer.learning_rate=10`" in ran.stderr
    found, damaged = checkpoint.newest(run.output / "checkpoints")
    assert found is not None and not damaged
    assert found.record["step"] == len(run.losses())


# The loss of the second process alone is no number, from its third step on; the gradients are all right.
POISONED = """
import os, sys
from pathlib import Path
from mashbill.train import model
from mashbill.train.__main__ import main

whole, calls = model.Objective.forward, 0
def forward(self, *given, **named):
    global calls
    calls += 1
    loss, *others = whole(self, *given, **named)
    return (loss + float("nan") if os.environ["RANK"] == "1" and calls > 2 else loss, *others)
model.Objective.forward = forward
code = main(sys.argv[2:])
Path(sys.argv[1], os.environ["RANK"]).write_text(str(code))
"""


def test_all_processes_stop_where_the_loss_of_one_is_no_number(tokenized: Path, tmp_path: Path) -> None:
    run = direct(tmp_path, tokenized, micro_batch_rows=2, checkpoints={"every": 1, "keep": 9})
    arguments = run.command()[3:]
    script, ended = tmp_path / "poisoned.py", tmp_path / "ended"
    script.write_text(POISONED)
    ended.mkdir()
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(script)]
    ran = subprocess.run(
        [*start, str(ended), *arguments], capture_output=True, text=True, timeout=120, check=False, env=ENVIRONMENT
    )
    assert {path.name: path.read_text() for path in ended.iterdir()} == {"0": "3", "1": "3"}, ran.stderr
    assert ran.stderr.count("error: step 2 is not applied: its loss is nan, its gradient's norm ") == 1
    assert ran.stderr.count("it resumes from step 2\n") == 1
    assert checkpoint.steps(run.output / "checkpoints") == [1, 2]
    assert list(run.losses()) == [0, 1]
    alone = run.start("--set", "steps=3")
    assert alone.returncode == 0, alone.stderr
    assert "note: 2 processes made the steps before, 1 from step 2 on: the same rows, with other" in alone.stderr


def test_a_checkpoint_of_weights_that_are_not_finite_is_passed_over(tokenized: Path, tmp_path: Path) -> None:
    run = direct(tmp_path, tokenized, steps=4, schedule={}, checkpoints={"every": 2}).finish()
    spoilt = run.checkpoint()
    weights = load_file(spoilt / "model.safetensors")
    weights["model.norm.weight"][3] = float("inf")
    save_file(weights, spoilt / "model.safetensors", {"format": "pt"})
    sums = json.loads((spoilt / checkpoint.CHECKSUMS).read_text())
    sums["model.safetensors"] = _mashbill.checksum(spoilt / "model.safetensors")
    (spoilt / checkpoint.CHECKSUMS).write_text(json.dumps(sums))
    ran = run.start("--set", "steps=5")
    assert ran.returncode == 0, ran.stderr
    why = "model.safetensors holds weights that are not finite: model.norm.weight"
    assert f"warning: the checkpoint `{spoilt}` is damaged: {why}; it is now `{spoilt.name}.damaged`\n" in ran.stderr
    assert f"warning: resuming from the one before it, `{spoilt.with_name('step_00000002')}`\n" in ran.stderr


def strict(line: str) -> Any:
    """A line as every reader of JSON takes it: Python's own reads NaN, too."""

    def refuse(word: str) -> NoReturn:
        raise ValueError(f"{word} is no JSON")

    return json.loads(line, parse_constant=refuse)


def test_steps_without_targets_are_named_and_change_no_weight(tokenized: Path, tmp_path: Path) -> None:
    # Two thirds of the rows are held out, and a step has one.
    masked = {"val_data_path": str(tokenized), "validation": {"held_out": 0.67, "every": 0}, "batch_tokens": 64}
    run = direct(tmp_path, tokenized, **masked, checkpoints={"every": 1, "keep": 12}, optimizer={"weight_decay": 1.0})
    ran = run.start()
    assert ran.returncode == 0, ran.stderr
    records = [strict(line) for line in (run.output / "metrics.jsonl").read_text().splitlines()]
    assert records == run.records()
    steps = [each for each in records if "loss" in each]
    without = [each["step"] for each in steps if each["loss"] is None]
    assert len(steps) == 12 and 2 < len(without) < 12
    first = f"warning: no token of step {without[0]} bears loss: it changes no weight, and its loss is null in"
    assert ran.stderr.count(first) == 1
    assert f"warning: of {len(without)} steps no token bore loss: they changed no weight\n" in ran.stderr
    events = EventAccumulator(str(run.output / "tensorboard")).Reload()
    assert [event.step for event in events.Scalars("loss")] == [step for step in range(12) if step not in without]
    before, after = (
        load_file(run.output / "checkpoints" / checkpoint.name(step) / "model.safetensors")
        for step in (without[1], without[1] + 1)
    )
    assert all(bool((before[name] == after[name]).all()) for name in before)


def test_steps_are_held_to_the_rows_that_there_are(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    path = tmp_path / "run.yaml"
    data = f"train_data_path: {tmp_path}/data\n"
    path.write_text(f"{data}model: {{llama: {{}}}}\nsteps: 5\nbatch_tokens: 6400\n")
    given = config_file.read(path, [])
    with pytest.raises(TrainError, match=r"`batch_tokens: 6400` are 200 rows a step, and there are 46") as raised:
        checks.rows_are_enough(given, 46, 200, 32, 1)
    assert "batch_tokens=1472" in raised.value.hint
    with pytest.raises(TrainError, match=r"show each of the 46 rows 5\.2 times, more than `max_epochs: 4`") as raised:
        checks.epochs_fit(given, 6, 46, 0, 40)
    assert "max_epochs=6" in raised.value.hint
    checks.epochs_fit(given, 4, 46, 0, 46)
    with pytest.raises(TrainError):
        checks.epochs_fit(given, 4, 46, 1, 46)


def test_a_tilde_is_the_home_folder(tokenized: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    shutil.copytree(tokenized, tmp_path / "rows")
    path = tmp_path / "run.yaml"
    path.write_text("train_data_path: ~/rows\noutput_path: ~/run\nmodel: {llama: {}}\n")
    given = config_file.read(path, [])
    assert (given.train_data_path, given.output_path) == (str(tmp_path / "rows"), str(tmp_path / "run"))
    assert len(Dataset("~/rows")) == len(Dataset(tokenized))
    with pytest.raises(TrainError, match="no user here has the home folder `~no-such-user`"):
        config_file.read(path, ["output_path=~no-such-user/run"])


def test_splits_to_measure_on_are_named(records: Path, tokenizer: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for name in ("train-00000-of-00001", "test-00000-of-00001", "latest"):
        shutil.copy(records / "nq_open.jsonl", tmp_path / "data" / f"{name}.jsonl")
    data = tokenize(tmp_path / "data", tmp_path / "out", tokenizer, "--max-seq-length", "64")
    ran = direct(tmp_path, data, steps=1, schedule={}).start()
    assert "are of data to measure on: `test-00000-of-00001`\n" in ran.stderr
    assert '--set \'pretokenized_splits=["latest", "train-00000-of-00001"]\'' in ran.stderr
