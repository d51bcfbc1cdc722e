"""The reference's own account of rows, held to an example worked by hand."""

import numpy as np
import pytest
from reference import Documents, expected_rows, reassembled

# Four documents in two shards, of 3 and 1; 6 = end of a document. The first shard's tokens 1 2 6 3 6 4 5 5 5 6 fill two
# rows and half of a third; the second's 7 8 6 begin a row of their own.
DOCUMENTS = Documents(
    keys=np.array([0, 20, 40, 90]),
    ids=np.array([1, 2, 6, 3, 6, 4, 5, 5, 5, 6, 7, 8, 6], dtype=np.int32),
    lengths=np.array([3, 2, 5, 3]),
    text_tokens=9,
)


def test_an_example_worked_by_hand() -> None:
    rows = expected_rows(DOCUMENTS, [3, 1], 4, pad=0)
    assert rows.input_ids.tolist() == [[1, 2, 6, 3], [6, 4, 5, 5], [5, 6, 0, 0], [7, 8, 6, 0]]
    assert rows.attention_mask.tolist() == [[1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 0, 0], [1, 1, 1, 0]]
    assert rows.labels.tolist() == [[2, 6, 3, 6], [4, 5, 5, 5], [6, -100, -100, -100], [8, 6, -100, -100]]
    assert rows.pieces.tolist() == [2, 2, 1, 1]
    assert rows.seq_lens.tolist() == [3, 1, 1, 3, 2, 3]
    assert rows.doc_ids.tolist() == [0, 20, 20, 40, 40, 90]
    assert rows.doc_offsets.tolist() == [0, 0, 1, 0, 3, 0]


def test_the_last_label_of_a_row_that_ends_with_a_document_has_no_target() -> None:
    rows = expected_rows(DOCUMENTS, [3, 1], 5, pad=0)
    assert rows.input_ids.tolist() == [[1, 2, 6, 3, 6], [4, 5, 5, 5, 6], [7, 8, 6, 0, 0]]
    assert rows.labels.tolist() == [[2, 6, 3, 6, -100], [5, 5, 5, 6, -100], [8, 6, -100, -100, -100]]


def test_shards_without_documents_have_no_rows() -> None:
    expected_rows(DOCUMENTS, [0, 3, 0, 0, 1, 0], 4, pad=0).assert_equal(expected_rows(DOCUMENTS, [3, 1], 4, pad=0))


@pytest.mark.parametrize("length", [1, 2, 3, 7, 13, 20])
def test_pieces_give_back_the_documents(length: int) -> None:
    keys, lengths, ids = reassembled(expected_rows(DOCUMENTS, [1, 2, 1], length, pad=0))
    assert (keys.tolist(), lengths.tolist(), ids.tolist()) == tuple(
        part.tolist() for part in (DOCUMENTS.keys, DOCUMENTS.lengths, DOCUMENTS.ids)
    )


def test_a_damaged_row_is_noticed() -> None:
    rows, other = (expected_rows(DOCUMENTS, [3, 1], 4, pad=0) for _ in range(2))
    other.labels[1, 3] = 7
    with pytest.raises(AssertionError, match=r"labels: 5 at \(1, 3\), expected 7"):
        rows.assert_equal(other)
    other.doc_offsets[4] += 1
    with pytest.raises(AssertionError, match="doc_offsets"):
        reassembled(other)
