"""An independent account of what `mashbill tokenize` must write.

Nothing here is shared with mashbill: records are read by Python's `json`, ids come from Hugging Face `tokenizers`, rows
are laid out by the few lines of `expected_rows`, and shards are read by pyarrow. A test compares two things made in
these two ways. Everything a token is stored in a flat numpy array, so that whole corpora compare in seconds.
"""

import gzip
import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from tokenizers import Tokenizer

IGNORED = -100

Ints = npt.NDArray[np.int64]
Ids = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Record:
    """One document of the input: its key is the byte offset of its line (the row number in Parquet)."""

    key: int
    text: str
    fields: dict[str, object]

    def label(self, name: str) -> str | None:
        """A field of the document table: a string, or another value but null as JSON spells it."""
        value = self.fields.get(name)
        return value if value is None or isinstance(value, str) else json.dumps(value)


class NotARecordError(Exception):
    """Python's verdict on a line that has no text; the message is the family of the reason."""


class Fields(dict[str, object]):
    """An object, which remembers whether a field that is read stands twice."""

    def __init__(self, pairs: list[tuple[str, object]]) -> None:
        super().__init__(pairs)
        names = [name for name, _ in pairs]
        self.twice = {name for name in names if names.count(name) > 1}


def parse(line: bytes, text_field: str = "text") -> dict[str, object]:
    """The object on a line, if it is one with a text that can be encoded."""
    try:
        value = json.loads(line.decode("utf-8"), object_pairs_hook=Fields)
    except UnicodeDecodeError as error:
        raise NotARecordError("utf-8") from error
    except ValueError as error:
        raise NotARecordError("json") from error
    if not isinstance(value, Fields):
        raise NotARecordError("shape")
    if value.twice & {text_field, "id", "source", "category"}:
        raise NotARecordError("twice")
    text = value.get(text_field)
    if not isinstance(text, str):
        raise NotARecordError("text")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise NotARecordError("surrogate") from error
    return value


def decompressed(path: Path) -> bytes:
    """The bytes of a JSONL file, whatever its compression."""
    if path.suffix == ".gz":
        return gzip.decompress(path.read_bytes())
    if path.suffix == ".zst":
        with pa.input_stream(str(path), compression="zstd") as stream:
            return bytes(stream.read())
    return path.read_bytes()


def lines_of(data: bytes) -> list[tuple[int, bytes]]:
    """Every line that is not blank, with the byte offset at which it begins, without byte order mark and line end."""
    found = []
    start = 3 if data.startswith(b"\xef\xbb\xbf") else 0
    while start < len(data):
        end = data.find(b"\n", start)
        end = len(data) if end < 0 else end
        line = data[start:end].rstrip(b"\r")
        if line.strip(b" \t\r"):
            found.append((start, line))
        start = end + 1
    return found


def read_records(path: Path, text_field: str = "text") -> list[Record]:
    """The good records of a file in order; lines that Python refuses are left out."""
    if path.suffix == ".parquet":
        rows = pq.read_table(path).to_pylist()
        return [Record(i, row[text_field], row) for i, row in enumerate(rows)]
    records = []
    for key, line in lines_of(decompressed(path)):
        try:
            record = parse(line, text_field)
        except NotARecordError:
            continue
        records.append(Record(key, str(record[text_field]), record))
    return records


def starts_of(lengths: npt.ArrayLike) -> Ints:
    """The running sum with 0 before it: where each of the runs begins, and where the last ends."""
    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])


def ranges(starts: Ints, ends: Ints) -> Ints:
    """`start..end` of each pair, one after the other."""
    lengths = ends - starts
    if lengths.sum() == 0:
        return np.zeros(0, np.int64)
    return np.arange(lengths.sum()) + np.repeat(starts - starts_of(lengths)[:-1], lengths)


@dataclass(frozen=True)
class Documents:
    """The tokens of a split's documents in input order, one after the other."""

    keys: Ints
    ids: Ids
    lengths: Ints
    text_tokens: int
    """Tokens of the texts alone, before BOS and EOS are added."""

    @cached_property
    def starts(self) -> Ints:
        return starts_of(self.lengths)


@dataclass(frozen=True)
class Reference:
    """Hugging Face `tokenizers` with the BOS and EOS that documents get."""

    tokenizer: Tokenizer
    bos: int | None
    eos: int | None

    @classmethod
    def load(cls, file: Path, bos: str | None, eos: str | None, *, literal_specials: bool = True) -> "Reference":
        """`literal_specials` false takes special tokens that a text spells for ordinary text."""
        tokenizer = Tokenizer.from_file(str(file))
        tokenizer.no_truncation()
        tokenizer.no_padding()
        tokenizer.encode_special_tokens = not literal_specials
        ids = [None if token is None else tokenizer.token_to_id(token) for token in (bos, eos)]
        return cls(tokenizer, *ids)

    def document(self, ids: list[int]) -> list[int]:
        """A text's ids as a document's: BOS before and EOS after, neither twice."""
        before = [] if self.bos is None or ids[:1] == [self.bos] else [self.bos]
        after = [] if self.eos is None or ids[-1:] == [self.eos] else [self.eos]
        return before + ids + after

    def documents(self, records: Sequence[Record]) -> Documents:
        """The documents of all records. A text that comes again is encoded once."""
        index: dict[str, int] = {}
        which = np.array([index.setdefault(record.text, len(index)) for record in records], dtype=np.int64)
        texts = list(index)
        parts: list[Ids] = []
        text_tokens: list[int] = []
        for begin in range(0, len(texts), 512):
            for encoding in self.tokenizer.encode_batch_fast(texts[begin : begin + 512], add_special_tokens=False):
                ids = encoding.ids
                text_tokens.append(len(ids))
                parts.append(np.array(self.document(ids), dtype=np.int32))
        lengths = np.array([len(part) for part in parts], dtype=np.int64)
        ids_of_texts, starts = np.concatenate([*parts, np.zeros(0, np.int32)]), starts_of(lengths)
        return Documents(
            keys=np.array([record.key for record in records], dtype=np.int64),
            ids=ids_of_texts if len(texts) == len(records) else ids_of_texts[ranges(starts[which], starts[which + 1])],
            lengths=lengths[which],
            text_tokens=int(np.array(text_tokens, dtype=np.int64)[which].sum()),
        )


@dataclass(frozen=True)
class Rows:
    """A split's rows: three columns of rows × length, and the pieces of all rows one after the other."""

    input_ids: Ids
    attention_mask: Ids
    labels: Ids
    pieces: Ints
    """How many pieces each row holds."""
    seq_lens: Ids
    doc_ids: Ints
    doc_offsets: Ids

    def assert_equal(self, other: "Rows") -> None:
        """Fails at the first column that differs, and says where."""
        for field in fields(self):
            assert_equal(field.name, getattr(self, field.name), getattr(other, field.name))


def assert_equal(name: str, actual: np.ndarray, expected: np.ndarray) -> None:
    """Like `numpy.testing`, with a message that points at the first difference."""
    assert actual.shape == expected.shape, f"{name}: shape {actual.shape}, expected {expected.shape}"
    if not np.array_equal(actual, expected):
        at = tuple(int(i[0]) for i in np.nonzero(actual != expected))
        count = int((actual != expected).sum())
        raise AssertionError(
            f"{name}: {actual[at]} at {at}, expected {expected[at]}; {count} values differ of {actual.size}"
        )


def read_rows(shards: Sequence[tuple[Path, int]], length: int) -> Rows:
    """The rows of shards in order; every row must be exactly `length` long.

    With each shard stands where its stretch of the input begins, from where it counts the keys of documents. Here they
    are counted from the beginning of the input.
    """
    tables = []
    for path, start in shards:
        table = pq.read_table(path)
        keys = table.column("doc_ids").combine_chunks()
        assert keys.offset == 0 and pc.min(keys.values).as_py() >= 0
        moved = pa.ListArray.from_arrays(keys.offsets, pc.add(keys.values, start))
        tables.append(table.set_column(table.column_names.index("doc_ids"), "doc_ids", moved))
    table = pa.concat_tables(tables)

    def flat(name: str) -> tuple[np.ndarray, Ints]:
        column = table.column(name)
        assert column.null_count == 0
        values = [chunk.flatten().to_numpy() for chunk in column.chunks]
        lengths = [np.diff(chunk.offsets.to_numpy()) for chunk in column.chunks]
        return np.concatenate(values), np.concatenate(lengths).astype(np.int64)

    def square(name: str) -> Ids:
        values, lengths = flat(name)
        assert np.all(lengths == length), f"{name}: a row that is not {length} long"
        return values.reshape(-1, length)

    seq_lens, pieces = flat("seq_lens")
    doc_ids, pieces_again = flat("doc_ids")
    doc_offsets, pieces_still = flat("doc_offsets")
    assert_equal("doc_ids' lengths", pieces_again, pieces)
    assert_equal("doc_offsets' lengths", pieces_still, pieces)
    return Rows(
        input_ids=square("input_ids"),
        attention_mask=square("attention_mask"),
        labels=square("labels"),
        pieces=pieces,
        seq_lens=seq_lens,
        doc_ids=doc_ids,
        doc_offsets=doc_offsets,
    )


def expected_rows(documents: Documents, shards: Sequence[int], length: int, pad: int) -> Rows:
    """The rows that hold `documents`, whose shards are of so many documents each: one shard's after another's."""
    assert sum(shards) == len(documents.lengths)
    borders = starts_of(shards)
    each = [_rows_of_shard(documents, *borders[at : at + 2], length, pad) for at in range(len(shards))]
    return Rows(*(np.concatenate([getattr(rows, field.name) for rows in each]) for field in fields(Rows)))


def _rows_of_shard(documents: Documents, first: int, last: int, length: int, pad: int) -> Rows:
    """The rows of the documents `first..last`: their tokens one after another, cut every `length`, the rest padded."""
    begin, end = documents.starts[first], documents.starts[last]
    tokens = int(end - begin)
    rows = -(-tokens // length)
    ids = documents.ids[begin:end]
    of = np.repeat(np.arange(first, last), documents.lengths[first:last])
    offset = np.arange(begin, end) - documents.starts[of]

    input_ids = np.full(rows * length, pad, dtype=np.int32)
    input_ids[:tokens] = ids
    mask = np.zeros(rows * length, dtype=np.int32)
    mask[:tokens] = 1

    labels = np.full(rows * length, IGNORED, dtype=np.int32)
    labels[: max(tokens - 1, 0)] = ids[1:]
    lasts = np.arange(length - 1, tokens, length)
    goes_on = offset[lasts] + 1 < documents.lengths[of[lasts]]
    labels[lasts[~goes_on]] = IGNORED

    begins = np.zeros(tokens, dtype=bool)
    begins[::length] = True
    begins[1:] |= of[1:] != of[:-1]
    pieces = np.nonzero(begins)[0]
    return Rows(
        input_ids.reshape(rows, length),
        mask.reshape(rows, length),
        labels.reshape(rows, length),
        pieces=np.bincount(pieces // length, minlength=rows).astype(np.int64),
        seq_lens=np.diff(pieces, append=tokens).astype(np.int32),
        doc_ids=documents.keys[of[pieces]],
        doc_offsets=offset[pieces].astype(np.int32),
    )


def reassembled(rows: Rows) -> tuple[Ints, Ints, Ids]:
    """The documents put together from the rows alone, by `doc_ids` and `doc_offsets`: keys, lengths, tokens.

    Fails where a document has a gap or an overlap.
    """
    length = rows.input_ids.shape[1]
    row = np.repeat(np.arange(len(rows.pieces)), rows.pieces)
    piece_lengths = rows.seq_lens.astype(np.int64)
    running = starts_of(piece_lengths)[:-1]
    first_of_row = running[np.concatenate([[0], np.cumsum(rows.pieces)[:-1]])]
    begin = row * length + running - first_of_row[row]

    order = np.lexsort((rows.doc_offsets, rows.doc_ids))
    keys, offsets, lengths = rows.doc_ids[order], rows.doc_offsets[order], piece_lengths[order]
    is_first = np.concatenate([[True], keys[1:] != keys[:-1]])
    assert np.all(offsets[is_first] == 0), "a document without its beginning"
    follows = np.nonzero(~is_first)[0]
    assert_equal("doc_offsets", offsets[follows], (offsets + lengths)[follows - 1].astype(offsets.dtype))

    tokens = rows.input_ids.reshape(-1)[ranges(begin[order], (begin + piece_lengths)[order])]
    return keys[is_first], np.add.reduceat(lengths, np.nonzero(is_first)[0]), tokens
