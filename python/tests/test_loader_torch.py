"""The loader with torch: tensors, worker processes, several ranks, and models that shift labels by themselves."""

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pytest
import torch
from mashbill import Batch, DataLoader, Dataset
from torchdata.stateful_dataloader import StatefulDataLoader

BATCH_SIZE = 4


def loader(folder: Path, **options: object) -> DataLoader:
    options = {"label_convention": "shifted", "seed": 3, "format": "torch"} | options
    return DataLoader(Dataset(folder), BATCH_SIZE, **options)


class Wrapped(torch.utils.data.IterableDataset[Any]):
    """What torch's loaders ask for around ours."""

    def __init__(self, loader: DataLoader) -> None:
        self.loader = loader

    def __iter__(self) -> Iterator[tuple[list[int], torch.Tensor]]:
        for batch in self.loader:
            yield batch.rows.tolist(), batch["input_ids"]

    def state_dict(self) -> dict[str, Any]:
        return self.loader.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.loader.load_state_dict(state)


def rows(batches: Iterable[tuple[list[int], torch.Tensor]], steps: int | None = None) -> list[list[int]]:
    taken = []
    for numbers, _ in batches:
        taken.append(numbers)
        if len(taken) == steps:
            break
    return taken


def test_tensors_share_the_arrays_memory(folder: Path) -> None:
    batch = next(iter(loader(folder)))
    assert (batch["input_ids"].dtype, batch["labels"].dtype) == (torch.int32, torch.int64)
    pointer = batch["input_ids"].data_ptr()
    assert torch.from_numpy(batch["input_ids"].numpy()).data_ptr() == pointer
    loss = torch.nn.functional.cross_entropy(torch.zeros(BATCH_SIZE * 32, 7), batch["labels"].flatten() * 0)
    assert loss.isfinite()


def test_tensors_are_pinned_on_request(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[torch.Tensor] = []
    if not torch.cuda.is_available():
        # Pinning takes a GPU's driver; without one, what torch is asked for is looked at.
        monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: asked.append(tensor) or tensor)
    batch = next(iter(loader(folder, pin_memory=True)))
    assert all(tensor.is_pinned() or any(tensor is each for each in asked) for tensor in batch.values())


@pytest.mark.parametrize(("workers", "context"), [(0, None), (1, "fork"), (3, "fork"), (2, "spawn")])
def test_torch_loaders_have_the_same_order_with_any_workers(folder: Path, workers: int, context: str | None) -> None:
    expected = [batch.rows.tolist() for batch in loader(folder)]
    # A parent whose threads run already: its forks must not wait for them.
    used = loader(folder)
    next(iter(used))
    used.load_state_dict(loader(folder).state_dict())
    batches = torch.utils.data.DataLoader(
        Wrapped(used), batch_size=None, num_workers=workers, multiprocessing_context=context
    )
    assert rows(batches) == expected


@pytest.mark.parametrize("world_size", [1, 2, 3, 8])
@pytest.mark.parametrize("workers", [0, 1, 4])
def test_the_global_order_is_one_for_all_world_sizes_and_workers(folder: Path, world_size: int, workers: int) -> None:
    # An epoch and its end, of which the last step is not full on all ranks.
    options = {"seed": 3, "last": "short", "label_convention": "shifted", "format": "torch", "threads": 1}
    expected = [batch.rows.tolist() for batch in DataLoader(Dataset(folder), 24, **options)]
    ranks = []
    for rank in range(world_size):
        own = DataLoader(Dataset(folder), 24 // world_size, rank=rank, world_size=world_size, **options)
        batches = torch.utils.data.DataLoader(Wrapped(own), batch_size=None, num_workers=workers)
        ranks.append([taken for taken in rows(batches) if taken])
    steps = [
        [ranks[rank][step] for rank in range(world_size) if step < len(ranks[rank])] for step in range(len(ranks[0]))
    ]
    merged = [[row for places in zip_longest(*step) for row in places if row is not None] for step in steps]
    assert merged == expected
    assert sorted(row for step in merged for row in step) == list(range(len(Dataset(folder))))


KILLED_WORKER = """
import os, signal, sys
from pathlib import Path
import torch
sys.path.insert(0, sys.argv[1])
from test_loader_torch import Wrapped, loader
own = loader(Path(sys.argv[2]), last="wrap")
batches = iter(torch.utils.data.DataLoader(Wrapped(own), batch_size=None, num_workers=2))
next(batches)
os.kill(batches._workers[1].pid, signal.SIGKILL)
for _ in batches:
    pass
print("the epoch ended")
"""


def test_a_worker_that_is_killed_is_an_error_and_no_short_epoch(folder: Path) -> None:
    # In a process of its own, since torch raises the error wherever the signal finds it.
    arguments = [sys.executable, "-c", KILLED_WORKER, str(Path(__file__).parent), str(folder)]
    ran = subprocess.run(arguments, capture_output=True, text=True, timeout=240, check=False)
    assert ran.returncode != 0 and "the epoch ended" not in ran.stdout
    assert "is killed by signal: Killed" in ran.stderr


@pytest.mark.parametrize("workers", [0, 2])
def test_a_stateful_loader_goes_on_at_the_next_batch(folder: Path, workers: int) -> None:
    def stateful() -> StatefulDataLoader[Any]:
        return StatefulDataLoader(Wrapped(loader(folder)), batch_size=None, num_workers=workers)

    expected = rows(stateful())
    for stop in (1, 4, 7):
        first = stateful()
        iterator = iter(first)
        begun = [next(iterator)[0] for _ in range(stop)]
        state = first.state_dict()
        second = stateful()
        second.load_state_dict(state)
        assert begun + rows(second) == expected


RANK = """
import json, os, signal, sys
import torch.distributed as dist
from mashbill import DataLoader, Dataset
folder, port, rank, world_size, state, steps = sys.argv[1:]
dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=int(rank), world_size=int(world_size))
batch_size = 12 // int(world_size)
loader = DataLoader(Dataset(folder), batch_size, label_convention="shifted", seed=3, last="wrap", format="torch")
assert (loader.rank, loader.world_size) == (int(rank), int(world_size))
if state:
    loader.load_state_dict(json.loads(state))
batches = iter(loader)
for _ in range(int(steps)):
    gathered = [None] * int(world_size)
    dist.all_gather_object(gathered, [next(batches).rows.tolist(), loader.state_dict()])
    rows, states = zip(*gathered)
    assert all(state == states[0] for state in states)
    if int(rank) == 0:
        print(json.dumps([[row for places in zip(*rows) for row in places], states[0]]), flush=True)
# Nothing is closed: what the threads have read ahead is lost with the process.
dist.barrier()
os.kill(os.getpid(), signal.SIGKILL)
"""


def run_ranks(folder: Path, world_size: int, state: str, steps: int) -> tuple[list[list[int]], str]:
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ranks = [
        subprocess.Popen(
            [sys.executable, "-c", RANK, str(folder), str(port), str(rank), str(world_size), state, str(steps)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
        for rank in range(world_size)
    ]
    try:
        outputs = [rank.communicate(timeout=240) for rank in ranks]
    finally:
        for rank in ranks:
            rank.kill()
    # A rank whose peer was killed before it may end by an error of gloo instead.
    assert -signal.SIGKILL in [rank.returncode for rank in ranks], outputs
    lines = [json.loads(line) for line in outputs[0][0].splitlines()]
    assert len(lines) == steps, outputs
    return [taken for taken, _ in lines], json.dumps(lines[-1][1])


def test_ranks_that_are_killed_and_go_on_in_another_number_share_one_order(folder: Path) -> None:
    expected = DataLoader(Dataset(folder), 12, label_convention="shifted", seed=3, last="wrap")
    batches = iter(expected)
    state = ""
    moments = random.Random(6)
    for world_size in (3, 2, 1):
        steps = moments.randint(1, 9)
        taken, state = run_ranks(folder, world_size, state, steps)
        assert taken == [next(batches).rows.tolist() for _ in range(steps)]


@pytest.fixture(scope="module")
def llama() -> torch.nn.Module:
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    # In double precision, since a loss near 11 is only known to 1e-6 in single.
    config = LlamaConfig(
        vocab_size=50257,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=64,
    )
    return LlamaForCausalLM(config).double().eval()


def by_hand(model: torch.nn.Module, batch: Batch, stored: list[list[int]]) -> float:
    """The loss from the raw rows: the target of a position is the next id of its row, where there is one."""
    with torch.no_grad():
        logits = model(batch["input_ids"].long(), attention_mask=batch["attention_mask"]).logits
    losses = []
    for row in range(logits.shape[0]):
        for at in range(logits.shape[1]):
            if stored[row][at] != -100:
                losses.append(-torch.log_softmax(logits[row, at].double(), -1)[stored[row][at]])
    return float(torch.stack(losses).mean())


def test_the_loss_of_a_llama_is_the_loss_by_hand_in_both_conventions(folder: Path, llama: torch.nn.Module) -> None:
    import pyarrow.parquet as pq

    names = sorted(split.name for split in Dataset(folder).splits)
    shards = [path for name in names for path in sorted((folder / name).glob("*.parquet"))]
    labels = [row for path in shards for row in pq.read_table(path)["labels"].to_pylist()]
    shifted, aligned = next(iter(loader(folder))), next(iter(loader(folder, label_convention="aligned")))
    assert (shifted.rows == aligned.rows).all()
    stored = [labels[row] for row in shifted.rows]
    with torch.no_grad():
        logits = llama(shifted["input_ids"].long(), attention_mask=shifted["attention_mask"]).logits
        own = torch.nn.functional.cross_entropy(logits.flatten(0, 1), shifted["labels"].flatten())
        hugging_face = llama(
            aligned["input_ids"].long(), attention_mask=aligned["attention_mask"], labels=aligned["labels"]
        ).loss
        doubly_shifted = llama(
            shifted["input_ids"].long(), attention_mask=shifted["attention_mask"], labels=shifted["labels"]
        ).loss
    assert abs(float(own) - by_hand(llama, shifted, stored)) < 1e-6
    # An aligned row cannot say what follows its last position.
    in_row = [[*row[:-1], -100] for row in stored]
    expected = by_hand(llama, aligned, in_row)
    assert abs(float(hugging_face) - expected) < 1e-6
    assert abs(float(doubly_shifted) - expected) > 1e-6
