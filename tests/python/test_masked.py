"""A shard of which not all tokens are learned, and its document table, in the hands of other readers."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow.parquet as pq
from cases import REPOSITORY
from layout import COLUMNS, DOCUMENT_COLUMNS

FILES = REPOSITORY / "testdata" / "golden" / "masked"
"""Written by a test of the command: `cli/tests/it/injuries/masked.rs`."""

IGNORED = -100


def learned(spans: list[int]) -> np.ndarray:
    """For each token whether it is learned."""
    return np.repeat(np.arange(len(spans)) % 2 == 1, spans)


def rows(path: Path) -> list[dict[str, Any]]:
    return pq.ParquetFile(path, page_checksum_verification=True).read().to_pylist()


def test_labels_are_the_next_tokens_that_are_learned() -> None:
    shard = rows(FILES / "shard_0000.parquet")
    assert list(shard[0]) == [*COLUMNS, "loss_spans"]
    seen = set()
    for row, after in zip(shard, [*shard[1:], None], strict=True):
        spans, real = row["loss_spans"], sum(row["attention_mask"])
        assert spans and sum(spans) == real and spans[0] >= 0 and all(span > 0 for span in spans[1:])
        is_learned = learned(spans)
        expected = [
            row["input_ids"][at + 1] if at + 1 < real and is_learned[at + 1] else IGNORED
            for at in range(len(row["input_ids"]))
        ]
        goes_on = after is not None and after["doc_offsets"][0] > 0
        if goes_on and after["loss_spans"][0] == 0:
            expected[-1] = after["input_ids"][0]
        assert row["labels"] == expected
        seen.add((goes_on, expected[-1] == IGNORED))
    assert {(True, True), (True, False)} <= seen


def test_rows_have_the_spans_of_their_documents() -> None:
    table = rows(FILES / "shard_0000.documents")
    assert list(table[0]) == [*DOCUMENT_COLUMNS, "loss_spans"]
    of_documents = {each["doc_id"]: learned(each["loss_spans"]) for each in table}
    assert all(len(of_documents[each["doc_id"]]) == each["tokens"] for each in table)
    for row in rows(FILES / "shard_0000.parquet"):
        pieces = zip(row["doc_ids"], row["doc_offsets"], row["seq_lens"], strict=True)
        parts = [of_documents[key][offset : offset + length] for key, offset, length in pieces]
        assert (np.concatenate(parts) == learned(row["loss_spans"])).all()


def test_polars_reads_the_same_values() -> None:
    for name in ("shard_0000.parquet", "shard_0000.documents"):
        assert pl.read_parquet(FILES / name).to_dicts() == rows(FILES / name)
