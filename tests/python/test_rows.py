"""Rows, labels, masks, pieces, document table and ledger, each against the reference, for every tokenizer and data set.

The promise held here: every document's tokens stand in the rows once, in order, exactly as the reference encodes them.
"""

from collections.abc import Iterator

import numpy as np
import pytest
import xxhash
from cases import Split, Workshop
from layout import token_position
from reference import IGNORED, assert_equal, decompressed, parse, reassembled, starts_of, stream_order

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
]


@pytest.fixture(scope="module", params=CASES, ids=lambda case: "-".join(map(str, case)))
def splits(request: pytest.FixtureRequest, workshop: Workshop) -> Iterator[list[Split]]:
    yield workshop.splits(*request.param)


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


def test_padding_stands_at_the_very_end_alone(splits: list[Split]) -> None:
    for split in splits:
        rows = split.rows
        mask = rows.attention_mask.reshape(-1)
        padding = mask.size - int(mask.sum())
        assert padding < split.length
        assert np.array_equal(mask, np.arange(mask.size) < mask.size - padding)
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


def test_the_document_table_describes_every_document(splits: list[Split]) -> None:
    for split in splits:
        table = split.table
        assert_equal("doc_id", table.column("doc_id").to_numpy(), split.documents.keys)
        for name in ("id", "source", "category"):
            assert table.column(name).to_pylist() == [record.label(name) for record in split.records], name
        hashes = [xxhash.xxh3_128_digest(record.text.encode()) for record in split.records]
        assert table.column("content_hash").to_pylist() == hashes
        assert_equal("tokens", table.column("tokens").to_numpy().astype(np.int64), split.documents.lengths)


def test_the_document_table_leads_to_the_first_token(splits: list[Split]) -> None:
    for split in splits:
        units = split.output.units(split.name)
        order = stream_order(split.documents, split.documents_per_unit, split.length)
        place = np.empty_like(order)
        place[order] = np.arange(len(order))
        columns = [split.table.column(name).to_pylist() for name in ("unit", "row", "position")]
        found = [token_position(units, split.length, *where) for where in zip(*columns, strict=True)]
        assert_equal("first token", np.array(found), place[split.documents.starts[:-1]])


def test_doc_ids_lead_to_the_records(splits: list[Split]) -> None:
    for split in splits:
        data = decompressed(split.file)
        for key, record in zip(split.table.column("doc_id").to_pylist(), split.records, strict=True):
            end = data.find(b"\n", key)
            line = data[key : len(data) if end < 0 else end]
            assert parse(line, split.text_field)[split.text_field] == record.text


def test_units_and_tails_are_as_the_manifest_says(splits: list[Split]) -> None:
    for split in splits:
        units = split.output.units(split.name)
        assert [unit.documents for unit in units] == split.documents_per_unit
        borders = split.documents.starts[starts_of(split.documents_per_unit)]
        tokens = np.diff(borders)
        assert [unit.rows for unit in units] == (tokens // split.length).tolist()
        assert [unit.tail_tokens for unit in units] == (tokens % split.length).tolist()
        assert [unit.first_row for unit in units] == starts_of(tokens // split.length)[:-1].tolist()


def test_units_are_of_the_recorded_size_and_end_with_a_line(splits: list[Split]) -> None:
    for split in splits:
        data = decompressed(split.file)
        size = split.output.manifest["options"]["unit_bytes"]
        units = split.output.units(split.name)
        assert_equal(
            "first_key", np.array([unit.first_key for unit in units]), starts_of([unit.bytes for unit in units])[:-1]
        )
        assert sum(unit.bytes for unit in units) == len(data) == split.output.entry(split.name)["source"]["bytes"]
        for unit in units[:-1]:
            # A unit is whole blocks of a megabyte and the rest of a line each.
            assert size <= unit.bytes < 1.1 * size
            assert data[unit.first_key + unit.bytes - 1 : unit.first_key + unit.bytes] == b"\n"


def test_long_inputs_have_several_units(workshop: Workshop) -> None:
    assert len(workshop.output("template", "long", 1000).units("long")) > 1
