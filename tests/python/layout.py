"""Where things stand in mashbill's output: the one place that knows the manifest's and the tables' names."""

import json
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

Kind = TypeVar("Kind", "File", "Ledger", "Stretch")

COLUMNS = ["input_ids", "attention_mask", "labels", "seq_lens", "doc_ids", "doc_offsets"]

DOCUMENT_COLUMNS = {
    "doc_id": pa.int64(),
    "id": pa.string(),
    "source": pa.string(),
    "category": pa.string(),
    "content_hash": pa.binary(16),
    "tokens": pa.int64(),
    "row": pa.int64(),
    "position": pa.int32(),
}


@dataclass(frozen=True)
class Stretch:
    """The part of an input that a shard is made of: where it begins and ends, and its bytes."""

    start: int
    end: int
    bytes: int
    checksum: str


@dataclass(frozen=True)
class File:
    """What the manifest says of a shard's rows, or of its document table."""

    name: str
    rows: int
    bytes: int
    checksum: str


@dataclass(frozen=True)
class Shard:
    """What the manifest says of one shard; without documents it has neither rows nor a table."""

    input: Stretch
    documents: int
    tokens: int
    padding: int
    file: File | None
    table: File | None


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

    def shards(self, split: str) -> list[Shard]:
        """All shards, in the order of the input."""
        return [
            Shard(
                read_as(Stretch, shard["input"]),
                *(int(shard[name]) for name in ("documents", "tokens", "padding")),
                *(read_as(File, shard[name]) if name in shard else None for name in ("file", "table")),
            )
            for shard in self.entry(split)["shard_list"]
        ]

    def shard_files(self, split: str) -> list[File]:
        """The shards that have rows."""
        return [shard.file for shard in self.shards(split) if shard.file is not None]

    def ledger(self, split: str) -> Ledger:
        return read_as(Ledger, self.entry(split)["ledger"])

    def shard_paths(self, split: str) -> list[Path]:
        """The shards in the folder, in the order of their names."""
        return sorted((self.folder / split).glob("shard_*.parquet"))

    def stretches(self, split: str) -> list[tuple[Path, int]]:
        """The shards that have rows, each with where its stretch of the input begins."""
        shards = self.shards(split)
        return [
            (self.folder / split / shard.file.name, shard.input.start) for shard in shards if shard.file is not None
        ]

    def table_path(self, split: str, name: str) -> Path:
        """Where a document table lies."""
        return self.folder / split / "_documents" / name

    def tables(self, split: str) -> list[tuple[Shard, pa.Table]]:
        """The document tables as they are stored, each with its shard."""
        return [
            (shard, pq.read_table(self.table_path(split, shard.table.name)))
            for shard in self.shards(split)
            if shard.table is not None
        ]

    def documents(self, split: str) -> pa.Table:
        """The document tables one after another, keys counted from the beginning of the input."""
        tables = []
        for shard, table in self.tables(split):
            keys = pc.add(table.column("doc_id"), shard.input.start)
            tables.append(table.set_column(0, "doc_id", keys))
        return pa.concat_tables(tables) if tables else pa.schema(DOCUMENT_COLUMNS.items()).empty_table()

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
