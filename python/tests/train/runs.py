"""Training runs as a user starts them: a process, a YAML file, a folder."""

import contextlib
import functools
import io
import json
import math
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import pyarrow.parquet as pq
import torch
import yaml
from mashbill.train import checkpoint
from mashbill.train.__main__ import main

TINY = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}
# One thread: sums of floats are the same in every run only where they are split in the same way.
torch.set_num_threads(1)
REPOSITORY = Path(__file__).parents[3]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "TOKENIZERS_PARALLELISM": "false"}


@dataclass(frozen=True)
class Ended:
    """How a command ended and what it said."""

    returncode: int
    stderr: str


@dataclass(frozen=True)
class Run:
    """A configuration in a folder, and what came of it."""

    folder: Path
    config: dict[str, Any]

    @property
    def output(self) -> Path:
        return self.folder / "run"

    def command(self, *arguments: str, processes: int = 1) -> list[str]:
        path = self.folder / "run.yaml"
        self.folder.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump({**self.config, "output_path": str(self.output)}))
        start = [sys.executable, "-m"]
        if processes > 1:
            start += ["torch.distributed.run", "--standalone", f"--nproc-per-node={processes}", "-m"]
        return [*start, "mashbill.train", "--config", str(path), *arguments]

    def start(self, *arguments: str, processes: int = 1) -> "Ended":
        """Runs the command: in this process, since loading PyTorch takes longer than most runs, or in several."""
        command = self.command(*arguments, processes=processes)
        if processes > 1:
            ran = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False, env=ENVIRONMENT)
            return Ended(ran.returncode, ran.stderr)
        handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        said = io.StringIO()
        try:
            with contextlib.redirect_stderr(said):
                code = main(command[command.index("--config") :])
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
        return Ended(code, said.getvalue())

    def finish(self, *arguments: str, processes: int = 1) -> "Run":
        ran = self.start(*arguments, processes=processes)
        assert ran.returncode == 0, ran.stderr
        return self

    def records(self) -> list[dict[str, Any]]:
        """The records of all steps and measurements, held to what Rust reads them as."""
        records = [json.loads(line) for line in (self.output / "metrics.jsonl").read_text().splitlines()]
        for record in records:
            jsonschema.validate(record, schema("metrics"))
        return records

    def losses(self) -> dict[int, float]:
        return {record["step"]: record["loss"] for record in self.records() if "loss" in record}

    def tokens(self) -> dict[int, dict[str, int]]:
        return {record["step"]: record["tokens_by_split"] for record in self.records() if "loss" in record}

    def validation(self) -> dict[int, dict[str, float]]:
        return {record["step"]: record["validation"] for record in self.records() if "validation" in record}

    def copied(self, folder: Path) -> "Run":
        """The same run in another folder, with all that it has written."""
        shutil.copytree(self.output, folder / "run", symlinks=True)
        return Run(folder, self.config)

    def rates(self) -> dict[int, float]:
        return {record["step"]: record["learning_rate"] for record in self.records() if "loss" in record}

    def written(self) -> dict[str, bytes]:
        """Every file of the run's folder, but the lock."""
        files = (path for path in self.output.rglob("*") if path.is_file() and path.name != "lock")
        return {str(path.relative_to(self.output)): path.read_bytes() for path in files}

    def checkpoint(self) -> Path:
        return sorted((self.output / "checkpoints").glob("step_*"))[-1]

    def record(self) -> dict[str, Any]:
        """What the last checkpoint says of itself."""
        loaded: dict[str, Any] = json.loads((self.checkpoint() / checkpoint.RECORD).read_text())
        return loaded


@functools.cache
def schema(name: str) -> Any:
    """The JSON Schema of a file, which is made from the type that Rust has for it."""
    return json.loads((REPOSITORY / "schemas" / f"{name}.schema.json").read_text())


def unigram_entropy(tokenized: Path) -> float:
    """The entropy in nats of how often each id stands in the rows of a folder, padding left out."""
    counts: Counter[int] = Counter()
    for shard in tokenized.glob("*/shard_*.parquet"):
        table = pq.read_table(shard)
        for ids, mask in zip(table["input_ids"].to_pylist(), table["attention_mask"].to_pylist(), strict=True):
            counts.update(ids[: sum(mask)])
    shares = [count / counts.total() for count in counts.values()]
    return -sum(share * math.log(share) for share in shares)


def direct(folder: Path, data: Path, **changes: Any) -> Run:
    """A tiny Llama on `data`, 12 steps of 4 rows of 64 tokens."""
    config = {
        "train_data_path": str(data),
        "model": {"llama": TINY},
        "steps": 12,
        "batch_tokens": 4 * 64,
        "micro_batch_rows": 4,
        "optimizer": {"learning_rate": 0.01},
        "schedule": {"warmup_steps": 2},
        "checkpoints": {"every": 4},
    }
    return Run(folder, {**config, **changes})
