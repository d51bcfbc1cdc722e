"""Writes the rows of a tokenized folder the way a peer wants them.

    python prepare_rows.py SYSTEM FOLDER

FOLDER/tokenized is what `mashbill tokenize` wrote; the rows go to FOLDER, in the order in which they stand there.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

COLUMNS = ("input_ids", "attention_mask", "labels")


def memmap(folder: Path) -> None:
    """Arrays, from the shards, as pyarrow reads them. The others are made of these."""
    import pyarrow.parquet as pq

    manifest = json.loads((folder / "tokenized" / "manifest.json").read_text(encoding="utf-8"))
    length = manifest["max_seq_length"]
    splits = sorted(manifest["splits"].items())
    count = sum(split["sequences"] for _, split in splits)
    types = {"input_ids": np.int32, "attention_mask": np.int32, "labels": np.int64}
    out = {
        name: np.lib.format.open_memmap(folder / f"{name}.npy", "w+", types[name], (count, length)) for name in COLUMNS
    }
    at = 0
    for name, split in splits:
        for shard in split["shard_list"]:
            if "file" not in shard:
                continue
            file = pq.ParquetFile(folder / "tokenized" / name / shard["file"]["name"])
            for group in range(file.num_row_groups):
                table = file.read_row_group(group, columns=list(COLUMNS))
                for column in COLUMNS:
                    values = table[column].combine_chunks().values.to_numpy().reshape(-1, length)
                    out[column][at : at + len(values)] = values
                at += table.num_rows
    (folder / "rows.json").write_text(json.dumps({"rows": count, "row_length": length}))


def rows(folder: Path) -> Iterator[dict[str, np.ndarray]]:
    """All rows, all columns of 32 bits, as they stand in the shards."""
    columns = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in COLUMNS}
    for row in range(len(columns["input_ids"])):
        yield {name: np.asarray(column[row], np.int32) for name, column in columns.items()}


def datasets(folder: Path) -> None:
    """Hugging Face's Arrow files, from the shards themselves."""
    from datasets import load_dataset

    shards = [str(path) for path in sorted((folder / "tokenized").glob("*/shard_*.parquet"))]
    loaded = load_dataset(
        "parquet", data_files=shards, split="train", columns=list(COLUMNS), cache_dir=str(folder / "hf")
    )
    loaded.save_to_disk(str(folder / "datasets"))


def tokens(part: tuple[str, int, int]) -> Iterator[Any]:
    """Rows of ids as tensors; a function of the module, since litdata's worker imports it."""
    import torch

    folder, start, end = part
    for row in np.load(Path(folder) / "input_ids.npy", mmap_mode="r")[start:end]:
        yield torch.from_numpy(np.array(row))


def all_columns(part: tuple[str, int, int]) -> Iterator[Any]:
    """Rows of all columns as tensors."""
    import torch

    folder, start, end = part
    columns = {name: np.load(Path(folder) / f"{name}.npy", mmap_mode="r") for name in COLUMNS}
    for row in range(start, end):
        yield {name: torch.from_numpy(np.array(column[row], np.int32)) for name, column in columns.items()}


def litdata(folder: Path) -> None:
    """litdata's chunks of all columns."""
    from litdata import optimize

    optimize(
        fn=all_columns, inputs=parts(folder), output_dir=str(folder / "litdata"), chunk_bytes="64MB", num_workers=1
    )


def litdata_tokens(folder: Path) -> None:
    """litdata's chunks of tokens."""
    from litdata import TokensLoader, optimize

    length = json.loads((folder / "rows.json").read_text())["row_length"]
    optimize(
        fn=tokens,
        inputs=parts(folder),
        output_dir=str(folder / "litdata-tokens"),
        chunk_size=length * 2048,
        item_loader=TokensLoader(block_size=length),
        num_workers=1,
    )


def parts(folder: Path) -> list[tuple[str, int, int]]:
    """What one call of litdata's function makes."""
    count = json.loads((folder / "rows.json").read_text())["rows"]
    return [(str(folder), start, min(start + 4096, count)) for start in range(0, count, 4096)]


def streaming(folder: Path) -> None:
    """MDS shards."""
    from streaming import MDSWriter

    length = json.loads((folder / "rows.json").read_text())["row_length"]
    columns = {name: f"ndarray:int32:{length}" for name in COLUMNS}
    with MDSWriter(out=str(folder / "streaming"), columns=columns) as out:
        for row in rows(folder):
            out.write(row)


SYSTEMS = {
    "memmap": memmap,
    "datasets": datasets,
    "litdata": litdata,
    "litdata-tokens": litdata_tokens,
    "streaming": streaming,
}

if __name__ == "__main__":
    SYSTEMS[sys.argv[1]](Path(sys.argv[2]))
