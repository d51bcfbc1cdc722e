"""The YAML file: what is said about a mistake, what the command line puts over it, and its schema."""

import json
from pathlib import Path

import jsonschema
import pytest
import yaml
from mashbill.train import config
from mashbill.train.error import TrainError

REPOSITORY = Path(__file__).parents[3]
LEAST = "train_data_path: data\nmodel:\n  llama: {}\n"


def read(tmp_path: Path, text: str, *settings: str) -> config.Config:
    path = tmp_path / "run.yaml"
    path.write_text(text)
    return config.read(path, list(settings))


MISTAKES = r"""
5 | optimizer:\n  learning_rte: 1 | `optimizer.learning_rte` is not a key | did you mean `learning_rate`?
4 | batch_tokns: 8 | `batch_tokns` is not a key | did you mean `batch_tokens`?
4 | qqq: 8 | `qqq` is not a key | there are train_data_path, val_data_path
4 | teacher: {model: t, wieght: 1.0} | `teacher.wieght` is not a key | did you mean `weight`?
5 | mix:\n- wieghts: {} | `mix.0.weights` is missing | add `weights: …`
4 | teacher: {weight: 1.0} | `teacher.model` is missing | add `model: …`
4 | steps: many | `steps`: input should be a valid integer, not `many` | correct it
4 | steps: 1.5 | `steps`: input should be a valid integer, not `1.5` | correct it
4 | steps: true | `steps`: input should be a valid integer, not `True` | correct it
4 | document_mask: 1 | `document_mask`: input should be a valid boolean, not `1` | correct it
4 | schedule: {kind: x} | `schedule.kind`: input should be 'cosine' or 'wsd', not `x` | correct it
4 | pretokenized_splits: a | `pretokenized_splits`: input should be a valid list, not `a` | correct it
4 | mix: [{weights: {code: x}}] | `mix.0.weights.code`: input should be a valid number, not `x` | correct it
"""


@pytest.mark.parametrize("mistake", MISTAKES.strip().splitlines())
def test_a_mistake_is_named_with_its_line(tmp_path: Path, mistake: str) -> None:
    line, text, message, hint = (part.replace("\\n", "\n") for part in mistake.split(" | "))
    with pytest.raises(TrainError) as raised:
        read(tmp_path, f"{LEAST}{text}\n")
    assert str(raised.value) == f"{tmp_path / 'run.yaml'}:{line}: {message}"
    assert hint in raised.value.hint


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(TrainError, match="1: `train_data_path` is missing"):
        read(tmp_path, "model:\n  llama: {}\n")


@pytest.mark.parametrize(
    "text",
    [
        "batch_tokens: 0",
        "steps: 0",
        "checkpoints: {keep: 0}",
        "optimizer: {betas: [0.9]}",
        "model: {}",
        "validation: {held_out: 1.0}",
    ],
)
def test_values_out_of_range_are_refused(tmp_path: Path, text: str) -> None:
    key = text.split(":")[0]
    least = LEAST if key != "model" else "train_data_path: data\n"
    with pytest.raises(TrainError, match=f"`{key}"):
        read(tmp_path, f"{least}{text}\n")


def test_the_command_line_goes_over_the_file(tmp_path: Path) -> None:
    settings = [
        "optimizer.learning_rate=1e-4",
        "steps=7",
        "pretokenized_splits=[a, b]",
        "teacher.model=t",
        "val_data_path=",
    ]
    found = read(tmp_path, LEAST + "steps: 5\nval_data_path: data\n", *settings)
    assert found.optimizer.learning_rate == 1e-4
    assert (found.steps, found.pretokenized_splits, found.val_data_path) == (7, ["a", "b"], None)
    assert found.teacher is not None and found.teacher.model == "t"


def test_mistakes_on_the_command_line_are_named(tmp_path: Path) -> None:
    with pytest.raises(TrainError, match=r"^--set stps=7: `stps` is not a key$"):
        read(tmp_path, LEAST, "stps=7")
    with pytest.raises(TrainError, match="has no `=`"):
        read(tmp_path, LEAST, "steps")


def test_the_resolved_copy_reads_as_the_same(tmp_path: Path) -> None:
    found = read(tmp_path, LEAST + "mix: [{weights: {code: 1, chat: 3}, ramp: true}]\n")
    config.write(found, tmp_path / "resolved.yaml")
    assert config.read(tmp_path / "resolved.yaml", []) == found


@pytest.mark.parametrize("path", sorted((REPOSITORY / "configs").glob("*.yaml")), ids=lambda path: path.name)
def test_the_configs_that_ship_are_valid(path: Path) -> None:
    config.read(path, [])
    jsonschema.validate(yaml.safe_load(path.read_text().replace("3e-4", "0.0003")), config.schema())


def test_the_schema_is_current() -> None:
    path = REPOSITORY / "schemas" / "train.schema.json"
    current = json.dumps(config.schema(), indent=2) + "\n"
    before = path.read_text() if path.exists() else ""
    path.write_text(current)
    assert before == current, f"{path} was written again: commit it"
