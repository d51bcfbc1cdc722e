"""What `--val-fraction` holds out, by an account of our own, and that readers of the training part never meet it."""

import json
import random
from pathlib import Path

import datasets
import duckdb
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
import xxhash
from cases import Workshop
from layout import Output

FRACTION = 0.25


def is_held_out(text: str) -> bool:
    """The rule of docs/format.md."""
    return int.from_bytes(xxhash.xxh3_128_digest(text.encode())[:8], "big") < FRACTION * 2**64


@pytest.fixture(scope="module")
def records() -> dict[str, list[dict[str, str]]]:
    """Three splits; some texts stand in two of them."""
    draw = random.Random(11)
    texts = [" ".join(draw.choices(["rye", "corn", "malt", "dépôt", "水"], k=draw.randint(1, 80))) for _ in range(400)]
    parts = {"first": texts[:200], "second": texts[150:], "third": texts[:30]}
    return {
        name: [{"id": f"{name}-{number}", "text": text} for number, text in enumerate(part)]
        for name, part in parts.items()
    }


@pytest.fixture(scope="module")
def folder(workshop: Workshop, records: dict[str, list[dict[str, str]]]) -> Path:
    source = workshop.fresh("held_out")
    source.mkdir()
    for name, split in records.items():
        lines = [json.dumps(record, ensure_ascii=False) + "\n" for record in split]
        (source / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")
    flags = ("--val-fraction", FRACTION, "--shard-size", "0.00001")
    output = workshop.tokenize(source, workshop.tokenizer("template"), 64, *flags)
    return output.folder


def ids(output: Path, split: str) -> list[str]:
    found: list[str] = Output(output).documents(split).column("id").to_pylist()
    return found


def test_the_texts_below_the_fraction_are_held_out_and_no_others(
    folder: Path, records: dict[str, list[dict[str, str]]]
) -> None:
    for name, split in records.items():
        assert ids(folder, name) == [record["id"] for record in split if not is_held_out(record["text"])]
        held_out = [record["id"] for record in split if is_held_out(record["text"])]
        assert ids(folder / "_validation", name) == held_out
        assert held_out


def test_no_way_to_read_the_training_shards_meets_what_is_held_out(folder: Path, tmp_path: Path) -> None:
    splits = Output(folder).splits
    train = sum(Output(folder).entry(split)["sequences"] for split in splits)
    shards = [
        *folder.glob("*/shard_*.parquet"),
        *folder.glob("*/*.parquet"),
        *folder.glob("*/_documents/*.documents"),
        *folder.glob("first/**/*.parquet"),
    ]
    assert shards and not any("_validation" in path.parts for path in shards)
    pattern = str(folder / "*" / "shard_*.parquet")
    assert duckdb.read_parquet(pattern).count("*").fetchall() == [(train,)]
    loaded = datasets.load_dataset("parquet", data_files=pattern, split="train", cache_dir=str(tmp_path))
    assert len(loaded) == train
    # Arrow walks the whole folder by itself and leaves out what begins with an underscore.
    discovered = ds.dataset(folder, format="parquet", exclude_invalid_files=True)
    assert not any("_validation" in path for path in discovered.files)
    assert len(discovered.files) >= len(splits)


def test_both_parts_are_cut_at_the_same_places(folder: Path) -> None:
    parts = [Output(folder), Output(folder / "_validation")]
    for name in parts[0].splits:
        train, held_out = (part.shards(name) for part in parts)
        assert [shard.input for shard in train] == [shard.input for shard in held_out]
    assert len(parts[0].shards("first")) > 1


def test_what_is_held_out_reads_like_any_folder(folder: Path) -> None:
    held_out = Output(folder / "_validation")
    for name in held_out.splits:
        shards = pa.concat_tables([pq.read_table(path) for path in held_out.shard_paths(name)])
        entry = held_out.entry(name)
        assert shards.num_rows == entry["sequences"]
        lengths = shards.column("seq_lens").to_pylist()
        assert sum(map(sum, lengths)) == entry["tokens"]
        assert sum(sum(mask) for mask in shards.column("attention_mask").to_pylist()) == entry["tokens"]
