"""The manifest: the guide's fields with the guide's meanings, its schema, and the checksums of the shards."""

import json

import jsonschema
import pyarrow.parquet as pq
import pytest
import xxhash
from cases import REPOSITORY, Workshop
from layout import Output


@pytest.fixture(scope="module")
def output(workshop: Workshop) -> Output:
    return workshop.output("template", "nasty", 64)


def test_the_guide_s_fields_have_the_guide_s_meanings(workshop: Workshop, output: Output) -> None:
    manifest = output.manifest
    assert manifest["tokenizer"] == workshop.tokenizer("template").argument
    assert manifest["max_seq_length"] == 64
    assert manifest["shard_size_gb"] == 2
    assert manifest["input_path"] == str(workshop.dataset("nasty").folder)
    assert manifest["output_path"] == str(output.folder)
    assert manifest["files_processed"] == 1
    entry = manifest["splits"]["nasty"]
    assert entry["path"] == str(output.folder / "nasty")
    assert entry["shards"] == len(output.shard_paths("nasty"))


def test_the_format_s_version_is_recorded(output: Output) -> None:
    assert output.manifest["format_version"] == 2


def test_shards_and_tables_are_listed_with_rows_bytes_and_checksum(workshop: Workshop) -> None:
    output = workshop.output("template", "long", 1000, "0.01")
    files, paths = output.shard_files("long"), output.shard_paths("long")
    assert [file.name for file in files] == [path.name for path in paths]
    assert sum(file.rows for file in files) == output.entry("long")["sequences"]
    tables = [shard.table for shard in output.shards("long") if shard.table is not None]
    assert sum(table.rows for table in tables) == output.entry("long")["samples"]
    paths += [output.table_path("long", table.name) for table in tables]
    assert len(paths) == 2 * len(files) > 2
    for file, path in zip([*files, *tables], paths, strict=True):
        content = path.read_bytes()
        assert file.bytes == len(content)
        assert file.checksum == xxhash.xxh3_128_hexdigest(content)
        assert file.rows == pq.ParquetFile(path).metadata.num_rows


def test_the_manifest_keeps_to_its_schema(output: Output) -> None:
    schema = json.loads((REPOSITORY / "schemas" / "manifest.schema.json").read_text(encoding="utf-8"))
    jsonschema.validators.validator_for(schema).check_schema(schema)
    jsonschema.validate(output.manifest, schema)


def test_a_finished_folder_holds_these_files_alone(output: Output) -> None:
    files = {str(path.relative_to(output.folder)) for path in output.folder.rglob("*") if path.is_file()}
    assert files == {
        "README.md",
        "manifest.json",
        "nasty/_documents/shard_0000.documents",
        "nasty/nasty_stats.json",
        "nasty/shard_0000.parquet",
    }
