"""Tokenizers of many families give the ids of Python's `tokenizers`, token by token.

The default form takes six that are published; `MASHBILL_LONG=1` takes every tokenizer of `published_tokenizers.py` and
`made_tokenizers.py`, with more documents and texts, and every code point. Those of npm need the command `npm`.
"""

import json
import os
import random
import shutil
from collections.abc import Sequence

import pyarrow as pa
import pytest
from cases import Workshop
from made_tokenizers import MADE, Made
from mashbill import Tokenizer
from published_tokenizers import FOLDER, FROM_NPM, FROM_PYPI, Published
from sources import nasty_texts
from tokenizers import Tokenizer as Reference

LONG = "MASHBILL_LONG" in os.environ
DOCUMENTS, TEXTS, LARGE = (3_200, 20_000, 80) if LONG else (2_000, 2_000, 8)
DEFAULT = 6
BATCH = 500


@pytest.fixture(scope="module")
def documents(workshop: Workshop) -> list[str]:
    """Documents of the corpus, from its begin to its end."""
    with pa.input_stream(str(workshop.shared("data/bench/corpus.jsonl.zst")), compression="zstd") as stream:
        lines = stream.read().splitlines()
    return [json.loads(line)["text"] for line in lines[:: len(lines) // DOCUMENTS + 1]]


CHOSEN: list[Published | Made] = [*FROM_PYPI, *FROM_NPM, *MADE] if LONG else [*FROM_PYPI[:DEFAULT]]


@pytest.fixture(scope="module", params=CHOSEN, ids=lambda chosen: chosen.name)
def pair(request: pytest.FixtureRequest, workshop: Workshop) -> tuple[Tokenizer, Reference]:
    """A tokenizer, and the reference's of the same file."""
    chosen: Published | Made = request.param
    if isinstance(chosen, Published):
        assert FOLDER.is_dir(), f"{FOLDER} is not there: test.sh installs it from tests/python/tokenizers.lock"
        if chosen in FROM_NPM and shutil.which("npm") is None:
            workshop.skip(chosen.name, "the command `npm` was not found")
    file = chosen.file(workshop.cache)
    reference = Reference.from_file(str(file))
    reference.no_truncation()
    reference.no_padding()
    return Tokenizer(str(file), pad_token=min(reference.get_vocab())), reference


def assert_equal(pair: tuple[Tokenizer, Reference], texts: Sequence[str]) -> None:
    ours, reference = pair
    differ = []
    for at in range(0, len(texts), BATCH):
        some = texts[at : at + BATCH]
        expected = reference.encode_batch_fast(some)
        encoded = zip(some, ours.encode_batch(some), expected, strict=True)
        differ += [text for text, ids, encoding in encoded if ids.tolist() != encoding.ids]
    shortest = min(differ, key=len, default="")
    assert not differ, f"{len(differ)} of {len(texts)} texts differ, the shortest {shortest[:200]!r}"


def test_documents(pair: tuple[Tokenizer, Reference], documents: list[str]) -> None:
    assert_equal(pair, documents)


def test_large_documents(pair: tuple[Tokenizer, Reference], documents: list[str]) -> None:
    draw = random.Random(3)
    large = []
    for _ in range(LARGE):
        parts: list[str] = []
        size = draw.randrange(60_000, 400_000)
        while sum(map(len, parts)) < size:
            parts.append(draw.choice(documents))
        large.append("\n\n".join(parts)[:size])
    assert_equal(pair, large)


def test_texts_that_break_tokenizers(pair: tuple[Tokenizer, Reference]) -> None:
    assert_equal(pair, nasty_texts(17, TEXTS))


def test_tokens_in_a_row(pair: tuple[Tokenizer, Reference]) -> None:
    """Entries of the vocabulary side by side, added tokens among them: what is merged across, and what is not."""
    draw = random.Random(19)
    _, reference = pair
    ids = sorted(reference.get_vocab().values())
    entries = [reference.decode([id], skip_special_tokens=False) for id in ids]
    added = [token.content for token in reference.get_added_tokens_decoder().values()] or entries
    texts = []
    for _ in range(TEXTS):
        parts = [draw.choice(added if draw.random() < 0.1 else entries) for _ in range(draw.randrange(1, 20))]
        texts.append(draw.choice(["", "", " ", "\n"]).join(parts))
    assert_equal(pair, texts)


def test_every_code_point(pair: tuple[Tokenizer, Reference]) -> None:
    some = range(0x11_0000) if LONG else [*range(0x3400), *range(0x3400, 0x3_4000, 61)]
    codes = [chr(code) for code in some if not 0xD800 <= code < 0xE000]
    chunks = [codes[at : at + 50] for at in range(0, len(codes), 50)]
    assert_equal(pair, ["".join(f"a{c}b {c} {c}'s {c}1{c}.\n{c}{c}" for c in chunk) for chunk in chunks])
