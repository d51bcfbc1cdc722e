"""A loss on the assistant's words alone: in rows it is that of each document by itself, however it is computed."""

import json
import os
import random
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
import yaml
from mashbill import DataLoader, Dataset
from mashbill.transformers import Trainer
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, TrainingArguments

LENGTH = 48
ROWS = 4
TEMPLATE = """{% for message in messages %}{{ '<|im_start|>' + message.role + '\\n' }}\
{% if message.role == 'assistant' %}{% generation %}{{ message.content + '<|im_end|>' }}{% endgeneration %}\
{% else %}{{ message.content + '<|im_end|>' }}{% endif %}{{ '\\n' }}{% endfor %}"""
"""With blocks, so that transformers can say what is learned."""


@dataclass(frozen=True)
class Chats:
    """A folder that the command made of conversations, and what transformers makes of the same."""

    folder: Path
    documents: dict[str, tuple[list[int], list[int]]]
    """Ids and mask by the record's id."""


@pytest.fixture(scope="module")
def chats(tmp_path_factory: pytest.TempPathFactory) -> Chats:
    root = tmp_path_factory.mktemp("masked")
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    bytes_alone = Tokenizer(models.BPE(vocab={character: place for place, character in enumerate(alphabet)}, merges=[]))
    bytes_alone.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bytes_alone.decoder = decoders.ByteLevel()
    bytes_alone.add_special_tokens(
        [AddedToken(token, special=True, normalized=False) for token in ("<|im_start|>", "<|im_end|>")]
    )
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bytes_alone, eos_token="<|im_end|>", chat_template=TEMPLATE)
    tokenizer.save_pretrained(str(root / "tokenizer"))
    draw = random.Random(3)
    documents, lines = {}, []
    for number in range(40):
        words = ["rye", "corn", "malted", "barley", "é", "日本", "42"]
        # Short ones stand together in a row, and long ones are cut where a row ends.
        say = lambda most: " ".join(draw.choices(words, k=draw.randint(1, most)))  # noqa: B023, E731
        turns = draw.randint(1, 3)
        messages = [
            {"role": role, "content": say(8 if number % 5 == 0 else 3)}
            for _ in range(turns)
            for role in ("user", "assistant")
        ]
        made = tokenizer.apply_chat_template(messages, return_dict=True, return_assistant_tokens_mask=True)
        documents[f"chat-{number}"] = (made["input_ids"], made["assistant_masks"])
        lines.append(json.dumps({"id": f"chat-{number}", "source": "test", "messages": messages}))
    (root / "input").mkdir()
    (root / "input" / "chats.jsonl").write_text("\n".join(lines), encoding="utf-8")
    # The template as most are published, without blocks.
    plain = TEMPLATE.replace("{% generation %}", "").replace("{% endgeneration %}", "")
    (root / "plain.jinja").write_text(plain, encoding="utf-8")
    command = [os.environ["MASHBILL"], "tokenize", "--quiet", "--input", str(root / "input")]
    command += ["--output", str(root / "output"), "--tokenizer", str(root / "tokenizer")]
    command += ["--chat-template", str(root / "plain.jinja"), "--max-seq-length", str(LENGTH)]
    subprocess.run(command, check=True, timeout=120)
    return Chats(root / "output", documents)


def llama(folder: Path) -> LlamaForCausalLM:
    torch.manual_seed(0)
    manifest = json.loads((folder / "manifest.json").read_text())
    config = LlamaConfig(
        eos_token_id=manifest["tokenizer_identity"]["eos"]["id"],
        vocab_size=Dataset(folder).vocabulary_size,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=64,
    )
    return LlamaForCausalLM(config).double().eval()


def pieces(chats: Chats, rows: list[int]) -> list[tuple[list[int], list[int], int | None]]:
    """The pieces of documents in rows, as transformers has them: ids, mask, and the learned token that comes after the
    row where the document goes on in another one."""
    split = chats.folder / "chats"
    names = pq.read_table(split / "_documents" / "shard_0000.documents", columns=["doc_id", "id"]).to_pylist()
    ids_of = {document["doc_id"]: document["id"] for document in names}
    shard = pq.read_table(split / "shard_0000.parquet").to_pylist()
    found = []
    for row in rows:
        columns = (shard[row][name] for name in ("doc_ids", "doc_offsets", "seq_lens"))
        for document, start, length in zip(*columns, strict=True):
            ids, mask = chats.documents[ids_of[document]]
            end = start + length
            after = ids[end] if end < len(ids) and mask[end] else None
            found.append((ids[start:end], mask[start:end], after))
    return found


def by_hand(chats: Chats, rows: list[int], *, last: bool) -> tuple[float, int]:
    """The loss of rows, summed over each piece of a document alone in the model, and on how many tokens; `last`: also
    of the token with which a document goes on in another row."""
    model, total, count = llama(chats.folder), 0.0, 0
    with torch.no_grad():
        for ids, mask, after in pieces(chats, rows):
            chances = torch.log_softmax(model(input_ids=torch.tensor([ids])).logits[0], -1)
            targets = [(at - 1, ids[at]) for at in range(1, len(ids)) if mask[at]]
            targets += [(len(ids) - 1, after)] if last and after is not None else []
            total -= sum(float(chances[at, target]) for at, target in targets)
            count += len(targets)
    return total, count


def loader(chats: Chats, convention: str) -> DataLoader:
    return DataLoader(Dataset(chats.folder), ROWS, label_convention=convention, seed=3, format="torch", documents=True)


def summed(logits: torch.Tensor, labels: torch.Tensor) -> float:
    return float(torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="sum"))


def test_rows_have_documents_that_begin_end_and_go_on(chats: Chats) -> None:
    rows = pq.read_table(chats.folder / "chats" / "shard_0000.parquet").num_rows
    found = [pieces(chats, [row]) for row in range(rows)]
    assert any(len(row) > 2 for row in found)
    assert any(after is not None for row in found for _, _, after in row)
    assert any(sum(mask) == 0 for row in found for _, mask, _ in row)


@pytest.mark.parametrize("convention", ["shifted", "aligned"])
def test_the_loss_of_rows_is_the_sum_of_the_documents_losses(chats: Chats, convention: str) -> None:
    model, seen = llama(chats.folder), 0
    with torch.no_grad():
        for batch in loader(chats, convention):
            logits = model(input_ids=batch["input_ids"], position_ids=batch["position_ids"], use_cache=False).logits
            labels = batch["labels"]
            found = summed(logits, labels) if convention == "shifted" else summed(logits[:, :-1], labels[:, 1:])
            expected, count = by_hand(chats, batch.rows.tolist(), last=convention == "shifted")
            targets = labels if convention == "shifted" else labels[:, 1:]
            assert int((targets != -100).sum()) == count
            assert found == pytest.approx(expected, abs=1e-5 * count)
            # One position further it would be another loss, and a border or a prompt learned another count.
            assert abs(summed(logits[:, :-1], targets.roll(1, 1)[:, : logits.shape[1] - 1]) - expected) > 1e-2
            seen += count
    assert seen > 100


def test_the_trainer_learns_the_assistants_words(chats: Chats, tmp_path: Path) -> None:
    rows = next(iter(loader(chats, "aligned"))).rows.tolist()
    arguments = TrainingArguments(
        output_dir=str(tmp_path),
        per_device_train_batch_size=ROWS,
        max_steps=1,
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        use_cpu=True,
    )
    trainer = Trainer(model=llama(chats.folder), args=arguments, train_dataset=loader(chats, "aligned"))
    trainer.train()
    total, count = by_hand(chats, rows, last=False)
    logged = next(entry["loss"] for entry in trainer.state.log_history if "loss" in entry)
    assert logged == pytest.approx(total / count, abs=1e-5)


def test_train_learns_the_assistants_words(chats: Chats, tmp_path: Path) -> None:
    llama(chats.folder).float().save_pretrained(str(tmp_path / "model"))
    config = {
        "train_data_path": str(chats.folder),
        "output_path": str(tmp_path / "run"),
        "model": {"start_from": str(tmp_path / "model")},
        "steps": 1,
        "batch_tokens": ROWS * LENGTH,
        "micro_batch_rows": 2,
        "document_mask": True,
        "seed": 3,
        "schedule": {},
    }
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(config))
    command = [sys.executable, "-m", "mashbill.train", "--config", str(tmp_path / "run.yaml")]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert ran.returncode == 0, ran.stderr
    metrics = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    first = next(record for record in metrics if "loss" in record)
    rows = next(iter(loader(chats, "shifted"))).rows.tolist()
    total, count = by_hand(chats, rows, last=True)
    assert first["loss"] == pytest.approx(total / count, abs=1e-4)
