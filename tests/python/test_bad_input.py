"""Lines that are no records: each is counted by reason, the first of each are kept, and the good ones around them stay.

Python's `json` is the judge of what is a record.
"""

import gzip
import random
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sources
from cases import Workshop
from layout import Output
from reference import NotARecordError, expected_rows, lines_of, parse, read_records, read_rows

# Which of Python's verdicts each reason stands for. An array is refused at its bracket, whatever follows.
VERDICTS = {
    "invalid_json": {"json"},
    "json_array": {"json", "shape"},
    "not_an_object": {"shape"},
    "no_text": {"text"},
    "text_not_string": {"text"},
    "field_twice": {"twice"},
    "invalid_utf8": {"utf-8"},
    "lone_surrogate": {"surrogate"},
}

BAD = [
    (b'{"text": "no end', "invalid_json"),
    (b'{"text": "a"} trailing', "invalid_json"),
    (b'{"text": "a",}', "invalid_json"),
    (b"{'text': 'a'}", "invalid_json"),
    (b'{"text": "a\x01b"}', "invalid_json"),
    (b'{"text": "\\x41"}', "invalid_json"),
    (b'{"text": "\\u12g4"}', "invalid_json"),
    (b'{"text": "a", "n": 01}', "invalid_json"),
    (b'{"text": "a", "n": [1, 2}', "invalid_json"),
    (b"plain text", "invalid_json"),
    (b"\x00\x00\x00\x00", "invalid_json"),
    (b'[{"text": "in an array"}]', "json_array"),
    (b"[", "json_array"),
    (b'"a string"', "not_an_object"),
    (b"42", "not_an_object"),
    (b"null", "not_an_object"),
    (b"{}", "no_text"),
    (b'{"Text": "a", "texts": "b"}', "no_text"),
    (b'{"metadata": {"text": "too deep"}}', "no_text"),
    (b'{"text": null}', "text_not_string"),
    (b'{"text": 1}', "text_not_string"),
    (b'{"text": ["a"]}', "text_not_string"),
    (b'{"text": {"text": "a"}}', "text_not_string"),
    (b'{"text": "first", "text": 2}', "field_twice"),
    (b'{"text": 1, "text": "the last of two"}', "field_twice"),
    (b'{"id": "a", "text": "b", "\\u0069d": "c"}', "field_twice"),
    (b'{"text": "\xff"}', "invalid_utf8"),
    (b'{"text": "\xed\xa0\x80"}', "invalid_utf8"),
    (b'{"text": "a", "id": "\xc0\x80"}', "invalid_utf8"),
    (b'{"text": "\xf4\x90\x80\x80"}', "invalid_utf8"),
    (b'{"text": "\\ud800"}', "lone_surrogate"),
    (b'{"text": "\\udc00\\ud800"}', "lone_surrogate"),
    (b'{"text": "\\ud83dx"}', "lone_surrogate"),
]

GOOD = [
    b'{"text": "plain"}',
    b'{"text": ""}',
    b'  {"text": "spaces around"}\t ',
    b'{"text": "\\ud83d\\ude00 \\u00e9 \\/ \\b\\f\\n\\r\\t\\"\\\\"}',
    b'{"\\u0074ext": "an escaped key"}',
    b'{"n": 1, "text": "what nobody reads may stand twice", "n": {"id": 1, "id": 2}}',
    b'{"text": "a", "id": "\\ud800", "x": "\\udfff"}',
    b'{"text": "a", "id": 7, "source": null, "category": {"a": []}}',
    b'{"text": "a", "n": [1e999, -0, 1E+5, 123456789012345678901234567890]}',
    b'{"text": "a", "n": [NaN, Infinity, -Infinity]}',
    b'{"x": ' + b'{"a":[' * 400 + b"]}" * 400 + b', "text": "deep"}',
    '{"text": "\x7f\u0085\u2028\ufeff\U0010ffff"}'.encode(),
    b'{"text": "carriage return at the end"}\r',
]


def verdict(line: bytes) -> str:
    """Python's verdict on a line: `record`, or why it is none."""
    try:
        parse(line)
    except NotARecordError as error:
        return str(error)
    return "record"


def run(workshop: Workshop, content: bytes, *flags: str, expect: int | tuple[int, ...] = 0) -> tuple[Path, Output]:
    file = workshop.file("lines.jsonl", content)
    return file, workshop.tokenize(file, workshop.tokenizer("template"), 64, *flags, expect=expect)


def check_good_ones(workshop: Workshop, file: Path, output: Output) -> None:
    """The lines that Python takes for records, and they alone, stand in the rows."""
    records = read_records(file)
    assert output.documents("lines").column("doc_id").to_pylist() == [record.key for record in records]
    documents = workshop.tokenizer("template").reference().documents(records)
    rows = read_rows(output.stretches("lines"), 64)
    rows.assert_equal(expected_rows(documents, [len(records)], 64, output.pad))


def test_python_agrees_with_the_lists_above() -> None:
    assert [line for line in GOOD if verdict(line) != "record"] == []
    assert [line for line, reason in BAD if verdict(line) not in VERDICTS[reason]] == []


def test_every_bad_line_is_counted_and_every_good_one_kept(workshop: Workshop) -> None:
    lines = [*GOOD, *(line for line, _ in BAD), *GOOD]
    random.Random(2).shuffle(lines)
    file, output = run(workshop, b"\n".join(lines))
    check_good_ones(workshop, file, output)
    assert output.rejected("lines") == Counter(reason for _, reason in BAD)


@pytest.mark.parametrize(("line", "reason"), BAD, ids=[f"{i}-{reason}" for i, (_, reason) in enumerate(BAD)])
def test_a_bad_line_is_kept_with_file_and_line_number(workshop: Workshop, line: bytes, reason: str) -> None:
    file, output = run(workshop, b'{"text": "good"}\n\n' + line + b'\n{"text": "good too"}\n')
    assert output.rejected("lines") == {reason: 1}
    [reject] = output.rejects("lines")
    assert (reject["line"], reject["reason"], reject["key"]) == (3, reason, 18)
    assert Path(reject["file"]).name == file.name
    assert line.decode("utf-8", "replace").startswith(reject["excerpt"])
    check_good_ones(workshop, file, output)


def test_the_first_of_each_reason_are_kept(workshop: Workshop) -> None:
    content = b"no json\n" * 5000 + b"{}\n" + b'{"text": "good"}\n'
    _, output = run(workshop, content)
    assert output.rejected("lines") == {"invalid_json": 5000, "no_text": 1}
    kept = output.rejects("lines")
    assert [reject["line"] for reject in kept if reject["reason"] == "no_text"] == [5001]
    invalid = [reject["line"] for reject in kept if reject["reason"] == "invalid_json"]
    assert invalid == list(range(1, len(invalid) + 1))
    assert 0 < len(invalid) < 5000


@pytest.mark.parametrize("seed", range(3))
def test_damaged_lines_are_judged_as_python_judges_them(workshop: Workshop, seed: int) -> None:
    rng = random.Random(seed)
    texts = sources.nasty_texts(seed, 2500)
    lines = [damaged(rng, sources.jsonl_line(rng, text[:60], number)) for number, text in enumerate(texts)]
    file, output = run(workshop, b"\n".join(lines))
    check_good_ones(workshop, file, output)
    found = Counter(verdict(line) for _, line in lines_of(file.read_bytes()))
    del found["record"]
    rejected = output.rejected("lines")
    assert sum(rejected.values()) == found.total()
    for verdicts in ({"utf-8"}, {"surrogate"}, {"text"}, {"json", "shape"}):
        count = sum(n for reason, n in rejected.items() if VERDICTS[reason] <= verdicts)
        assert count == sum(found[name] for name in verdicts), verdicts


def damaged(rng: random.Random, line: bytes) -> bytes:
    """The line with a few bytes changed, inserted, removed or doubled; unchanged one time in three."""
    if rng.random() < 0.33:
        return line
    data = bytearray(line)
    for _ in range(rng.randrange(1, 4)):
        at = rng.randrange(len(data) + 1)
        how = rng.randrange(4)
        if how == 0:
            data[at:at] = rng.choice(
                [b'"', b"\\", b"{", b"]", b",", b":", b"\\u", b"\\ud83d", b"\xff", b"\xe2", b"1", b" "]
            )
        elif how == 1:
            del data[at : at + rng.randrange(1, 4)]
        elif how == 2:
            data[at : at + 1] = bytes([rng.randrange(256)])
        else:
            data[at:at] = data[at : at + rng.randrange(8)]
    return bytes(data).replace(b"\n", b" ") or b"0"


def test_only_a_line_feed_ends_a_line(workshop: Workshop) -> None:
    """Python's `str.splitlines` would cut this record in four."""
    file, output = run(workshop, '{"text": "a\u2028b\u0085c\u2029d"}\n{"text": "e"}'.encode())
    assert output.entry("lines")["samples"] == 2
    check_good_ones(workshop, file, output)


@pytest.mark.parametrize(
    ("content", "blank"),
    [
        (b'\xef\xbb\xbf{"text": "after a byte order mark"}\n{"text": "b"}\n', 0),
        (b'{"text": "a"}\r\n\r\n{"text": "b"}\r\n', 1),
        (b'\n\n \t \n{"text": "a"}\n\n\n{"text": "no newline at the end"}', 5),
        (b'{"text": "a"}\n' + b" " * 100_000 + b"\n" * 100_000 + b'{"text": "b"}\n', 100_000),
    ],
    ids=["byte order mark", "CRLF", "blank lines", "many blank lines"],
)
def test_unusual_line_ends_lose_nothing(workshop: Workshop, content: bytes, blank: int) -> None:
    file, output = run(workshop, content)
    assert output.entry("lines")["samples"] == 2
    assert output.rejected("lines") == {}
    assert output.blank_lines("lines") == blank
    check_good_ones(workshop, file, output)


def test_an_array_over_many_lines_is_read_element_by_element(workshop: Workshop) -> None:
    content = b'[\n{"text": "a"},\n{"text": "b"}\n]\n'
    _, output = run(workshop, content)
    lines = run(workshop, b'{"text": "a"}\n{"text": "b"}\n')[1]
    assert output.rejected("lines") == {}
    ids = [read_rows(made.stretches("lines"), 64).input_ids.tolist() for made in (output, lines)]
    assert ids[0] == ids[1]


def test_a_line_of_200_megabytes(workshop: Workshop) -> None:
    filler = b"x" * 200_000_000
    content = b'{"text": "before"}\n{"blob": "' + filler + b'", "text": "kept"}\n' + filler + b'\n{"text": "after"}\n'
    file, output = run(workshop, content)
    assert output.entry("lines")["samples"] == 3
    assert output.rejected("lines") == {"invalid_json": 1}
    assert (file.parent / "lines.jsonl").stat().st_size > 4e8
    assert len(str(output.rejects("lines"))) < 10_000


@pytest.mark.parametrize("content", [b"", b"\n\n", b"no json\n"], ids=["empty", "blank", "no good line"])
def test_a_file_without_documents_is_an_empty_split(workshop: Workshop, content: bytes) -> None:
    _, output = run(workshop, content, expect=3)
    entry = output.entry("lines")
    assert (entry["samples"], entry["sequences"], entry["tokens"]) == (0, 0, 0)
    assert output.documents("lines").num_rows == 0
    assert sum(1 for path in output.shard_paths("lines") if path.exists()) == entry["shards"]


def test_a_broken_archive_leaves_the_other_files_whole(workshop: Workshop, tmp_path: Path) -> None:
    good = sources.jsonl(4, ["a document"] * 50)
    (tmp_path / "good.jsonl").write_bytes(good)
    (tmp_path / "lines.jsonl").write_bytes(good)
    (tmp_path / "cut.jsonl.gz").write_bytes(gzip.compress(good * 1000)[:-100])
    (tmp_path / "nonsense.jsonl.zst").write_bytes(b"this is no archive" * 100)
    output = workshop.tokenize(tmp_path, workshop.tokenizer("template"), 64, expect=3)
    assert sorted(output.splits) == ["good", "lines"]
    check_good_ones(workshop, tmp_path / "lines.jsonl", output)


def test_nulls_in_a_parquet_column_are_refused(workshop: Workshop, tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["a", None, "b", None, ""], "id": [5, 6, None, 8, 9]}), tmp_path / "lines.parquet")
    output = workshop.tokenize(tmp_path, workshop.tokenizer("template"), 64)
    assert output.rejected("lines") == {"no_text": 2}
    assert [reject["key"] for reject in output.rejects("lines")] == [1, 3]
    assert output.documents("lines").column("doc_id").to_pylist() == [0, 2, 4]
    assert output.documents("lines").column("id").to_pylist() == ["5", None, "9"]


def test_a_parquet_file_without_the_column_is_refused(workshop: Workshop, tmp_path: Path) -> None:
    pq.write_table(pa.table({"content": ["a"]}), tmp_path / "lines.parquet")
    base = ("tokenize", "--input", tmp_path, "--output", tmp_path / "out", "--tokenizer", "gpt2")
    done = workshop.command(*base, expect=(1, 2, 3))
    assert "content" in done.stderr
    assert "--text-field" in done.stderr


def test_strict_stops_at_the_first_bad_line(workshop: Workshop) -> None:
    file = workshop.file("lines.jsonl", b'{"text": "a"}\nno json\n{"text": "b"}\n')
    target = file.parent / "output"
    base = ("tokenize", "--input", file, "--output", target, "--tokenizer", workshop.tokenizer("template").argument)
    done = workshop.command(*base, "--strict", expect=(1, 2, 3))
    assert "lines.jsonl`, line 2" in done.stderr
    assert "lines" not in Output(target).splits
