"""Parquet files that were damaged, or made to do harm: each is read or refused by its name, and the rest goes on.

Memory is what the system says that the command took at its most.
"""

import gzip
import json
import os
import random
import shutil
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import parquet_bytes as b
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cases import Workshop
from launch import launch
from stand_in import StandIn, stand_in

LONG = "MASHBILL_LONG" in os.environ
FLIPPED = 2000 if LONG else 150
BATCH = 250
MEMORY_MAX = 1_000_000_000
SEED = 14


@dataclass(frozen=True)
class Ran:
    """What a command said, and the bytes of memory it took at its most."""

    code: int
    stdout: str
    stderr: str
    memory: int


def run(workshop: Workshop, *arguments: object, endpoint: str = "http://127.0.0.1:9") -> Ran:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
    environment |= {"NO_COLOR": "1", "HF_ENDPOINT": endpoint}
    given, said = workshop.fresh("stdout"), workshop.fresh("stderr")
    with given.open("wb") as stdout, said.open("wb") as stderr:
        command = [str(workshop.binary), *map(str, arguments)]
        code, memory = launch(command, environment=environment, stdout=stdout, stderr=stderr)
    text = said.read_text(errors="replace")
    assert "panicked" not in text, text
    return Ran(code, given.read_text(), text, memory)


def samples() -> list[bytes]:
    """Small files in every codec, encoding and version of pages, with columns of every kind."""
    rows = 40
    columns = {
        "text": pa.array([None if row % 9 == 4 else f"text number {row} " * (row % 7) for row in range(rows)]),
        "id": pa.array([None if row % 5 == 0 else row * 1_000_003 for row in range(rows)], pa.int64()),
        "source": pa.array([["web", "books", None][row % 3] for row in range(rows)]),
        "category": pa.array([[f"c{row}"] * (row % 3) for row in range(rows)], pa.list_(pa.string())),
        "score": pa.array([row / 7 for row in range(rows)]),
        "messages": pa.array([[{"role": "user", "content": f"turn {row}"}] * (row % 3) for row in range(rows)]),
    }
    made = []
    for codec in ["none", "snappy", "gzip", "brotli", "zstd", "lz4"]:
        for version in ["1.0", "2.0"]:
            for encoding in ["dictionary", "PLAIN", "DELTA_LENGTH_BYTE_ARRAY", "DELTA_BYTE_ARRAY"]:
                sink = pa.BufferOutputStream()
                is_dictionary = encoding == "dictionary"
                pq.write_table(
                    pa.table(columns),
                    sink,
                    compression=codec,
                    data_page_version=version,
                    use_dictionary=is_dictionary,
                    column_encoding=None if is_dictionary else {"text": encoding, "source": encoding},
                    row_group_size=16,
                    data_page_size=128,
                    write_page_checksum=False,
                    store_schema=False,
                )
                made.append(sink.getvalue().to_pybytes())
    return made


def flipped(content: bytes, draw: random.Random) -> bytes:
    """The bytes with a few of them changed, most often where the file describes itself."""
    changed = bytearray(content)
    footer = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    for _ in range(draw.randint(1, 4)):
        start = footer if draw.random() < 0.4 and 0 < footer < len(content) else 4
        at = draw.randrange(start, len(content))
        changed[at] = draw.choice([changed[at] ^ 1 << draw.randrange(8), draw.randrange(256), 0xFF, 0])
    return bytes(changed)


def draws(count: int) -> list[bytes]:
    draw = random.Random(SEED)
    good = samples()
    return [flipped(good[index % len(good)], draw) for index in range(count)]


def batches(files: list[bytes]) -> list[tuple[int, list[bytes]]]:
    return [(start, files[start : start + BATCH]) for start in range(0, len(files), BATCH)]


def test_flipped_files_are_read_or_refused_by_name(workshop: Workshop) -> None:
    for start, files in batches(draws(FLIPPED)):
        folder = workshop.fresh("flipped")
        folder.mkdir()
        for number, content in enumerate(files, start):
            (folder / f"f{number:04}.parquet").write_bytes(content)
        # What was not flipped is read.
        whole = {f"good{number}": content for number, content in enumerate(samples())}
        for name, content in whole.items():
            (folder / f"{name}.parquet").write_bytes(content)
        output = workshop.fresh("output")
        base = ["tokenize", "--input", folder, "--output", output, "--tokenizer", "gpt2", "--max-seq-length", 64]
        ran = run(workshop, *base, "--threads", 2)
        assert ran.code == 3, ran.stderr
        assert ran.memory < MEMORY_MAX
        made = json.loads((output / "manifest.json").read_text())["splits"]
        for name in whole:
            assert (made[name]["samples"], made[name]["rejected"]) == (36, {"no_text": 4}), name
        # Many a flip hits what nobody reads, or a letter of a text.
        assert len(made) > len(whole) + len(files) // 10
        for number in range(start, start + len(files)):
            name = f"f{number:04}"
            refused = f"warning: {name} was not made: `" in ran.stderr and f"{name}.parquet`" in ran.stderr
            assert (name in made) != refused, (name, ran.stderr)
        deep = run(workshop, "verify", output, "--deep", "--threads", 2)
        assert deep.code == 0, deep.stderr
        assert deep.memory < MEMORY_MAX


def test_flipped_downloads_are_converted_or_refused_by_name(workshop: Workshop) -> None:
    with stand_in(workshop.binary.parent / "mashbill-stand-in") as hub:
        for start, files in batches(draws(FLIPPED)):
            put(workshop, hub, start, files)
            names = [f"--dataset=org/f{number:04}" for number in range(start, start + len(files))]
            output = workshop.fresh("data")
            ran = run(workshop, "download", "--output", output, *names, endpoint=hub.endpoint)
            assert ran.code in {0, 3}, ran.stderr
            assert ran.memory < MEMORY_MAX
            made = {path.stem for path in output.rglob("*.jsonl") if not path.stem.endswith("_rejects")}
            assert len(made) > len(files) // 10
            for number in range(start, start + len(files)):
                name = f"f{number:04}"
                assert name in made or name in ran.stderr, (name, ran.stderr)


def test_a_download_with_two_columns_of_a_name_is_refused_by_name(workshop: Workshop) -> None:
    twice = pa.table([pa.array(["a"]), pa.array(["b"])], names=["text", "text"])
    with stand_in(workshop.binary.parent / "mashbill-stand-in") as hub:
        put(workshop, hub, 0, [parquet_bytes(twice), parquet_bytes(pa.table({"text": ["good"]}))])
        output = workshop.fresh("data")
        ran = run(
            workshop,
            "download",
            "--output",
            output,
            "--dataset=org/f0000",
            "--dataset=org/f0001",
            endpoint=hub.endpoint,
        )
    assert ran.code == 3, ran.stderr
    assert "two of its columns are called `text`" in ran.stderr
    assert {path.stem for path in output.glob("*/org__*.jsonl")} == {"org__f0001"}


def put(workshop: Workshop, hub: StandIn, start: int, files: list[bytes]) -> None:
    for number, content in enumerate(files, start):
        folder = workshop.fresh("repository")
        folder.mkdir()
        (folder / "train.parquet").write_bytes(content)
        hub.put(f"org/f{number:04}", folder)


def test_flipped_shards_are_found_out(workshop: Workshop) -> None:
    lines = "".join(json.dumps({"text": f"document {n} " * (n % 40), "id": f"d{n}"}) + "\n" for n in range(300))
    output = workshop.tokenize(workshop.file("a.jsonl", lines.encode()), "gpt2", 64)
    draw = random.Random(SEED)
    names = ["shard_0000.parquet", "_documents/shard_0000.documents"]
    # Looking at a folder takes the start of a program, verifying many of them takes one.
    for start in range(0, FLIPPED if LONG else 24, 24):
        folder = workshop.fresh("flipped")
        is_same = {}
        for number in range(start, start + 24):
            copied = folder / str(number)
            shutil.copytree(output.folder, copied)
            file = copied / "a" / names[number % 2]
            good = file.read_bytes()
            file.write_bytes(flipped(good, draw))
            is_same[copied] = file.read_bytes() == good
        verified = run(workshop, "verify", *is_same, "--json")
        assert verified.code == 4, verified.stderr
        assert verified.memory < MEMORY_MAX
        reports = json.loads(verified.stdout)["folders"]
        for (copied, same), report in zip(is_same.items(), reports, strict=True):
            assert report["path"] == str(copied)
            assert (report["errors"] == 0) == same, report
        for number, copied in enumerate(is_same):
            commands = [
                ["inspect", copied, "--row", draw.randrange(60)],
                ["inspect", copied, "--doc", "d7"],
                ["report", copied, "-o", folder / "report.html"],
            ]
            ran = run(workshop, *commands[number % 3])
            assert ran.code in {0, 1, 2, 4}, ran.stderr
            assert ran.memory < MEMORY_MAX
        shutil.rmtree(folder)


def test_flipped_shards_are_found_out_by_the_loader(workshop: Workshop) -> None:
    mashbill = pytest.importorskip("mashbill")
    lines = "".join(json.dumps({"text": f"document {n} " * (n % 40), "id": f"d{n}"}) + "\n" for n in range(300))
    output = workshop.tokenize(workshop.file("a.jsonl", lines.encode()), "gpt2", 64)
    whole = rows_of(mashbill, output.folder)
    file = output.folder / "a" / "shard_0000.parquet"
    good = file.read_bytes()
    draw = random.Random(SEED)
    found = 0
    for _ in range(FLIPPED):
        file.write_bytes(flipped(good, draw))
        try:
            assert rows_of(mashbill, output.folder) == whole
        except mashbill.MashbillError as error:
            assert "shard_0000.parquet" in str(error), error
            found += 1
    assert found > FLIPPED // 2


def rows_of(mashbill: ModuleType, folder: Path) -> list[list[list[int]]]:
    """All rows of an epoch with their documents, in order."""
    dataset = mashbill.Dataset(folder)
    loader = mashbill.DataLoader(dataset, 4, label_convention="shifted", documents=True, threads=1)
    return [[batch["input_ids"].tolist(), batch["labels"].tolist()] for batch in loader]


def bad_inputs() -> dict[str, bytes]:
    """Files of which nothing can be made, by the end of their names behind a split's."""
    table = pa.table({"n": [1]})
    line = json.dumps({"text": "good"}).encode() + b"\n"
    return {
        "damaged.parquet": samples()[0][:-20],
        "hostile.parquet": b"PAR1" + b"\0" * 100 + (2**32 - 1).to_bytes(4, "little") + b"PAR1",
        "bomb.parquet": b.texts_file(b.data_page(gzip.compress(b"\0" * 2**26) * 9, 3, raw=1000), 3, "gzip"),
        "other.parquet": parquet_bytes(table),
        "twice.parquet": parquet_bytes(pa.table([pa.array(["a"])] * 2, names=["text", "text"])),
        "empty.parquet": b"",
        "cut.jsonl.gz": gzip.compress(line * 1000)[:-100],
        "junk.jsonl.zst": b"this is no archive" * 100,
        "packed.jsonl": gzip.compress(line),
        "pointer.jsonl": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n",
    }


def parquet_bytes(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return sink.getvalue().to_pybytes()


def test_one_bad_input_of_any_kind_ends_its_split_alone(workshop: Workshop) -> None:
    folder = workshop.fresh("input")
    folder.mkdir()
    line = json.dumps({"text": "good"}).encode() + b"\n"
    bad = bad_inputs()
    splits = [name.split(".")[0] for name in bad] + ["gone", "locked", "pipe"]
    base = ["tokenize", "--input", folder, "--tokenizer", "gpt2", "--max-seq-length", 64, "--output"]

    def spoil() -> None:
        for name, content in bad.items():
            (folder / f"{name.split('.')[0]}.jsonl").unlink(missing_ok=True)
            (folder / name).write_bytes(content)
        for name in ["gone", "locked", "pipe"]:
            (folder / f"{name}.jsonl").unlink(missing_ok=True)
        (folder / "gone.jsonl").symlink_to(folder / "nowhere")
        (folder / "locked.jsonl").write_bytes(line)
        (folder / "locked.jsonl").chmod(0)
        os.mkfifo(folder / "pipe.jsonl")

    def check(ran: Ran, made: set[str]) -> None:
        assert ran.code == 3, ran.stderr
        for name in splits:
            named = any(f"warning: {told} was not made: " in ran.stderr for told in [name, f"{name}.jsonl"])
            # There are users who may read everything.
            assert named != (name in readable), (name, ran.stderr)
        assert {name for name in [*splits, "good", "new"] if f"done {name}: " in ran.stderr} == made, ran.stderr

    (folder / "good.jsonl").write_bytes(line)
    finished, fresh = workshop.fresh("finished"), workshop.fresh("fresh")
    for name in splits:
        (folder / f"{name}.jsonl").write_bytes(line)
    assert run(workshop, *base, finished).code == 0
    before = json.loads((finished / "manifest.json").read_text())["splits"]
    spoil()
    (folder / "new.parquet").write_bytes(parquet_bytes(pa.table({"text": ["new"]})))
    readable = {"locked"} if os.access(folder / "locked.jsonl", os.R_OK) else set()
    check(run(workshop, *base, fresh), {"good", "new"} | readable)
    # What was finished stays, in every run and every way.
    for flags in [(), ("--skip-existing",), ("--rehash",)]:
        ran = run(workshop, *base, finished, *flags)
        check(ran, {"new"} if not flags else set())
        after = json.loads((finished / "manifest.json").read_text())["splits"]
        assert {name: split["identity"] for name, split in before.items()} == {
            name: after[name]["identity"] for name in before
        }
    verified = run(workshop, "verify", folder)
    assert verified.code == 4
    for name in bad:
        assert f"error: {name}: " in verified.stderr, (name, verified.stderr)


def nested_file(depth: int) -> bytes:
    schema = [b.element(b"schema", children=1, repetition=None)]
    schema += [b.element(b"n", children=1) for _ in range(depth)] + [b.element(b"text")]
    return b.File(schema, [(0, [])]).to_bytes()


def listed_file() -> bytes:
    """One row whose id is a list of a billion nulls."""
    count = 1 << 30
    schema = [
        b.element(b"schema", children=2, repetition=None),
        b.element(b"text", repetition=b.REQUIRED),
        b.element(b"id", repetition=b.REPEATED),
    ]
    text = b.Column([b"text"], 1, b.data_page(b.plain([b"text"]), 1))
    body = b.levels([(1, 0), (count - 1, 1)]) + b.levels([(count, 1)])
    return b.File(schema, [(1, [text, b.Column([b"id"], count, b.data_page(body, count))])]).to_bytes()


def wide_file() -> bytes:
    """A group of a long name, which each of its columns repeats in its path."""
    schema = [b.element(b"schema", children=1, repetition=None), b.element(b"n" * 1_000_000, children=100_000)]
    return b.File(schema + [b.element(b"c")] * 100_000, [(0, [])]).to_bytes()


def dictionary_file() -> bytes:
    """Fifty rows of the same fifty megabytes."""
    text = b"x" * 50_000_000
    body = pa.compress(b.plain([text]), "zstd", asbytes=True)
    first = b.dictionary_page(body, 1, raw=len(text) + 4)
    indices = pa.compress(b"\1" + b.varint(50 << 1) + b"\0", "zstd", asbytes=True)
    page = b.data_page(indices, 50, raw=3, encoding=b.RLE_DICTIONARY)
    return b.texts_file(first + page, 50, "zstd", dictionary_bytes=len(first))


def bombs() -> dict[str, tuple[bytes, str]]:
    """Files, and what is said of each."""
    zeros = b"\0" * (64 << 20)
    member = gzip.compress(zeros, 1)
    claims = {
        f"claims_{codec}": (b.texts_file(b.data_page(b"\0" * 20, 3, raw=2**31 - 1), 3, codec), "more than 512 MiB")
        for codec in b.CODECS
    }
    # The first stands for itself, as all others, and takes a megabyte; no other takes a byte.
    repeated = b.deltas(0, 1)[:0] + b.varint(128) + b.varint(4) + b.varint(100_000)
    prefixes = repeated + b.zigzag(0) + delta_blocks([1_000_000] + [0] * 99_998)
    suffixes = repeated + b.zigzag(1_000_000) + delta_blocks([-1_000_000] + [0] * 99_998)
    return claims | {
        "gzip": (b.texts_file(b.data_page(member * 40, 3, raw=1000), 3, "gzip"), "another size"),
        "brotli": (b.texts_file(b.data_page(brotli(zeros), 3, raw=1000), 3, "brotli"), "another size"),
        "zstd": (b.texts_file(b.data_page(zstd(zeros) * 40, 3, raw=500_000_000), 3, "zstd"), "another size"),
        "rows": (b.texts_file(b.data_page(b.plain([b"a"]), 1), 2**40), "2^31 - 1"),
        "more_rows": (b.texts_file(b.data_page(b.plain([b"a"]), 1), 2**31 - 1), "fewer rows"),
        "dictionary_values": (dictionary_of(2**31 - 1), "more than 4,194,304 values"),
        "dictionary_lies": (dictionary_of(4_000_000), "shorter than its values"),
        "nested": (nested_file(10_000), "nested deeper than 64 levels"),
        "elements": (b.File([b.element(b"schema", children=2**31 - 1, repetition=None)]).to_bytes(), "columns"),
        "groups": (b.File(two_elements(), [], claimed_groups=2**31 - 1).to_bytes(), "damaged"),
        "wide": (wide_file(), "names of its columns"),
        "lengths": (delta_file(b.DELTA_LENGTH, b.deltas(0, 2**31 - 1)), "more values"),
        "lengths_within": (delta_file(b.DELTA_LENGTH, b.deltas(0, 2**27), 2**27), "damaged"),
        "prefixes": (delta_file(b.DELTA_BYTE_ARRAY, prefixes + suffixes + b"x" * 1_000_000, 100_000), "512 MiB"),
        "list": (listed_file(), "more values than any writer makes"),
        "footer": (b"PAR1" + b"\0" * 100 + (2**32 - 1).to_bytes(4, "little") + b"PAR1", "before the file"),
    }


def delta_blocks(numbers: list[int]) -> bytes:
    """Differences in blocks of 128, each in as many bits as its largest takes, all four miniblocks alike."""
    out = bytearray()
    for start in range(0, len(numbers), 128):
        block = numbers[start : start + 128]
        least = min(block)
        width = max(number - least for number in block).bit_length()
        block += [least] * (128 - len(block))
        packed = sum((number - least) << index * width for index, number in enumerate(block))
        out += b.zigzag(least) + bytes([width] * 4) + packed.to_bytes(16 * width, "little")
    return bytes(out)


def two_elements() -> list[bytes]:
    return [b.element(b"schema", children=1, repetition=None), b.element(b"text", repetition=b.REQUIRED)]


def dictionary_of(values: int) -> bytes:
    first = b.dictionary_page(b.plain([b"a"]), values)
    page = b.data_page(b"\1\6\0", 3, encoding=b.RLE_DICTIONARY)
    return b.texts_file(first + page, 3, dictionary_bytes=len(first))


def delta_file(encoding: int, body: bytes, values: int = 3) -> bytes:
    return b.texts_file(b.data_page(body, values, encoding=encoding), values)


def brotli(content: bytes) -> bytes:
    return pa.compress(content, "brotli", asbytes=True)


def zstd(content: bytes) -> bytes:
    return pa.compress(content, "zstd", asbytes=True)


def test_what_would_take_gigabytes_is_refused_by_name(workshop: Workshop) -> None:
    folder = workshop.fresh("bombs")
    folder.mkdir()
    expected = bombs()
    for name, (content, _) in expected.items():
        (folder / f"{name}.parquet").write_bytes(content)
    pq.write_table(pa.table({"text": ["good"]}), folder / "good.parquet")
    output = workshop.fresh("output")
    base = ["tokenize", "--input", folder, "--output", output, "--tokenizer", "gpt2", "--max-seq-length", 64]
    # A file that is read has pages of up to 768 MiB in memory, and as many are read at a time as there are threads.
    ran = run(workshop, *base, "--threads", 1)
    assert ran.code == 3, ran.stderr
    for name, (_, why) in expected.items():
        said = [line for line in ran.stderr.splitlines() if line.startswith(f"warning: {name} was not made: ")]
        assert len(said) == 1, (name, ran.stderr)
        assert why in said[0], said
    assert json.loads((output / "manifest.json").read_text())["splits"].keys() == {"good"}
    assert ran.memory < MEMORY_MAX, ran.memory


@pytest.mark.parametrize("limit", [1000])
def test_a_text_that_many_rows_share_is_held_once(workshop: Workshop, limit: int) -> None:
    path = workshop.file("shared.parquet", dictionary_file())
    output = workshop.fresh("output")
    base = ["tokenize", "--input", path, "--output", output, "--tokenizer", "gpt2", "--max-seq-length", 64]
    ran = run(workshop, *base, "--max-document", limit)
    assert ran.code == 3, ran.stderr
    assert "50 lines refused (too_large 50)" in ran.stderr
    assert ran.memory < 400_000_000, ran.memory
