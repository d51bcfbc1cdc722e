"""Makes the quickstart's excerpts in their upstream formats: the first rows of GSM8K's training part and of NQ-open.

Run with pyarrow at hand: python crates/cli/data/make.py GSM8K_TRAIN.jsonl NQ-open.dev.jsonl
"""

import json
import sys
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

HUB = Path(__file__).parent / "hub"

with Path(sys.argv[1]).open(encoding="utf-8") as file:
    rows = [json.loads(line) for line in islice(file, 200)]
columns = pa.Table.from_pylist(rows, pa.schema([("question", pa.string()), ("answer", pa.string())]))
pq.write_table(columns, HUB / "openai/gsm8k/main/train-00000-of-00001.parquet")

lines = Path(sys.argv[2]).read_bytes().splitlines(keepends=True)
(HUB / "google-research-datasets/natural-questions/nq_open/NQ-open.dev.jsonl").write_bytes(b"".join(lines[:300]))
