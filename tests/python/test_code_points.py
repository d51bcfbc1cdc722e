"""Every code point, in the surroundings that tokenizers look at: the ids of Python's `tokenizers`, family by family.

The default form takes the code points below U+3400 and some of the others; `MASHBILL_LONG=1` takes all.
"""

import json
import os
from collections.abc import Callable

import pytest
from cases import TokenizerCase, Workshop
from reference import read_rows, reassembled
from tokenizers import AddedToken, Regex, Tokenizer, normalizers, pre_tokenizers
from tokenizers.models import BPE, WordLevel
from tokenizers.pre_tokenizers import ByteLevel, Digits, PreTokenizer, Split

RARE = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,2}| ?[^\s\p{L}\p{N}]++[\r\n]*"
    r"|\s*[\r\n]|\s+(?!\S)|\s+"
)
CL100K = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
END = "<|end|>"

# Each sends all of a text to the reference, so it stands in a text of its own.
DOUBTFUL = [0x180E, 0x17F, 0x212A]


def in_bytes(*steps: PreTokenizer, use_regex: bool = False) -> Tokenizer:
    """Words found by these steps, then spelled in bytes, some of which merge."""
    merges = [
        ("a", "b"),
        ("'", "s"),
        ("Ġ", "a"),
        ("Ġ", "Ġ"),
        ("Ċ", "Ċ"),
        ("á", "ł"),
        ("áł", "İ"),
        ("Ġ", "'s"),
        ("Ã", "©"),
    ]
    entries = sorted(ByteLevel.alphabet()) + [left + right for left, right in merges]
    tokenizer = Tokenizer(BPE({entry: id for id, entry in enumerate(entries)}, merges))
    last = ByteLevel(add_prefix_space=False, use_regex=use_regex)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([*steps, last])
    return tokenizer


def rare() -> Tokenizer:
    return in_bytes(Split(Regex(RARE), "isolated"))


def cl100k_and_digits() -> Tokenizer:
    return in_bytes(Split(Regex(CL100K), "isolated"), Digits(individual_digits=True))


def cl100k() -> Tokenizer:
    return in_bytes(Split(Regex(CL100K), "isolated"))


def gpt2() -> Tokenizer:
    tokenizer = in_bytes(use_regex=True)
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    return tokenizer


def gpt2_with_digits() -> Tokenizer:
    return in_bytes(Digits(individual_digits=False), use_regex=True)


def lower_case() -> Tokenizer:
    tokenizer = in_bytes(Split(Regex(RARE), "isolated"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    return tokenizer


def word_borders() -> Tokenizer:
    return in_bytes(Split(Regex(r"\b\p{L}+|\s+|."), "isolated"))


def around_added_tokens() -> Tokenizer:
    tokenizer = rare()
    tokenizer.add_tokens(
        [
            AddedToken("it", single_word=True),
            AddedToken("b", lstrip=True, normalized=False),
            AddedToken("2", rstrip=True, normalized=False),
        ]
    )
    return tokenizer


def words_of_bert() -> Tokenizer:
    tokenizer = Tokenizer(WordLevel({"[UNK]": 0, "a": 1, "it": 2, "'": 3, "s": 4, "b": 5, "1": 6}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer


FAMILIES: list[Callable[[], Tokenizer]] = [
    rare,
    cl100k,
    cl100k_and_digits,
    gpt2,
    gpt2_with_digits,
    lower_case,
    word_borders,
    around_added_tokens,
    words_of_bert,
]


def texts() -> list[str]:
    long = "MASHBILL_LONG" in os.environ
    some = range(0x11_0000) if long else [*range(0x3400), *range(0x3400, 0x3_4000, 61)]
    codes = [code for code in some if not 0xD800 <= code < 0xE000 and code not in DOUBTFUL]
    chunks = [codes[at : at + 100] for at in range(0, len(codes), 100)] + [[code] for code in DOUBTFUL]
    return ["".join(around(chr(code)) for code in chunk) for chunk in chunks]


def around(c: str) -> str:
    return f"a{c}b {c} {c}'s '{c}1{c}2.{c}\n{c} \n{c}{c}it'{c}"


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.__name__)
def test_every_code_point_has_the_ids_of_the_reference(workshop: Workshop, family: Callable[[], Tokenizer]) -> None:
    tokenizer = family()
    tokenizer.add_special_tokens([END])
    file = workshop.fresh("tokenizer").with_suffix(".json")
    tokenizer.save(str(file))
    lines = "".join(json.dumps({"text": text}) + "\n" for text in texts())
    data = workshop.file("code_points.jsonl", lines.encode())
    output = workshop.tokenize(data, TokenizerCase(str(file), file, None, END), 4096)
    _, lengths, ids = reassembled(read_rows(output.stretches("code_points"), 4096))
    ends = lengths.cumsum()
    end = tokenizer.token_to_id(END)
    differ = []
    for text, count, last in zip(texts(), lengths, ends, strict=True):
        if ids[last - count : last].tolist() != [*tokenizer.encode(text, add_special_tokens=False).ids, end]:
            differ.append(text)
    assert not differ, f"{len(differ)} texts, the first around {sorted(set(differ[0]))[-100:]}"
