"""Where things stand in mashbill's output: the one place that knows the manifest's and the tables' names."""

import json
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

Kind = TypeVar("Kind", "Unit", "Shard", "Ledger")

COLUMNS = ["input_ids", "attention_mask", "labels", "seq_lens", "doc_ids", "doc_offsets"]


@dataclass(frozen=True)
class Unit:
    """One unit of a split: the input it is made of, its rows in the split, and the tokens of its tail."""

    first_key: int
    bytes: int
    documents: int
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
    """Where a split's tokens come from, and the padding beside them."""

    text_tokens: int
    special_tokens: int
    padding: int
    literal_special_tokens: int


@dataclass(frozen=True)
class Output:
    """An output folder."""

    folder: Path

    @cached_property
    def manifest(self) -> dict[str, Any]:
        manifest: dict[str, Any] = json.loads((self.folder / "manifest.json").read_text(encoding="utf-8"))
        return manifest

    @property
    def splits(self) -> list[str]:
        return list(self.manifest["splits"])

    @property
    def pad(self) -> int:
        """The id that fills the last row."""
        return int(self.manifest["tokenizer_identity"]["pad"]["id"])

    def entry(self, split: str) -> dict[str, Any]:
        """The manifest's entry of a split."""
        entry: dict[str, Any] = self.manifest["splits"][split]
        return entry

    def units(self, split: str) -> list[Unit]:
        return [read_as(Unit, unit) for unit in self.entry(split)["units"]]

    def shards(self, split: str) -> list[Shard]:
        return [read_as(Shard, shard) for shard in self.entry(split)["shard_files"]]

    def ledger(self, split: str) -> Ledger:
        return read_as(Ledger, self.entry(split)["ledger"])

    def shard_paths(self, split: str) -> list[Path]:
        """The shards in the folder, in the order of their names."""
        return sorted((self.folder / split).glob("shard_*.parquet"))

    def documents(self, split: str) -> pa.Table:
        """The document table."""
        return pq.read_table(self.folder / split / "documents.parquet")

    def rejected(self, split: str) -> dict[str, int]:
        """How many lines were refused, by reason; reasons that did not occur are left out."""
        return {reason: count for reason, count in self.entry(split)["rejected"].items() if count}

    def blank_lines(self, split: str) -> int:
        """How many lines held nothing, from the split's statistics."""
        stats = json.loads((self.folder / split / f"{split}_stats.json").read_text(encoding="utf-8"))
        return int(stats["blank_lines"])

    def rejects(self, split: str) -> list[dict[str, Any]]:
        """The refused lines that were kept; none where the file is not there."""
        path = self.folder / split / f"{split}_rejects.jsonl"
        if not path.exists():
            return []
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def read_as(kind: type[Kind], entry: dict[str, Any]) -> Kind:
    """The fields of `kind` out of an entry that may have more."""
    return kind(**{field.name: entry[field.name] for field in fields(kind)})


def token_position(units: list[Unit], length: int, unit: int, row: int, position: int) -> int:
    """Where a document's first token stands in the split, counted in tokens from the first row.

    The row after its unit's last stands for the unit's tail, which begins where the earlier units' tails end.
    """
    here = units[unit]
    assert row <= here.rows
    if row < here.rows:
        return (here.first_row + row) * length + position
    first_tail_row = units[-1].first_row + units[-1].rows
    before = sum(other.tail_tokens for other in units[:unit])
    return first_tail_row * length + before + position
