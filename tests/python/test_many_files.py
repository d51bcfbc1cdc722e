"""Many files that are one split: `--split-names folder` and `parts`, held to an account of the same files by others."""

import gzip
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from cases import Workshop
from layout import Output
from reference import read_records, read_rows

WORDS = ["oak", "rye", "corn", "malt", "still", "barrel", "proof", "angel", "mash", "copper", "é", "中", "😀"]
LENGTH = 32


def texts(seed: int, count: int) -> list[str]:
    """Texts of one to sixty words."""
    draw = np.random.default_rng(seed)
    return [" ".join(draw.choice(WORDS, draw.integers(1, 60))) for _ in range(count)]


def write(path: Path, of: list[str]) -> None:
    """Writes texts as the ending says."""
    lines = "".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in of).encode()
    if path.suffix == ".parquet":
        pq.write_table(pa.table({"text": of}), path, row_group_size=7)
    elif path.suffix == ".gz":
        path.write_bytes(gzip.compress(lines))
    else:
        path.write_bytes(lines)


def held_to_others(workshop: Workshop, folder: Path, output: Output, split: str) -> None:
    """Each document stands in the rows once, in the order of the files' names, with the ids of the reference."""
    reference = workshop.tokenizer("gpt2").reference()
    files = sorted((folder / split).iterdir(), key=lambda path: path.name)
    rows = read_rows(output.stretches(split), LENGTH)
    ids = rows.input_ids[rows.attention_mask == 1]
    records = {path: read_records(path) for path in files}
    expected = reference.documents([record for of in records.values() for record in of])
    assert np.array_equal(ids, expected.ids)
    entry = output.entry(split)
    assert (entry["samples"], entry["tokens"]) == (len(expected.lengths), len(expected.ids))
    named = [source["file"] for shard in entry["shard_list"] for source in shard.get("sources", [])]
    assert list(dict.fromkeys(named)) == [str(path.relative_to(folder)) for path, of in records.items() if of]


def test_files_of_all_kinds_are_one_split(workshop: Workshop) -> None:
    folder = workshop.fresh("many")
    (folder / "books").mkdir(parents=True)
    kinds = [".jsonl", ".jsonl.gz", ".parquet", ".parquet", ".jsonl", ".jsonl"]
    for number, kind in enumerate(kinds * 4):
        count = 900 if number == 9 else number % 5 * 11
        write(folder / "books" / f"part-{number:05}{kind}", texts(number, count))
    for names in ["parts", "folder"]:
        flags = ["--recursive", "--split-names", names, "--shard-size", "0.0001"]
        output = workshop.tokenize(folder, "gpt2", LENGTH, *flags)
        assert output.splits == ["books"]
        held_to_others(workshop, folder, output, "books")
        workshop.command("verify", output.folder, "--deep", "--quiet")
    names = [file.name for file in output.shard_files("books")]
    assert names == sorted(names) and names[0] == "shard_0000_0000.parquet"
    assert {len(name) for name in names} == {len("shard_0000_0000.parquet")}


def test_two_thousand_files_of_a_record_are_few_rows(workshop: Workshop) -> None:
    folder = workshop.fresh("records")
    (folder / "a").mkdir(parents=True)
    for number, text in enumerate(texts(7, 2000)):
        write(folder / "a" / f"{number:06}.jsonl", [text])
    output = workshop.tokenize(folder, "gpt2", LENGTH, "--recursive", "--split-names", "parts")
    assert output.splits == ["a"]
    held_to_others(workshop, folder, output, "a")
    [shard] = output.shard_files("a")
    assert shard.rows == -(-output.entry("a")["tokens"] // LENGTH)
