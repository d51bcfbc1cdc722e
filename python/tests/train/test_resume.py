"""Going on with another configuration: what holds from the next step on, what is refused, and what the run keeps."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import tokenize
from mashbill.train import config, config_file, optimizer
from mashbill.train.error import TrainError
from mashbill.train.trainer import Run as Trainer
from runs import Run, direct


@pytest.fixture(scope="module")
def four(tokenized: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of 4 steps with checkpoints after 2 and 4."""
    changes = {"optimizer": {"learning_rate": 1e-3}, "schedule": {"warmup_steps": 0}, "checkpoints": {"every": 2}}
    return direct(tmp_path_factory.mktemp("four"), tokenized, steps=4, **changes).finish()


def settings(**given: Any) -> list[str]:
    return [part for key, value in given.items() for part in ("--set", f"{key.replace('__', '.')}={json.dumps(value)}")]


def opened(run: Run, *arguments: str) -> Trainer:
    """The run as it goes on, before its next step."""
    run.command()
    return Trainer(config_file.read(run.folder / "run.yaml", list(arguments[1::2])), quiet=True)


def test_another_rate_and_more_steps_hold_from_the_next_step_on(four: Run, tmp_path: Path) -> None:
    run = four.copied(tmp_path)
    ran = run.start(*settings(steps=8, optimizer__learning_rate=1e-5))
    assert ran.returncode == 0, ran.stderr
    assert "changed from step 4 on:" in ran.stderr
    assert "steps 4 → 8, optimizer.learning_rate 0.001 → 1e-05" in ran.stderr
    kept = config_file.read(run.output / "config.yaml", [])
    assert list(run.rates().values())[:4] == list(four.rates().values())
    for step in range(4, 8):
        assert run.rates()[step] == pytest.approx(1e-5 * optimizer.share(kept, step, 8), rel=1e-12)
    assert kept.optimizer.learning_rate == 1e-5
    assert "# Changed from step 4 on: " in (run.output / "config.yaml").read_text()
    assert [each["from_step"] for each in run.record()["history"]] == [4]


def test_more_steps_alone_are_of_the_new_schedule(four: Run, tmp_path: Path) -> None:
    run = four.copied(tmp_path).finish(*settings(steps=8))
    assert run.rates()[4] == pytest.approx(5.5e-4)


def test_decay_and_betas_are_those_that_are_given(four: Run, tmp_path: Path) -> None:
    run = opened(
        four.copied(tmp_path),
        *settings(steps=8, optimizer__weight_decay=0.5, optimizer__betas=[0.5, 0.6], optimizer__epsilon=0.25),
    )
    groups, state = run.optimizer.param_groups, next(iter(run.optimizer.state.values()))
    run.close()
    assert [group["weight_decay"] for group in groups] == [0.5, 0.0]
    assert all((group["betas"], group["eps"]) == ((0.5, 0.6), 0.25) for group in groups)
    # The moments and counts go on.
    assert float(state["step"]) == 4 and float(state["exp_avg"].abs().sum()) > 0


def test_a_shape_is_refused_and_nothing_is_touched(four: Run, tmp_path: Path) -> None:
    run = four.copied(tmp_path)
    before = run.written()
    for given, message in {
        "model.llama.hidden_size=16": "`model.llama.hidden_size` cannot change when a run resumes: 32 → 16",
        "seed=7": "`seed` cannot change when a run resumes: 0 → 7",
        "steps=3": "`steps: 3`: the run has 4 steps behind it",
        "mix=[{weights: {gsm8k: 1, nq_open: 1}}]": "`mix` cannot change when a run resumes, since it names",
    }.items():
        ran = run.start("--set", "steps=8", "--set", given) if given != "steps=3" else run.start("--set", given)
        assert ran.returncode == 2, ran.stderr
        assert ran.stderr.startswith(f"error: --set {given}: {message}")
        assert "another `output_path`" in ran.stderr
        assert run.written() == before


def test_what_no_step_used_is_not_recorded(four: Run, tmp_path: Path) -> None:
    run = four.copied(tmp_path)
    before = (run.output / "config.yaml").read_bytes()
    ran = run.start(*settings(optimizer__clip=0.5))
    assert ran.returncode == 0, ran.stderr
    assert "no step is left, so what was changed is not used:" in ran.stderr
    assert "optimizer.clip 1.0 → 0.5" in ran.stderr
    assert (run.output / "config.yaml").read_bytes() == before


def test_what_a_failed_step_was_to_use_is_not_recorded(
    four: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = four.copied(tmp_path)
    before = {name: run.written()[name] for name in ("config.yaml", "loader.json")}
    going = opened(run, *settings(steps=8, optimizer__clip=0.5))

    def fails() -> bool:
        raise TrainError("a shard is damaged", "verify")

    monkeypatch.setattr(going, "_step", fails)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    with pytest.raises(TrainError, match="a shard is damaged"):
        going.train()
    going.close()
    assert {name: run.written()[name] for name in before} == before


OTHER: dict[str, Any] = {
    "output_path": None,  # the folder that the run was copied to
    "model.start_from": "gpt2",
    "model.llama.hidden_size": 64,
    "model.llama.intermediate_size": 65,
    "model.llama.num_hidden_layers": 3,
    "model.llama.num_attention_heads": 2,
    "model.llama.num_key_value_heads": 1,
    "model.llama.rope_theta": 500.0,
    "model.llama.tie_word_embeddings": False,
    "model.attention": "eager",
    "model.compile": True,
    "teacher.model": None,  # the run's own checkpoint
    "teacher.temperature": 3.0,
    "teacher.weight": 0.25,
    "document_mask": False,
    "steps": 9,
    "batch_tokens": 128,
    "micro_batch_rows": 1,
    "precision": "bf16",
    "optimizer.learning_rate": 1e-4,
    "optimizer.weight_decay": 0.2,
    "optimizer.betas": [0.8, 0.9],
    "optimizer.epsilon": 1e-6,
    "optimizer.clip": 0.5,
    "schedule.kind": "wsd",
    "schedule.warmup_steps": 1,
    "schedule.decay_steps": 2,
    "schedule.final": 0.2,
    "mix": None,  # in a test of its own
    "max_epochs": 5,
    "validation.every": 3,
    "validation.rows": 4,
    "checkpoints.every": 3,
    "checkpoints.keep": 3,
    "seed": 1,
    # In tests of their own, with other rows and the same.
    "train_data_path": None,
    "val_data_path": None,
    "use_pretokenized_data": None,
    "pretokenized_splits": None,
    "tokenizer": None,
    "max_seq_length": None,
    "validation.held_out": None,
}


def test_every_key_is_changed_by_a_test() -> None:
    assert set(OTHER) == set(config.rules())


def test_keys_that_are_refused_are_named(four: Run, tmp_path: Path) -> None:
    run = four.copied(tmp_path)
    run.command()
    keys = [key for key, rule in config.rules().items() if rule == "refused"]
    assert len(keys) > 8
    for key in keys:
        given = [f"{key}={json.dumps(OTHER[key])}", *(["model.llama=null"] if key == "model.start_from" else [])]
        with pytest.raises(TrainError) as raised:
            Trainer(config_file.read(run.folder / "run.yaml", given), quiet=True)
        assert str(raised.value).startswith(f"--set {given[0]}: `{key}` cannot change when a run resumes: ")


def test_keys_that_hold_are_what_the_next_steps_are_made_with(four: Run, tmp_path: Path) -> None:
    run = four.copied(tmp_path)
    holding = {key: OTHER[key] for key, rule in config.rules().items() if rule == "holds" and OTHER[key] is not None}
    # Compiling takes a minute here.
    del holding["model.compile"]
    holding["teacher.model"] = str(four.checkpoint())
    given = [part for key, value in holding.items() for part in ("--set", f"{key}={json.dumps(value)}")]
    ran = run.start(*given)
    assert ran.returncode == 0, ran.stderr
    kept = yaml.safe_load((run.output / "config.yaml").read_text())
    for key, value in holding.items():
        section: Any = kept
        for part in key.split("."):
            section = section[part]
        assert section == value, key
    last = run.records()[-1]
    assert (last["step"], "divergence" in last) == (8, True)
    changed = run.record()["history"][0]["changed"]
    assert {key for key in changed if not key.startswith("teacher")} == {
        key for key in [*holding, "output_path"] if not key.startswith("teacher")
    }
    assert run.record()["rows_taken"] == 4 * 4 + 5 * 2


def test_data_may_move_and_may_not_become_other_rows(
    four: Run, tokenized: Path, records: Path, tokenizer: Path, tmp_path: Path
) -> None:
    run = four.copied(tmp_path)
    shutil.copytree(tokenized, tmp_path / "moved")
    moved = settings(train_data_path=str(tmp_path / "moved"), pretokenized_splits=["gsm8k", "nq_open"])
    given = {"tokenizer": str(tokenizer), "max_seq_length": 64, "val_data_path": str(tmp_path / "moved")}
    for each in (moved, settings(**{**given, "validation.held_out": 0.5, "val_data_path": None})):
        opened(run, *each).close()
    other = tokenize(records, tmp_path / "other", tokenizer, "--max-seq-length", "32")
    before = run.written()
    for change, key in (
        ({"pretokenized_splits": ["gsm8k"]}, "pretokenized_splits"),
        ({"train_data_path": str(other)}, "train_data_path"),
        ({"val_data_path": str(tokenized)}, "val_data_path"),
        (
            {
                "use_pretokenized_data": False,
                "train_data_path": str(records),
                **given,
                "val_data_path": None,
                "max_seq_length": 32,
            },
            "train_data_path",
        ),
    ):
        with pytest.raises(TrainError, match=f"`{key}` cannot change when a run resumes, since the rows that are"):
            opened(run, *settings(**change)).close()
        assert {name: text for name, text in run.written().items() if not name.startswith("tokenized/")} == before


def test_other_rows_at_the_same_path_are_refused(four: Run, records: Path, tokenizer: Path, tmp_path: Path) -> None:
    data = tokenize(records, tmp_path / "data", tokenizer, "--max-seq-length", "64")
    run = direct(tmp_path, data, steps=2, schedule={}).finish()
    shutil.rmtree(data)
    (tmp_path / "less").mkdir()
    for path in records.glob("*.jsonl"):
        (tmp_path / "less" / path.name).write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    tokenize(tmp_path / "less", data, tokenizer, "--max-seq-length", "64")
    ran = run.start("--set", "steps=4")
    assert ran.returncode == 2
    assert "the rows that are trained on are others than those that the run began with" in ran.stderr


def test_an_epoch_ends_where_its_rows_end_whatever_the_batch(tokenized: Path, tmp_path: Path) -> None:
    whole = direct(tmp_path, tokenized, steps=None, schedule={})
    run = opened(whole)
    rows, steps = len(run.train_data.dataset), run.steps
    run.close()
    assert steps == rows // 4
    whole.finish(*settings(steps=2))
    run = opened(whole, *settings(batch_tokens=512))
    assert run.steps == 2 + (rows - 8) // 8
    run.close()
