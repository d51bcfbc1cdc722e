"""What else is measured of mashbill's loader, each in a process of its own, which prints JSON.

    python load_measures.py WHAT FOLDER

FOLDER is what `loader.py` prepared.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

BATCH = 32
COLUMNS = ["input_ids", "attention_mask", "labels"]


def loader(folder: Path, **options: Any) -> Any:
    import mashbill

    cache = options.pop("cache", None)
    options = {"label_convention": "shifted", "seed": 7, "last": "drop"} | options
    return mashbill.DataLoader(mashbill.Dataset(folder, cache=cache), BATCH, **options)


def cold(folder: Path, shuffle: str) -> dict[str, float]:
    """An epoch straight from the shards, all three columns delivered and shuffled, nothing decoded beforehand."""
    begin, cpu = time.perf_counter(), time.process_time()
    rows = sum(len(batch.rows) for batch in loader(folder / "tokenized", shuffle=shuffle))
    return {"rows": rows, "seconds": time.perf_counter() - begin, "cpu_seconds": time.process_time() - cpu}


def pyarrow(folder: Path) -> dict[str, float]:
    """The three columns in the order of the shards on one thread, as arrays."""
    import pyarrow.parquet as pq

    begin, cpu = time.perf_counter(), time.process_time()
    rows = 0
    for shard in sorted((folder / "tokenized").glob("*/shard_*.parquet")):
        file = pq.ParquetFile(shard)
        for group in range(file.num_row_groups):
            table = file.read_row_group(group, columns=COLUMNS, use_threads=False)
            for column in COLUMNS:
                for chunk in table[column].chunks:
                    chunk.values.to_numpy()
            rows += table.num_rows
    return {"rows": rows, "seconds": time.perf_counter() - begin, "cpu_seconds": time.process_time() - cpu}


def first_batch(folder: Path) -> dict[str, float]:
    """From nothing but the import to the first batch of a dataset of many shards."""
    import mashbill
    import numpy as np  # noqa: F401

    del mashbill
    begin = time.perf_counter()
    made = loader(folder / "many_shards")
    next(iter(made))
    seconds = time.perf_counter() - begin
    shards = len(list((folder / "many_shards").glob("*/shard_*.parquet")))
    return {"seconds": seconds, "shards": shards}


def resume(folder: Path) -> dict[str, Any]:
    """From the options to the first batch: at an epoch's beginning and at nine tenths of it, in turns."""
    import mashbill

    found: dict[str, Any] = {}
    names = sorted({split.name for split in mashbill.Dataset(folder / "tokenized").splits})
    kinds = {"cache": {"cache": folder / "cache"}, "shards": {}, "weights": {"weights": dict.fromkeys(names, 1)}}
    for kind, options in kinds.items():
        plain = loader(folder / "tokenized", threads=0, **({"cache": folder / "cache"} | options))
        steps = len(mashbill.Dataset(folder / "tokenized")) // BATCH
        batches = iter(plain)
        for _ in range(steps * 9 // 10):
            next(batches)
        states = {"fresh": None, "resumed": plain.state_dict()}
        times: dict[str, list[float]] = {"fresh": [], "resumed": []}
        for turn in range(30):
            for name in list(states)[:: -1 if turn % 2 else 1]:
                begin = time.perf_counter()
                made = loader(folder / "tokenized", **options)
                if states[name] is not None:
                    made.load_state_dict(states[name])
                next(iter(made))
                times[name].append(time.perf_counter() - begin)
        found[kind] = times
    return found


def memory(folder: Path, kind: str) -> dict[str, float]:
    """The process's greatest size while it goes through the epoch, and what its batches hold."""
    options = {"cache": folder / "cache"} if kind == "cache" else {"shuffle": kind}
    held = 0
    for batch in loader(folder / "tokenized", documents=True, **options):
        arrays = [*batch.values(), batch.rows, batch.seq_lens, batch.doc_ids, batch.pieces_in_row, batch.cu_seqlens]
        # Eight that are ready or under way, this one, and the one that it takes the place of.
        held = max(held, 10 * sum(array.nbytes for array in arrays))
    status = Path("/proc/self/status").read_text()
    peak = next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))
    return {"peak": peak, "batches": held}


def main() -> None:
    """Measures one thing."""
    what, folder, *more = sys.argv[1:]
    print(json.dumps(globals()[what](Path(folder), *more)))


if __name__ == "__main__":
    main()
