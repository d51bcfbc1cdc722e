"""Tokenizers that nobody published: sixty of parts that are drawn at random, from a seed.

Each has a model that is trained here on texts of `sources`, normalizers, pre-tokenizers, flags and added tokens. Some
vocabularies lose entries, and some get ids with holes.
"""

import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from published_tokenizers import CLIP, LLAMA_3, O200K, QWEN
from sources import SPECIALS, WORDS, nasty_texts
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

COUNT = 60
VOCABULARY = 3000

PATTERNS = [
    LLAMA_3,
    O200K,
    QWEN,
    CLIP,
    r"\p{Lu}?\p{Ll}+|\d+|\s+|.",
    r"(?i:straße|'s)|\w+|[^\w\s]+|\s+",
    r"\b\w|\s+(?!\S)",
]
BEHAVIORS = ["isolated", "contiguous", "merged_with_previous", "merged_with_next", "removed"]


@dataclass(frozen=True)
class Made:
    """A tokenizer by its number."""

    number: int

    @property
    def name(self) -> str:
        return f"made-{self.number}"

    def file(self, folder: Path) -> Path:
        """Its `tokenizer.json`, written into `folder`."""
        path = folder / f"{self.name}.json"
        path.write_text(json.dumps(made(random.Random(self.number))), encoding="utf-8")
        return path


def made(draw: random.Random) -> dict[str, Any]:
    """The content of a `tokenizer.json`."""
    make = draw.choice([of_bytes, of_bytes, of_bytes, of_characters, of_characters, unigrams, word_pieces, words])
    tokenizer, trainer = make(draw)
    texts = [text for text in nasty_texts(draw.randrange(1000), 1500) if not any(token in text for token in SPECIALS)]
    tokenizer.train_from_iterator(texts, trainer)
    file: dict[str, Any] = json.loads(tokenizer.to_str())
    model = file["model"]
    if isinstance(model["vocab"], dict):
        if "merges" in model:
            model["ignore_merges"] = draw.random() < (0.4 if make is of_bytes else 0.1)
        lose_entries(draw, model)
        file["added_tokens"] = added_tokens(draw, model)
    return file


def lose_entries(draw: random.Random, model: dict[str, Any]) -> None:
    """In half of all models a twentieth of the longer entries are lost, with the merges that need them."""
    if draw.random() < 0.5:
        return
    unknown = model.get("unk_token")
    lost = {entry for entry in model["vocab"] if len(entry) > 1 and entry != unknown and draw.random() < 0.05}
    lost = {entry for entry in lost if not entry.startswith("<0x")}
    model["vocab"] = {entry: id for entry, id in model["vocab"].items() if entry not in lost}
    if "merges" in model:
        parts = [rule if isinstance(rule, list) else rule.split(" ") for rule in model["merges"]]
        model["merges"] = [rule for rule in parts if not lost & {*rule, "".join(rule)}]


def added_tokens(draw: random.Random, model: dict[str, Any]) -> list[dict[str, Any]]:
    """Some added tokens, with flags. In half of all models ids change places, with holes where no token is new."""
    contents = draw.sample([*SPECIALS, "the", " of", "é", "▁", "<", "don't"], draw.randrange(8))
    vocabulary = model["vocab"]
    new = [content for content in contents if content not in vocabulary]
    if draw.random() < 0.5:
        ids = draw.sample(range(len(vocabulary) * (1 if new else 2)), len(vocabulary))
        vocabulary = model["vocab"] = dict(zip(vocabulary, ids, strict=True))
    else:
        vocabulary = model["vocab"] = {entry: id for id, entry in enumerate(vocabulary)}
    flags = ["single_word", "lstrip", "rstrip", "normalized", "special"]
    return [
        {
            "id": vocabulary[content] if content in vocabulary else len(vocabulary) + new.index(content),
            "content": content,
            **{flag: draw.random() < (0.5 if flag == "special" else 0.25) for flag in flags},
        }
        for content in contents
    ]


def normalizer(draw: random.Random, *, most: int = 3) -> list[normalizers.Normalizer]:
    """Some steps."""
    steps = [
        normalizers.NFC(),
        normalizers.NFD(),
        normalizers.NFKC(),
        normalizers.NFKD(),
        normalizers.Lowercase(),
        normalizers.StripAccents(),
        normalizers.Strip(left=draw.random() < 0.5, right=draw.random() < 0.5),
        normalizers.Nmt(),
        normalizers.Replace("''", '"'),
        normalizers.Replace(Regex(r"\s+"), " "),
        normalizers.Replace(Regex(" {2,}"), " "),
        normalizers.Replace(Regex(r"\d{2}"), "0"),
        normalizers.BertNormalizer(
            clean_text=draw.random() < 0.7,
            handle_chinese_chars=draw.random() < 0.7,
            strip_accents=draw.choice([None, True, False]),
            lowercase=draw.random() < 0.5,
        ),
    ]
    return draw.sample(steps, draw.randrange(most + 1)) if draw.random() < 0.7 else []


def splits(draw: random.Random) -> list[pre_tokenizers.PreTokenizer]:
    """Some steps that find words."""
    steps = [
        pre_tokenizers.Split(Regex(draw.choice(PATTERNS)), "isolated"),
        pre_tokenizers.Split(Regex(draw.choice(PATTERNS)), draw.choice(BEHAVIORS), invert=draw.random() < 0.3),
        pre_tokenizers.Split(draw.choice([" ", "e", "'", "\n"]), draw.choice(BEHAVIORS)),
        pre_tokenizers.Digits(individual_digits=draw.random() < 0.5),
        pre_tokenizers.Punctuation(draw.choice(BEHAVIORS)),
        pre_tokenizers.WhitespaceSplit(),
        pre_tokenizers.Whitespace(),
        pre_tokenizers.BertPreTokenizer(),
        pre_tokenizers.CharDelimiterSplit(draw.choice("-e,")),
    ]
    return draw.sample(steps, draw.randrange(1, 4))


def of_bytes(draw: random.Random) -> tuple[Tokenizer, trainers.Trainer]:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence(normalizer(draw, most=2))
    before = splits(draw) if draw.random() < 0.6 else []
    by_regex = not before or draw.random() < 0.4
    level = pre_tokenizers.ByteLevel(add_prefix_space=not before and draw.random() < 0.4, use_regex=by_regex)
    digits = pre_tokenizers.Digits(individual_digits=draw.random() < 0.5)
    threes = pre_tokenizers.Split(Regex("[0-9][0-9][0-9]"), "isolated")
    behind = draw.sample([digits, threes], draw.randrange(3)) if draw.random() < 0.3 else []
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([*before, level, *behind])
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    return tokenizer, trainers.BpeTrainer(vocab_size=VOCABULARY, initial_alphabet=alphabet, show_progress=False)


def of_characters(draw: random.Random) -> tuple[Tokenizer, trainers.Trainer]:
    has_bytes = draw.random() < 0.6
    has_unknown = has_bytes or draw.random() < 0.7
    unknown = "<unk>" if has_unknown else None
    tokenizer = Tokenizer(models.BPE(unk_token=unknown, fuse_unk=draw.random() < 0.5, byte_fallback=has_bytes))
    spaces(draw, tokenizer)
    bytes_of_text = [f"<0x{byte:02X}>" for byte in range(256)] if has_bytes else []
    special = ([unknown] if unknown else []) + bytes_of_text
    return tokenizer, trainers.BpeTrainer(vocab_size=VOCABULARY, special_tokens=special, show_progress=False)


def unigrams(draw: random.Random) -> tuple[Tokenizer, trainers.Trainer]:
    tokenizer = Tokenizer(models.Unigram())
    spaces(draw, tokenizer)
    return tokenizer, trainers.UnigramTrainer(
        vocab_size=VOCABULARY * 3, special_tokens=["<unk>", "<s>"], unk_token="<unk>", show_progress=False
    )


def spaces(draw: random.Random, tokenizer: Tokenizer) -> None:
    """As SentencePiece has them, in one of the ways that files say so."""
    steps = normalizer(draw, most=2)
    scheme = draw.choice(["always", "first", "never"])
    if draw.random() < 0.4:
        prepend = [normalizers.Prepend("▁")] if draw.random() < 0.6 else []
        steps += [*prepend, normalizers.Replace(" ", "▁")]
    else:
        metaspace = pre_tokenizers.Metaspace(prepend_scheme=scheme, split=draw.random() < 0.6)
        before = [pre_tokenizers.WhitespaceSplit()] if scheme == "always" and draw.random() < 0.4 else []
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([*before, metaspace])
    tokenizer.normalizer = normalizers.Sequence(steps)


def word_pieces(draw: random.Random) -> tuple[Tokenizer, trainers.Trainer]:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=draw.choice([100, 20])))
    tokenizer.normalizer = normalizers.Sequence(normalizer(draw))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.BertPreTokenizer(), *splits(draw)[:1]])
    return tokenizer, trainers.WordPieceTrainer(vocab_size=VOCABULARY, special_tokens=["[UNK]"], show_progress=False)


def words(draw: random.Random) -> tuple[Tokenizer, trainers.Trainer]:
    tokenizer = Tokenizer(models.WordLevel(dict(zip(["[UNK]", *WORDS], range(len(WORDS) + 1), strict=True)), "[UNK]"))
    tokenizer.normalizer = normalizers.Sequence(normalizer(draw))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(splits(draw))
    return tokenizer, trainers.WordLevelTrainer(vocab_size=VOCABULARY, special_tokens=["[UNK]"], show_progress=False)


MADE = [Made(number) for number in range(COUNT)]
