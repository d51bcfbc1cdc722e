"""Same bytes: the output depends on the input's content, the options and the tokenizer alone."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cases import Workshop
from layout import Output
from reference import assert_equal, read_rows, reassembled

ELSEWHERE = ("input_path", "output_path", "path")


def without_folders(value: object) -> object:
    """A manifest without the names of folders, the one thing in it that may differ."""
    if isinstance(value, dict):
        return {key: without_folders(item) for key, item in value.items() if key not in ELSEWHERE}
    return [without_folders(item) for item in value] if isinstance(value, list) else value


def promised(output: Output) -> dict[str, bytes | str]:
    """Every file of an output under its name; times live in the stats file, which promises nothing."""
    files: dict[str, bytes | str] = {}
    for path in sorted(output.folder.rglob("*")):
        name = str(path.relative_to(output.folder))
        if path.is_file() and not name.endswith("_stats.json"):
            files[name] = path.read_bytes()
    manifest = json.loads(files["manifest.json"])
    # As text: the order of the keys is promised too.
    files["manifest.json"] = json.dumps(without_folders(manifest), indent=1)
    return files


@pytest.mark.parametrize(
    ("tokenizer", "dataset", "length", "shard_size"),
    [
        ("template", "nasty", 64, "2"),
        ("template", "nasty", 64, "0.00001"),
        ("template", "long", 1000, "0.01"),
        ("nfc", "nasty", 64, "0.0001"),
        ("llama3", "gsm8k", 8192, "2"),
    ],
)
@pytest.mark.parametrize("threads", [1, 2, 7])
def test_the_number_of_threads_changes_no_byte(
    workshop: Workshop, tokenizer: str, dataset: str, length: int, shard_size: str, threads: int
) -> None:
    first = workshop.output(tokenizer, dataset, length, shard_size)
    folder, argument = workshop.dataset(dataset).folder, workshop.tokenizer(tokenizer)
    again = workshop.tokenize(folder, argument, length, "--shard-size", shard_size, "--threads", threads)
    assert again.folder != first.folder
    assert promised(again) == promised(first)


def test_the_place_of_the_input_changes_no_byte(workshop: Workshop) -> None:
    first = workshop.output("template", "nasty", 64)
    content = workshop.dataset("nasty").files["nasty"].read_bytes()
    moved = workshop.file("nasty.jsonl", content).parent
    assert promised(workshop.tokenize(moved, workshop.tokenizer("template"), 64)) == promised(first)


def test_a_small_shard_size_gives_the_same_documents_in_more_shards(workshop: Workshop) -> None:
    whole, cut = (workshop.output("template", "long", 1000, size) for size in (None, "0.01"))
    assert len(cut.shard_paths("long")) == cut.entry("long")["shards"] > whole.entry("long")["shards"]
    made = [reassembled(read_rows(output.stretches("long"), 1000)) for output in (cut, whole)]
    for name, ours, theirs in zip(("doc_ids", "lengths", "ids"), *made, strict=True):
        assert_equal(name, ours, theirs)
    place = ["row", "position"]
    assert cut.documents("long").drop_columns(place).equals(whole.documents("long").drop_columns(place))
    # The size is a target: what a shard holds is known by its bytes of input alone.
    sizes = [path.stat().st_size for path in cut.shard_paths("long")]
    assert 0.5 * 0.01e9 < sum(sizes[:-1]) / len(sizes[:-1]) < 1.5 * 0.01e9


@pytest.fixture(scope="module")
def plain(workshop: Workshop) -> Output:
    return workshop.output("template", "nasty", 64)


def test_compressed_input_gives_the_same_rows(workshop: Workshop, plain: Output, tmp_path: Path) -> None:
    content = workshop.dataset("nasty").files["nasty"].read_bytes()
    # In two parts, each compressed by itself: both formats allow that, and large files often are.
    half = content.index(b"\n", len(content) // 2) // 2
    for ending, codec in (("gz", "gzip"), ("zst", "zstd")):
        folder = tmp_path / ending
        folder.mkdir()
        packed = b"".join(pa.compress(part, codec, asbytes=True) for part in (content[:half], content[half:]))
        (folder / f"nasty.jsonl.{ending}").write_bytes(packed)
        output = workshop.tokenize(folder, workshop.tokenizer("template"), 64)
        rows = read_rows(output.stretches("nasty"), 64)
        rows.assert_equal(read_rows(plain.stretches("nasty"), 64))
        assert output.documents("nasty").equals(plain.documents("nasty"))


def test_compressed_input_is_cut_into_the_same_shards(workshop: Workshop, tmp_path: Path) -> None:
    plain = workshop.output("template", "long", 1000, "0.01")
    content = workshop.dataset("long").files["long"].read_bytes()
    (tmp_path / "long.jsonl.zst").write_bytes(pa.compress(content, "zstd", asbytes=True))
    output = workshop.tokenize(tmp_path, workshop.tokenizer("template"), 1000, "--shard-size", "0.01")
    assert output.shards("long") == plain.shards("long")
    files, expected = promised(output), promised(plain)
    data = {name for name in expected if name.endswith((".parquet", ".documents"))}
    assert len(data) == 2 * len(plain.shards("long"))
    assert {name: files[name] for name in data} == {name: expected[name] for name in data}


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
def test_parquet_input_gives_the_same_rows(
    workshop: Workshop, plain: Output, tmp_path: Path, kind: pa.DataType
) -> None:
    records = workshop.dataset("nasty").records["nasty"]
    columns = {name: pa.array([record.label(name) for record in records]) for name in ("id", "source", "category")}
    columns["other"] = pa.array(range(len(records)))
    columns["text"] = pa.array([record.text for record in records], kind)
    pq.write_table(pa.table(columns), tmp_path / "nasty.parquet", row_group_size=700)
    output = workshop.tokenize(tmp_path, workshop.tokenizer("template"), 64)
    # One shard each, though its borders are found in another way.
    assert len(output.shards("nasty")) == len(plain.shards("nasty")) == 1
    rows = read_rows(output.stretches("nasty"), 64)
    expected = read_rows(plain.stretches("nasty"), 64)
    # The key of a document is its row number here.
    numbers = {record.key: number for number, record in enumerate(records)}
    assert rows.doc_ids.tolist() == [numbers[key] for key in expected.doc_ids.tolist()]
    rows.doc_ids[:] = expected.doc_ids
    rows.assert_equal(expected)
    table, expected_table = output.documents("nasty"), plain.documents("nasty")
    assert table.column("doc_id").to_pylist() == list(range(len(records)))
    assert table.drop_columns("doc_id").equals(expected_table.drop_columns("doc_id"))


def test_parquet_input_gives_the_same_documents_in_many_shards(
    workshop: Workshop, plain: Output, tmp_path: Path
) -> None:
    """Shards are whole row groups there, so other rows are made; the documents are the same, each once and in order."""
    records = workshop.dataset("nasty").records["nasty"]
    columns = {name: pa.array([record.label(name) for record in records]) for name in ("id", "source", "category")}
    columns["text"] = pa.array([record.text for record in records])
    pq.write_table(pa.table(columns), tmp_path / "nasty.parquet", row_group_size=100)
    output = workshop.tokenize(tmp_path, workshop.tokenizer("template"), 64, "--shard-size", "0.00003")
    shards = output.shards("nasty")
    assert len(shards) > 2
    for shard in shards:
        assert shard.input.start % 100 == 0
        texts = [record.text for record in records[shard.input.start : shard.input.end]]
        assert shard.documents == len(texts)
        assert shard.input.bytes == sum(len(text.encode()) for text in texts)
    assert (shards[0].input.start, shards[-1].input.end) == (0, len(records))
    keys, *tokens = reassembled(read_rows(output.stretches("nasty"), 64))
    expected_keys, *expected_tokens = reassembled(read_rows(plain.stretches("nasty"), 64))
    numbers = {record.key: number for number, record in enumerate(records)}
    assert keys.tolist() == [numbers[key] for key in expected_keys.tolist()]
    for name, ours, theirs in zip(("lengths", "ids"), tokens, expected_tokens, strict=True):
        assert_equal(name, ours, theirs)
    place = ["doc_id", "row", "position"]
    table, expected = (made.documents("nasty").drop_columns(place) for made in (output, plain))
    assert table.equals(expected)
