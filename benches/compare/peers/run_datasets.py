"""Hugging Face `datasets`: map with a tokenizer, map with `group_texts`, write Parquet.

The way of transformers' own language-modeling examples: 1,000 documents a batch, joined and cut into rows, the last
part of each batch dropped. It adds no EOS, so it does a little less than mashbill.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from itertools import chain
from pathlib import Path

import datasets

Batch = dict[str, list]


def with_transformers(tokenizer_json: str) -> Callable[[Batch], Batch]:
    from transformers import PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast(tokenizer_file=tokenizer_json)
    return lambda batch: tokenizer(batch["text"], return_token_type_ids=False)


class WithTokenizers:
    """Loads the tokenizer in the worker, when it is first called.

    Version 1.0.0rc3 hangs when it is unpickled in a process that was forked from one where it is loaded. The cost is
    the same: unpickling is loading.
    """

    def __init__(self, tokenizer_json: str) -> None:
        self.tokenizer_json = tokenizer_json
        self.tokenizer = None

    def __call__(self, batch: Batch) -> Batch:
        if self.tokenizer is None:
            from tokenizers import Tokenizer

            self.tokenizer = Tokenizer.from_file(self.tokenizer_json)
        ids = [encoding.ids for encoding in self.tokenizer.encode_batch(batch["text"])]
        return {"input_ids": ids, "attention_mask": [[1] * len(document) for document in ids]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--input", required=True)
    parser.add_argument("--tokenizer", required=True)
    parser.add_argument("--output", required=True, type=Path)
    parser.add_argument("--scratch", required=True)
    parser.add_argument("--row-length", required=True, type=int)
    parser.add_argument("--workers", required=True, type=int)
    parser.add_argument("--library", required=True, choices=["transformers", "tokenizers"])
    args = parser.parse_args()
    row_length = args.row_length

    def group_texts(batch: Batch) -> Batch:
        joined = {name: list(chain(*batch[name])) for name in batch}
        length = len(joined["input_ids"]) // row_length * row_length
        rows = {
            name: [values[start : start + row_length] for start in range(0, length, row_length)]
            for name, values in joined.items()
        }
        rows["labels"] = rows["input_ids"].copy()
        return rows

    datasets.disable_progress_bars()
    documents = datasets.load_dataset("json", data_files=args.input, split="train", cache_dir=args.scratch)
    tokenize = {"transformers": with_transformers, "tokenizers": WithTokenizers}[args.library](args.tokenizer)
    tokenized = documents.map(tokenize, batched=True, num_proc=args.workers, remove_columns=documents.column_names)
    rows = tokenized.map(group_texts, batched=True, num_proc=args.workers)
    args.output.mkdir(parents=True, exist_ok=True)
    rows.to_parquet(str(args.output / "rows.parquet"))
    (args.output / "tokens.txt").write_text(str(len(rows) * row_length))


if __name__ == "__main__":
    main()
