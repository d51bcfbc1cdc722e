"""Parquet files that pyarrow wrote: every column type is read as the text that pyarrow says it is."""

import datetime as dt
import decimal
import json
import uuid
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cases import Workshop

CODECS = ["none", "snappy", "gzip", "brotli", "zstd", "lz4"]
TEXTS = ["one", "", None, "zwei\n\u00fcber", "\U0001f600 three", "x" * 3000, "one", None, "vier"]
WORDS = ["ab", "cd", None, "\u00fc", "ab"]


def write(path: Path, columns: dict[str, pa.Array], **options: object) -> None:
    """Writes the columns among others that nobody asks for."""
    rows = len(next(iter(columns.values())))
    before = {"first": pa.nulls(rows), "list": pa.array([["a", None]] * rows, pa.list_(pa.string()))}
    after = {"map": pa.array([[("k", 1)]] * rows, pa.map_(pa.string(), pa.int64())), "last": pa.array(range(rows))}
    pq.write_table(pa.table(before | columns | after), path, **options)


def text_columns() -> dict[str, pa.Array]:
    """The same texts as every type that pyarrow has for them."""
    return {
        "string": pa.array(TEXTS, pa.string()),
        "large_string": pa.array(TEXTS, pa.large_string()),
        "string_view": pa.array(TEXTS, pa.string_view()),
        "dictionary": pa.array(TEXTS, pa.string()).dictionary_encode(),
        "large_dictionary": pa.array(TEXTS, pa.large_string()).dictionary_encode(),
        "binary": pa.array([text and text.encode() for text in TEXTS], pa.binary()),
        "large_binary": pa.array([text and text.encode() for text in TEXTS], pa.large_binary()),
        "binary_view": pa.array([text and text.encode() for text in TEXTS], pa.binary_view()),
    }


@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_texts_of_every_type_and_codec(workshop: Workshop, version: str) -> None:
    folder = workshop.fresh("texts")
    folder.mkdir()
    expected: dict[str, list[str | None]] = {}
    for codec in CODECS:
        for name, column in text_columns().items():
            for dictionary in [True, False]:
                split = f"{codec}_{name}_{'dictionary' if dictionary else 'plain'}"
                options = {"compression": codec, "use_dictionary": dictionary, "data_page_version": version}
                # Several row groups and pages, so that borders are met.
                write(folder / f"{split}.parquet", {"text": column}, row_group_size=4, **options)
                expected[split] = TEXTS
    for encoding in ["PLAIN", "DELTA_LENGTH_BYTE_ARRAY", "DELTA_BYTE_ARRAY"]:
        options = {"use_dictionary": False, "column_encoding": {"text": encoding}, "data_page_version": version}
        write(folder / f"{encoding.lower()}.parquet", {"text": pa.array(TEXTS)}, row_group_size=4, **options)
        expected[encoding.lower()] = TEXTS
    fixed = pa.array([word and word.encode() for word in WORDS], pa.binary(2))
    write(folder / "fixed.parquet", {"text": fixed}, data_page_version=version)
    expected["fixed"] = WORDS
    check_texts(workshop, folder, expected)


def check_texts(workshop: Workshop, folder: Path, expected: dict[str, list[str | None]]) -> None:
    """Whether the documents are those of JSON Lines with the texts that are not null."""
    lines = workshop.fresh("lines")
    lines.mkdir()
    for split, texts in expected.items():
        records = "".join(json.dumps({"text": text}) + "\n" for text in texts if text is not None)
        (lines / f"{split}.jsonl").write_text(records)
    found = workshop.tokenize(folder, "gpt2", 64)
    wanted = workshop.tokenize(lines, "gpt2", 64)
    assert sorted(found.splits) == sorted(expected)
    for split, texts in expected.items():
        columns = ["content_hash", "tokens"]
        of = found.documents(split).select(columns).to_pydict()
        assert of == wanted.documents(split).select(columns).to_pydict(), split
        nulls = texts.count(None)
        assert found.manifest["splits"][split]["rejected"] == ({"no_text": nulls} if nulls else {}), split
        rows = [row for row, text in enumerate(texts) if text is not None]
        assert found.documents(split).column("doc_id").to_pylist() == rows, split


def labels() -> dict[str, tuple[pa.Array, list[str | None]]]:
    """Columns that are no strings, and the text of each of their values."""
    day, moment = dt.date(2026, 11, 28), dt.datetime(2026, 11, 28, 18, 57, 25, 123456)
    whole = dt.datetime(1969, 12, 31, 23, 59, 59)
    ids = [uuid.UUID(int=7), uuid.UUID("f81d4fae-7dec-11d0-a765-00a0c91e6bf6")]
    made: dict[str, tuple[pa.Array, list[str | None]]] = {}
    for bits in [8, 16, 32, 64]:
        least, most = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
        signed, unsigned = getattr(pa, f"int{bits}")(), getattr(pa, f"uint{bits}")()
        made[f"int{bits}"] = (pa.array([least, None, most], signed), [str(least), None, str(most)])
        made[f"uint{bits}"] = (pa.array([0, None, 2**bits - 1], unsigned), ["0", None, str(2**bits - 1)])
    infinite = [float("nan"), float("inf"), float("-inf")]
    spelled: list[str | None] = ["NaN", "Infinity", "-Infinity"]
    made |= {
        "float64": (pa.array([0.1, 1.0, -2.5e-300, *infinite, None]), ["0.1", "1.0", "-2.5e-300", *spelled, None]),
        "float32": (pa.array([0.1, 1.0, None, *infinite], pa.float32()), ["0.1", "1.0", None, *spelled]),
        "float16": (pa.array([0.5, -2.0, None], pa.float16()), ["0.5", "-2.0", None]),
        "bool": (pa.array([True, False, None]), ["true", "false", None]),
        "uuid": (pa.array([i.bytes for i in ids] + [None], pa.uuid()), [str(i) for i in ids] + [None]),
        "date32": (pa.array([day, None], pa.date32()), ["2026-11-28", None]),
        "date64": (pa.array([day, None], pa.date64()), ["2026-11-28", None]),
        "time32": (pa.array([dt.time(1, 2, 3), None], pa.time32("s")), ["01:02:03", None]),
        "time64": (pa.array([moment.time(), None], pa.time64("us")), ["18:57:25.123456", None]),
        "dictionary": (pa.array(["a", None, "b", "a"]).dictionary_encode(), ["a", None, "b", "a"]),
        "number_dictionary": (pa.array([5, None, 7, 5]).dictionary_encode(), ["5", None, "7", "5"]),
        "large_string": (pa.array(["a", None], pa.large_string()), ["a", None]),
        "bytes": (pa.array([b"text", b"\xff\x00", None]), ["text", "ff00", None]),
        "fixed": (pa.array([b"\xff\xfe", b"ok", None], pa.binary(2)), ["fffe", "ok", None]),
        "null": (pa.nulls(3), [None, None, None]),
        "list": (pa.array([["a", None], [], None]), ['["a", null]', "[]", None]),
        "struct": (pa.array([{"a": 1, "b": "x"}, None]), ['{"a": 1, "b": "x"}', None]),
    }
    for precision in [5, 18, 38]:
        values = [decimal.Decimal("1.50"), decimal.Decimal("-0.05"), None]
        kind = pa.decimal128(precision, 2)
        made[f"decimal{precision}"] = (pa.array(values, kind), ["1.50", "-0.05", None])
    large = decimal.Decimal("12345678901234567890123456789012345678901234.5")
    with decimal.localcontext(prec=60):
        made["decimal256"] = (pa.array([large, None], pa.decimal256(60, 1)), [str(large), None])
    for unit, digits in [("ms", 3), ("us", 6), ("ns", 9)]:
        fraction = f"{123456000:09}"[:digits]
        values = [moment, whole, None]
        texts = [f"2026-11-28T18:57:25.{fraction}", "1969-12-31T23:59:59"]
        made[f"timestamp_{unit}"] = (pa.array(values, pa.timestamp(unit)), [*texts, None])
        zoned = pa.array(values, pa.timestamp(unit)).cast(pa.timestamp(unit, "UTC"))
        made[f"timestamp_{unit}_utc"] = (zoned, [f"{text}Z" for text in texts] + [None])
    return made


def test_labels_of_every_type_are_texts(workshop: Workshop) -> None:
    folder = workshop.fresh("labels")
    folder.mkdir()
    for name, (column, expected) in labels().items():
        assert len(column) == len(expected), name
        texts = pa.array([f"text {row}" for row in range(len(column))])
        for codec in ["none", "zstd"]:
            columns = {"text": texts, "id": column, "source": column, "category": column}
            write(folder / f"{name}_{codec}.parquet", columns, compression=codec)
    output = workshop.tokenize(folder, "gpt2", 64)
    for name, (_, expected) in labels().items():
        for codec in ["none", "zstd"]:
            table = output.documents(f"{name}_{codec}")
            for label in ["id", "source", "category"]:
                assert table.column(label).to_pylist() == expected, (name, label)
    workshop.command("verify", output.folder)
    workshop.command("verify", output.folder, "--deep")


def test_a_text_that_is_not_utf_8_spoils_its_row_alone(workshop: Workshop) -> None:
    broken = pa.Array.from_buffers(pa.string(), 3, pa.array([b"good", b"b\xffd", b"too"]).buffers())
    path = workshop.file("a.parquet", b"")
    write(path, {"text": broken})
    output = workshop.tokenize(path, "gpt2", 64)
    assert output.manifest["splits"]["a"]["samples"] == 2
    assert output.manifest["splits"]["a"]["rejected"] == {"invalid_utf8": 1}


def test_parts_whose_texts_are_null_or_missing(workshop: Workshop) -> None:
    """One dataset, parts of which a data frame without rows, or without a text, was written to."""
    folder = workshop.fresh("parts")
    folder.mkdir()
    write(folder / "part-0.parquet", {"text": pa.array(["A row."])})
    write(folder / "part-1.parquet", {"text": pa.nulls(0)})
    output = workshop.tokenize(folder, "gpt2", 64)
    assert output.manifest["splits"]["part-1"]["samples"] == 0
    write(folder / "part-2.parquet", {"text": pa.array([None, None], pa.string())})
    write(folder / "part-3.parquet", {"text": pa.nulls(3)})
    write(folder / "part-4.parquet", {"text": pa.array([], pa.string())})
    arguments = ["tokenize", "--input", folder, "--output", output.folder, "--tokenizer", "gpt2"]
    for again in [(), (), ("--skip-existing",)]:
        done = workshop.command(*arguments, "--max-seq-length", 64, *again, expect=3)
        assert "part-2: 2 of 2 lines have no `text`; they have `first`, `last`, `list`, `map`" in done.stderr
        assert "part-3: 3 of 3 lines have no `text`" in done.stderr
        assert "part-1: its file has no record" in done.stderr
        assert "part-4: its file has no record" in done.stderr
    splits = json.loads((output.folder / "manifest.json").read_text())["splits"]
    rejected = {name: split["rejected"] for name, split in splits.items()}
    nothing: dict[str, int] = {}
    expected = {"part-0": nothing, "part-1": nothing, "part-2": {"no_text": 2}, "part-3": {"no_text": 3}}
    assert rejected == expected | {"part-4": nothing}
    report = workshop.fresh("report.html")
    done = workshop.command("verify", output.folder)
    assert "verified" in done.stderr
    assert "4 of 5 splits have no document" in done.stderr
    done = workshop.command("report", output.folder, "-o", report)
    assert "warnings" in done.stderr


def test_texts_that_are_far_larger_than_a_block(workshop: Workshop) -> None:
    """A row group's rows are decoded by their size, and a text beyond the limit is not kept."""
    texts = [letter * 1_000_000 for letter in "abcdefgh"] + ["short", "x" * 2_000_001, "end"]
    path = workshop.file("a.parquet", b"")
    write(path, {"text": pa.array(texts)}, compression="zstd")
    output = workshop.tokenize(path, "gpt2", 64, "--max-document", 2_000_000)
    assert output.manifest["splits"]["a"]["samples"] == 10
    assert output.manifest["splits"]["a"]["rejected"] == {"too_large": 1}
    assert output.documents("a").column("doc_id").to_pylist() == [*range(9), 10]


def test_the_fields_of_rows_without_a_text_are_told(workshop: Workshop) -> None:
    path = workshop.file("a.parquet", b"")
    columns = {"text": pa.nulls(2), "content": ["one", "two"], "url": ["u", "v"]}
    pq.write_table(pa.table(columns), path)
    output = workshop.fresh("output")
    base = ["tokenize", "--input", path, "--output", output, "--tokenizer", "gpt2", "--max-seq-length", 64]
    done = workshop.command(*base, expect=3)
    assert "a: 2 of 2 lines have no `text`; they have `content`, `url`" in done.stderr
    assert "hint: `--text-field content` takes the texts from there" in done.stderr
    workshop.command(*base, "--text-field", "content", "--skip-existing")


def test_the_text_is_in_the_first_column_that_a_row_has(workshop: Workshop) -> None:
    fields = ["--text-field", "text", "--text-field", "content"]
    path = workshop.file("a.parquet", b"")
    columns = {"content": ["a", "b", None, "d"], "text": [None, "B", None, ""]}
    pq.write_table(pa.table(columns), path)
    output = workshop.tokenize(path, "gpt2", 64, *fields)
    same = workshop.tokenize(workshop.file("a.jsonl", b'{"text":"a"}\n{"text":"B"}\n{"text":""}\n'), "gpt2", 64)
    hashes = [made.documents("a").column("content_hash").to_pylist() for made in [output, same]]
    assert hashes[0] == hashes[1]
    assert output.rejected("a") == {"no_text": 1}
    # A value of another type is refused, as it is of JSON.
    pq.write_table(pa.table({"content": ["a", "b"], "text": [None, 7]}), path)
    assert workshop.tokenize(path, "gpt2", 64, *fields).rejected("a") == {"text_not_string": 1}


def test_a_name_of_two_columns_is_no_silent_choice(workshop: Workshop) -> None:
    folder = workshop.fresh("twice")
    folder.mkdir()
    for name in ["text", "id", "source"]:
        table = pa.table([pa.array(["a"]), pa.array(["b"]), pa.array(["c"])], names=["text", name, name])
        pq.write_table(table, folder / f"{name}.parquet")
    pq.write_table(pa.table([pa.array(["a"])] * 3, names=["text", "n", "n"]), folder / "unread.parquet")
    output = workshop.fresh("output")
    base = ["tokenize", "--input", folder, "--output", output, "--tokenizer", "gpt2", "--max-seq-length", 64]
    done = workshop.command(*base, expect=3)
    verified = workshop.command("verify", folder, expect=4)
    for name in ["text", "id", "source"]:
        assert f"{name}.parquet`: two of its columns are called `{name}`" in done.stderr
        assert f"error: {name}.parquet: two of its columns are called `{name}`" in verified.stderr
        assert f"hint: rewrite the file with another name for one of the columns `{name}`" in done.stderr
    assert json.loads((output / "manifest.json").read_text())["splits"].keys() == {"unread"}


RECORDS: list[dict[str, object]] = [
    {"text": "first", "id": "a", "source": "web", "category": "chat"},
    {"text": None, "id": "b"},
    {"text": "second, somewhat longer", "id": 7},
    {"text": "first", "id": "a", "source": "web"},
    {"text": "another text of the same id", "id": "7"},
    {"text": ""},
]


def test_raw_files_are_looked_at_like_json(workshop: Workshop) -> None:
    """`verify`, `inspect` and `report` see in a Parquet file what they see in JSON Lines."""
    folder = workshop.fresh("raw")
    folder.mkdir()
    names = ["text", "id", "source", "category"]
    columns = {name: pa.array([_text(record.get(name)) for record in RECORDS]) for name in names}
    write(folder / "a.parquet", columns, row_group_size=4)
    lines = workshop.file("a.jsonl", "".join(json.dumps(record) + "\n" for record in RECORDS).encode())
    found = []
    for path in [folder, lines]:
        # The null is refused, and a record stands twice.
        done = workshop.command("verify", path, "--json", expect=4)
        report = json.loads(done.stdout)["folders"][0]
        problems = sorted((p["severity"], p["kind"], p["place"]["line"]) for p in report["problems"])
        found.append((report["documents"], report["rows"], report["files"], problems))
        shown = []
        for which in [(), ("--doc", "7"), ("--find", "somewhat"), ("--row", "3"), ("--random",), ("--row", "4")]:
            record = json.loads(workshop.command("inspect", path, *which, "--json").stdout)
            del record["file"]
            shown.append(record)
        found[-1] += (shown,)
        page = workshop.fresh("report.html")
        workshop.command("report", path, "-o", page, expect=4)
        assert "somewhat longer" in page.read_text()
    assert found[0] == found[1]
    assert found[0][0:3] == (5, 6, 1)
    missing = workshop.command("inspect", folder, "--row", "5", expect=2)
    assert "holds no record 5" in missing.stderr or "record 5" in missing.stderr


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def test_raw_files_without_records_or_texts_are_named(workshop: Workshop) -> None:
    folder = workshop.fresh("raw")
    folder.mkdir()
    pq.write_table(pa.table({"text": pa.array([], pa.string())}), folder / "empty.parquet")
    (folder / "empty.jsonl").write_bytes(b"")
    (folder / "blank.jsonl").write_bytes(b"\n \n")
    pq.write_table(pa.table({"text": ["good"]}), folder / "good.parquet")
    done = workshop.command("verify", folder)
    for name in ["empty.parquet", "empty.jsonl", "blank.jsonl"]:
        assert f"warning: {name}: it has no record (empty)" in done.stderr
    pq.write_table(pa.table({"content": ["good"], "n": [1]}), folder / "other.parquet")
    (folder / "cut.parquet").write_bytes((folder / "good.parquet").read_bytes()[:-9])
    done = workshop.command("verify", folder, expect=4)
    assert "error: other.parquet: it has no text column `text`; its columns are: content (string), n" in done.stderr
    assert "error: cut.parquet: it is damaged: it does not end as a Parquet file does" in done.stderr
    assert "hint: `--text-field content`" in done.stderr
    shown = json.loads(workshop.command("inspect", folder, "--json", expect=3).stdout)
    assert shown["text"] == "good"
    both = ["--text-field", "text", "--text-field", "content"]
    (folder / "cut.parquet").unlink()
    workshop.command("verify", folder, *both)
    workshop.command("report", folder, *both, "-o", workshop.fresh("report.html"))
    assert "good" in workshop.command("inspect", folder / "other.parquet", *both).stdout
