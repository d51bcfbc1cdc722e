"""Where things stand in mashbill's output: the one place that knows the manifest's and the tables' names."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

COLUMNS = ["input_ids", "attention_mask", "labels", "seq_lens", "doc_ids", "doc_offsets"]


@dataclass(frozen=True)
class Unit:
    """One unit of a split: its rows in the split, and the tokens of its tail."""

    first_row: int
    rows: int
    tail_tokens: int


@dataclass(frozen=True)
class Shard:
    """What the manifest says of one shard."""

    name: str
    rows: int
    bytes: int
    checksum: str


@dataclass(frozen=True)
class Ledger:
    """Where a split's tokens come from and where they are."""

    documents: int
    text_tokens: int
    special_tokens: int
    row_tokens: int
    padding: int
    literal_special_tokens: int


@dataclass(frozen=True)
class Output:
    """An output folder."""

    folder: Path

    @cached_property
    def manifest(self) -> dict[str, Any]:
        return json.loads((self.folder / "manifest.json").read_text(encoding="utf-8"))

    @property
    def splits(self) -> list[str]:
        return list(self.manifest["splits"])

    @property
    def pad(self) -> int:
        """The id that fills the last row."""
        return self.manifest["special_ids"]["pad"]

    def entry(self, split: str) -> dict[str, Any]:
        """The manifest's entry of a split."""
        return self.manifest["splits"][split]

    def units(self, split: str) -> list[Unit]:
        return [Unit(unit["first_row"], unit["rows"], unit["tail_tokens"]) for unit in self.entry(split)["units"]]

    def shards(self, split: str) -> list[Shard]:
        return [
            Shard(shard["name"], shard["rows"], shard["bytes"], shard["checksum"])
            for shard in self.entry(split)["shard_files"]
        ]

    def ledger(self, split: str) -> Ledger:
        ledger = self.entry(split)["ledger"]
        return Ledger(**{name: ledger[name] for name in Ledger.__dataclass_fields__})

    def shard_paths(self, split: str) -> list[Path]:
        """The shards in the folder, in the order of their names."""
        return sorted((self.folder / split).glob("shard_*.parquet"))

    def documents(self, split: str) -> pa.Table:
        """The document table."""
        return pq.read_table(self.folder / split / "documents.parquet")

    def stats(self, split: str) -> dict[str, Any]:
        path = self.folder / split / f"{split}_stats.json"
        return json.loads(path.read_text(encoding="utf-8"))

    def rejected(self, split: str) -> dict[str, int]:
        """How many lines were refused, by reason; reasons that did not occur are left out."""
        return {reason: count for reason, count in self.stats(split)["rejects"].items() if count}

    def rejects(self, split: str) -> list[dict[str, Any]]:
        """The refused lines that were kept; none where the file is not there."""
        path = self.folder / split / f"{split}_rejects.jsonl"
        if not path.exists():
            return []
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def token_position(units: list[Unit], length: int, unit: int, row: int, position: int) -> int:
    """Where a document's first token stands in the split, counted in tokens from the first row.

    A row that its unit does not have stands for the unit's tail, which begins where the earlier units' tails end.
    """
    here = units[unit]
    if row < here.rows:
        return (here.first_row + row) * length + position
    first_tail_row = units[-1].first_row + units[-1].rows
    before = sum(other.tail_tokens for other in units[:unit])
    return first_tail_row * length + before + position
