"""datatrove's DocumentTokenizer: one file a worker, no shuffling, token ids in a raw file.

It packs nothing, writes no Parquet, and puts an EOS behind each document but no BOS before it.
"""

from __future__ import annotations

import argparse

from datatrove.executor.local import LocalPipelineExecutor
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.tokens import DocumentTokenizer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--input", required=True, help="a folder with one file a worker")
    parser.add_argument("--tokenizer", required=True)
    parser.add_argument("--eos-token", required=True)
    parser.add_argument("--output", required=True)
    parser.add_argument("--scratch", required=True)
    parser.add_argument("--workers", required=True, type=int)
    args = parser.parse_args()
    LocalPipelineExecutor(
        pipeline=[
            JsonlReader(args.input, doc_progress=False, file_progress=False),
            DocumentTokenizer(
                output_folder=args.output,
                tokenizer_name_or_path=args.tokenizer,
                eos_token=args.eos_token,
                shuffle_documents=False,
            ),
        ],
        tasks=args.workers,
        workers=args.workers,
        logging_dir=args.scratch,
    ).run()


if __name__ == "__main__":
    main()
