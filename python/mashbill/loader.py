"""Batches of a tokenized folder: shuffled, mixed, resumable, the same for every number of ranks.

Threads inside the compiled part read ahead, so the fast way needs no worker processes. Where torch's `DataLoader`
starts workers all the same, they take turns and the order stays what it is.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from mashbill import _mashbill, turns
from mashbill.options import Curriculum, Stage, Weights, check_whole, stages
from mashbill.turns import Lane, Relay, Turns

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["Appearance", "Batch", "DataLoader", "Dataset", "Split"]

LabelConvention = Literal["shifted", "aligned"]
Part = Literal["train", "validation"]
Shuffle = Literal["full", "blocks", "off"]
Last = Literal["drop", "wrap", "short"]


class Split(NamedTuple):
    """A split of a dataset."""

    name: str
    category: str | None
    rows: int


class Appearance(NamedTuple):
    """A step that contains a part of a document, the rank that gets it, and its place in that rank's batch."""

    step: int
    rank: int
    index_in_batch: int
    row: int


class Batch(dict[str, Any]):
    """What a model takes, by name; attributes say more about the rows.

    `input_ids` (int32), `labels` (int64) and, if asked for, `attention_mask` and `position_ids` (int32) have the
    shape (rows, row length).
    """

    step: int
    """The step, from 0."""
    epoch: int
    """The epoch of its first row; with weights, 0."""
    rows: npt.NDArray[np.uint64]
    """The numbers of the rows in the dataset."""
    skipped: int
    """Rows that could not be read and are padding without targets."""
    seq_lens: npt.NDArray[np.int32] | None
    """With `documents`: the length of each piece of a document, row after row, without padding."""
    doc_ids: npt.NDArray[np.int64] | None
    """With `documents`: the key of each piece's document in its split: where its record begins in the decompressed
    input file, or its row in a Parquet file; where the split is many files, in those of its group one after another."""
    pieces_in_row: npt.NDArray[np.uint32] | None
    """With `documents`: how many pieces each row has."""
    cu_seqlens: npt.NDArray[np.int32] | None
    """With `documents`: where each piece begins in the flattened batch, padding counted as a piece, and the end."""
    max_seqlen: int | None
    """With `documents`: the length of the longest piece, padding counted as one."""

    def piece_ids(self) -> npt.NDArray[np.int64]:
        """With `documents`: for each position, the index of its piece in `doc_ids`; -1 at padding. Positions with the
        same number may attend to each other: make block masks from it."""
        import numpy as np

        if self.seq_lens is None or self.pieces_in_row is None:
            raise ValueError("batches know their pieces if the loader is made with documents=True")
        pieces = np.arange(len(self.seq_lens))
        in_row = np.repeat(np.arange(len(self.rows)), self.pieces_in_row)
        real = np.bincount(in_row, weights=self.seq_lens, minlength=len(self.rows))
        ids = np.full(self["input_ids"].shape, -1)
        ids[np.arange(ids.shape[1]) < real[:, None]] = np.repeat(pieces, self.seq_lens)
        return ids

    def _know(self, about: dict[str, Any]) -> Batch:
        self.step, self.epoch = about["step"], about["epoch"]
        self.rows, self.skipped = about["rows"], about["skipped"]
        self.seq_lens, self.doc_ids = about.get("seq_lens"), about.get("doc_ids")
        self.pieces_in_row = about.get("pieces_in_row")
        self.cu_seqlens, self.max_seqlen = about.get("cu_seqlens"), about.get("max_seqlen")
        return self


class Dataset:
    """The rows of a folder that `mashbill tokenize` made.

    folder: the folder with `manifest.json`; a folder that was moved is read where it is. `~` is the home folder, here
        and in `cache`.
    splits: the splits to read; by default all of them.
    part: "train": the documents to train on; all of them if none are held out. "validation": the documents that
        `mashbill tokenize --val-fraction` held out.
    cache: a folder on a fast local disk for decoded rows (4 bytes a token), made once and shared by all processes:
        full shuffles then cost what a shuffled array costs. Without it rows are decoded when they are needed.
    progress: called with the number of shards whose rows are in the cache, and of all shards.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        splits: Sequence[str] | None = None,
        *,
        part: Part = "train",
        cache: str | os.PathLike[str] | None = None,
        progress: Callable[[int, int], object] | None = None,
    ) -> None:
        if isinstance(splits, str):
            raise TypeError(f'splits is a list of names: ["{splits}"]')
        if cache is not None and not os.fspath(cache):
            raise ValueError("cache is the name of a folder, and it is empty")
        home = Path(folder).expanduser() if os.fspath(folder).startswith("~") else folder
        self._arguments = (os.fspath(home), None if splits is None else list(splits), part)
        self._rows = _mashbill.Rows(*self._arguments)
        self.cache = None if cache is None else Path(cache).expanduser()
        if self.cache is not None:
            self._rows.cache(os.fspath(self.cache), os.cpu_count() or 1, progress)

    def __len__(self) -> int:
        return self._rows.rows

    @property
    def folder(self) -> Path:
        """The folder with the manifest."""
        return Path(self._rows.folder)

    @property
    def row_length(self) -> int:
        """Tokens in a row, padding included."""
        return self._rows.row_length

    @property
    def vocabulary_size(self) -> int:
        """One more than the largest id."""
        return self._rows.vocabulary_size

    @property
    def pad_id(self) -> int:
        """The id that fills padding; padding is known by its position, never by this id."""
        return self._rows.pad_id

    @property
    def identity(self) -> str:
        """What the rows are made of: the same identity, the same rows."""
        return self._rows.identity

    @property
    def splits(self) -> list[Split]:
        """The splits that are read and have rows."""
        return [Split(*split) for split in self._rows.splits]

    def sources(self, batch: Batch) -> list[str]:
        """The source of each piece of a document in a batch of a loader with `documents`: the `source` that the
        record names, or the split if it names none. A shard's document table is read when its first row comes."""
        if batch.doc_ids is None or batch.pieces_in_row is None:
            raise ValueError("batches know their documents if the loader is made with documents=True")
        return self._rows.sources(batch.rows, batch.pieces_in_row, batch.doc_ids)

    def __getstate__(self) -> dict[str, Any]:
        return {"arguments": self._arguments, "cache": self.cache}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._arguments, self.cache = state["arguments"], state["cache"]
        self._rows = _mashbill.Rows(*self._arguments)


class DataLoader:
    """The batches of one rank. Iterating over it goes through one epoch, or with `weights` through all steps.

    label_convention: "shifted": `labels[i]` is the token after `input_ids[i]`, for a loss of your own. "aligned":
        `labels[i]` is `input_ids[i]`, for Hugging Face's models, which shift by themselves.
    batch_size: rows per rank and step.
    shuffle: "full": any row anywhere. "blocks": blocks of rows, then rows within 16 of them; every page is decoded
        once, for slow disks. "off": in the shards' order.
    last: what to do with the rows at an epoch's end that do not fill a step. "drop": they are left out. "wrap": the
        next epoch's first rows fill the step. "short": the step has fewer rows, on some ranks perhaps none.
    weights: proportions of splits or categories by name, or stages `(from_step, weights)`, or
        `(from_step, weights, "ramp")` for weights that change linearly until the next stage; "curriculum": the target
        shares of the curriculum's categories, of those that the dataset has. Every source has its own epochs. None:
        all rows once an epoch.
    steps: how many steps the run has; needed to know beforehand how often each source is seen (`epochs()`), which
        rank 0 says on stderr if there are weights.
    max_epochs: with weights, how many times a source may be seen.
    documents: `position_ids` that restart with each document, and `seq_lens`, `cu_seqlens`, `doc_ids`. There is no
        `attention_mask` then: beside `position_ids` it turns packed attention off in transformers.
    mask_borders: whether a document's first token is no target; by default if `documents` is on.
    format: "numpy", or "torch": tensors that share the arrays' memory.
    pin_memory: with torch, whether tensors are copied to pinned memory.
    threads: how many threads read ahead; 0: batches are made when you ask for them.
    prefetch: how many batches may be ready or under way.
    on_error: "raise", or "skip": a row that cannot be read becomes padding without targets and is counted.
    quiet: whether to print nothing on stderr.
    rank, world_size: by default those of `torch.distributed` if it is initialized, else 0 and 1.
    """

    def __init__(
        self,
        dataset: Dataset,
        batch_size: int,
        *,
        label_convention: LabelConvention,
        shuffle: Shuffle = "full",
        seed: int = 0,
        last: Last = "drop",
        weights: Weights | Sequence[Stage] | Curriculum | None = None,
        steps: int | None = None,
        max_epochs: int = 4,
        documents: bool = False,
        mask_borders: bool | None = None,
        format: Literal["numpy", "torch"] = "numpy",
        pin_memory: bool = False,
        threads: int = 2,
        prefetch: int = 8,
        on_error: Literal["raise", "skip"] = "raise",
        quiet: bool = False,
        rank: int | None = None,
        world_size: int | None = None,
    ) -> None:
        if format not in ("numpy", "torch"):
            raise ValueError(f'format is one of "numpy", "torch", not "{format}"')
        if on_error not in ("raise", "skip"):
            raise ValueError(f'on_error is one of "raise", "skip", not "{on_error}"')
        check_whole(1, batch_size=batch_size, world_size=world_size, steps=steps, max_epochs=max_epochs)
        check_whole(0, seed=seed, rank=rank, threads=threads)
        check_whole(1 if threads else 0, prefetch=prefetch)
        self.dataset = dataset
        self.batch_size = batch_size
        self.label_convention = label_convention
        self.last: Last = "wrap" if weights is not None else last
        self.documents = documents
        self.rank, self.world_size = _place(rank, world_size)
        self._format, self._pin_memory = format, pin_memory
        self._threads = threads
        self._steps = steps
        self._options: dict[str, Any] = {
            "batch_size": batch_size,
            "world_size": self.world_size,
            "rank": self.rank,
            "seed": seed,
            "shuffle": shuffle,
            "last": self.last,
            "stages": stages(_curriculum(dataset) if weights == "curriculum" else weights),
            "max_epochs": max_epochs,
            "steps": steps,
            "labels": label_convention,
            "attention_mask": not documents,
            "documents": documents,
            "mask_borders": documents if mask_borders is None else mask_borders,
            "prefetch": prefetch,
            "cache": None if dataset.cache is None else os.fspath(dataset.cache),
            "skip_errors": on_error == "skip",
        }
        self._state: str | None = None
        # In a worker process, what it knows of its turns; and what it shares with the others.
        self._turns: Turns | None = None
        self._relay = Relay()
        self._skipped = 0
        self._made_again = 0
        self._process = os.getpid()
        # Options, shards and the state are looked at now, not with the first batch; threads start with that.
        self._batches: _mashbill.Batches | None = None
        self._questions = self._open(threads=0)
        if weights is not None and steps is not None and self.rank == 0 and not quiet:
            seen = ", ".join(f"{name} {times:.2f} times" for name, times in self.epochs().items())
            print(_mashbill.shown(f"{steps} steps show {seen}"), file=sys.stderr)

    def __iter__(self) -> Iterator[Batch]:
        """Batches from where the loader is, up to the end of the epoch, or of the steps."""
        taking_turns = self._begin()
        if taking_turns is not None and taking_turns.is_over:
            return
        while True:
            got = self._running().next()
            ends = got is None or got[1]["ends_epoch"]
            if taking_turns is not None:
                taking_turns.is_begun = True
                taking_turns.is_last = ends
                if ends:
                    self._relay.end(self.step)
            if got is not None:
                arrays, about = got
                self._warn(about["made_again"])
                if len(about["rows"]) or taking_turns is None:
                    yield self._converted(arrays)._know(about)
            if ends:
                # But for a state that was loaded meanwhile, which holds.
                if taking_turns is not None and taking_turns.is_begun:
                    taking_turns.is_over = True
                return

    def __len__(self) -> int:
        """Steps of a whole epoch, or of the run if `steps` is given."""
        if self._steps is not None:
            return self._steps
        steps = self._questions.steps_per_epoch
        if steps is None:
            raise TypeError("the number of steps differs between epochs or has no end: give steps")
        return steps

    @property
    def step(self) -> int:
        """Steps delivered since the beginning of the run."""
        return self._current().step

    @property
    def skipped(self) -> int:
        """Rows that were skipped so far, on this rank."""
        return self._skipped + (0 if self._batches is None else self._batches.skipped)

    def state_dict(self) -> dict[str, Any]:
        """The place after the last batch that was delivered: less than 1 KB, the same on every rank.

        Taken in a worker process it also says whose turn it was, for a stateful loader; it is the place of all workers
        after that batch, and can be loaded anywhere.
        """
        taking_turns = self._worker()
        if taking_turns is None:
            return {"mashbill": self._current().state()}
        lane = taking_turns.lane
        if lane is None:
            lane = self._move(taking_turns, self._relay.beginning(taking_turns))
        if taking_turns.is_over:
            lane = lane._replace(start=self.step)
        return {
            "mashbill": self._current().state(),
            # After an epoch's last batch nothing is left of the iteration. A stateful loader that goes on begins the
            # rest of it first, and drops what that brings where it knows that it ended: that would be the next epoch.
            "lane": [*lane, int(taking_turns.is_over or taking_turns.is_last), taking_turns.iterations],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Resumes at a state, even during an iteration.

        World size, batch size, threads and weights may differ from before; the weights apply from here on. Anything
        but a state of this dataset and order is a `StateError`, and the loader stays where it is.
        """
        place, lane, is_over, iterations = _parsed(state)
        taking_turns = self._worker()
        own = taking_turns is not None and lane is not None and lane.num_workers == taking_turns.worker.num_workers
        if taking_turns is not None and lane is not None and own and lane.id != taking_turns.worker.id:
            raise _mashbill.StateError(
                f"the state was taken in worker {lane.id} and is loaded in worker {taking_turns.worker.id}\n"
                "hint: load one state for all workers in the main process, before they start"
            )
        before = self._state, self._batches
        self._skipped = self.skipped
        self._state, self._batches = place, None
        try:
            self._questions = self._open(threads=0)
        except BaseException:
            self._state, self._batches = before
            raise
        if taking_turns is None:
            # What workers that were started before say is about another place.
            self._relay = Relay()
            return
        taking_turns.is_begun, taking_turns.is_last, taking_turns.is_loaded = False, False, own
        taking_turns.is_over = own and is_over
        if lane is not None and own:
            taking_turns.lane, taking_turns.iterations = lane, iterations
            self._relay.load(taking_turns, lane, self.step)
        else:
            taking_turns.lane = Lane(*taking_turns.worker, self.step)

    def epochs(self, steps: int | None = None) -> dict[str, float]:
        """How many times each source will have been seen after `steps` steps; without weights the one source is ""."""
        steps = self._steps if steps is None else steps
        if steps is None:
            raise ValueError("after how many steps? give steps")
        return self._questions.epochs_after(steps)

    def recipe(self) -> dict[str, Any]:
        """What the batches are made of, as JSON takes it. With it in a file, `mashbill inspect FILE --step N` lists the
        documents of any step of any rank, and `--doc ID` the steps of a document."""
        options = ("batch_size", "world_size", "seed", "shuffle", "last", "max_epochs", "steps")
        stages = self._options["stages"]
        keys = ("from_step", "weights", "ramp")
        return {
            "folder": str(self.dataset.folder.resolve()),
            "splits": [split.name for split in self.dataset.splits],
            **{name: self._options[name] for name in options},
            "stages": None if stages is None else [dict(zip(keys, stage, strict=True)) for stage in stages],
            "state": json.loads(self._current().state()),
        }

    def locate(self, step: int, rank: int | None = None) -> list[dict[str, Any]]:
        """The rows of a step, of one rank or of all, with the documents in them: `file`, `offset` (the byte offset of
        the record in the decompressed file), `doc_id` (the same; where a split is many files, the offset in those of
        its `group` one after another), `id`, `source`, `category`, `doc_offset`, `len`."""
        return self._questions.locate(step, rank)

    def steps_of(
        self, split: str, document: str | int, until: int | None = None, *, group: int | None = None
    ) -> list[Appearance]:
        """Every step before `until` (by default, the end of the run or of this epoch) that has seen or will see a part
        of a document. `document` is its `doc_id`, an integer, for which one document table is read; where the split is
        many files, with the `group` that `locate` has beside it. Or it is the record's `id`, a text, for which the
        split's tables are read up to the one that has it; digits that are no `id` are a `doc_id`, or `group/doc_id`.
        """
        if group is not None and isinstance(document, str):
            raise ValueError("group goes with a doc_id, an integer")
        if until is None:
            until = self._steps if self._steps is not None else self.step + len(self)
        return [Appearance(*found) for found in self._questions.steps_of(split, document, until, group)]

    def __getstate__(self) -> dict[str, Any]:
        left = ["_batches", "_questions", "_turns"] + ([] if turns.is_spawning() else ["_relay"])
        kept = {name: value for name, value in self.__dict__.items() if name not in left}
        return kept | {"_state": self._current().state()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        # A copy goes its own way, but for those that torch starts as workers.
        self._relay = state["_relay"] if "_relay" in state else Relay()
        self.__dict__.update(state)
        self._batches, self._turns, self._process = None, None, os.getpid()
        self._questions = self._open(threads=0)

    def _open(self, threads: int) -> _mashbill.Batches:
        return _mashbill.Batches(
            self.dataset._rows,
            **self._options,
            lane=None if self._turns is None else self._turns.lane,
            threads=threads,
            state=self._state,
        )

    def _running(self) -> _mashbill.Batches:
        """The batches with their threads, begun where the loader is."""
        if self._process != os.getpid():
            # A fork has no threads: it goes on with its own.
            self._state = self._current().state()
            self._process, self._batches = os.getpid(), None
        if self._batches is None:
            self._batches, self._made_again = self._open(self._threads), 0
        return self._batches

    def _current(self) -> _mashbill.Batches:
        return self._questions if self._batches is None else self._batches

    def _worker(self) -> Turns | None:
        """In a worker process of torch's, what it knows of its turns."""
        if self._turns is None:
            worker = turns.worker()
            self._turns = None if worker is None else Turns(worker, self.step)
        return self._turns

    def _begin(self) -> Turns | None:
        """In a worker process, takes its turns of the iteration that begins."""
        taking_turns = self._worker()
        if taking_turns is None:
            return None
        if taking_turns.is_loaded:
            self._begin_loaded(taking_turns)
        elif taking_turns.lane is None or taking_turns.is_begun or taking_turns.is_over:
            self._begin_anew(taking_turns)
        else:
            self._relay.begin(taking_turns, self.step)
        taking_turns.is_loaded = False
        taking_turns.iterations += 1
        return taking_turns

    def _begin_anew(self, taking_turns: Turns) -> None:
        if taking_turns.is_over:
            # This worker saw the end itself; others may be behind it, or ahead.
            step = self.step
            self._relay.begin(taking_turns, step)
        elif taking_turns.is_begun and self._relay.is_private:
            raise _private("the last iteration was left early, and where the other workers are is not known")
        else:
            step = self._relay.beginning(taking_turns)
        self._move(taking_turns, step)

    def _begin_loaded(self, taking_turns: Turns) -> None:
        """Goes on from a state, as all workers do: at the place to which the furthest of them came."""
        if self._relay.is_private:
            raise _private("a state of one of several workers says nothing about the others")
        together = self._relay.together(taking_turns.worker.num_workers)
        if together is None:
            raise _mashbill.StateError(
                "the states of the workers do not belong together: they are of different moments\n"
                "hint: load the states that a stateful loader gave together, or one of them in the main process"
            )
        self._move(taking_turns, together.step, Lane(*taking_turns.worker, together.start))
        taking_turns.is_over = together.is_over
        taking_turns.iterations = max(together.iterations - 1, 0)
        self._relay.begin(taking_turns, together.step)

    def _move(self, taking_turns: Turns, step: int, lane: Lane | None = None) -> Lane:
        """Goes to a step, of which on a worker takes its turns along `lane`; by default one that begins there."""
        self._skipped = self.skipped
        self._state, self._batches = self._questions.state_at(step), None
        lane = Lane(*taking_turns.worker, step) if lane is None else lane
        taking_turns.lane, taking_turns.is_begun = lane, False
        taking_turns.is_last = taking_turns.is_over = False
        self._questions = self._open(threads=0)
        return lane

    def _warn(self, made_again: int) -> None:
        if made_again > self._made_again:
            self._made_again = made_again
            said = f"a file in the cache `{self.dataset.cache}` was damaged and is made again: is its disk in order?"
            warnings.warn(_mashbill.shown(said), stacklevel=3)

    def _converted(self, arrays: dict[str, Any]) -> Batch:
        if self._format == "numpy":
            return Batch(arrays)
        import torch

        tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
        if self._pin_memory:
            tensors = {name: tensor.pin_memory() for name, tensor in tensors.items()}
        return Batch(tensors)


def _parsed(state: Mapping[str, Any]) -> tuple[str, Lane | None, bool, int]:
    """The parts of a state: the place, and of one that was taken in a worker its lane, whether that was over, and the
    iterations that were begun."""
    refused = _mashbill.StateError
    hint = "hint: give what `state_dict()` of a mashbill.DataLoader returned; of a torch loader's, give that to it"
    if not isinstance(state, Mapping):
        raise refused(f"a state is a dictionary, and this is {type(state).__name__}\n{hint}")
    if "mashbill" not in state:
        said = f"this is not a state of a mashbill.DataLoader: it has no `mashbill`, but {_names(state)}"
        raise refused(f"{said}\n{hint}")
    if unknown := set(state) - {"mashbill", "lane"}:
        raise refused(f"this is not a state of this version: it also has {_names(unknown)}\n{hint}")
    place, lane = state["mashbill"], state.get("lane")
    if not isinstance(place, str):
        raise refused(f"this is not a state: `mashbill` in it is {type(place).__name__} and no text\n{hint}")
    if lane is None:
        return place, None, False, 0
    if not (isinstance(lane, list | tuple) and len(lane) == 5 and all(type(number) is int for number in lane)):
        raise refused(f"this is not a state: its `lane` is not a worker's\n{hint}")
    index, count, start, over, iterations = lane
    if not (
        0 <= index < count <= turns.WORKERS_MAX
        and 0 <= start < 1 << 56
        and over in (0, 1)
        and 0 <= iterations < 1 << 31
    ):
        raise refused(f"this is not a state: its `lane` is not a worker's\n{hint}")
    return place, Lane(index, count, start), bool(over), iterations


def _private(what: str) -> _mashbill.StateError:
    """Why workers whose loaders have nothing in common cannot share an order."""
    return _mashbill.StateError(f"{what}\nhint: make the loader in the main process, before the workers start")


def _names(names: Iterable[Any]) -> str:
    """Some names, in an error."""
    some = [f"`{_mashbill.shown(f'{name!s:.40}')}`" for name in itertools.islice(names, 5)]
    return ", ".join(some) if some else "nothing"


def _place(rank: int | None, world_size: int | None) -> tuple[int, int]:
    if (rank is None) != (world_size is None):
        raise ValueError("rank and world_size come together")
    if rank is not None and world_size is not None:
        return rank, world_size
    distributed = sys.modules.get("torch.distributed")
    if distributed is not None and distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1


def _curriculum(dataset: Dataset) -> Weights:
    """The target shares of the categories that the dataset has."""
    shares = _mashbill.curriculum()
    for split in dataset.splits:
        if split.category not in shares:
            said = f"split `{split.name}` is in no category of the curriculum: a category is the folder that a split's"
            raise ValueError(_mashbill.shown(f"{said} input lies in, one of {', '.join(shares)}"))
    return {split.category: shares[split.category] for split in dataset.splits if split.category is not None}
