"""What `mashbill verify` checks of a tokenized folder's rows, the way one would write it with pyarrow and numpy.

    python verify_pyarrow.py FOLDER            checks the folder, prints CPU seconds
    python verify_pyarrow.py FOLDER --pair MASHBILL [--runs 5]
                                               runs both in turns and prints the ratio of their CPU seconds

The checks: that the shards' stretches are the input without a gap; each shard's checksum, rows and row length; ids within the
vocabulary; the mask; labels against ids, at a row's end against the row in which the document goes on; padding; seq_lens, doc_ids
and doc_offsets against the shard's document table; the table against the manifest; the manifest's sums. Columns are read a row
group at a time and compared as arrays, never value by value.
Needs pyarrow, numpy and xxhash.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
from pathlib import Path

import numpy
import pyarrow.parquet as parquet
import xxhash

IGNORED = -100


def checksum(path: Path) -> str:
    """XXH3-128 of a file."""
    digest = xxhash.xxh3_128()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def expected_pieces(table: dict, length: int) -> tuple[numpy.ndarray, ...]:
    """For each piece of a shard in the rows' order: its row, document, offset and length; and whether its document ends."""
    ends = numpy.cumsum(table["tokens"])
    begins = ends - table["tokens"]
    assert (table["row"] == begins // length).all() and (table["position"] == begins % length).all()
    borders = numpy.unique(numpy.concatenate([begins, numpy.arange(0, ends[-1], length), ends[-1:]]))
    first, size = borders[:-1], numpy.diff(borders)
    which = numpy.searchsorted(ends, first, side="right")
    return first // length, table["doc_id"][which], first - begins[which], size, first + size == ends[which]


def check_split(folder: Path, split: dict, manifest: dict) -> None:
    """Checks one split; an assertion fails where something is wrong."""
    end, rows = 0, 0
    for index, shard in enumerate(split["shard_list"]):
        stretch = shard["input"]
        assert stretch["start"] == end <= stretch["end"]
        end = stretch["end"]
        if "file" not in shard:
            assert "table" not in shard and shard["documents"] == shard["tokens"] == shard["padding"] == 0
            continue
        assert shard["file"]["name"] == f"shard_{index:04}.parquet" and shard["table"]["name"] == f"shard_{index:04}.documents"
        assert shard["file"]["rows"] * manifest["max_seq_length"] == shard["tokens"] + shard["padding"]
        assert shard["padding"] < manifest["max_seq_length"]
        check_shard(folder, shard, manifest)
        rows += shard["file"]["rows"]
    for name, of_shard in (("samples", "documents"), ("tokens", "tokens")):
        assert split[name] == sum(shard[of_shard] for shard in split["shard_list"])
    assert split["ledger"]["padding"] == sum(shard["padding"] for shard in split["shard_list"])
    assert split["source"]["bytes"] == sum(shard["input"]["bytes"] for shard in split["shard_list"])
    assert split["shards"] == sum("file" in shard for shard in split["shard_list"])
    assert split["sequences"] == rows


def read_table(path: Path, shard: dict) -> dict:
    """The columns of a document table that say where documents stand."""
    assert checksum(path) == shard["table"]["checksum"]
    columns = parquet.read_table(path)
    table = {name: columns[name].to_numpy() for name in ("doc_id", "tokens", "row", "position")}
    keys = table["doc_id"]
    assert (numpy.diff(keys) > 0).all() and len(keys) == shard["documents"] == shard["table"]["rows"]
    assert keys[0] >= 0 and keys[-1] < shard["input"]["end"] - shard["input"]["start"]
    assert table["tokens"].sum() == shard["tokens"]
    return table


def check_shard(folder: Path, shard: dict, manifest: dict) -> None:
    """Checks one shard, which depends on no other."""
    length, vocabulary = manifest["max_seq_length"], manifest["tokenizer_identity"]["vocabulary_size"]
    pad = manifest["tokenizer_identity"]["pad"]["id"]
    table = read_table(folder / "_documents" / shard["table"]["name"], shard)
    rows, documents, offsets, sizes, ends = expected_pieces(table, length)
    counts = numpy.bincount(rows, minlength=shard["file"]["rows"])
    starts = numpy.concatenate([[0], numpy.cumsum(counts)])
    first_tokens, last_labels, row = [], [], 0
    path = folder / shard["file"]["name"]
    assert checksum(path) == shard["file"]["checksum"]
    file = parquet.ParquetFile(path)
    assert file.metadata.num_rows == shard["file"]["rows"]
    for index in range(file.num_row_groups):
        group = file.read_row_group(index)
        count = group.num_rows
        lists = {name: group[name].combine_chunks() for name in group.column_names}
        ids, mask, labels = (
            lists[name].values.to_numpy().reshape(count, length) for name in ("input_ids", "attention_mask", "labels")
        )
        for name in ("input_ids", "attention_mask", "labels"):
            assert (numpy.diff(lists[name].offsets.to_numpy()) == length).all()
        pieces = slice(starts[row], starts[row + count])
        for name, values in (("seq_lens", sizes), ("doc_ids", documents), ("doc_offsets", offsets)):
            assert (lists[name].values.to_numpy() == values[pieces]).all()
            assert (numpy.diff(lists[name].offsets.to_numpy()) == counts[row : row + count]).all()
        assert ids.min() >= 0 and ids.max() < vocabulary
        real = numpy.add.reduceat(sizes[pieces], starts[row : row + count] - starts[row])
        positions = numpy.arange(length)
        if (real == length).all():
            assert (mask == 1).all() and (labels[:, :-1] == ids[:, 1:]).all()
        else:
            assert (mask == (positions < real[:, None])).all()
            assert (labels[:, :-1] == numpy.where(positions[1:] < real[:, None], ids[:, 1:], IGNORED)).all()
            assert (ids[positions >= real[:, None]] == pad).all()
        first_tokens.append(ids[:, 0].copy())
        last_labels.append(labels[:, -1].copy())
        row += count
    assert row == shard["file"]["rows"]
    check_ends((rows, ends), numpy.concatenate(first_tokens), numpy.concatenate(last_labels))


def check_ends(pieces: tuple, first_tokens: numpy.ndarray, last_labels: numpy.ndarray) -> None:
    """The label of a row's last position: the next row's first token where the document goes on there."""
    rows, ends = pieces
    last = numpy.concatenate([numpy.flatnonzero(numpy.diff(rows)), [len(rows) - 1]])
    goes_on = ~ends[last]
    assert (last_labels[~goes_on] == IGNORED).all() and not goes_on[-1]
    next_row = numpy.flatnonzero(goes_on)
    assert (last_labels[next_row] == first_tokens[next_row + 1]).all()


def check(folder: Path) -> None:
    """Checks all splits."""
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    for name, split in manifest["splits"].items():
        check_split(folder / name, split, manifest)


def cpu_seconds(command: list[str]) -> float:
    """CPU seconds, of all threads, that a command takes."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Checks, or compares."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pair", metavar="MASHBILL", type=Path)
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    if arguments.pair is None:
        check(arguments.folder)
        used = resource.getrusage(resource.RUSAGE_SELF)
        print(f"{used.ru_utime + used.ru_stime:.2f} CPU seconds, {used.ru_maxrss / 1000:.0f} MB")
        return
    # What both need to start is not what is compared.
    ours = [str(arguments.pair), "verify", "--threads", "1", str(arguments.folder)]
    theirs = [sys.executable, __file__, str(arguments.folder)]
    start = cpu_seconds([sys.executable, "-c", "import numpy, pyarrow.parquet, xxhash"])
    pairs = [(cpu_seconds(ours), cpu_seconds(theirs) - start) for _ in range(arguments.runs)]
    ratios = sorted(theirs / ours for ours, theirs in pairs)
    for name, values in (("mashbill verify", [pair[0] for pair in pairs]), ("pyarrow and numpy", [pair[1] for pair in pairs])):
        print(f"{name}: {statistics.median(values):.3f} CPU seconds (median of {arguments.runs})")
    print(f"ratio: {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})")


if __name__ == "__main__":
    main()
