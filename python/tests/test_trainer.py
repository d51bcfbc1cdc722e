"""Hugging Face's Trainer over the loader: the loss by hand, resuming, ranks, and what is refused."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
from mashbill import DataLoader, Dataset
from mashbill.transformers import Trainer
from transformers import LlamaConfig, LlamaForCausalLM, TrainingArguments

ROWS = 3


def loader(folder: Path, **options: Any) -> DataLoader:
    batch_size = options.pop("batch_size", ROWS)
    options = {"label_convention": "aligned", "seed": 3, "format": "torch"} | options
    return DataLoader(Dataset(folder), batch_size, **options)


def llama(folder: Path, **config: Any) -> LlamaForCausalLM:
    torch.manual_seed(0)
    small = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": 64,
    }
    return LlamaForCausalLM(LlamaConfig(vocab_size=Dataset(folder).vocabulary_size, **small, **config))


class Tiny(torch.nn.Module):
    """A bigram model over ids modulo 64 that shifts labels, for tests of what is trained on rather than how."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embed, self.head = torch.nn.Embedding(64, 8), torch.nn.Linear(8, 64)

    def forward(self, input_ids: torch.Tensor, labels: torch.Tensor, **more: Any) -> Any:
        logits = self.head(self.embed(input_ids % 64))
        targets = torch.where(labels == -100, labels, labels % 64)
        loss = torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), targets[:, 1:].flatten())
        return {"loss": loss, "logits": logits}


def arguments(output: Path, **options: Any) -> TrainingArguments:
    options = {
        "per_device_train_batch_size": ROWS,
        "per_device_eval_batch_size": ROWS,
        "logging_steps": 1,
        "save_steps": 1,
        "report_to": "none",
        "disable_tqdm": True,
        "use_cpu": True,
    } | options
    return TrainingArguments(output_dir=str(output), **options)


class Recording(Trainer):
    """Remembers the ids of each batch that is trained on."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.taken: list[list[list[int]]] = []

    def training_step(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> torch.Tensor:
        self.taken.append(inputs["input_ids"].tolist())
        return super().training_step(model, inputs, *args, **kwargs)


def losses(trainer: Trainer) -> list[float]:
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


def raw_rows(folder: Path) -> dict[str, list[list[int]]]:
    """All rows as pyarrow reads them, in the dataset's order."""
    names = sorted(split.name for split in Dataset(folder).splits)
    tables = [pq.read_table(path) for name in names for path in sorted((folder / name).glob("*.parquet"))]
    columns = ("input_ids", "labels", "seq_lens")
    return {column: [row for table in tables for row in table[column].to_pylist()] for column in columns}


def by_hand(model: LlamaForCausalLM, raw: dict[str, list[list[int]]], rows: list[int], last: bool) -> float:
    """The mean loss of rows, each document alone in the model, targets inside of documents; `last`: also that of the
    row's last position, which stands in the next row."""
    model.double().eval()
    each = []
    with torch.no_grad():
        for row in rows:
            at = 0
            for length in raw["seq_lens"][row]:
                ids = torch.tensor(raw["input_ids"][row][at : at + length])
                chances = torch.log_softmax(model(input_ids=ids.unsqueeze(0)).logits[0].double(), -1)
                each += [-chances[i, ids[i + 1]] for i in range(length - 1)]
                at += length
            target = raw["labels"][row][-1]
            if last and at == len(raw["input_ids"][row]) and target != -100:
                each.append(-chances[-1, target])
    return float(torch.stack(each).mean())


def test_the_loss_of_a_step_is_the_loss_by_hand_in_both_conventions(folder: Path, tmp_path: Path) -> None:
    raw = raw_rows(folder)
    # Two micro-batches: the mean is over the targets of both.
    batches = iter(loader(folder))
    rows = [row for _ in range(2) for row in next(batches).rows.tolist()]
    args = arguments(tmp_path, max_steps=1, gradient_accumulation_steps=2, save_strategy="no")

    # In double precision, since a loss near 11 is only known to 1e-6 in single.
    trainer = Trainer(model=llama(folder).double(), args=args, train_dataset=loader(folder, documents=True))
    trainer.train()
    assert abs(losses(trainer)[0] - by_hand(llama(folder), raw, rows, last=False)) < 1e-6

    def loss(outputs: Any, labels: torch.Tensor, num_items_in_batch: torch.Tensor) -> torch.Tensor:
        entropy = torch.nn.functional.cross_entropy(outputs.logits.flatten(0, 1), labels.flatten(), reduction="sum")
        return entropy / num_items_in_batch

    shifted = loader(folder, documents=True, label_convention="shifted")
    trainer = Trainer(model=llama(folder).double(), args=args, train_dataset=shifted, compute_loss_func=loss)
    trainer.train()
    assert abs(losses(trainer)[0] - by_hand(llama(folder), raw, rows, last=True)) < 1e-6


@pytest.mark.parametrize(
    ("options", "length"),
    [
        ({"last": "drop"}, {"num_train_epochs": 2}),
        ({"last": "short"}, {"num_train_epochs": 2}),
        ({"last": "wrap"}, {"max_steps": 16}),
        ({"weights": {"grain": 1, "water": 1}, "steps": 20}, {"max_steps": 10}),
    ],
)
def test_a_run_that_goes_on_trains_on_the_batches_that_were_left(
    folder: Path, tmp_path: Path, options: dict[str, Any], length: dict[str, Any]
) -> None:
    # 24 rows a batch: an epoch of 6 steps and a half.
    options = {"batch_size": 24, **options}
    args = arguments(tmp_path, per_device_train_batch_size=24, gradient_accumulation_steps=2, **length)
    straight = Recording(model=Tiny(), args=args, train_dataset=loader(folder, **options))
    straight.train()
    plain, expected = loader(folder, **options), []
    while len(expected) < len(straight.taken):
        expected += [batch["input_ids"].tolist() for batch in plain]
    assert straight.taken == expected[: len(straight.taken)]

    steps = straight.state.global_step
    per_epoch = -(-len(plain) // 2) if options.get("last") in ("drop", "short") else 3
    for step in (1, per_epoch, steps - 1):
        resumed = Recording(model=Tiny(), args=args, train_dataset=loader(folder, **options))
        resumed.train(resume_from_checkpoint=str(tmp_path / f"checkpoint-{step}"))
        assert resumed.taken == straight.taken[-len(resumed.taken) :], step
        assert losses(resumed) == losses(straight), step
        assert resumed.state.epoch == straight.state.epoch


RANKS = """
import json, os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_trainer import Recording, Tiny, arguments, loader, losses
folder, output = Path(sys.argv[2]), Path(sys.argv[3])
args = arguments(output, max_steps=3, save_steps=3)
trainer = Recording(model=Tiny(), args=args, train_dataset=loader(folder, last="wrap"))
trainer.train()
(output / f"rank_{args.process_index}.json").write_text(json.dumps([trainer.taken, losses(trainer)]))
"""


def test_two_ranks_take_turns_and_one_goes_on_alone(folder: Path, tmp_path: Path) -> None:
    script, output = tmp_path / "ranks.py", tmp_path / "run"
    script.write_text(RANKS)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(script)]
    ran = subprocess.run(
        [*command, str(Path(__file__).parent), str(folder), str(output)],
        env=os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    ranks = [json.loads((output / f"rank_{rank}.json").read_text()) for rank in range(2)]
    taken = [
        [row for pair in zip(*batches, strict=True) for row in pair]
        for batches in zip(ranks[0][0], ranks[1][0], strict=True)
    ]
    alone = Recording(
        model=Tiny(),
        args=arguments(output, max_steps=5, per_device_train_batch_size=2 * ROWS),
        train_dataset=loader(folder, last="wrap", batch_size=2 * ROWS),
    )
    alone.train(resume_from_checkpoint=str(output / "checkpoint-3"))
    whole = iter(loader(folder, last="wrap", batch_size=2 * ROWS))
    assert taken + alone.taken == [next(whole)["input_ids"].tolist() for _ in range(5)]


def test_an_evaluation_takes_the_same_rows_each_time(folder: Path, tmp_path: Path) -> None:
    held_out = loader(folder, shuffle="off", last="short", documents=True, steps=4)
    trainer = Trainer(
        model=llama(folder), args=arguments(tmp_path, max_steps=1), train_dataset=loader(folder), eval_dataset=held_out
    )
    first = trainer.evaluate()
    assert trainer.evaluate()["eval_loss"] == first["eval_loss"]
    assert held_out.step == 0
    raw = raw_rows(folder)
    batches = [list(range(at, at + ROWS)) for at in range(0, 4 * ROWS, ROWS)]
    expected = [by_hand(trainer.model, raw, rows, last=False) for rows in batches]
    assert first["eval_loss"] == pytest.approx(sum(expected) / len(expected), abs=1e-5)


class Around(torch.nn.Module):
    """A Llama inside of a module that nobody knows."""

    def __init__(self, inside: LlamaForCausalLM, shifts: bool) -> None:
        super().__init__()
        self.inside, self.shifts = inside, shifts

    def forward(self, input_ids: torch.Tensor, labels: torch.Tensor, attention_mask: torch.Tensor | None = None) -> Any:
        if self.shifts:
            return {"loss": self.inside(input_ids=input_ids, labels=labels, attention_mask=attention_mask).loss}
        logits = self.inside(input_ids=input_ids, attention_mask=attention_mask).logits
        return {"loss": torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten())}


@pytest.mark.parametrize(
    ("convention", "shifts", "refused"),
    [
        ("shifted", True, "`Around` shifts labels by itself"),
        ("aligned", False, "`Around` does not shift labels"),
        ("aligned", True, None),
        ("shifted", False, None),
    ],
)
def test_a_model_that_nobody_knows_is_looked_at_before_the_first_step(
    folder: Path, tmp_path: Path, convention: str, shifts: bool, refused: str | None
) -> None:
    trainer = Trainer(
        model=Around(llama(folder), shifts),
        args=arguments(tmp_path, max_steps=1, save_strategy="no"),
        train_dataset=loader(folder, label_convention=convention),
    )
    if refused is None:
        trainer.train()
        assert len(losses(trainer)) == 1
    else:
        with pytest.raises(ValueError, match=refused):
            trainer.train()


class Crossing(LlamaForCausalLM):
    """Attention that takes no notice of positions that begin anew."""

    def forward(self, input_ids: torch.Tensor, position_ids: Any = None, labels: Any = None, **more: Any) -> Any:
        mask = torch.ones_like(input_ids)
        return super().forward(input_ids=input_ids, attention_mask=mask, position_ids=position_ids, labels=labels)


def test_what_would_train_on_something_else_is_refused(folder: Path, tmp_path: Path) -> None:
    args = arguments(tmp_path, max_steps=1, save_strategy="no")

    def refused(message: str, rows: DataLoader, **options: Any) -> None:
        options = {"model": llama(folder), "args": args, "train_dataset": rows} | options
        with pytest.raises(ValueError, match=message) as error:
            Trainer(**options).train()
        assert "\nhint: " in str(error.value)

    refused("`LlamaForCausalLM` shifts labels by itself", loader(folder, label_convention="shifted"))
    refused("the loader is rank 1 of 2 and this process 0 of 1", loader(folder, rank=1, world_size=2))
    refused("batches have 2 rows, and `per_device_train_batch_size` makes 3", loader(folder, batch_size=2))
    refused("a `data_collator` would see nothing", loader(folder), data_collator=lambda rows: rows)
    cached = arguments(tmp_path, max_steps=1, use_cache=True)
    refused("with `use_cache` attention passes the borders", loader(folder, documents=True), args=cached)
    model = Crossing(llama(folder).config)
    refused("attention of `Crossing` passes the borders", loader(folder, documents=True), model=model)
    evaluated = arguments(tmp_path, max_steps=1, eval_strategy="steps", eval_steps=1)
    refused("an evaluation .* has no end", loader(folder), args=evaluated, eval_dataset=loader(folder, last="wrap"))


def test_a_checkpoint_of_another_trainer_is_refused(folder: Path, tmp_path: Path) -> None:
    args = arguments(tmp_path, max_steps=1)
    Trainer(model=Tiny(), args=args, train_dataset=loader(folder)).train()
    path = tmp_path / "checkpoint-1" / "trainer_state.json"
    state = json.loads(path.read_text())
    assert len(json.dumps(state["stateful_callbacks"].pop("mashbill"))) < 1024
    path.write_text(json.dumps(state))
    args = arguments(tmp_path, max_steps=2)
    with pytest.raises(ValueError, match="does not say where the loader was"):
        Trainer(model=Tiny(), args=args, train_dataset=loader(folder)).train(resume_from_checkpoint=True)
