"""The loader against the rows as pyarrow reads them."""

import json
import os
import pickle
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import mashbill
import numpy as np
import pyarrow.parquet as pq
import pytest
from mashbill import DataLoader, Dataset


def stored(folder: Path, splits: list[str] | None = None) -> dict[str, np.ndarray]:
    """The columns of all rows in the dataset's order."""
    names = sorted(path.parent.name for path in folder.glob("*/shard_0000.parquet"))
    tables = [
        pq.read_table(shard)
        for name in names
        if splits is None or name in splits
        for shard in sorted((folder / name).glob("shard_*.parquet"))
    ]
    columns = ("input_ids", "attention_mask", "labels", "seq_lens")
    return {column: [row for table in tables for row in table[column].to_pylist()] for column in columns}


def loader(folder: Path, batch_size: int = 4, **options: object) -> DataLoader:
    return DataLoader(Dataset(folder), batch_size, **({"label_convention": "shifted", "seed": 3} | options))


def rows(loader: DataLoader, steps: int | None = None) -> list[list[int]]:
    taken = []
    for batch in loader:
        taken.append(batch.rows.tolist())
        if len(taken) == steps:
            break
    return taken


@pytest.mark.parametrize("threads", [0, 3])
@pytest.mark.parametrize("cached", [False, True])
def test_an_epoch_has_each_row_once_as_it_is_stored(folder: Path, tmp_path: Path, threads: int, cached: bool) -> None:
    expected = stored(folder)
    dataset = Dataset(folder, cache=tmp_path / "cache" if cached else None)
    seen = []
    for batch in DataLoader(dataset, 4, label_convention="shifted", last="short", threads=threads):
        assert (batch["input_ids"].dtype, batch["labels"].dtype) == (np.int32, np.int64)
        for index, row in enumerate(batch.rows):
            for column in ("input_ids", "attention_mask", "labels"):
                assert batch[column][index].tolist() == expected[column][row], (column, row)
        seen += batch.rows.tolist()
    assert sorted(seen) == list(range(len(dataset)))
    assert seen != sorted(seen)


def test_aligned_labels_are_the_ids_and_borders_are_masked_with_documents(folder: Path) -> None:
    expected = stored(folder)
    for batch in loader(folder, label_convention="aligned", last="short"):
        ids = np.where(batch["attention_mask"] == 1, batch["input_ids"], -100)
        assert (batch["labels"] == ids).all()
    for convention in ("shifted", "aligned"):
        for batch in loader(folder, label_convention=convention, last="short", documents=True):
            assert "attention_mask" not in batch
            at = 0
            for index, row in enumerate(batch.rows):
                lengths = expected["seq_lens"][row]
                padding = 32 - sum(lengths)
                positions = [p for length in (*lengths, padding) for p in range(length)]
                assert batch["position_ids"][index].tolist() == positions
                starts = np.cumsum(lengths)[:-1]
                borders = starts - 1 if convention == "shifted" else starts
                assert (batch["labels"][index][borders] == -100).all()
                real = batch["labels"][index][: sum(lengths)]
                others = np.delete(real, borders)
                assert (others[:-1] != -100).all()
                assert batch.pieces_in_row is not None and batch.pieces_in_row[index] == len(lengths)
                at += 32
            assert batch.cu_seqlens is not None and batch.seq_lens is not None
            assert batch.cu_seqlens[-1] == at
            assert set(batch.seq_lens.tolist()) <= set(np.diff(batch.cu_seqlens).tolist())


def test_the_global_order_is_the_same_for_every_world_size_and_resumes_anywhere(folder: Path) -> None:
    plain = [row for step in rows(loader(folder, 24, last="wrap")) for row in step]
    for world_size in (2, 3, 8):
        ranks = [
            loader(folder, 24 // world_size, last="wrap", rank=r, world_size=world_size) for r in range(world_size)
        ]
        steps = zip(*(rows(rank) for rank in ranks), strict=True)
        assert [row for step in steps for places in zip(*step, strict=True) for row in places] == plain
    first = loader(folder, 6, last="wrap")
    begun = rows(first, 5)
    state = json.loads(json.dumps(first.state_dict()))
    assert len(json.dumps(state)) < 1024
    for world_size, batch_size in ((1, 5), (3, 2)):
        ranks = [
            loader(folder, batch_size, last="wrap", rank=r, world_size=world_size, threads=r) for r in range(world_size)
        ]
        for rank in ranks:
            rank.load_state_dict(state)
        steps = zip(*(rows(rank, 3) for rank in ranks), strict=True)
        after = [row for step in steps for places in zip(*step, strict=True) for row in places]
        before = [row for step in begun for row in step]
        assert before + after == plain[: len(before) + len(after)]


def test_a_state_taken_at_the_end_of_an_epoch_begins_the_next(folder: Path) -> None:
    one = loader(folder)
    first, state, second = rows(one), one.state_dict(), rows(one)
    assert first != second and len(first) == len(second) == len(one)
    resumed = loader(folder)
    resumed.load_state_dict(state)
    assert rows(resumed) == second


def test_a_state_that_is_loaded_after_the_iteration_began_holds_at_once(folder: Path) -> None:
    one = loader(folder)
    rows(one, 4)
    state, expected = one.state_dict(), rows(one, 2)
    other = loader(folder)
    iterator = iter(other)
    next(iterator)
    other.load_state_dict(state)
    assert [next(iterator).rows.tolist() for _ in range(2)] == expected


def test_weights_are_exact_and_limited_to_four_epochs(folder: Path) -> None:
    dataset = Dataset(folder, ["corn", "water"])
    starts = {"corn": range(dataset.splits[0].rows)}
    mixed = DataLoader(dataset, 4, label_convention="shifted", weights={"grain": 1, "water": 3}, steps=15)
    counts = Counter("corn" if row in starts["corn"] else "water" for step in rows(mixed) for row in step)
    assert counts == {"corn": 15, "water": 45}
    assert mixed.epochs() == {
        split.name.replace("corn", "grain"): n / split.rows for split, n in zip(dataset.splits, (15, 45), strict=True)
    }
    with pytest.raises(mashbill.MashbillError, match="at most 4 epochs"):
        DataLoader(dataset, 4, label_convention="shifted", weights={"grain": 1, "water": 3}, steps=5000)
    staged = DataLoader(
        dataset,
        4,
        label_convention="shifted",
        steps=20,
        weights=[(0, {"grain": 1}), (5, {"grain": 1}, "ramp"), (10, {"water": 1})],
    )
    taken = rows(staged)
    assert all(row in starts["corn"] for step in taken[:5] for row in step)
    assert not any(row in starts["corn"] for step in taken[10:] for row in step)


def test_a_step_leads_to_its_documents_and_they_lead_back(folder: Path) -> None:
    one = loader(folder, rank=0, world_size=2)
    steps = rows(loader(folder, rank=0, world_size=2), 3)
    located = one.locate(2, rank=0)
    assert [row["row"] for row in located] == steps[2]
    part = located[1]["documents"][0]
    text = (folder.parent / "input" / part["file"].replace("/", os.sep)).read_bytes()
    record = json.loads(text[part["doc_id"] :].split(b"\n")[0])
    assert (record["id"], record["source"]) == (part["id"], part["source"])
    for name in (part["id"], part["doc_id"]):
        assert (2, 0, 1) in [found[:3] for found in one.steps_of(located[1]["split"], name)]


def test_what_is_wrong_is_said(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(mashbill.MashbillError, match=r"has no manifest\.json"):
        Dataset(tmp_path)
    with pytest.raises(ValueError, match="there is no split `oats`"):
        Dataset(folder, ["oats"])
    with pytest.raises(TypeError, match="splits is a list of names"):
        Dataset(folder, "corn")
    with pytest.raises(ValueError, match='shuffle is one of "full", "blocks", "off", not "yes"'):
        loader(folder, shuffle="yes")
    with pytest.raises(ValueError, match="rank and world_size come together"):
        loader(folder, rank=0)
    with pytest.raises(ValueError, match="`oats` in the weights is neither a split nor a category"):
        loader(folder, weights={"oats": 1})
    state = loader(folder).state_dict()
    one = loader(folder, seed=4)
    with pytest.raises(mashbill.StateError, match="its seed"):
        one.load_state_dict(state)
    assert one.step == 0 and rows(one, 1)


def test_a_missing_shard_is_an_error_or_padding(folder: Path, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    (copy / "water" / "shard_0000.parquet").unlink()
    with pytest.raises(mashbill.ShardError, match=r"shard `.*shard_0000\.parquet` of split `water` cannot be opened"):
        loader(copy)
    skipping = loader(copy, last="short", on_error="skip")
    seen = rows(skipping)
    dataset = Dataset(copy)
    assert sum(map(len, seen)) == len(dataset)
    assert skipping.skipped == dataset.splits[-1].rows


def test_a_loader_is_pickled_with_its_place(folder: Path) -> None:
    one = loader(folder)
    rows(one, 3)
    assert rows(pickle.loads(pickle.dumps(one))) == rows(one)


KILLED = """
import json, os, signal, sys
from mashbill import DataLoader, Dataset
loader = DataLoader(Dataset(sys.argv[1]), 3, label_convention="shifted", seed=8, last="wrap")
loader.load_state_dict(json.loads(sys.argv[2]))
for batch in loader:
    print(json.dumps([batch.rows.tolist(), loader.state_dict()]), flush=True)
    if loader.step >= int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_process_that_is_killed_goes_on_from_its_last_state(folder: Path) -> None:
    plain = loader(folder, 3, seed=8, last="wrap")
    state, seen = plain.state_dict(), []
    for until in (4, 9, 13):
        arguments = [sys.executable, "-c", KILLED, str(folder), json.dumps(state), str(until)]
        ran = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False)
        assert ran.returncode == -signal.SIGKILL, ran.stderr
        for line in ran.stdout.splitlines():
            taken, state = json.loads(line)
            seen.append(taken)
    assert seen == rows(plain, 13)
