"""Parquet files byte by byte, so that they can lie: pages, headers and footers in Thrift's compact form."""

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field

I32, I64, BINARY, LIST, STRUCT = 5, 6, 8, 9, 12
BYTE_ARRAY, UTF8 = 6, 0
REQUIRED, OPTIONAL, REPEATED = 0, 1, 2
PLAIN, RLE, DELTA_LENGTH, DELTA_BYTE_ARRAY, RLE_DICTIONARY = 0, 3, 6, 7, 8
CODECS = {"none": 0, "snappy": 1, "gzip": 2, "brotli": 4, "zstd": 6, "lz4_raw": 7}

Fields = Iterable[tuple[int, int, bytes | int]]


def varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def zigzag(value: int) -> bytes:
    return varint((value << 1) ^ (value >> 63) if value < 0 else value << 1)


def structure(*fields: tuple[int, int, bytes | int]) -> bytes:
    """A structure of (number, type, value); values of lists and structures are encoded already."""
    out, last = bytearray(), 0
    for number, kind, value in fields:
        assert 0 < number - last < 16
        out.append((number - last) << 4 | kind)
        last = number
        if isinstance(value, int):
            out += zigzag(value)
        elif kind == BINARY:
            out += varint(len(value)) + value
        else:
            out += value
    return bytes(out) + b"\0"


def listing(kind: int, items: list[bytes], claimed: int | None = None) -> bytes:
    count = len(items) if claimed is None else claimed
    head = bytes([count << 4 | kind]) if count < 15 else bytes([0xF0 | kind]) + varint(count)
    return head + b"".join(items)


def element(name: bytes, *, children: int | None = None, repetition: int | None = OPTIONAL) -> bytes:
    """An element of a schema: a group, or a column of texts."""
    fields: list[tuple[int, int, bytes | int]] = [] if children is not None else [(1, I32, BYTE_ARRAY)]
    if repetition is not None:
        fields.append((3, I32, repetition))
    fields.append((4, BINARY, name))
    fields.append((5, I32, children) if children is not None else (6, I32, UTF8))
    return structure(*fields)


def data_page(body: bytes, values: int, *, raw: int | None = None, encoding: int = PLAIN) -> bytes:
    """A page of the first version; `raw` is the size that its header claims."""
    header = structure((1, I32, values), (2, I32, encoding), (3, I32, RLE), (4, I32, RLE))
    size = len(body) if raw is None else raw
    return structure((1, I32, 0), (2, I32, size), (3, I32, len(body)), (5, STRUCT, header)) + body


def dictionary_page(body: bytes, values: int, *, raw: int | None = None) -> bytes:
    header = structure((1, I32, values), (2, I32, PLAIN))
    size = len(body) if raw is None else raw
    return structure((1, I32, 2), (2, I32, size), (3, I32, len(body)), (7, STRUCT, header)) + body


def levels(runs: list[tuple[int, int]]) -> bytes:
    """Levels of at most 1 as runs of (length, level), behind their length."""
    encoded = b"".join(varint(length << 1) + bytes([level]) for length, level in runs)
    return struct.pack("<I", len(encoded)) + encoded


def plain(texts: list[bytes]) -> bytes:
    return b"".join(struct.pack("<I", len(text)) + text for text in texts)


def deltas(first: int, count: int) -> bytes:
    """`count` equal numbers: after the first no value takes a byte."""
    block = 1 << 16
    blocks = -(-(count - 1) // block) if count > 1 else 0
    return varint(block) + varint(1) + varint(count) + zigzag(first) + (zigzag(0) + b"\0") * blocks


@dataclass(frozen=True)
class Column:
    """A column chunk: its path, its values as the footer says, and its pages."""

    path: list[bytes]
    values: int
    pages: bytes
    codec: str = "none"
    dictionary_bytes: int = 0


@dataclass(frozen=True)
class File:
    """A file of row groups; whatever is claimed can be another number than what is there."""

    schema: list[bytes]
    groups: list[tuple[int, list[Column]]] = field(default_factory=list)
    claimed_elements: int | None = None
    claimed_groups: int | None = None

    def to_bytes(self) -> bytes:
        out, groups = bytearray(b"PAR1"), []
        for rows, columns in self.groups:
            chunks = []
            for column in columns:
                offset = len(out)
                out += column.pages
                fields: list[tuple[int, int, bytes | int]] = [
                    (1, I32, BYTE_ARRAY),
                    (2, LIST, listing(I32, [zigzag(PLAIN), zigzag(RLE)])),
                    (3, LIST, listing(BINARY, [varint(len(name)) + name for name in column.path])),
                    (4, I32, CODECS[column.codec]),
                    (5, I64, column.values),
                    (6, I64, len(column.pages)),
                    (7, I64, len(column.pages)),
                    (9, I64, offset + column.dictionary_bytes),
                ]
                if column.dictionary_bytes:
                    fields.append((11, I64, offset))
                chunks.append(structure((2, I64, offset), (3, STRUCT, structure(*fields))))
            size = sum(len(column.pages) for column in columns)
            groups.append(structure((1, LIST, listing(STRUCT, chunks)), (2, I64, size), (3, I64, rows)))
        footer = structure(
            (1, I32, 1),
            (2, LIST, listing(STRUCT, self.schema, self.claimed_elements)),
            (3, I64, sum(rows for rows, _ in self.groups)),
            (4, LIST, listing(STRUCT, groups, self.claimed_groups)),
        )
        return bytes(out) + footer + struct.pack("<I", len(footer)) + b"PAR1"


def texts_file(pages: bytes, rows: int, codec: str = "none", *, dictionary_bytes: int = 0) -> bytes:
    """A file of one required column `text` in one row group."""
    schema = [element(b"schema", children=1, repetition=None), element(b"text", repetition=REQUIRED)]
    column = Column([b"text"], rows, pages, codec, dictionary_bytes)
    return File(schema, [(rows, [column])]).to_bytes()
