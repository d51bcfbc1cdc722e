"""What `mashbill verify` checks of a tokenized folder's rows, the way one would write it with pyarrow and numpy.

    python verify_pyarrow.py FOLDER            checks the folder, prints CPU seconds
    python verify_pyarrow.py FOLDER --pair MASHBILL [--runs 5]
                                               runs both in turns and prints the ratio of their CPU seconds

The checks: each shard's checksum, rows and row length; ids within the vocabulary; the mask; labels against ids, at a row's end
against the row in which the document goes on; padding; seq_lens, doc_ids and doc_offsets against the document table; the
table against the manifest's units. Columns are read a row group at a time and compared as arrays, never value by value.
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


def expected_pieces(table: dict, split: dict, length: int) -> tuple[numpy.ndarray, ...]:
    """For each piece of the split in the rows' order: its row, document, offset and length; and whether its document ends."""
    tokens, documents = table["tokens"], table["doc_id"]
    full, tails, at = [], [], 0
    for unit in split["units"]:
        end = at + unit["documents"]
        lengths = tokens[at:end]
        ends = numpy.cumsum(lengths)
        begins = ends - lengths
        assert (ends[-1] if len(ends) else 0) == unit["rows"] * length + unit["tail_tokens"]
        assert (table["row"][at:end] == begins // length).all() and (table["position"][at:end] == begins % length).all()
        cuts = numpy.arange(1, unit["rows"] + 1) * length
        borders = numpy.unique(numpy.concatenate([begins, cuts, ends[-1:]])) if len(ends) else numpy.zeros(1, int)
        first, size = borders[:-1], numpy.diff(borders)
        which = numpy.searchsorted(ends, first, side="right")
        piece = numpy.stack([first, documents[at:end][which], first - begins[which], size, first + size == ends[which]])
        is_full = first < unit["rows"] * length
        piece[0, is_full] += unit["first_row"] * length
        full.append(piece[:, is_full])
        tails.append(piece[1:, ~is_full])
        at = end
    full, tails = numpy.concatenate(full, axis=1), numpy.concatenate(tails, axis=1)
    begin = sum(unit["rows"] for unit in split["units"]) * length
    rest = []
    for document, offset, size, ends in tails.T:
        while size:
            here = min(size, length - begin % length)
            rest.append((begin, document, offset, here, ends and here == size))
            begin, offset, size = begin + here, offset + here, size - here
    if rest:
        full = numpy.concatenate([full, numpy.array(rest).T], axis=1)
    return full[0] // length, full[1], full[2], full[3], full[4].astype(bool)


def check_split(folder: Path, split: dict, manifest: dict) -> None:
    """Checks one split; an assertion fails where something is wrong."""
    length, vocabulary = manifest["max_seq_length"], manifest["tokenizer_identity"]["vocabulary_size"]
    pad = manifest["tokenizer_identity"]["pad"]["id"]
    assert checksum(folder / "documents.parquet") == split["documents"]["checksum"]
    columns = parquet.read_table(folder / "documents.parquet")
    table = {name: columns[name].to_numpy() for name in ("doc_id", "tokens", "unit", "row", "position")}
    assert (numpy.diff(table["doc_id"]) > 0).all() and len(table["doc_id"]) == split["samples"]
    rows, documents, offsets, sizes, ends = expected_pieces(table, split, length)
    counts = numpy.bincount(rows, minlength=split["sequences"])
    starts = numpy.concatenate([[0], numpy.cumsum(counts)])
    first_tokens, last_labels, row = [], [], 0
    for shard in split["shard_files"]:
        path = folder / shard["name"]
        assert checksum(path) == shard["checksum"]
        file = parquet.ParquetFile(path)
        assert file.metadata.num_rows == shard["rows"]
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
    assert row == split["sequences"]
    check_ends(split, length, (rows, documents, ends), numpy.concatenate(first_tokens or [[]]), numpy.concatenate(last_labels or [[]]))


def check_ends(split: dict, length: int, pieces: tuple, first_tokens: numpy.ndarray, last_labels: numpy.ndarray) -> None:
    """The label of a row's last position: the next row's first token where the document goes on there."""
    rows, documents, ends = pieces
    last = numpy.concatenate([numpy.flatnonzero(numpy.diff(rows)), [len(rows) - 1]])[: len(last_labels)]
    goes_on = ~ends[last]
    assert (last_labels[~goes_on] == IGNORED).all()
    # The last full row of a unit goes on in the unit's tail, which is left out here.
    in_unit = numpy.ones(len(last_labels), bool)
    in_unit[[unit["first_row"] + unit["rows"] - 1 for unit in split["units"] if unit["rows"]]] = False
    next_row = numpy.flatnonzero(goes_on[:-1] & in_unit[:-1])
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
