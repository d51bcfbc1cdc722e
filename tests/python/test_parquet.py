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
        assert "part-2: 2 of 2 lines have no `text`" in done.stderr
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
