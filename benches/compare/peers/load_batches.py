"""One loader: gives batches of 32 shuffled rows for as long as it is told to, and says how many it gave.

    python load_batches.py SYSTEM FOLDER

FOLDER is what `loader.py` prepared. Each line on stdin is a number of seconds; the answer is a line of JSON. Before the
clock starts, batches are taken for a fifth of the time: what was made ready while nobody asked does not count.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

BATCH = 32
SEED = 7


def mashbill(folder: Path, format: str) -> Iterator[Any]:
    """From the decoded cache, with the two threads that are the default; three columns, labels of 64 bits."""
    import mashbill

    dataset = mashbill.Dataset(folder / "tokenized", cache=folder / "cache")
    options = {"label_convention": "shifted", "seed": SEED, "last": "wrap", "format": format}
    loader = mashbill.DataLoader(dataset, BATCH, **options)
    while True:
        yield from loader


def memmap(folder: Path) -> Iterator[Any]:
    """Fancy indexing of the same three columns in mashbill's types; the permutation is made beforehand."""
    import numpy as np

    names = ("input_ids", "attention_mask", "labels")
    columns = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in names}
    order = np.random.default_rng(SEED).permutation(len(columns["input_ids"]))
    while True:
        for start in range(0, len(order) - BATCH + 1, BATCH):
            rows = order[start : start + BATCH]
            yield {name: column[rows] for name, column in columns.items()}


def datasets(folder: Path) -> Iterator[Any]:
    """Hugging Face `datasets`, the same three columns, `with_format("torch")`, shuffled, batches by `iter`."""
    from datasets import load_from_disk

    rows = load_from_disk(str(folder / "datasets")).with_format("torch").shuffle(seed=SEED)
    while True:
        yield from rows.iter(BATCH, drop_last_batch=True)


def litdata(folder: Path) -> Iterator[Any]:
    """litdata, the same three columns, shuffled."""
    from litdata import StreamingDataLoader, StreamingDataset

    rows = StreamingDataset(str(folder / "litdata"), shuffle=True, seed=SEED, drop_last=True)
    loader = StreamingDataLoader(rows, batch_size=BATCH, num_workers=0)
    while True:
        yield from loader


def litdata_tokens(folder: Path) -> Iterator[Any]:
    """litdata with its loader for tokens, shuffled: ids alone, which is all that it takes."""
    from litdata import StreamingDataLoader, StreamingDataset, TokensLoader

    length = json.loads((folder / "rows.json").read_text())["row_length"]
    loads = TokensLoader(block_size=length)
    rows = StreamingDataset(str(folder / "litdata-tokens"), item_loader=loads, shuffle=True, seed=SEED, drop_last=True)
    loader = StreamingDataLoader(rows, batch_size=BATCH, num_workers=0)
    while True:
        yield from loader


def streaming(folder: Path) -> Iterator[Any]:
    """mosaicml-streaming from a local folder, the same three columns, shuffled, torch's DataLoader without workers."""
    from streaming import StreamingDataset
    from torch.utils.data import DataLoader

    rows = StreamingDataset(local=str(folder / "streaming"), shuffle=True, shuffle_seed=SEED, batch_size=BATCH)
    loader = DataLoader(rows, batch_size=BATCH, num_workers=0, drop_last=True)
    while True:
        yield from loader


SYSTEMS: dict[str, Callable[[Path], Iterator[Any]]] = {
    "mashbill-numpy": lambda folder: mashbill(folder, "numpy"),
    "mashbill-torch": lambda folder: mashbill(folder, "torch"),
    "memmap": memmap,
    "datasets": datasets,
    "litdata": litdata,
    "litdata-tokens": litdata_tokens,
    "streaming": streaming,
}


def take(batches: Iterator[Any], seconds: float) -> dict[str, float]:
    """Takes batches for some seconds; each one's first id is looked at."""
    count = looked = 0
    begin, cpu = time.perf_counter(), time.process_time()
    while (passed := time.perf_counter() - begin) < seconds:
        batch = next(batches)
        ids = batch["input_ids"] if isinstance(batch, dict) else batch
        looked += int(ids[0, 0])
        count += 1
    return {"batches": count, "seconds": passed, "cpu_seconds": time.process_time() - cpu, "looked": looked}


def main() -> None:
    """Answers until stdin ends."""
    batches = SYSTEMS[sys.argv[1]](Path(sys.argv[2]))
    next(batches)
    print(json.dumps({}), flush=True)
    for line in sys.stdin:
        take(batches, float(line) / 5)
        print(json.dumps(take(batches, float(line))), flush=True)


if __name__ == "__main__":
    main()
