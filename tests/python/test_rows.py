"""Rows, labels, masks, pieces, document tables and ledger against the reference, for every tokenizer and data set.

The promise held here: every document's tokens stand in the rows once, in order, exactly as the reference encodes them.
"""

from collections.abc import Iterator

import numpy as np
import pytest
import xxhash
from cases import Split, Workshop
from reference import IGNORED, assert_equal, decompressed, parse, reassembled, starts_of

CASES = [
    ("gpt2", "gsm8k", 64),
    ("gpt2", "gsm8k", 1000),
    ("gpt2", "gsm8k", 8192),
    ("gpt2", "human_eval", 1000),
    ("gpt2", "slice", 8192),
    ("gpt2", "nasty", 64),
    ("dolma2", "gsm8k", 1000),
    ("dolma2", "human_eval", 64),
    ("dolma2", "slice", 1000),
    ("dolma2", "nasty", 1000),
    ("llama3", "gsm8k", 8192),
    ("llama3", "human_eval", 1000),
    ("llama3", "nasty", 64),
    ("llama3", "corpus", 1024),
    ("template", "nasty", 2),
    ("template", "nasty", 64),
    ("template", "long", 1000),
    ("nfc", "nasty", 64),
    ("nfc", "nasty", 8192),
    ("unigram", "nasty", 64),
    # The same in many shards: the last number is their size in GB. Lines may be longer than a shard is to be.
    ("gpt2", "gsm8k", 64, "0.0003"),
    ("gpt2", "slice", 1000, "0.001"),
    ("llama3", "human_eval", 1000, "0.00002"),
    ("llama3", "corpus", 1024, "0.01"),
    ("template", "nasty", 64, "0.00001"),
    ("template", "nasty", 8192, "0.0001"),
    ("template", "long", 1000, "0.01"),
    ("nfc", "nasty", 2, "0.000001"),
]


@pytest.fixture(scope="module", params=CASES, ids=lambda case: "-".join(map(str, case)))
def splits(request: pytest.FixtureRequest, workshop: Workshop) -> Iterator[list[Split]]:
    splits = workshop.splits(*request.param)
    assert len(request.param) == 3 or all(len(split.shards) > 2 for split in splits)
    yield splits


def test_every_row_is_the_reference_s(splits: list[Split]) -> None:
    for split in splits:
        split.rows.assert_equal(split.expected)


def test_pieces_put_together_are_the_documents(splits: list[Split]) -> None:
    for split in splits:
        keys, lengths, ids = reassembled(split.rows)
        has_tokens = split.documents.lengths > 0
        assert_equal("doc_ids", keys, split.documents.keys[has_tokens])
        assert_equal("lengths", lengths, split.documents.lengths[has_tokens])
        assert_equal("ids", ids, split.documents.ids)


def test_labels_are_the_true_next_tokens(splits: list[Split]) -> None:
    for split in splits:
        rows, documents = split.rows, split.documents
        real = rows.attention_mask == 1
        inner = np.where(real[:, 1:], rows.input_ids[:, 1:], IGNORED)
        assert_equal("labels", rows.labels[:, :-1], inner)
        # The row's last token is the last piece's; its document's next token is its label, where there is one.
        last_piece = np.cumsum(rows.pieces) - 1
        document = np.searchsorted(documents.keys, rows.doc_ids[last_piece])
        next_offset = rows.doc_offsets[last_piece].astype(np.int64) + rows.seq_lens[last_piece]
        goes_on = (next_offset < documents.lengths[document]) & real[:, -1]
        last = np.full(len(goes_on), IGNORED, dtype=np.int32)
        last[goes_on] = documents.ids[(documents.starts[document] + next_offset)[goes_on]]
        assert_equal("last labels", rows.labels[:, -1], last)
        # Where a document goes on in another row, that is the next one of the same shard.
        row = np.flatnonzero(goes_on)
        shard = np.repeat(np.arange(len(split.shards)), rows_per_shard(split))
        assert_equal("shards", shard[row + 1], shard[row])
        assert_equal("last labels", rows.labels[row, -1], rows.input_ids[row + 1, 0])


def rows_per_shard(split: Split) -> list[int]:
    """How many rows the reference's documents fill in each shard."""
    return [-(-tokens // split.length) for tokens in tokens_per_shard(split)]


def tokens_per_shard(split: Split) -> list[int]:
    """How many tokens the reference's documents have in each shard."""
    tokens: list[int] = np.diff(split.documents.starts[starts_of(split.documents_per_shard)]).tolist()
    return tokens


def test_padding_stands_at_the_end_of_each_shard_alone(splits: list[Split]) -> None:
    for split in splits:
        rows, borders = split.rows, starts_of(rows_per_shard(split))
        assert borders[-1] == len(rows.input_ids)
        for shard, begin, end in zip(split.shards, borders[:-1], borders[1:], strict=True):
            mask = rows.attention_mask[begin:end].reshape(-1)
            assert 0 <= shard.padding < split.length
            assert np.array_equal(mask, np.arange(mask.size) < mask.size - shard.padding)
        mask = rows.attention_mask.reshape(-1)
        assert np.all(rows.input_ids.reshape(-1)[mask == 0] == split.output.pad)
        assert np.all(rows.labels.reshape(-1)[mask == 0] == IGNORED)
        assert np.all(rows.seq_lens > 0)
        assert_equal(
            "seq_lens", np.add.reduceat(rows.seq_lens, starts_of(rows.pieces)[:-1]), rows.attention_mask.sum(1)
        )


def test_nothing_is_lost_and_nothing_invented(splits: list[Split]) -> None:
    for split in splits:
        documents, ledger = split.documents, split.output.ledger(split.name)
        assert ledger.text_tokens == documents.text_tokens
        tokens = ledger.text_tokens + ledger.special_tokens
        assert tokens == len(documents.ids) == int(split.rows.attention_mask.sum())
        assert split.rows.input_ids.size == tokens + ledger.padding
        entry = split.output.entry(split.name)
        assert entry["samples"] == len(split.records)
        assert entry["sequences"] == len(split.rows.input_ids)
        assert entry["tokens"] == tokens


def test_the_document_tables_describe_every_document(splits: list[Split]) -> None:
    for split in splits:
        table = split.table
        assert_equal("doc_id", table.column("doc_id").to_numpy(), split.documents.keys)
        for name in ("id", "source", "category"):
            assert table.column(name).to_pylist() == [record.label(name) for record in split.records], name
        hashes = [xxhash.xxh3_128_digest(record.text.encode()) for record in split.records]
        assert table.column("content_hash").to_pylist() == hashes
        assert_equal("tokens", table.column("tokens").to_numpy().astype(np.int64), split.documents.lengths)


def test_a_document_table_leads_to_the_first_token(splits: list[Split]) -> None:
    for split in splits:
        documents = split.documents
        first = first_row = 0
        for shard, table in split.output.tables(split.name):
            last = first + shard.documents
            rows, positions = (table.column(name).to_numpy().astype(np.int64) for name in ("row", "position"))
            assert np.all((positions >= 0) & (positions < split.length))
            # Documents follow one another without a gap from the shard's first position on.
            expected = documents.starts[first:last] - documents.starts[first]
            assert_equal("first token", rows * split.length + positions, expected)
            has_tokens = documents.lengths[first:last] > 0
            found = split.rows.input_ids[first_row + rows[has_tokens], positions[has_tokens]]
            assert_equal("first token", found, documents.ids[documents.starts[first:last][has_tokens]])
            assert shard.file is not None
            first, first_row = last, first_row + shard.file.rows
        assert first == len(split.records)


def test_doc_ids_lead_to_the_records(splits: list[Split]) -> None:
    for split in splits:
        data = decompressed(split.file)
        texts = iter(record.text for record in split.records)
        for shard, table in split.output.tables(split.name):
            keys = table.column("doc_id").to_pylist()
            assert keys == sorted(set(keys)) and keys[0] >= 0 and keys[-1] < shard.input.end - shard.input.start
            for key in keys:
                begin = shard.input.start + key
                end = data.find(b"\n", begin, shard.input.end)
                line = data[begin : shard.input.end if end < 0 else end]
                assert parse(line, split.text_field)[split.text_field] == next(texts)
        assert next(texts, None) is None


def test_every_shard_s_books_are_right(splits: list[Split]) -> None:
    for split in splits:
        per_shard = zip(split.shards, split.documents_per_shard, tokens_per_shard(split), strict=True)
        for index, (shard, documents, tokens) in enumerate(per_shard):
            assert (shard.documents, shard.tokens) == (documents, tokens)
            assert (shard.file is None) == (shard.table is None) == (documents == 0)
            if shard.file is None or shard.table is None:
                assert shard.padding == 0
                continue
            assert shard.file.name == f"shard_{index:04}.parquet"
            assert shard.table.name == f"shard_{index:04}.documents"
            assert shard.file.rows * split.length == tokens + shard.padding
            assert shard.table.rows == documents
        entry, ledger = split.output.entry(split.name), split.output.ledger(split.name)
        files = split.output.shard_files(split.name)
        assert entry["shards"] == len(files)
        assert entry["sequences"] == sum(file.rows for file in files)
        assert entry["samples"] == sum(shard.documents for shard in split.shards)
        assert entry["tokens"] == sum(shard.tokens for shard in split.shards)
        assert ledger.padding == sum(shard.padding for shard in split.shards)


def test_the_stretches_are_the_input_without_gap_or_overlap(splits: list[Split]) -> None:
    for split in splits:
        data = decompressed(split.file)
        source = split.output.entry(split.name)["source"]
        end = 0
        for shard in split.shards:
            assert shard.input.start == end <= shard.input.end
            assert shard.input.bytes == shard.input.end - shard.input.start
            end = shard.input.end
            assert end == len(data) or data[end - 1 : end] == b"\n", "a stretch that ends within a line"
        assert end == len(data) == source["bytes"]
        checksums = b"".join(bytes.fromhex(shard.input.checksum) for shard in split.shards)
        assert source["checksum"] == xxhash.xxh3_128_hexdigest(checksums)


def test_a_shard_begins_near_its_stride(workshop: Workshop) -> None:
    output = workshop.output("template", "long", 1000, "0.01")
    options, shards = output.manifest["options"], output.shards("long")
    stride = options["stride_bytes"]
    # A byte of text becomes so many of rows with labels and masks, and Snappy makes less of them.
    assert options["shard_bytes"] == 10_000_000 and stride == 11_000_000
    assert len(shards) == -(-shards[-1].input.end // stride) > 5
    for index, shard in enumerate(shards):
        window = 0 if index == 0 else min(stride // 8, 16 << 20)
        assert index * stride <= shard.input.start <= index * stride + window


def test_shards_of_a_part_are_those_of_the_whole(workshop: Workshop) -> None:
    """A shard depends on nothing but its own stretch: without the others the same bytes come of it."""
    output = workshop.output("template", "long", 1000, "0.01")
    shard = output.shards("long")[3]
    data = workshop.dataset("long").files["long"].read_bytes()[shard.input.start : shard.input.end]
    alone = workshop.tokenize(workshop.file("long.jsonl", data), workshop.tokenizer("template"), 1000)
    [file], [table] = alone.shard_files("long"), [table for _, table in alone.tables("long")]
    assert shard.file is not None and shard.table is not None
    assert (file.rows, file.bytes, file.checksum) == (shard.file.rows, shard.file.bytes, shard.file.checksum)
    assert table.equals(output.tables("long")[3][1])
