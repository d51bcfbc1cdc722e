"""Encodes documents with a library and prints the CPU time that it took, and a checksum of the ids, as JSON.

Arguments: the library, a `tokenizer.json`, a .jsonl file of documents. The texts are in memory before the clock starts, and what
comes of a batch is let go before the next one: a training set does not fit into memory either.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from array import array
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

BATCH = 1000
"""Documents that are encoded at once."""


def ids_of(encodings: list[Any]) -> Iterable[Iterable[int]]:
    """Lists of ids, made when they are asked for: behind the clock."""
    return (encoding.ids for encoding in encodings)


def tokenizers(file: str) -> Callable[[list[str]], Iterable[Iterable[int]]]:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(file)
    for off in ("no_padding", "no_truncation"):
        # The release candidate has neither.
        getattr(tokenizer, off, lambda: None)()

    return lambda texts: ids_of(tokenizer.encode_batch(texts, add_special_tokens=False))


def kitoken(file: str) -> Callable[[list[str]], Iterable[Iterable[int]]]:
    from kitoken import Kitoken

    tokenizer = Kitoken.from_tokenizers_file(file)
    return lambda texts: tokenizer.encode_all(texts, True)


def tokie(file: str) -> Callable[[list[str]], Iterable[Iterable[int]]]:
    from tokie import Tokenizer

    tokenizer = Tokenizer.from_json(file)
    return lambda texts: ids_of(tokenizer.encode_batch(texts, add_special_tokens=False))


def gigatoken(file: str) -> Callable[[list[str]], Iterable[Iterable[int]]]:
    from gigatoken import Tokenizer

    tokenizer = Tokenizer(file)
    return tokenizer.encode_batch


LIBRARIES = {encoder.__name__: encoder for encoder in (tokenizers, kitoken, tokie, gigatoken)}


def main() -> None:
    library, file, documents = sys.argv[1:]
    with Path(documents).open(encoding="utf-8") as lines:
        texts = [json.loads(line)["text"] for line in lines]
    encode = LIBRARIES[library](file)
    encode(["one"])
    checksum, seconds, tokens = hashlib.sha256(), 0.0, 0
    for first in range(0, len(texts), BATCH):
        batch = texts[first : first + BATCH]
        start = time.process_time()
        encoded = encode(batch)
        seconds += time.process_time() - start
        for ids in encoded:
            all_ids = array("I", ids)
            tokens += len(all_ids)
            checksum.update(len(all_ids).to_bytes(8, "little") + all_ids.tobytes())
    print(json.dumps({"seconds": seconds, "tokens": tokens, "checksum": checksum.hexdigest()}))


if __name__ == "__main__":
    main()
