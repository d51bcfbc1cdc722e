"""Inputs made on the spot, from a seed: text that breaks tokenizers and readers, and tokenizers of every kind.

They need no data and no network, so these tests run everywhere.
"""

import json
import random
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

SPECIALS = [
    "<|endoftext|>",
    "<|begin_of_text|>",
    "<|end_of_text|>",
    "<|eot_id|>",
    "<|pad|>",
    "<|im_start|>",
    "<|fim_prefix|>",
    "<|extra_id_0|>",
    "|||EMAIL_ADDRESS|||",
    "<s>",
    "</s>",
    "<pad>",
    "<tool>",
    "[MASK]",
    "Straße",
]

WORDS = [
    "the",
    "of",
    "and",
    "to",
    "in",
    "is",
    "that",
    "it",
    "was",
    "for",
    "on",
    "are",
    "with",
    "as",
    "his",
    "they",
    "be",
    "at",
    "one",
    "have",
    "this",
    "from",
    "or",
    "had",
    "by",
    "hot",
    "but",
    "some",
    "what",
    "there",
    "we",
    "can",
    "out",
    "other",
    "were",
    "all",
    "your",
    "when",
    "up",
    "use",
    "word",
    "how",
    "said",
    "an",
    "each",
    "she",
    "which",
    "do",
    "their",
    "naïve",
    "café",
    "Müller",
    "Żółć",
    "œuvre",
    "кот",
    "собака",
    "мама",
    "дом",
    "你好",
    "世界",
    "機械",
    "学習",
    "こんにちは",
    "カタカナ",
    "안녕하세요",
    "한국어",
    "مرحبا",
    "بالعالم",
    "שלום",
    "नमस्ते",
    "สวัสดี",
    "don't",
    "I'll",
    "WE'RE",
    "y'all",
    "'S",
    "'s",
    "can’t",
    "3.14159",
    "1,000,000",
    "0x7fff",
    "2026-11-22",
    "def",
    "return",
    "lambda",
    "self.__init__",
    "=>",
    "!=",
    "===",
    "/*",
    "*/",
    "//",
    "<!--",
    "-->",
    "{}",
    "[]",
    "()",
    ";;",
    "http://example.com/a?b=c&d=%20",
    "a_b_c",
    "snake_case",
    "CamelCase",
    "SCREAMING_CASE",
    "x²",
    "½",
    "Ⅷ",
    "ﬁ",
    "ﷺ",
    "ß",
    "ẞ",
    "İ",
    "ı",
    "ſ",
    "K",
    "Å",
]

JOINTS = [" ", " ", " ", " ", "  ", "\n", "\n\n", "\r\n", "\r", "\t", "", "\u00a0", "\u2003", "\u3000", " \n ", "\n\t"]

CURIOS = [
    "\u0000",
    "\u0001\u001f\u007f\u0085\u009f",
    "\ufeff",
    "\ufffd\ufffe\uffff",
    "\u200b\u200c\u200d\u2028\u2029\u202e",
    "e\u0301o\u0308u\u0304\u0301",
    "\u0344\u0958\u2126\u212b\ufb1d",
    "가\u1100\u1161\u11a8",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466\U0001f3fd",
    "\U0001f1e9\U0001f1ea\U0001f1eb\U0001f1f7",
    "\U00010348\U0001d11e\U00020000\U0002f800\U000e0001\U0010ffff",
    "\u0627\u064b\u0651\u0640",
    "\u1e9b\u0323",
    "\\u0041 \\n \\\\ \" ' ` / \b\f",
]


def nasty_text(rng: random.Random) -> str:
    """One text of a few to a few hundred characters, of one of several kinds."""
    kind = rng.randrange(10)
    if kind == 0:
        return "".join(any_character(rng) for _ in range(rng.randrange(60)))
    if kind == 1:
        return rng.choice(["a", " ", "\n", "é", "漢", "1", "=", "\U0001f600", "ab", " x", "\r\n"]) * rng.randrange(
            1, 400
        )
    if kind == 2:
        return rng.choice(["", "", " ", "\n", "x", "\ufeff", "\u0000", *SPECIALS])
    parts = []
    for _ in range(rng.randrange(1, 60)):
        draw = rng.random()
        if draw < 0.04:
            parts.append(rng.choice(CURIOS))
        elif draw < 0.10:
            special = rng.choice(SPECIALS)
            parts.append(special if rng.random() < 0.6 else special[: rng.randrange(1, len(special))])
        else:
            parts.append(rng.choice(WORDS))
        parts.append(rng.choice(JOINTS))
    text = "".join(parts)
    return unicodedata.normalize(rng.choice(["NFC", "NFD", "NFKD"]), text) if rng.random() < 0.3 else text


def any_character(rng: random.Random) -> str:
    """A code point of any plane, assigned or not; no surrogate."""
    while True:
        code = rng.choice([rng.randrange(0x80), rng.randrange(0x3000), rng.randrange(0x10000), rng.randrange(0x110000)])
        if not 0xD800 <= code < 0xE000:
            return chr(code)


def nasty_texts(seed: int, count: int) -> list[str]:
    """The same texts for the same seed."""
    rng = random.Random(seed)
    return [nasty_text(rng) for _ in range(count)]


def jsonl_line(rng: random.Random, text: str, number: int) -> bytes:
    """A record around a text: spacing, escapes, order of keys and further fields vary, as they do between writers."""
    record: dict[str, object] = {"text": text}
    if rng.random() < 0.7:
        record["id"] = f"document/{number}"
    if rng.random() < 0.5:
        record["source"] = rng.choice(["web", "book\u2019s", "a\nb", ""])
    if rng.random() < 0.5:
        record["category"] = rng.choice(["math", "code", None, 7])
    if rng.random() < 0.4:
        record["metadata"] = {"text": "not this one", "deep": [[{"id": 1}], [], {}, 1e300, -0.5, True, None, ']}"']}
    if rng.random() < 0.1:
        record["messages"] = [{"role": "user", "content": text[:20]}]
    keys = list(record)
    rng.shuffle(keys)
    line = json.dumps(
        {key: record[key] for key in keys},
        ensure_ascii=rng.random() < 0.5,
        separators=rng.choice([None, (",", ":"), (" , ", " : ")]),
    )
    return (rng.choice(["", "", "", " ", "\t"]) + line + rng.choice(["", "", "", " ", "\r"])).encode()


def jsonl(seed: int, texts: Sequence[str]) -> bytes:
    """A JSONL file around texts, with a blank line here and there; no newline at its end half of the time."""
    rng = random.Random(seed)
    lines = []
    for number, text in enumerate(texts):
        lines.append(jsonl_line(rng, text, number))
        if rng.random() < 0.02:
            lines.append(rng.choice([b"", b"  ", b"\r"]))
    return b"\n".join(lines) + rng.choice([b"", b"\n"])


def train_tokenizer(kind: str, file: Path) -> None:
    """Trains a small tokenizer and writes its `tokenizer.json`.

    `template` is a byte-level BPE with BOS in its template and added tokens of every kind. `nfc` is one that normalizes
    and splits as newer models do, has BOS and EOS in its template, ignores merges, and is stored with the truncation
    and padding that some models ship with. `unigram` is no BPE at all.
    """
    tokenizer, trainer = {"template": byte_level, "nfc": byte_level_nfc, "unigram": unigram}[kind]()
    # A piece that is spelled like a special token would have two ids.
    texts = [text for text in nasty_texts(1, 2000) if not any(special in text for special in SPECIALS)]
    tokenizer.train_from_iterator(texts, trainer)
    if kind == "template":
        added = [
            AddedToken("<tool>", normalized=False),
            AddedToken("Straße", single_word=True),
            AddedToken("|||EMAIL_ADDRESS|||", rstrip=True),
        ]
        tokenizer.add_tokens(added)
        tokenizer.add_special_tokens([AddedToken("[MASK]", lstrip=True, special=True)])
    bos, eos = tokenizer.token_to_id("<s>"), tokenizer.token_to_id("</s>")
    template = "<s> $A </s>" if kind == "nfc" else "<s> $A"
    tokenizer.post_processor = processors.TemplateProcessing(
        single=template, pair=f"{template} $B:1", special_tokens=[("<s>", bos), ("</s>", eos)]
    )
    if kind == "nfc":
        tokenizer.enable_truncation(max_length=16)
        tokenizer.enable_padding(length=32, pad_id=tokenizer.token_to_id("<pad>"), pad_token="<pad>")
    tokenizer.save(str(file))


def byte_level() -> tuple[Tokenizer, trainers.BpeTrainer]:
    """GPT-2's way."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer, bpe_trainer()


def byte_level_nfc() -> tuple[Tokenizer, trainers.BpeTrainer]:
    """The way of newer byte-level tokenizers."""
    tokenizer = Tokenizer(models.BPE(ignore_merges=True))
    tokenizer.normalizer = normalizers.NFC()
    pattern = Regex(r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
    split = pre_tokenizers.Split(pattern, "isolated")
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, byte_level])
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer, bpe_trainer()


def bpe_trainer() -> trainers.BpeTrainer:
    return trainers.BpeTrainer(
        vocab_size=1500,
        special_tokens=["<s>", "</s>", "<pad>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )


def unigram() -> tuple[Tokenizer, trainers.UnigramTrainer]:
    """SentencePiece's way, with an unknown token for what was not in the training texts."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    special = ["<s>", "</s>", "<pad>", "<unk>"]
    return tokenizer, trainers.UnigramTrainer(
        vocab_size=12000, special_tokens=special, unk_token="<unk>", show_progress=False
    )


def long_input(target: Path, megabytes: int) -> None:
    """Writes a JSONL file that is long enough for several shards, of few different documents.

    The reference encodes each different text once, so that the comparison takes seconds.
    """
    rng = random.Random(5)
    different = []
    for _ in range(150):
        words = rng.choices(WORDS, k=rng.randrange(1500, 4000))
        joints = rng.choices([" ", " ", " ", "\n", ", "], k=len(words))
        text = "".join(word + joint for word, joint in zip(words, joints, strict=True))
        different.append(json.dumps({"source": "long", "text": text}, ensure_ascii=False)[1:].encode())
    size = 0
    with target.open("wb") as out:
        while size < megabytes * 1_000_000:
            size += out.write(b'{"id": "%d", ' % size + rng.choice(different) + b"\n")
