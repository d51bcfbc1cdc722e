"""What is said before anything is loaded: the guide's "Training Can't Find Data", and what else cannot work."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import mashbill, tokenize
from mashbill.train.__main__ import INSTALL
from runs import ENVIRONMENT, TINY, Run, direct
from transformers import LlamaConfig, LlamaForCausalLM


def refused(run: Run, *arguments: str) -> tuple[str, str]:
    """The error and the hint of a run that is refused."""
    ran = run.start(*arguments)
    assert ran.returncode == 2, ran.stderr
    lines = [line for line in ran.stderr.splitlines() if line.startswith(("error: ", "hint: "))]
    assert len(lines) == 2, ran.stderr
    return lines[0].removeprefix("error: "), lines[1].removeprefix("hint: ")


def model(folder: Path, **changes: Any) -> str:
    shape = {**TINY, "vocab_size": 600, "max_position_embeddings": 64, "bos_token_id": None, "eos_token_id": 0}
    LlamaForCausalLM(LlamaConfig(**{**shape, **changes})).save_pretrained(folder)
    return str(folder)


def test_no_folder(tmp_path: Path) -> None:
    error, hint = refused(direct(tmp_path, tmp_path / "nowhere"))
    assert error.endswith(f"run.yaml:18: `{tmp_path / 'nowhere'}` does not exist")
    assert "train_data_path" in hint


def test_no_manifest(records: Path, tmp_path: Path) -> None:
    error, hint = refused(direct(tmp_path, records))
    assert "manifest.json" in error
    assert f"mashbill tokenize --input {records}" in hint


def test_unknown_split(tokenized: Path, tmp_path: Path) -> None:
    error, hint = refused(direct(tmp_path, tokenized, pretokenized_splits=["gsm8", "nq_open"]))
    assert "`gsm8`" in error
    assert "there are `gsm8k`, `nq_open`" in error
    assert "mashbill verify" in hint


def test_splits_without_rows(tmp_path: Path, tokenizer: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "empty.jsonl").write_text('{"text": 7}\n')
    given = ("--input", tmp_path / "data", "--output", tmp_path / "out", "--tokenizer", tokenizer)
    ran = mashbill("tokenize", *given, "--max-seq-length", "64")
    assert ran.returncode == 3, ran.stderr
    error, _ = refused(direct(tmp_path, tmp_path / "out"))
    assert "no rows" in error


def test_a_second_file_is_not_taken_silently(tokenized: Path, tmp_path: Path) -> None:
    error, hint = refused(direct(tmp_path, tokenized), "--config", str(tmp_path / "other.yaml"))
    assert error == "`--config` is given more than once"
    assert hint.startswith("give one file")


def test_a_batch_that_is_no_multiple_of_rows(tokenized: Path, tmp_path: Path) -> None:
    error, hint = refused(direct(tmp_path, tokenized), "--set", "batch_tokens=200")
    assert error == "--set batch_tokens=200: `batch_tokens: 200` is not a multiple of rows of 64 tokens on 1 process"
    assert hint == "use `--set batch_tokens=192`"


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"WORLD_SIZE": "x"}, "`WORLD_SIZE=x` in the environment is not a process number"),
        ({"RANK": "-1"}, "`RANK=-1` in the environment is not a process number"),
        ({"RANK": "2", "WORLD_SIZE": "2"}, "`RANK=2` and `WORLD_SIZE=2` in the environment contradict each other"),
        ({"WORLD_SIZE": "2"}, "the 2 processes cannot reach one another: "),
    ],
    ids=str,
)
def test_an_environment_that_names_no_process(
    tokenized: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], message: str
) -> None:
    for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    error, hint = refused(direct(tmp_path, tokenized))
    assert error.startswith(message)
    assert hint.startswith("start them with `torchrun ")


def test_a_model_with_another_vocabulary(tokenized: Path, tmp_path: Path) -> None:
    name = model(tmp_path / "model", vocab_size=500)
    error, hint = refused(direct(tmp_path, tokenized, model={"start_from": name}))
    assert "has 500 ids" in error and "600" in error
    assert f"--tokenizer {name}" in hint


def test_a_model_with_shorter_rows(tokenized: Path, tmp_path: Path) -> None:
    name = model(tmp_path / "model", max_position_embeddings=32)
    error, hint = refused(direct(tmp_path, tokenized, model={"start_from": name}))
    assert "takes 32 tokens, the data's rows have 64" in error
    assert "--max-seq-length 32" in hint


def test_a_model_with_another_end_of_text(tokenized: Path, tmp_path: Path) -> None:
    name = model(tmp_path / "model", eos_token_id=3)
    error, _ = refused(direct(tmp_path, tokenized, model={"start_from": name}))
    assert "has the EOS id 3" in error


def test_a_model_that_is_not_there(tokenized: Path, tmp_path: Path) -> None:
    error, _ = refused(direct(tmp_path, tokenized, model={"start_from": str(tmp_path / "nowhere")}))
    assert f"`{tmp_path / 'nowhere'}` cannot be found" in error


def test_a_teacher_with_another_tokenizer(tokenized: Path, tokenizer: Path, tmp_path: Path) -> None:
    name = model(tmp_path / "teacher")
    error, _ = refused(direct(tmp_path, tokenized, teacher={"model": name}))
    assert "has no tokenizer.json to compare" in error
    changed = json.loads((tokenizer / "tokenizer.json").read_text())
    changed["model"]["merges"] = changed["model"]["merges"][:-1]
    (tmp_path / "teacher" / "tokenizer.json").write_text(json.dumps(changed))
    error, _ = refused(direct(tmp_path, tokenized, teacher={"model": name}))
    assert "has another tokenizer than the data" in error


def test_validation_data_of_another_tokenizer(records: Path, tokenized: Path, tmp_path: Path) -> None:
    other = tokenize(records, tmp_path / "other", "gpt2", "--max-seq-length", "64")
    error, hint = refused(direct(tmp_path, tokenized, val_data_path=str(other)))
    assert error == f"`{other}` was made with another tokenizer than `{tokenized}`"
    assert "val_data_path" in hint


def test_without_torch(tokenized: Path, tmp_path: Path) -> None:
    run = direct(tmp_path, tokenized)
    hide = "import sys; sys.modules['torch'] = None; import importlib.util as u; f = u.find_spec; "
    hide += "u.find_spec = lambda name: None if name == 'torch' else f(name); "
    hide += "from mashbill.train.__main__ import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", hide, *run.command()[3:]]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 2
    assert ran.stderr == f"error: `torch` is not installed, which training needs\nhint: {INSTALL}\n"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may mount a small disk")
def test_a_full_disk_at_checkpoint_time(tokenized: Path, tmp_path: Path) -> None:
    first = direct(tmp_path / "first", tokenized, steps=1, schedule={}).finish().checkpoint()
    # One checkpoint fits, a second beside it does not.
    kilobytes = sum(path.stat().st_size for path in first.iterdir()) * 3 // 2 // 1024
    run = direct(tmp_path, tokenized, checkpoints={"every": 4, "keep": 1})
    checkpoints = run.output / "checkpoints"
    checkpoints.mkdir(parents=True)
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", checkpoints], check=False
    ).returncode:
        pytest.skip("this user may not mount a tmpfs")
    try:
        ran = run.start()
        assert ran.returncode == 3, ran.stderr
        assert "the checkpoint of step 8 could not be written" in ran.stderr
        assert "hint: make space, then run the same command again" in ran.stderr
        assert [path.name for path in checkpoints.iterdir()] == ["step_00000004"]
        subprocess.run(["mount", "-o", "remount,size=32m", checkpoints], check=True)
        run.finish()
    finally:
        subprocess.run(["umount", checkpoints], check=False)


def test_the_command_is_the_module(tokenized: Path, tmp_path: Path) -> None:
    run = direct(tmp_path, tokenized, batch_tokens=200)
    program = shutil.which("mashbill", path=str(Path(sys.executable).parent))
    assert program is not None
    ran = subprocess.run(
        [program, "train", *run.command()[3:]],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        env=ENVIRONMENT,
    )
    assert ran.returncode == 2
    assert "`batch_tokens: 200` is not a multiple" in ran.stderr
    helped = subprocess.run([program, "train", "--help"], capture_output=True, text=True, timeout=240, check=False)
    assert "usage: mashbill train" in helped.stdout
