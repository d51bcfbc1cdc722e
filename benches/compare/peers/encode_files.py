"""Encodes the texts of a .jsonl file with gigatoken's `encode_files`, one thread, and prints what that took, as JSON.

Arguments: a `tokenizer.json`, the file. The ids of the whole file are in memory in the end, which is how it works.
"""

from __future__ import annotations

import json
import resource
import sys
import time

from gigatoken import JsonlFileSource, Tokenizer


def main() -> None:
    tokenizer, documents = sys.argv[1:]
    encoder = Tokenizer(tokenizer)
    encoder.encode_batch(["one"])
    start = time.process_time()
    ids = encoder.encode_files(JsonlFileSource([documents]), parallel=False)
    seconds = time.process_time() - start
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    tokens = len(ids.layout.content)
    print(json.dumps({"seconds": seconds, "tokens": tokens, "memory": memory}))


if __name__ == "__main__":
    main()
