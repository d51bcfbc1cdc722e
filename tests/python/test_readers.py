"""The shards in the hands of the readers that people use, and the physical layout that is promised."""

import fnmatch
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
import sources
from cases import Workshop
from huggingface_hub import DatasetCard
from layout import COLUMNS, Output
from stand_in import stand_in

TYPES = dict.fromkeys(COLUMNS, "int32") | {"doc_ids": "int64"}

SPLITS = ["barley", "rye"]
"""No words that `datasets` takes for names of splits."""


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
    output = workshop.output("template", "nasty", 64, "0.00001")
    tables = output.tables("nasty")
    assert len(tables) > 1
    for shard, table in tables:
        assert shard.table is not None
        path = output.table_path("nasty", shard.table.name)
        rows = table.to_pylist()
        assert pl.read_parquet(path).to_dicts() == rows
        assert pd.read_parquet(path).shape == (len(rows), 8)
        assert duckdb.read_parquet(str(path)).to_arrow_table().to_pylist() == rows
    # All at once, as somebody does who counts tokens by source.
    every = str(output.folder / "*" / "_documents" / "*.documents")
    counted = duckdb.sql(f"select count(*), sum(tokens) from read_parquet('{every}')").fetchall()
    assert counted == [(output.entry("nasty")["samples"], output.entry("nasty")["tokens"])]
    assert pl.scan_parquet(every).select(pl.len()).collect().item() == output.entry("nasty")["samples"]


def test_the_mask_costs_almost_nothing(shards: list[Path]) -> None:
    size = dict.fromkeys(COLUMNS, 0)
    for path in shards:
        metadata = pq.ParquetFile(path).metadata
        for group in range(metadata.num_row_groups):
            for index, name in enumerate(COLUMNS):
                size[name] += metadata.row_group(group).column(index).total_compressed_size
    assert size["attention_mask"] < 0.01 * size["input_ids"]


Rows = list[tuple[list[int], ...]]


def sorted_rows(table: pa.Table) -> Rows:
    """The rows as values, in an order of their own: readers may read files in any."""
    assert sorted(table.column_names) == sorted(COLUMNS)
    return sorted(zip(*(table.column(name).to_pylist() for name in COLUMNS), strict=True))


def to_train_on(output: Output, splits: list[str]) -> Rows:
    """The rows of the shards that the manifest lists."""
    paths = [path for split in splits for path, _ in output.stretches(split)]
    rows = sorted_rows(pa.concat_tables(pq.read_table(path) for path in paths))
    assert len(rows) == sum(output.entry(split)["sequences"] for split in splits)
    return rows


def loaded(cache: Path, *arguments: str, **options: str) -> pa.Table:
    """What `datasets` makes of a folder or of files that are to be one split."""
    [split] = datasets.load_dataset(*arguments, cache_dir=str(cache), **options).values()
    return split.with_format("arrow")[:]


def read_by_pandas(paths: list[Path] | Path, **options: list[str]) -> pa.Table:
    return pa.Table.from_pandas(pd.read_parquet(paths, **options), preserve_index=False)


def parquet_in(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.parquet"))


Way = Callable[[Path, Path], pa.Table]
"""Of a folder, and of one for caches, a reader's table."""

OF_A_SPLIT: dict[str, Way] = {
    "datasets, the folder": lambda split, cache: loaded(cache, str(split)),
    "datasets, *.parquet": lambda split, cache: loaded(cache, "parquet", data_files=str(split / "*.parquet")),
    "datasets, **/*.parquet": lambda split, cache: loaded(cache, "parquet", data_files=str(split / "**/*.parquet")),
    "datasets, a folder of the output's": lambda split, cache: loaded(cache, str(split.parent), data_dir=split.name),
    "duckdb, the folder": lambda split, _: duckdb.read_parquet(str(split)).to_arrow_table(),
    "duckdb, *.parquet": lambda split, _: duckdb.read_parquet(str(split / "*.parquet")).to_arrow_table(),
    "duckdb, **/*.parquet": lambda split, _: duckdb.read_parquet(str(split / "**/*.parquet")).to_arrow_table(),
    "polars, *.parquet": lambda split, _: pl.read_parquet(split / "*.parquet").to_arrow(),
    "polars, **/*.parquet": lambda split, _: pl.scan_parquet(split / "**/*.parquet").collect().to_arrow(),
    "pandas, *.parquet": lambda split, _: read_by_pandas(parquet_in(split)),
    "pandas, the folder": lambda split, _: read_by_pandas(split, ignore_prefixes=["_", f"{split.name}_"]),
    "pyarrow, *.parquet": lambda split, _: pq.read_table(parquet_in(split)),
    "pyarrow, the folder": lambda split, _: ds.dataset(split, format="parquet", exclude_invalid_files=True).to_table(),
}

OF_ALL_SPLITS: dict[str, Way] = {
    "datasets, */*.parquet": lambda folder, cache: loaded(cache, "parquet", data_files=str(folder / "*/*.parquet")),
    "duckdb, */*.parquet": lambda folder, _: duckdb.read_parquet(str(folder / "*/*.parquet")).to_arrow_table(),
    "polars, */*.parquet": lambda folder, _: pl.read_parquet(folder / "*/*.parquet").to_arrow(),
    "pyarrow, */*.parquet": lambda folder, _: pq.read_table(sorted(folder.glob("*/*.parquet"))),
    "pyarrow, the folder": lambda folder, _: ds.dataset(
        folder, format="parquet", exclude_invalid_files=True
    ).to_table(),
}

# They take every file for a shard, and statistics and refused lines are none.
OF_EVERY_FILE: dict[str, Way] = {
    "datasets, data_dir": lambda split, cache: loaded(cache, "parquet", data_dir=str(split)),
    "polars, the folder": lambda split, _: pl.read_parquet(split).to_arrow(),
    "pandas, the folder": lambda split, _: read_by_pandas(split),
    "pyarrow, the folder": lambda split, _: pq.read_table(split),
}


@pytest.fixture(scope="module", params=["all documents", "some held out"])
def output(request: pytest.FixtureRequest, workshop: Workshop) -> Output:
    """Two splits of several shards with all that a folder may have beside them."""
    source = workshop.fresh("grain")
    source.mkdir()
    for seed, split in enumerate(SPLITS):
        lines = sources.jsonl(seed, sources.nasty_texts(seed, 300))
        (source / f"{split}.jsonl").write_bytes(lines + b"no record\n")
    flags = ["--shard-size", "0.00001"]
    flags += ["--val-fraction", "0.3"] if request.param == "some held out" else []
    output = workshop.tokenize(source, workshop.tokenizer("template"), 64, *flags)
    for split in SPLITS:
        folder = output.folder / split
        assert len(output.stretches(split)) > 1
        assert (folder / f"{split}_stats.json").exists() and (folder / f"{split}_rejects.jsonl").exists()
    return output


@pytest.mark.parametrize("way", OF_A_SPLIT)
def test_a_reader_of_a_split_s_folder_has_its_rows_and_nothing_else(output: Output, tmp_path: Path, way: str) -> None:
    for split in SPLITS:
        table = OF_A_SPLIT[way](output.folder / split, tmp_path)
        assert sorted_rows(table) == to_train_on(output, [split])


@pytest.mark.parametrize("way", OF_ALL_SPLITS)
def test_a_reader_of_all_splits_has_the_rows_to_train_on_and_nothing_else(
    output: Output, tmp_path: Path, way: str
) -> None:
    table = OF_ALL_SPLITS[way](output.folder, tmp_path)
    assert sorted_rows(table) == to_train_on(output, SPLITS)


@pytest.mark.parametrize("way", OF_EVERY_FILE)
def test_a_reader_that_takes_every_file_for_a_shard_gives_no_other_rows(
    output: Output, tmp_path: Path, way: str
) -> None:
    """Right or refused: documents never come as rows."""
    for split in SPLITS:
        try:
            table = OF_EVERY_FILE[way](output.folder / split, tmp_path)
        except Exception as error:
            assert type(error).__module__.split(".")[0] in ("datasets", "polars", "pyarrow"), error
        else:
            assert sorted_rows(table) == to_train_on(output, [split])


def rows_of(split: datasets.Dataset) -> Rows:
    return sorted_rows(split.with_format("arrow")[:])


def held_out_of(output: Output) -> Output | None:
    folder = output.folder / "_validation"
    return Output(folder) if folder.is_dir() else None


def test_datasets_loads_the_whole_folder(output: Output, tmp_path: Path) -> None:
    """What is to be trained on is `train`, what is held out is `validation`: the card says so."""
    found = datasets.load_dataset(str(output.folder), cache_dir=str(tmp_path))
    validation = held_out_of(output)
    assert set(found) == ({"train", "validation"} if validation else {"train"})
    assert rows_of(found["train"]) == to_train_on(output, SPLITS)
    if validation:
        assert rows_of(found["validation"]) == to_train_on(validation, SPLITS)


def test_datasets_loads_a_split_by_its_name(output: Output, tmp_path: Path) -> None:
    validation = held_out_of(output)
    for split in SPLITS:
        found = datasets.load_dataset(str(output.folder), split, cache_dir=str(tmp_path))
        assert rows_of(found.pop("train")) == to_train_on(output, [split])
        if validation:
            assert rows_of(found.pop("validation")) == to_train_on(validation, [split])
        assert not found


def test_the_card_has_the_columns_that_datasets_finds(output: Output, tmp_path: Path) -> None:
    """The features in the card are those that `datasets` takes from the files, where nobody says any."""
    [card] = [info for info in read_card(output.folder)["dataset_info"] if info["config_name"] == "default"]
    files = str(output.folder / "*/*.parquet")
    found = datasets.load_dataset("parquet", data_files=files, split="train", cache_dir=str(tmp_path))
    assert datasets.Features._from_yaml_list(card["features"]) == found.features
    sizes = {split["name"]: split for split in card["splits"]}
    # Pieces that go on in another row are not counted in the manifest, and so not in the card.
    assert 0.5 * found.data.nbytes < sizes["train"]["num_bytes"] <= found.data.nbytes


def read_card(folder: Path) -> dict[str, Any]:
    """The front matter as the Hub's client reads it."""
    return DatasetCard.load(folder / "README.md").data.to_dict()


ODD = ["a[b]", "x*y", "q?", "b c", "it's", 'qu"ote', "col:on", "http:x", "ha#sh", "über", "-dash", "{a,b}", "&and"]
ODD += ["default", "train", "test", "true", "null", "1", "@x", "~t", "per%20c", "__dunder", "pipe|", "new\u2028line"]


LOADED_ALONE = ["a[b]", "x*y", "q?", "http:x", "ha#sh", "default", "true", "new\u2028line"]
"""The others differ in nothing that a reader of one split would see, and each costs a second."""


@pytest.fixture(scope="module")
def odd(workshop: Workshop) -> Output:
    """Splits whose names are patterns, YAML, addresses or words of `datasets`."""
    source = workshop.fresh("odd")
    source.mkdir()
    for seed, split in enumerate(ODD):
        (source / f"{split}.jsonl").write_bytes(sources.jsonl(seed, sources.nasty_texts(seed, 20)))
    return workshop.tokenize(source, workshop.tokenizer("template"), 64, "--val-fraction", "0.3")


def config_of(folder: Path, split: str) -> str:
    """The configuration of a split: the one, besides the default, whose pattern finds its folder."""
    fits = []
    for config in read_card(folder)["configs"][1:]:
        [path] = {path for files in config["data_files"] for path in files["path"] if "_validation/" not in path}
        fits += [config["config_name"]] if fnmatch.fnmatchcase(f"{split}/shard_0000.parquet", path) else []
    assert len(fits) == 1, (split, fits)
    return fits[0]


def test_datasets_loads_splits_of_any_name(odd: Output, tmp_path: Path) -> None:
    found = datasets.load_dataset(str(odd.folder), cache_dir=str(tmp_path))
    validation = Output(odd.folder / "_validation")
    assert rows_of(found["train"]) == to_train_on(odd, ODD)
    assert rows_of(found["validation"]) == to_train_on(validation, ODD)
    for split in ODD:
        config = config_of(odd.folder, split)
        assert config == split or any(character in split for character in "<>:/\\|?*") or split == "default"
        found = datasets.load_dataset(str(odd.folder), config, cache_dir=str(tmp_path))
        assert rows_of(found["train"]) == to_train_on(odd, [split])
        assert rows_of(found["validation"]) == to_train_on(validation, [split])


FROM_THE_HUB = """
import json, sys
from datasets import load_dataset
found = load_dataset("org/name", *sys.argv[1:])
print(json.dumps({name: [[row[c] for c in sorted(row)] for row in split] for name, split in found.items()}))
"""


def from_the_hub(workshop: Workshop, output: Output, home: Path, splits: list[str], config: str) -> None:
    """The official client reads from a copy on the Hub just the rows that are there, all of them and one split's."""
    order = [sorted(COLUMNS).index(name) for name in COLUMNS]

    def in_order(rows: list[list[list[int]]]) -> Rows:
        return sorted(tuple(row[place] for place in order) for row in rows)

    validation = held_out_of(output)
    with stand_in(workshop.binary.parent / "mashbill-stand-in") as hub:
        hub.put("org/name", output.folder)
        for arguments, names in [([], splits), ([config], [config])]:
            found = hub.run(FROM_THE_HUB, *arguments, home=home)
            assert in_order(found.pop("train")) == to_train_on(output, names)
            if validation:
                assert in_order(found.pop("validation")) == to_train_on(validation, names)
            assert not found


def test_the_official_client_loads_it_from_the_hub(workshop: Workshop, output: Output, tmp_path: Path) -> None:
    from_the_hub(workshop, output, tmp_path, SPLITS, "barley")


def test_the_official_client_loads_splits_of_any_name_from_the_hub(
    workshop: Workshop, odd: Output, tmp_path: Path
) -> None:
    from_the_hub(workshop, odd, tmp_path, ODD, "a[b]")
