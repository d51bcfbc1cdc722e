"""The shards in the hands of the readers that people use, and the physical layout that is promised."""

import json
from pathlib import Path

import datasets
import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cases import Workshop
from layout import COLUMNS

TYPES = dict.fromkeys(COLUMNS, "int32") | {"doc_ids": "int64"}


@pytest.fixture(scope="module")
def shards(workshop: Workshop) -> list[Path]:
    """Several shards of one split."""
    output = workshop.tokenize(
        workshop.dataset("long").folder, workshop.tokenizer("template"), 1000, "--shard-size", "0.02"
    )
    paths = output.shard_paths("long")
    assert len(paths) > 1
    return paths


@pytest.fixture(scope="module")
def table(shards: list[Path]) -> pa.Table:
    """The first shard as pyarrow reads it: the other readers are held to it."""
    return pq.read_table(shards[0])


def same(table: pa.Table, other: pa.Table) -> None:
    assert other.column_names == COLUMNS
    for name in COLUMNS:
        ours, theirs = table.column(name).combine_chunks(), other.column(name).combine_chunks()
        kind = pa.list_(ours.type.value_type)
        assert theirs.cast(kind).equals(ours.cast(kind)), name


def test_polars_reads_the_same_values(shards: list[Path], table: pa.Table) -> None:
    same(table, pl.read_parquet(shards[0]).to_arrow())


def test_duckdb_reads_the_same_values(shards: list[Path], table: pa.Table) -> None:
    same(table, duckdb.read_parquet(str(shards[0])).to_arrow_table())


def test_datasets_loads_the_same_values(shards: list[Path], table: pa.Table, tmp_path: Path) -> None:
    files = [str(path) for path in shards]
    loaded = datasets.load_dataset("parquet", data_files=files, split="train", cache_dir=str(tmp_path))
    assert len(loaded) == sum(pq.ParquetFile(path).metadata.num_rows for path in shards)
    same(table, loaded.with_format("arrow")[: table.num_rows])


def test_columns_are_required_lists_of_required_integers(shards: list[Path]) -> None:
    for path in shards:
        file = pq.ParquetFile(path)
        assert [field.name for field in file.schema_arrow] == COLUMNS
        for field in file.schema_arrow:
            assert not field.nullable
            assert not field.type.value_field.nullable
            assert str(field.type.value_type) == TYPES[field.name]
        for index in range(len(COLUMNS)):
            column = file.schema.column(index)
            assert column.path == f"{COLUMNS[index]}.list.element"
            assert (column.max_definition_level, column.max_repetition_level) == (1, 1)


def test_the_physical_layout_is_the_promised_one(shards: list[Path]) -> None:
    for path in shards:
        metadata = pq.ParquetFile(path).metadata
        assert not metadata.metadata, "key-value metadata, such as an Arrow schema"
        assert metadata.created_by.startswith("mashbill")
        for group in range(metadata.num_row_groups):
            for index in range(metadata.num_columns):
                column = metadata.row_group(group).column(index)
                assert column.compression == "SNAPPY"
                assert not column.is_stats_set
                assert column.has_offset_index


def test_row_groups_are_of_the_recorded_number_of_rows(shards: list[Path]) -> None:
    manifest = json.loads((shards[0].parents[1] / "manifest.json").read_text(encoding="utf-8"))
    for path in shards:
        metadata = pq.ParquetFile(path).metadata
        rows = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
        assert 0 < max(rows) <= manifest["layout"]["rows_per_group"]


def test_the_document_table_opens_everywhere(workshop: Workshop) -> None:
    path = workshop.output("template", "nasty", 64).folder / "nasty" / "documents.parquet"
    rows = pq.read_table(path).to_pylist()
    assert pl.read_parquet(path).to_dicts() == rows
    assert duckdb.read_parquet(str(path)).to_arrow_table().to_pylist() == rows


def test_the_mask_costs_almost_nothing(shards: list[Path]) -> None:
    size = dict.fromkeys(COLUMNS, 0)
    for path in shards:
        metadata = pq.ParquetFile(path).metadata
        for group in range(metadata.num_row_groups):
            for index, name in enumerate(COLUMNS):
                size[name] += metadata.row_group(group).column(index).total_compressed_size
    assert size["attention_mask"] < 0.01 * size["input_ids"]
