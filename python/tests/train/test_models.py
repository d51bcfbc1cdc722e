"""Models that others made: heads that are padded, tokenizers that differ, and what must not be run."""

import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from mashbill import Dataset
from mashbill.train import config_file
from mashbill.train.model import Objective
from runs import TINY, Run, direct
from test_checks import model, refused
from torch.nn.functional import softmax
from transformers import AutoModelForCausalLM


def padded(folder: Path, tokenizer: Path, ids: int, **changes: Any) -> str:
    """A model of the data's tokenizer whose head has more ids."""
    torch.manual_seed(ids)
    model(folder, vocab_size=ids, **changes)
    shutil.copy(tokenizer / "tokenizer.json", folder)
    return str(folder)


def short(folder: Path, data: Path, **changes: Any) -> Run:
    return direct(folder, data, steps=1, schedule={}, **changes)


@pytest.mark.parametrize("student_ids, teacher_ids", [(704, 640), (640, 704), (600, 640), (640, 600)])
def test_heads_that_are_padded_distil_over_the_ids_that_all_have(
    tokenized: Path, tokenizer: Path, tmp_path: Path, student_ids: int, teacher_ids: int
) -> None:
    # Weights that are large: probability on padding would show.
    student = padded(tmp_path / "student", tokenizer, student_ids, initializer_range=1.0)
    teacher = padded(tmp_path / "teacher", tokenizer, teacher_ids, initializer_range=1.0)
    taught = {"model": teacher, "weight": 1.0, "temperature": 2.0}
    run = short(tmp_path, tokenized, model={"start_from": student}, teacher=taught, document_mask=False).finish()
    assert 0 < run.records()[0]["divergence"] < float("inf")

    read = config_file.read(tmp_path / "run.yaml", [])
    models = [AutoModelForCausalLM.from_pretrained(each, dtype=torch.float32).eval() for each in (student, teacher)]
    ids = Dataset(tokenized).vocabulary_size
    torch.manual_seed(3)
    input_ids, labels = torch.randint(ids, (2, 16)), torch.randint(ids, (2, 16))
    with torch.no_grad():
        _, _, divergence = Objective(*models, read, ids)(input_ids, labels)
        ours, theirs = (softmax(each(input_ids=input_ids).logits[..., :600].double() / 2.0, -1) for each in models)
    expected = 4.0 * float((theirs * (theirs / ours).log()).sum())
    assert float(divergence) == pytest.approx(expected, rel=1e-4)


def test_a_teacher_with_fewer_ids_than_the_data_is_refused_with_both_numbers(
    tokenized: Path, tokenizer: Path, tmp_path: Path
) -> None:
    teacher = padded(tmp_path / "teacher", tokenizer, 500)
    error, hint = refused(short(tmp_path, tokenized, teacher={"model": teacher}))
    assert f"the model `{teacher}` has 500 ids, the data's tokenizer `" in error and "600" in error
    assert f"--tokenizer {teacher}" in hint


def test_a_tokenizer_that_was_saved_again_is_the_same(tokenized: Path, tokenizer: Path, tmp_path: Path) -> None:
    teacher = padded(tmp_path / "teacher", tokenizer, 640)
    path = tmp_path / "teacher" / "tokenizer.json"
    definition = json.loads(path.read_text())
    definition["truncation"] = {"direction": "Right", "max_length": 8, "strategy": "LongestFirst", "stride": 0}
    path.write_text(json.dumps(definition, sort_keys=True))
    short(tmp_path, tokenized, teacher={"model": teacher}).finish()


def test_tokenizers_that_differ_are_refused_with_numbers(tokenized: Path, tokenizer: Path, tmp_path: Path) -> None:
    other = padded(tmp_path / "other", tokenizer, 640)
    path = tmp_path / "other" / "tokenizer.json"
    definition = json.loads(path.read_text())
    ids = definition["model"]["vocab"]
    first, second = [token for token, id in ids.items() if id in (300, 301)]
    ids[first], ids[second] = ids[second], ids[first]
    path.write_text(json.dumps(definition))
    error, hint = refused(short(tmp_path, tokenized, teacher={"model": other}))
    assert f"the teacher `{other}` has another tokenizer than the data" in error
    assert "2 of the data's 600 ids are other tokens there, which has 600" in error
    assert f"--tokenizer {other}" in hint
    error, _ = refused(short(tmp_path, tokenized, model={"start_from": other}))
    assert f"the model `{other}` has another tokenizer than the data" in error
    assert "2 of the data's 599 ids are other tokens there, which has 599" in error


def test_a_token_that_was_added_may_be_another_one_to_start_from(
    tokenized: Path, tokenizer: Path, tmp_path: Path
) -> None:
    other = padded(tmp_path / "other", tokenizer, 640)
    path = tmp_path / "other" / "tokenizer.json"
    path.write_text(path.read_text().replace("<|end|>", "<|stop|>"))
    short(tmp_path, tokenized, model={"start_from": other}).finish()
    error, _ = refused(short(tmp_path / "taught", tokenized, teacher={"model": other}))
    assert "1 of the data's 600 ids are other tokens there" in error


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"model": {"vocab": 3}}', '{"model": 3}', "[" * 100_000, "\xff"])
def test_a_tokenizer_that_is_none_is_refused(tokenized: Path, tokenizer: Path, tmp_path: Path, text: str) -> None:
    other = padded(tmp_path / "other", tokenizer, 640)
    (tmp_path / "other" / "tokenizer.json").write_bytes(text.encode("latin-1"))
    error, _ = refused(short(tmp_path, tokenized, teacher={"model": other}))
    assert f"the tokenizer.json of the teacher `{other}` cannot be read" in error


def test_code_that_a_model_brings_is_not_run_and_nothing_is_asked(
    tokenized: Path, tokenizer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = padded(tmp_path / "other", tokenizer, 640)
    ran = tmp_path / "ran"
    (tmp_path / "other" / "code.py").write_text(f"open({str(ran)!r}, 'w')\n")
    about = json.loads((tmp_path / "other" / "config.json").read_text())
    about |= {"model_type": "of_its_own", "architectures": ["Own"]}
    about["auto_map"] = {"AutoConfig": "code.Config", "AutoModelForCausalLM": "code.Model"}
    (tmp_path / "other" / "config.json").write_text(json.dumps(about))

    def asked(*_: object) -> str:
        raise AssertionError("something was asked")

    monkeypatch.setattr("builtins.input", asked)
    for key in ("model.start_from", "teacher.model"):
        given = {"model": {"start_from": other}} if key.startswith("model") else {"teacher": {"model": other}}
        error, hint = refused(short(tmp_path, tokenized, **given))
        assert f"the model `{other}` cannot be used" in error
        assert "code that a model brings with it is never run" in hint
    assert not ran.exists()


class Opens:
    """A pickle that makes a file where it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return open, (str(self.path), "w")


def test_a_pickle_that_a_model_brings_is_not_run(tokenized: Path, tokenizer: Path, tmp_path: Path) -> None:
    other = padded(tmp_path / "other", tokenizer, 640)
    (tmp_path / "other" / "model.safetensors").unlink()
    (tmp_path / "other" / "pytorch_model.bin").write_bytes(pickle.dumps(Opens(tmp_path / "ran")))
    error, _ = refused(short(tmp_path, tokenized, model={"start_from": other}))
    assert f"the model `{other}` cannot be loaded" in error
    assert not (tmp_path / "ran").exists()


def test_a_model_without_all_of_its_weights_is_refused(tokenized: Path, tokenizer: Path, tmp_path: Path) -> None:
    other = padded(tmp_path / "other", tokenizer, 640)
    about = json.loads((tmp_path / "other" / "config.json").read_text())
    (tmp_path / "other" / "config.json").write_text(json.dumps({**about, "num_hidden_layers": 3}))
    error, _ = refused(short(tmp_path, tokenized, teacher={"model": other}))
    assert "is not whole: 9 of its weights are not there and would be random" in error
    (tmp_path / "other" / "config.json").write_text(json.dumps({**about, "intermediate_size": TINY["hidden_size"]}))
    error, _ = refused(short(tmp_path, tokenized, teacher={"model": other}))
    assert f"the model `{other}` cannot be loaded" in error
