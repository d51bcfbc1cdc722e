"""What a run refuses to go over: numbers that are not finite, rows seen again and again, data to measure on."""

import shutil
from pathlib import Path

import pytest
from conftest import tokenize
from mashbill import Dataset
from mashbill.train import checkpoint, checks, config_file
from mashbill.train.error import TrainError
from runs import Run, direct

WILD = {"learning_rate": 100.0, "weight_decay": 100.0, "clip": 0.0}


def wild(folder: Path, data: Path) -> Run:
    """A run whose weights grow ten thousandfold a step."""
    return direct(folder, data, optimizer=WILD, schedule={"warmup_steps": 0}, checkpoints={"every": 1, "keep": 1})


def test_a_run_that_diverges_stops_and_keeps_the_last_good_checkpoint(tokenized: Path, tmp_path: Path) -> None:
    run = wild(tmp_path, tokenized)
    ran = run.start()
    assert ran.returncode == 3, ran.stderr
    assert "not finite" in ran.stderr or "is not made: its loss is" in ran.stderr
    assert "hint: give the same command with `--set optimizer.learning_rate=10`" in ran.stderr
    found, damaged = checkpoint.newest(run.output / "checkpoints")
    assert found is not None and not damaged
    assert found.record["step"] == len(run.losses())


def test_steps_are_held_to_the_rows_that_there_are(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "run.yaml").write_text("train_data_path: data\nmodel: {llama: {}}\nsteps: 5\nbatch_tokens: 6400\n")
    path = tmp_path / "run.yaml"
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
    with pytest.raises(TrainError, match="nobody here has the home folder `~no-such-user`"):
        config_file.read(path, ["output_path=~no-such-user/run"])


def test_splits_to_measure_on_are_named(records: Path, tokenizer: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for name in ("train-00000-of-00001", "test-00000-of-00001", "latest"):
        shutil.copy(records / "nq_open.jsonl", tmp_path / "data" / f"{name}.jsonl")
    data = tokenize(tmp_path / "data", tmp_path / "out", tokenizer, "--max-seq-length", "64")
    ran = direct(tmp_path, data, steps=1, schedule={}).start()
    assert "are of data to measure on: `test-00000-of-00001`\n" in ran.stderr
    assert '--set \'pretokenized_splits=["latest", "train-00000-of-00001"]\'' in ran.stderr
