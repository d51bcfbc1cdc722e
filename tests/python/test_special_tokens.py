"""Special tokens: those that mashbill adds, and those that a text spells."""

from dataclasses import replace
from pathlib import Path

import pytest
import sources
from cases import TokenizerCase, Workshop
from layout import Output
from reference import Documents, Record, Reference, expected_rows, read_records, read_rows, reassembled

TOKENIZERS = ["template", "nfc", "unigram", "gpt2", "dolma2", "llama3"]

AROUND = [
    "",
    "x",
    "<s>",
    "</s>",
    "<s>x",
    "x</s>",
    "<s>x</s>",
    "</s><s>",
    "<s><s>x</s></s>",
    "x</s>\n",
    " <s>x",
    "<s></s>",
]


def written(output: Output, split: str, length: int) -> tuple[list[int], list[list[int]]]:
    """The documents that an output holds: keys, and ids of each."""
    keys, lengths, ids = reassembled(read_rows(output.stretches(split), length))
    ends = lengths.cumsum()
    return keys.tolist(), [ids[end - count : end].tolist() for count, end in zip(lengths, ends, strict=True)]


def check(output: Output, split: str, documents: Documents, length: int) -> None:
    """The rows of a small split, which is one shard, hold these documents and nothing else."""
    rows = read_rows(output.stretches(split), length)
    rows.assert_equal(expected_rows(documents, [len(documents.lengths)], length, output.pad))
    ledger = output.ledger(split)
    assert ledger.text_tokens == documents.text_tokens
    assert ledger.special_tokens == len(documents.ids) - documents.text_tokens


@pytest.fixture(scope="module")
def nasty(workshop: Workshop) -> tuple[Path, list[Record]]:
    """Texts that spell special tokens often, whole and cut."""
    file = workshop.file("nasty.jsonl", sources.jsonl(11, sources.nasty_texts(11, 1500)))
    return file, read_records(file)


def special_ids(tokenizer: TokenizerCase) -> set[int]:
    """The ids of the tokens that the tokenizer file calls special."""
    added = Reference.load(tokenizer.file, None, None).tokenizer.get_added_tokens_decoder()
    return {id for id, token in added.items() if token.special}


@pytest.mark.parametrize("name", TOKENIZERS)
def test_literal_special_tokens_are_encoded_as_in_the_reference(
    workshop: Workshop, nasty: tuple[Path, list[Record]], name: str
) -> None:
    file, records = nasty
    tokenizer = workshop.tokenizer(name)
    reference = tokenizer.reference()
    output = workshop.tokenize(file, tokenizer, 64, "--special-tokens-in-text", "encode")
    check(output, "nasty", reference.documents(records), 64)
    special = special_ids(tokenizer)
    encodings = reference.tokenizer.encode_batch([record.text for record in records], add_special_tokens=False)
    count = sum(id in special for encoding in encodings for id in encoding.ids)
    assert count > 0
    assert output.ledger("nasty").literal_special_tokens == count


@pytest.mark.parametrize("name", TOKENIZERS)
def test_literal_special_tokens_are_split_into_ordinary_ones(
    workshop: Workshop, nasty: tuple[Path, list[Record]], name: str
) -> None:
    file, records = nasty
    tokenizer = workshop.tokenizer(name)
    output = workshop.tokenize(file, tokenizer, 64, "--special-tokens-in-text", "split")
    check(output, "nasty", tokenizer.reference(literal_specials=False).documents(records), 64)


@pytest.mark.parametrize("name", TOKENIZERS)
def test_texts_with_literal_special_tokens_are_rejected(
    workshop: Workshop, nasty: tuple[Path, list[Record]], name: str
) -> None:
    file, records = nasty
    tokenizer = workshop.tokenizer(name)
    reference, special = tokenizer.reference(), special_ids(tokenizer)
    encodings = reference.tokenizer.encode_batch([record.text for record in records], add_special_tokens=False)
    kept = [record for record, found in zip(records, encodings, strict=True) if special.isdisjoint(found.ids)]
    assert 0 < len(kept) < len(records)
    output = workshop.tokenize(file, tokenizer, 64, "--special-tokens-in-text", "reject")
    check(output, "nasty", reference.documents(kept), 64)
    assert output.rejected("nasty") == {"special_tokens": len(records) - len(kept)}


@pytest.mark.parametrize("name", ["template", "nfc"])
@pytest.mark.parametrize(
    "flags", [(), ("--no-bos",), ("--no-eos",), ("--no-bos", "--no-eos"), ("--eos-token", "<pad>")]
)
def test_bos_and_eos_are_added_once(workshop: Workshop, name: str, flags: tuple[str, ...]) -> None:
    tokenizer = workshop.tokenizer(name)
    if "--no-bos" in flags:
        tokenizer = replace(tokenizer, bos=None)
    if "--no-eos" in flags:
        tokenizer = replace(tokenizer, eos=None)
    if "--eos-token" in flags:
        tokenizer = replace(tokenizer, eos="<pad>")
    file = workshop.file("around.jsonl", sources.jsonl(3, AROUND))
    output = workshop.tokenize(file, tokenizer, 16, *flags)
    reference = tokenizer.reference()
    expected = {
        record.key: reference.document(reference.tokenizer.encode(record.text, add_special_tokens=False).ids)
        for record in read_records(file)
    }
    without_tokens = [key for key, ids in expected.items() if not ids]
    keys, documents = written(output, "around", 16)
    assert dict(zip(keys, documents, strict=True)) == {key: ids for key, ids in expected.items() if ids}
    assert output.rejected("around") == ({"no_tokens": len(without_tokens)} if without_tokens else {})


def test_bos_comes_before_and_eos_after(workshop: Workshop) -> None:
    """The plain case spelled out, lest the reference's own account of it be wrong."""
    file = workshop.file("a.jsonl", b'{"text": "x"}\n{"text": "<s>x"}\n{"text": "x</s>"}\n')
    tokenizer = workshop.tokenizer("template").reference().tokenizer
    bos, eos, x = (tokenizer.token_to_id(token) for token in ("<s>", "</s>", "x"))
    _, documents = written(workshop.tokenize(file, workshop.tokenizer("template"), 4), "a", 4)
    assert documents == [[bos, x, eos]] * 3


def test_eos_is_taken_from_the_tokenizer_s_own_configuration(workshop: Workshop, tmp_path: Path) -> None:
    tokenizer = workshop.tokenizer("template")
    (tmp_path / "tokenizer.json").write_bytes(tokenizer.file.read_bytes())
    (tmp_path / "tokenizer_config.json").write_text('{"eos_token": {"content": "[MASK]", "lstrip": true}}')
    file = workshop.file("a.jsonl", b'{"text": "some text"}\n')
    configured = replace(tokenizer, argument=str(tmp_path), eos="[MASK]")
    output = workshop.tokenize(file, configured, 4)
    check(output, "a", configured.reference().documents(read_records(file)), 4)


def test_a_tokenizer_without_a_known_eos_is_refused_with_a_hint(workshop: Workshop, tmp_path: Path) -> None:
    original = workshop.tokenizer("template").file.read_text(encoding="utf-8")
    unknown = tmp_path / "tokenizer.json"
    unknown.write_text(original.replace('"</s>"', '"[END]"'), encoding="utf-8")
    file = workshop.file("a.jsonl", b'{"text": "some text"}\n')
    base = ("tokenize", "--input", file, "--tokenizer", unknown, "--max-seq-length", 4, "--output", tmp_path / "out")
    done = workshop.command(*base, expect=(1, 2))
    assert "hint:" in done.stderr
    assert "--eos-token" in done.stderr
    workshop.command(*base, "--eos-token", "[END]")
