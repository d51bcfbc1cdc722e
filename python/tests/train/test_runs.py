"""Whole runs: learning, stopping and going on, several processes, validation, distillation."""

import json
import random
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import jsonschema
import pyarrow.parquet as pq
import pytest
import torch
from conftest import tokenize
from mashbill import DataLoader, Dataset
from mashbill.train import checkpoint
from mashbill.train.model import hidden_states
from runs import ENVIRONMENT, TINY, Run, direct, schema, unigram_entropy
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.nn.functional import cross_entropy
from transformers import AutoModelForCausalLM, AutoTokenizer


@pytest.fixture(scope="module")
def uninterrupted(tokenized: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return direct(tmp_path_factory.mktemp("uninterrupted"), tokenized).finish()


def test_the_loss_falls_well_under_the_unigram_entropy(tokenized: Path, tmp_path: Path) -> None:
    run = direct(tmp_path, tokenized, steps=120, batch_tokens=16 * 64, micro_batch_rows=16).finish()
    last = list(run.losses().values())[-10:]
    assert sum(last) / len(last) < unigram_entropy(tokenized) - 1.0


def test_transformers_loads_the_checkpoint_and_generates(uninterrupted: Run) -> None:
    folder = uninterrupted.checkpoint()
    assert folder.name == "step_00000012"
    assert {path.name for path in folder.iterdir()} >= {
        "model.safetensors",
        "config.json",
        "generation_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
    }
    model = AutoModelForCausalLM.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    given = tokenizer("Natalia sold", return_tensors="pt")
    generated = model.generate(input_ids=given["input_ids"], max_new_tokens=5, do_sample=False)
    assert generated.shape[1] > given["input_ids"].shape[1]
    assert tokenizer.eos_token == "<|end|>"


def test_inspect_shows_the_documents_of_a_step(uninterrupted: Run, tokenized: Path) -> None:
    recipe = json.loads((uninterrupted.output / "loader.json").read_text())
    jsonschema.validate(recipe, schema("loader"))
    names = ("batch_size", "seed", "last")
    options = {name: recipe[name] for name in names}
    loader = DataLoader(Dataset(tokenized), label_convention="shifted", **options)
    command = [sys.executable, "-m", "mashbill", "inspect", str(uninterrupted.output), "--json", "--step"]
    for step in (0, 7):
        ran = subprocess.run([*command, str(step)], capture_output=True, text=True, timeout=60, check=True)
        assert json.loads(ran.stdout)["rows"] == loader.locate(step)


def test_killed_at_random_steps_the_losses_are_the_same(tokenized: Path, tmp_path: Path, uninterrupted: Run) -> None:
    run = direct(tmp_path, tokenized)
    random.seed(7)
    for stop_at in sorted(random.sample(range(1, 12), 3)):
        process = subprocess.Popen(run.command(), stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)
        kill_at_step(process, run, stop_at)
    run.finish()
    assert run.losses() == uninterrupted.losses()
    assert run.tokens() == uninterrupted.tokens()
    ours, theirs = (run_weights(each) for each in (run, uninterrupted))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def kill_at_step(process: subprocess.Popen[str], run: Run, step: int) -> None:
    """Kills the process when the record of `step` is there, or it has ended."""
    path = run.output / "metrics.jsonl"
    while process.poll() is None:
        if path.exists() and path.read_text().count('"loss"') > step:
            process.send_signal(signal.SIGKILL)
            break
    process.communicate(timeout=60)


def run_weights(run: Run) -> dict[str, Any]:
    return AutoModelForCausalLM.from_pretrained(run.checkpoint()).state_dict()


def test_ctrl_c_saves_and_the_same_command_goes_on(tokenized: Path, tmp_path: Path, uninterrupted: Run) -> None:
    run = direct(tmp_path, tokenized)
    process = subprocess.Popen(run.command(), stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)
    path = run.output / "metrics.jsonl"
    while process.poll() is None and not (path.exists() and '"loss"' in path.read_text()):
        pass
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert 0 < run.record()["step"] < 12
    run.finish()
    assert run.losses() == uninterrupted.losses()


def test_processes_and_micro_batches_change_nothing(tokenized: Path, tmp_path: Path) -> None:
    # Rows that are held out bear no loss at all, so micro-batches and processes differ much in what they count.
    masked = {"val_data_path": str(tokenized), "validation": {"held_out": 0.4, "every": 0}, "optimizer": {"clip": 0.0}}
    whole = direct(tmp_path / "whole", tokenized, **masked).finish()
    accumulated = direct(tmp_path / "accumulated", tokenized, **masked, micro_batch_rows=1).finish()
    two = direct(tmp_path / "two", tokenized, **masked, micro_batch_rows=1).finish(processes=2)
    for run in (accumulated, two):
        for step, loss in whole.losses().items():
            assert run.losses()[step] == pytest.approx(loss, abs=1e-5), step
        assert run.tokens() == whole.tokens()
        for ours, theirs in zip(gradients(run), gradients(whole), strict=True):
            torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)


def gradients(run: Run) -> list[torch.Tensor]:
    """The optimizer's running mean of each parameter's gradients after the last step."""
    state = torch.load(run.checkpoint() / checkpoint.STATE, weights_only=True)
    return [each["exp_avg"] for each in state["optimizer"].values()]


@pytest.mark.parametrize("document_mask", [True, False])
def test_tokens_are_counted_by_split_without_padding(tokenized: Path, tmp_path: Path, document_mask: bool) -> None:
    splits = Dataset(tokenized).splits
    shards = [(split.name, pq.read_table(tokenized / split.name / "shard_0000.parquet")) for split in splits]
    real = [(name, sum(mask)) for name, table in shards for mask in table["attention_mask"].to_pylist()]
    assert any(tokens < 64 for _, tokens in real)
    batch, steps = 128, len(real) // 128 + 2
    run = direct(tmp_path, tokenized, steps=steps, batch_tokens=batch * 64, document_mask=document_mask).finish()
    expected: Counter[str] = Counter()
    loader = DataLoader(Dataset(tokenized), batch, label_convention="shifted", last="wrap")
    for step, rows in enumerate(taken.rows for _ in range(2) for taken in loader):
        if step == steps:
            break
        for row in rows:
            expected[real[row][0]] += real[row][1]
        assert run.tokens()[step] == expected, step
    assert run.records()[-1]["tokens"] == expected.total()


def test_bf16_computes_the_same_to_its_precision(tokenized: Path, tmp_path: Path, uninterrupted: Run) -> None:
    losses = direct(tmp_path, tokenized, precision="bf16").finish().losses()
    assert losses != uninterrupted.losses()
    assert list(losses.values()) == pytest.approx(list(uninterrupted.losses().values()), abs=0.05)


def test_a_model_that_exists_is_trained_on(tokenized: Path, tmp_path: Path, uninterrupted: Run) -> None:
    name = str(uninterrupted.checkpoint())
    further = direct(tmp_path, tokenized, model={"start_from": name}, optimizer={"learning_rate": 1e-9}).finish()
    # The same rows come first: what was learned on them shows at once.
    assert further.losses()[0] < uninterrupted.losses()[0] - 0.5


def test_only_the_last_checkpoints_are_kept(uninterrupted: Run) -> None:
    names = sorted(path.name for path in (uninterrupted.output / "checkpoints").iterdir())
    assert names == ["step_00000008", "step_00000012"]


def test_no_checkpoint_but_the_last(tokenized: Path, tmp_path: Path) -> None:
    run = direct(tmp_path, tokenized, steps=2, schedule={}, checkpoints={"every": 0}).finish()
    assert [path.name for path in (run.output / "checkpoints").iterdir()] == ["step_00000002"]


def test_the_run_keeps_its_config_metrics_and_events(uninterrupted: Run) -> None:
    assert (uninterrupted.output / "config.yaml").exists()
    assert list(uninterrupted.losses()) == list(range(12))
    events = EventAccumulator(str(uninterrupted.output / "tensorboard")).Reload()
    for name in ("loss", "learning_rate", "tokens_per_second", "loader_wait", "tokens_by_split/gsm8k"):
        assert [event.step for event in events.Scalars(name)] == list(range(12))
    assert [event.value for event in events.Scalars("loss")] == pytest.approx(list(uninterrupted.losses().values()))


def test_the_records_are_what_the_schema_says(uninterrupted: Run) -> None:
    record = uninterrupted.records()[-1]
    others = [{name: value for name, value in record.items() if name != left_out} for left_out in record]
    others += [{**record, name: value} for name, value in (("loss", "2.5"), ("step", 1.5), ("more", 1))]
    others += [{"step": 1, "validation": validation} for validation in ({"a": "1"}, None, [1.0])]
    for other in others:
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(other, schema("metrics"))


def test_rows_held_out_are_never_trained_on(tokenized: Path, tmp_path: Path) -> None:
    run = direct(tmp_path, tokenized, val_data_path=str(tokenized), validation={"every": 6})
    ran = run.start()
    assert ran.returncode == 0, ran.stderr
    assert "rows are held out for validation" in ran.stderr
    assert "mashbill tokenize --val-fraction" in ran.stderr
    assert list(run.validation()) == [5, 11]
    assert set(run.validation()[5]) == {"gsm8k", "nq_open"}


def test_documents_that_were_held_out_are_measured_on(records: Path, tokenizer: Path, tmp_path: Path) -> None:
    length = ("--max-seq-length", "64")
    data = tokenize(records, tmp_path / "data", tokenizer, *length, "--val-fraction", "0.1")
    run = direct(tmp_path, data, val_data_path=str(data), validation={"every": 6})
    ran = run.start()
    assert ran.returncode == 0, ran.stderr
    assert "may leak" not in ran.stderr
    assert list(run.validation()) == [5, 11]
    model = AutoModelForCausalLM.from_pretrained(run.checkpoint())
    expected = {name: loss_by_document(model, data / "_validation" / name) for name in ("gsm8k", "nq_open")}
    assert run.validation()[11] == pytest.approx(expected, abs=1e-4)


@torch.no_grad()
def loss_by_document(model: Any, split: Path) -> float:
    """The mean loss over a split, each piece of a document by itself and as the format describes it."""
    table = pq.read_table(split / "shard_0000.parquet")
    columns = [table[name].to_pylist() for name in ("input_ids", "labels", "seq_lens")]
    total = count = 0.0
    for ids, labels, lengths in zip(*columns, strict=True):
        start = 0
        for length in lengths:
            end = start + length
            # The token after a piece is another document's, but where the row ends within the document.
            targets = [*ids[start + 1 : end], labels[-1] if end == len(ids) else -100]
            logits = model(input_ids=torch.tensor([ids[start:end]])).logits[0]
            total += float(cross_entropy(logits, torch.tensor(targets), reduction="sum"))
            count += sum(target != -100 for target in targets)
            start = end
    return total / count


def test_text_is_tokenized_first(records: Path, tokenizer: Path, tmp_path: Path, uninterrupted: Run) -> None:
    changes = {"use_pretokenized_data": False, "tokenizer": str(tokenizer), "max_seq_length": 64}
    run = direct(tmp_path, records, **changes)
    ran = run.start()
    assert ran.returncode == 0, ran.stderr
    assert "tokenizing" in ran.stderr
    assert run.losses() == uninterrupted.losses()


def test_the_folder_of_text_may_look_like_a_flag(
    records: Path, tokenizer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(records, "--force")
    changes = {"use_pretokenized_data": False, "tokenizer": str(tokenizer), "max_seq_length": 64, "steps": 2}
    direct(tmp_path, Path("--force"), **changes, schedule={}).finish()


def test_text_is_held_out_by_document(records: Path, tokenizer: Path, tmp_path: Path) -> None:
    changes = {"use_pretokenized_data": False, "tokenizer": str(tokenizer), "max_seq_length": 64}
    validation = {"held_out": 0.1, "every": 1}
    run = direct(
        tmp_path, records, **changes, val_data_path=str(records), validation=validation, steps=1, schedule={}
    ).finish()
    manifest = json.loads((run.output / "tokenized" / "_validation" / "manifest.json").read_text())
    assert manifest["options"]["held_out"] == {"fraction": 0.1, "part": "validation"}
    assert set(run.validation()[0]) == {"gsm8k", "nq_open"}


def test_a_mix_of_sources_is_followed(tokenized: Path, tmp_path: Path) -> None:
    stages = [{"weights": {"gsm8k": 1.0, "nq_open": 0.0}}, {"from_step": 6, "weights": {"gsm8k": 0.0, "nq_open": 1.0}}]
    losses = direct(tmp_path / "staged", tokenized, mix=stages).finish().losses()
    constant = direct(tmp_path / "constant", tokenized, mix=stages[:1]).finish().losses()
    # The same rows up to the stage's border, others from there on.
    assert [losses[step] == constant[step] for step in range(12)] == [True] * 6 + [False] * 6
    ran = direct(tmp_path / "one", tokenized, mix=[{"weights": {"gsm8k": 1.0}}]).start()
    assert (ran.returncode, "split `nq_open` has no weight" in ran.stderr) == (2, True)


def test_distilling_brings_the_student_nearer_to_the_teacher(tokenized: Path, tmp_path: Path) -> None:
    shape = {**TINY, "hidden_size": 64}
    teacher = direct(
        tmp_path / "teacher", tokenized, steps=80, batch_tokens=16 * 64, micro_batch_rows=16, model={"llama": shape}
    ).finish()
    settings = {"steps": 60, "batch_tokens": 16 * 64, "micro_batch_rows": 16}
    taught = {"model": str(teacher.checkpoint()), "temperature": 1.0}
    distilled = direct(tmp_path / "distilled", tokenized, **settings, teacher={**taught, "weight": 1.0}).finish()
    alone = direct(tmp_path / "alone", tokenized, **settings, teacher={**taught, "weight": 0.0}).finish()
    divergence = [[record["divergence"] for record in run.records()][-1] for run in (distilled, alone)]
    assert divergence[0] < 0.5 * divergence[1]


def test_a_packed_row_is_as_its_documents_alone(tokenized: Path, uninterrupted: Run) -> None:
    model = AutoModelForCausalLM.from_pretrained(uninterrupted.checkpoint())
    table = pq.read_table(tokenized / "nq_open" / "shard_0000.parquet")
    index = max(range(table.num_rows - 1), key=lambda index: len(table["seq_lens"][index]))
    row, lengths = table["input_ids"][index].as_py(), table["seq_lens"][index].as_py()
    assert len(lengths) > 2
    positions = torch.tensor([[position for length in lengths for position in range(length)]])
    head = model.get_output_embeddings()
    with torch.no_grad():
        packed = head(hidden_states(model, torch.tensor([row]), positions))
        start = 0
        for length in lengths:
            alone = model(input_ids=torch.tensor([row[start : start + length]])).logits[0]
            torch.testing.assert_close(packed[start : start + length], alone, atol=1e-5, rtol=0)
            start += length
