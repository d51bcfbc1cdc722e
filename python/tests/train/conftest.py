"""Data of the package's tests: records that ship with the command, tokenized by it."""

import json
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

SHIPPED = Path(__file__).parents[3] / "crates" / "cli" / "data"
COMMAND = Path(sys.executable).parent / "mashbill"


def mashbill(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Runs the installed command."""
    return subprocess.run([COMMAND, *arguments], capture_output=True, text=True, timeout=240, check=False)


def tokenize(source: Path, output: Path, tokenizer: Path | str, *arguments: str) -> Path:
    ran = mashbill("tokenize", "--input", source, "--output", output, "--tokenizer", str(tokenizer), *arguments)
    assert ran.returncode == 0, ran.stderr
    return output


@pytest.fixture(scope="session")
def records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of JSON Lines: `gsm8k.jsonl` and `nq_open.jsonl`."""
    folder = tmp_path_factory.mktemp("records")
    gsm8k = pq.read_table(SHIPPED / "hub/openai/gsm8k/main/train-00000-of-00001.parquet").to_pylist()
    lines = (SHIPPED / "hub/google-research-datasets/natural-questions/nq_open/NQ-open.dev.jsonl").read_text("utf-8")
    nq_open = [json.loads(line) for line in lines.splitlines()]
    nq_open = [{"question": f"{row['question']}?", "answer": row["answer"][0]} for row in nq_open]
    for name, category, rows in (("gsm8k", "math_reasoning", gsm8k), ("nq_open", "factual_qa", nq_open)):
        with (folder / f"{name}.jsonl").open("w", encoding="utf-8") as file:
            for number, row in enumerate(rows):
                text = f"Question: {row['question']}\nAnswer: {row['answer']}"
                record = {"text": text, "id": f"{name}/{number}", "source": name, "category": category}
                print(json.dumps(record), file=file)
    return folder


@pytest.fixture(scope="session")
def tokenizer(records: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A byte-level BPE tokenizer of 600 ids: models over it are small enough for a CPU."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=600, special_tokens=["<|end|>"], initial_alphabet=alphabet, show_progress=False
    )
    texts = [
        json.loads(line)["text"] for path in sorted(records.glob("*.jsonl")) for line in path.open(encoding="utf-8")
    ]
    made.train_from_iterator(texts, trainer)
    folder = tmp_path_factory.mktemp("tokenizer")
    made.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"eos_token": "<|end|>", "tokenizer_class": "PreTrainedTokenizerFast"})
    )
    return folder


@pytest.fixture(scope="session")
def tokenized(records: Path, tokenizer: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both splits in rows of 64 tokens."""
    return tokenize(records, tmp_path_factory.mktemp("tokenized") / "out", tokenizer, "--max-seq-length", "64")
