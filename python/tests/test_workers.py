"""States with worker processes: wherever one is taken and loaded, each step comes once.

Most of it runs without processes: what a worker does depends on its number and on what it shares with the others, and
both are given to copies of a loader here, asked in turn as torch and torchdata ask theirs. A few cases run in real
processes, all of them with MASHBILL_LONG=1.
"""

import contextlib
import copy
import itertools
import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import mashbill
import pytest
import torch
from mashbill import DataLoader, Dataset
from torch.utils.data._utils import worker as torch_worker
from torchdata.stateful_dataloader import StatefulDataLoader

LONG = "MASHBILL_LONG" in os.environ
EPOCH = 7
"""Steps of an epoch here."""
PREFETCH = 2


@pytest.fixture(scope="module")
def dataset(folder: Path) -> Dataset:
    return Dataset(folder, ["water"])


def loader(dataset: Dataset, **options: object) -> DataLoader:
    batch_size = len(dataset) // EPOCH
    given = {"label_convention": "shifted", "seed": 1, "threads": 0} | options
    one = DataLoader(dataset, batch_size, **given)
    assert "last" in options or len(one) == EPOCH
    return one


class Wrapped(torch.utils.data.IterableDataset[Any]):
    """A stateful dataset around a loader; batches carry the state after them."""

    def __init__(self, loader: DataLoader) -> None:
        self.loader = loader

    def __iter__(self) -> Iterator[tuple[int, dict[str, Any]]]:
        for batch in self.loader:
            yield batch.step, self.loader.state_dict()

    def state_dict(self) -> dict[str, Any]:
        return self.loader.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.loader.load_state_dict(state)


started = itertools.count(1)


class SimulatedWorker:
    """A copy of a loader that believes to be in worker process `index` of `count`."""

    def __init__(self, source: DataLoader, index: int, count: int, process: int) -> None:
        self.info = torch_worker.WorkerInfo(id=index, num_workers=count, seed=0, dataset=None)
        self.process = process + index
        self.loader = copy.copy(source)
        # What a fork shares with its parent.
        self.loader._relay = source._relay
        self.dataset = Wrapped(self.loader)
        self.batches: Iterator[Any] = iter(())

    @contextlib.contextmanager
    def inside(self) -> Iterator[None]:
        current = multiprocessing.current_process()
        before = current._identity  # type: ignore[attr-defined]
        current._identity = (self.process,)  # type: ignore[attr-defined]
        torch_worker._worker_info = self.info
        try:
            yield
        finally:
            torch_worker._worker_info = None
            current._identity = before  # type: ignore[attr-defined]


class Simulated:
    """What torchdata's StatefulDataLoader does with its workers, and torch's DataLoader where no state is asked for:
    requests ahead of what is used, answers in turn, snapshots of what was used."""

    def __init__(self, source: DataLoader, workers: int, persistent: bool = False) -> None:
        self.source, self.count, self.persistent = source, workers, persistent
        self.workers: list[SimulatedWorker] = []
        self.next_state: dict[str, Any] | None = None
        self.finished = False

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.next_state, self.workers = state, []

    def state_dict(self) -> dict[str, Any]:
        return {"snapshots": self.snapshot, "last": self.last, "finished": self.finished}

    def __iter__(self) -> Iterator[int]:
        if self.persistent and self.workers:
            self._reset()
        else:
            self._start()
            if self.finished:
                if self.persistent:
                    self._reset()
                else:
                    self._start()
        while True:
            step = self._next()
            if step is None:
                self.finished = True
                return
            yield step

    def _start(self) -> None:
        process = next(started) * 100
        self.workers = [SimulatedWorker(self.source, index, self.count, process) for index in range(self.count)]
        state, self.next_state = self.next_state, None
        for index, worker in enumerate(self.workers):
            with worker.inside():
                if state is not None:
                    worker.dataset.load_state_dict(state["snapshots"][index])
                worker.batches = iter(worker.dataset)
        self._begin(self.count - 1 if state is None else state["last"])
        self.finished = state is not None and state["finished"]

    def _reset(self) -> None:
        for worker in self.workers:
            with worker.inside():
                worker.batches = iter(worker.dataset)
        self._begin(self.count - 1)
        self.finished = False

    def _begin(self, last: int) -> None:
        self.snapshots = []
        for worker in self.workers:
            with worker.inside():
                self.snapshots.append(worker.dataset.state_dict())
        self.last, self.snapshot = last, list(self.snapshots)
        self.alive = [True] * self.count
        self.turn = itertools.cycle(range(self.count))
        for _ in range(last + 1):
            next(self.turn)
        self.answers: deque[tuple[int, int | None, dict[str, Any]]] = deque()
        for _ in range(PREFETCH * self.count):
            self._ask()

    def _ask(self) -> None:
        for _ in range(self.count):
            index = next(self.turn)
            if self.alive[index]:
                break
        else:
            return
        worker = self.workers[index]
        with worker.inside():
            got = next(worker.batches, None)
            state = worker.dataset.state_dict()
        self.answers.append((index, None if got is None else got[0], state))

    def _next(self) -> int | None:
        while self.answers:
            index, step, state = self.answers.popleft()
            if not self.alive[index]:
                continue
            if step is None:
                self.alive[index] = False
                self.snapshots[index] = state
                self._ask()
                continue
            self._ask()
            self.last, self.snapshots[index] = index, state
            # What comes after a batch that was used, ends included, is in no state.
            self.snapshot = list(self.snapshots)
            return step
        return None


def take(batches: Callable[[], Any], until: int) -> list[int]:
    """Steps of one iteration after another, until step `until` would come next."""
    steps: list[int] = []
    for _ in range(4 * EPOCH):
        for step in batches():
            steps.append(int(step))
            if step + 1 == until:
                return steps
    return steps


def plain(one: DataLoader) -> Callable[[], Iterator[int]]:
    return lambda: (batch.step for batch in one)


def simulated(dataset: Dataset, workers: int, stop: int, persistent: bool) -> tuple[Simulated, list[int], Any]:
    """Workers of which `stop` batches were used, and the state that the last one carried."""
    source = loader(dataset)
    one = Simulated(source, workers, persistent)
    return one, take(lambda: one, stop) if stop else [], source


@pytest.mark.parametrize("workers", range(1, 5))
def test_a_state_from_a_worker_is_the_place_of_all_in_the_main_process(dataset: Dataset, workers: int) -> None:
    for stop in range(1, 2 * EPOCH + 1):
        one, steps, _ = simulated(dataset, workers, stop, persistent=stop % 2 == 0)
        assert steps == list(range(stop))
        state = one.snapshots[one.last]
        resumed = loader(dataset)
        resumed.load_state_dict(state)
        assert resumed.step == stop
        assert take(plain(resumed), 3 * EPOCH) == list(range(stop, 3 * EPOCH)), stop
        # Into the main process, and from there into any number of workers.
        for others in range(1, 5):
            resumed = loader(dataset)
            resumed.load_state_dict(state)
            anew = Simulated(resumed, others)
            assert take(lambda anew=anew: anew, 3 * EPOCH) == list(range(stop, 3 * EPOCH)), (stop, others)


@pytest.mark.parametrize("persistent", [False, True])
@pytest.mark.parametrize("workers", range(1, 5))
def test_a_stateful_loader_goes_on_after_any_batch(dataset: Dataset, workers: int, persistent: bool) -> None:
    for stop in range(2 * EPOCH + 1):
        one, steps, _ = simulated(dataset, workers, stop, persistent)
        assert steps == list(range(stop))
        if not stop:
            one._start()
        resumed = Simulated(loader(dataset), workers, persistent)
        resumed.load_state_dict(one.state_dict())
        assert take(lambda resumed=resumed: resumed, 3 * EPOCH) == list(range(stop, 3 * EPOCH)), stop


@pytest.mark.parametrize("persistent", [False, True])
@pytest.mark.parametrize("workers", range(1, 5))
def test_a_stateful_loader_goes_on_after_an_epoch_that_ended(dataset: Dataset, workers: int, persistent: bool) -> None:
    one = Simulated(loader(dataset), workers, persistent)
    for epoch in range(3):
        assert list(one) == list(range(epoch * EPOCH, (epoch + 1) * EPOCH))
        assert one.finished
        resumed = Simulated(loader(dataset), workers, persistent)
        resumed.load_state_dict(one.state_dict())
        # Each iteration is one epoch, also across many states.
        for later in range(epoch + 1, epoch + 4):
            assert list(resumed) == list(range(later * EPOCH, (later + 1) * EPOCH)), (epoch, later)
            again = Simulated(loader(dataset), workers, persistent)
            again.load_state_dict(resumed.state_dict())
            resumed = again


@pytest.mark.parametrize("workers", range(1, 5))
def test_persistent_workers_that_begin_an_epoch_have_a_state(dataset: Dataset, workers: int) -> None:
    for used in range(min(workers, EPOCH) + 1):
        one = Simulated(loader(dataset), workers, persistent=True)
        assert list(one) == list(range(EPOCH))
        batches = iter(one)
        steps = [next(batches) for _ in range(used)]
        assert steps == list(range(EPOCH, EPOCH + used))
        if not used:
            one._reset()
        resumed = Simulated(loader(dataset), workers, persistent=True)
        resumed.load_state_dict(one.state_dict())
        assert take(lambda resumed=resumed: resumed, 3 * EPOCH) == list(range(EPOCH + used, 3 * EPOCH)), used


@pytest.mark.parametrize("persistent", [False, True])
@pytest.mark.parametrize("workers", range(1, 5))
def test_an_iteration_that_is_left_early_begins_again_for_all_workers(
    dataset: Dataset, workers: int, persistent: bool
) -> None:
    # As long as none of them has made the epoch's last batch.
    for used in range(max(1, EPOCH - PREFETCH * workers)):
        one = Simulated(loader(dataset), workers, persistent)
        batches = iter(one)
        assert [next(batches) for _ in range(used)] == list(range(used))
        assert list(one) in (list(range(EPOCH)), list(range(EPOCH, 2 * EPOCH)))
        state = one.state_dict()
        resumed = Simulated(loader(dataset), workers, persistent)
        resumed.load_state_dict(state)
        following = list(resumed)
        assert following == list(range(following[0], following[0] + EPOCH)) and following[0] % EPOCH == 0


def test_a_loader_that_moves_takes_its_workers_along(dataset: Dataset) -> None:
    source = loader(dataset)
    assert list(Simulated(source, 2)) == list(range(EPOCH))
    # The main process's own iteration, and a state, are where the next workers begin.
    assert [batch.step for batch in source] == list(range(EPOCH))
    assert list(Simulated(source, 3)) == list(range(EPOCH, 2 * EPOCH))
    start = loader(dataset).state_dict()
    source.load_state_dict(start)
    assert list(Simulated(source, 2)) == list(range(EPOCH))


def test_loaders_made_in_workers_cannot_go_on_together(dataset: Dataset) -> None:
    one, _, _ = simulated(dataset, 2, 3, persistent=False)
    main = loader(dataset).state_dict()
    worker = SimulatedWorker(loader(dataset), 0, 2, 100)
    with worker.inside():
        alone = loader(dataset)
        assert next(iter(alone)).step == 0
        with pytest.raises(mashbill.StateError, match=r"left early.*\nhint: make the loader in the main process"):
            next(iter(alone))
        alone = loader(dataset)
        alone.load_state_dict(one.snapshots[0])
        with pytest.raises(mashbill.StateError, match="says nothing about the others"):
            next(iter(alone))
        # A state of the main process is one for all.
        alone.load_state_dict(main)
        assert next(iter(alone)).step == 0


def test_a_state_of_one_worker_is_not_loaded_in_another(dataset: Dataset) -> None:
    one, _, _ = simulated(dataset, 2, 3, persistent=False)
    broadcast = Simulated(loader(dataset), 2)
    with pytest.raises(mashbill.StateError, match=r"taken in worker 0 and is loaded in worker 1\nhint: load one state"):
        broadcast.load_state_dict({"snapshots": [one.snapshots[0]] * 2, "last": 1, "finished": False})
        list(broadcast)
    # States of different moments are no place.
    late, _, _ = simulated(dataset, 2, 6, persistent=False)
    mixed = Simulated(loader(dataset), 2)
    with pytest.raises(mashbill.StateError, match="do not belong together"):
        mixed.load_state_dict({"snapshots": [one.snapshots[0], late.snapshots[1]], "last": 1, "finished": False})
        list(mixed)


@pytest.mark.parametrize("last", ["short", "wrap"])
def test_other_ends_of_an_epoch_have_every_step_once(dataset: Dataset, last: str) -> None:
    expected = take(plain(loader(dataset, last=last)), 20)
    for workers in (1, 2, 3):
        for stop in range(1, 18):
            one = Simulated(loader(dataset, last=last), workers, persistent=False)
            assert take(lambda one=one: one, stop) == expected[:stop]
            resumed = Simulated(loader(dataset, last=last), workers, persistent=False)
            resumed.load_state_dict(one.state_dict())
            assert take(lambda resumed=resumed: resumed, 20) == expected[stop:], (workers, stop)


def test_weights_without_epochs_go_on_too(folder: Path) -> None:
    whole = Dataset(folder)
    options = {"label_convention": "shifted", "weights": {"grain": 1, "water": 2}, "threads": 0, "quiet": True}
    for workers in (1, 2, 4):
        one = Simulated(DataLoader(whole, 4, steps=11, **options), workers)
        assert list(one) == list(range(11)) and list(one) == []
        for stop in range(1, 11):
            one = Simulated(DataLoader(whole, 4, steps=11, **options), workers)
            assert take(lambda one=one: one, stop) == list(range(stop))
            resumed = Simulated(DataLoader(whole, 4, steps=11, **options), workers)
            resumed.load_state_dict(one.state_dict())
            assert list(resumed) == list(range(stop, 11))


def real(dataset: Dataset, workers: int, persistent: bool, context: str | None = None) -> StatefulDataLoader[Any]:
    return StatefulDataLoader(
        Wrapped(loader(dataset)),
        batch_size=None,
        num_workers=workers,
        persistent_workers=persistent,
        multiprocessing_context=context,
    )


def steps_of(batches: Iterable[Any], states: list[Any] | None = None) -> Callable[[], Iterator[int]]:
    def each() -> Iterator[int]:
        for step, state in batches:
            if states is not None:
                states.append(state)
            yield step

    return each


REAL = [
    (workers, stop, persistent)
    for workers in range(5)
    for stop in range(1, 2 * EPOCH + 1)
    for persistent in ((False, True) if workers else (False,))
]
SHORT = [(2, 3, False), (2, EPOCH, False), (3, EPOCH, True), (2, EPOCH + 2, True), (0, EPOCH, False)]


@pytest.mark.parametrize(("workers", "stop", "persistent"), REAL if LONG else SHORT)
def test_real_workers_go_on_wherever_their_state_is_loaded(
    dataset: Dataset, workers: int, stop: int, persistent: bool
) -> None:
    one, states = real(dataset, workers, persistent), []
    assert take(steps_of(one, states), stop) == list(range(stop))
    state = one.state_dict()
    # In the main process, in workers of torch's loader, and in a stateful loader of a new process's.
    in_main = loader(dataset)
    in_main.load_state_dict(states[-1])
    assert take(plain(in_main), 3 * EPOCH) == list(range(stop, 3 * EPOCH))
    in_main = loader(dataset)
    in_main.load_state_dict(states[-1])
    torchs = torch.utils.data.DataLoader(Wrapped(in_main), batch_size=None, num_workers=workers)
    assert take(steps_of(torchs), 3 * EPOCH) == list(range(stop, 3 * EPOCH))
    resumed = real(dataset, workers, persistent)
    resumed.load_state_dict(state)
    assert take(steps_of(resumed), 3 * EPOCH) == list(range(stop, 3 * EPOCH))


@pytest.mark.parametrize(
    ("workers", "persistent", "context"),
    [(2, False, "fork"), (1, True, "fork"), (2, False, "spawn")]
    if not LONG
    else list(itertools.product(range(1, 5), (False, True), ("fork", "spawn", "forkserver"))),
)
def test_real_epochs_follow_one_another(dataset: Dataset, workers: int, persistent: bool, context: str) -> None:
    one = real(dataset, workers, persistent, context)
    for epoch in range(2):
        assert [step for step, _ in one] == list(range(epoch * EPOCH, (epoch + 1) * EPOCH))
    resumed = real(dataset, workers, persistent, context)
    resumed.load_state_dict(one.state_dict())
    assert [step for step, _ in resumed] == list(range(2 * EPOCH, 3 * EPOCH))
    assert [step for step, _ in resumed] == list(range(3 * EPOCH, 4 * EPOCH))


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({}, "it has no `mashbill`, but nothing"),
        (None, "a state is a dictionary, and this is NoneType"),
        ([1], "a state is a dictionary, and this is list"),
        ("mashbill", "a state is a dictionary, and this is str"),
        ({"model": 1, "optimizer": 2}, "it has no `mashbill`, but `model`, `optimizer`"),
        ({"mashbill": {}}, "`mashbill` in it is dict and no text"),
        ({"mashbill": None}, "`mashbill` in it is NoneType and no text"),
        ({"mashbill": ""}, "the state does not fit: EOF"),
        ({"mashbill": "null"}, "the state does not fit: invalid type: null"),
        ({"mashbill": "{}"}, "the state does not fit: missing field"),
        ({"mashbill": "x" * (2 << 20)}, "no state has a megabyte"),
        ({"mashbill": "{}", "epoch": 3}, "it also has `epoch`"),
        ({"mashbill": "{}", "lane": [0, 2, 0]}, "its `lane` is not a worker's"),
        ({"mashbill": "{}", "lane": [2, 2, 0, 0, 1]}, "its `lane` is not a worker's"),
        ({"mashbill": "{}", "lane": [0, 2, -1, 0, 1]}, "its `lane` is not a worker's"),
        ({"mashbill": "{}", "lane": "ab"}, "its `lane` is not a worker's"),
    ],
)
def test_what_is_no_state_is_refused(dataset: Dataset, state: object, message: str) -> None:
    one = loader(dataset)
    next(iter(one))
    with pytest.raises(mashbill.StateError, match=message) as refused:
        one.load_state_dict(state)  # type: ignore[arg-type]
    assert "\nhint: " in str(refused.value) and len(str(refused.value)) < 1000
    assert one.step == 1 and next(iter(one)).step == 1


def test_counts_that_cannot_be_are_refused(dataset: Dataset) -> None:
    import json

    one = loader(dataset)
    for batch in one:
        if batch.step == 2:
            break
    good = json.loads(one.state_dict()["mashbill"])
    for change, message in [
        ({"version": 7}, "it is of version 7, this is version 1"),
        ({"version": -1}, "invalid value"),
        ({"step": -1}, "invalid value"),
        ({"taken": [-3]}, "data did not match|invalid"),
        ({"taken": [1 << 63]}, "out of range"),
        ({"step": 1 << 60}, "out of range"),
        ({"taken": [good["step"]]}, "contradict one another"),
        ({"step": good["step"] + 1}, "contradict one another"),
        ({"taken": []}, "contradict one another"),
        ({"taken": [1, 2]}, "contradict one another"),
        ({"dataset": "0" * 32}, "another dataset"),
        ({"order": "0" * 32}, "its seed, shuffling or sources"),
    ]:
        with pytest.raises(mashbill.StateError, match=message):
            loader(dataset).load_state_dict({"mashbill": json.dumps(good | change)})
