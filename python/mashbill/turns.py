"""How the worker processes of torch's loaders share one order.

Workers are copies of a loader that know nothing of one another: torch starts them, asks them in turn, and never says
which batches were used. They take turns step by step, which needs no word between them. What does is told through
memory that they share with the loader they were copied from: where an iteration begins, whether an epoch's end was
reached, and how far each came when all of them go on from states.
"""

from __future__ import annotations

import multiprocessing
import sys
from multiprocessing.context import get_spawning_popen
from multiprocessing.heap import Arena
from typing import Any, NamedTuple

__all__ = ["Lane", "Relay", "Turns", "Worker", "is_spawning", "worker"]

WORKERS_MAX = 1024
"""Workers that can share an order."""

ITERATIONS = 64
"""Iterations whose beginnings are remembered: as many as one worker may be ahead of another."""


class Worker(NamedTuple):
    """A worker process: its number, and how many there are."""

    id: int
    num_workers: int


class Lane(NamedTuple):
    """The steps of one worker: those that come `id`, `id + num_workers`, … steps after step `start`."""

    id: int
    num_workers: int
    start: int


class Together(NamedTuple):
    """Where all workers are, of which each says in its state where it is itself."""

    step: int
    start: int
    """The step at which their iteration began."""
    iterations: int
    is_over: bool


class Turns:
    """What a worker process knows of its turns."""

    def __init__(self, worker: Worker, home: int) -> None:
        self.worker = worker
        self.home = home
        """The step at which the loader was that this one is a copy of."""
        self.lane: Lane | None = None
        self.is_begun = False
        """Whether an iteration goes along the lane; if not, the next one will."""
        self.is_loaded = False
        """Whether the lane comes from a state, as those of the other workers do."""
        self.is_last = False
        """Whether the batch that was delivered last ends an epoch."""
        self.is_over = False
        """Whether the lane's iteration was asked for more than there is: the next one begins a new epoch."""
        self.iterations = 0
        """Iterations that were begun."""

    def key(self) -> int:
        """A number of this iteration that all workers share. Torch starts the workers of an iteration one after
        another, and each of them begins every iteration."""
        identity: tuple[int, ...] = getattr(multiprocessing.current_process(), "_identity", ())
        started = (identity[-1] if identity else 0) - self.worker.id
        return started << 32 | self.iterations


class Relay:
    """Numbers that a loader shares with its copies in worker processes. Each is written by whoever knows it; all who
    know one write the same."""

    HOME, DONE, FROM, BEGINNINGS = 0, 1, 2, 3
    PLACES = BEGINNINGS + 2 * ITERATIONS
    PLACE = 3

    def __init__(self) -> None:
        # A piece of memory for each relay, which is never used again for another: a worker may outlive its loader.
        self._arena = Arena(8 * (self.PLACES + self.PLACE * WORKERS_MAX))
        self._numbers = memoryview(self._arena.buffer).cast("Q")
        in_worker = worker()
        self.is_private = in_worker is not None and in_worker.num_workers > 1
        """Whether it was made in one of several workers, which share nothing then."""

    def __getstate__(self) -> dict[str, Any]:
        return {"arena": self._arena, "is_private": self.is_private}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._arena, self.is_private = state["arena"], state["is_private"]
        self._numbers = memoryview(self._arena.buffer).cast("Q")

    def beginning(self, turns: Turns) -> int:
        """The step at which the workers begin this iteration: the next epoch, where the end of the last one was
        reached, else where the last iteration began."""
        numbers, key = self._numbers, turns.key()
        at = self.BEGINNINGS + 2 * (turns.iterations % ITERATIONS)
        if numbers[at] == key:
            return numbers[at + 1]
        self._be_at_home(turns)
        step = max(numbers[self.DONE], numbers[self.FROM])
        self.begin(turns, step)
        return step

    def begin(self, turns: Turns, step: int) -> None:
        """An iteration begins at `step`."""
        at = self.BEGINNINGS + 2 * (turns.iterations % ITERATIONS)
        self._numbers[self.FROM] = step
        self._numbers[at + 1] = step
        # Last: whoever finds it finds the step, too.
        self._numbers[at] = turns.key()

    def end(self, step: int) -> None:
        """The last step before `step` was made, which ends an epoch."""
        self._numbers[self.DONE] = max(step, self._numbers[self.DONE])

    def load(self, turns: Turns, lane: Lane, step: int) -> None:
        """A worker goes on from a state before `step`. All of them do before any begins."""
        self._be_at_home(turns)
        self._numbers[self.DONE] = 0
        if turns.is_over:
            self._numbers[self.FROM] = step
        at = self.PLACES + self.PLACE * turns.worker.id
        place = (turns.iterations, step << 1 | turns.is_over, lane.start)
        for offset, number in enumerate(place):
            self._numbers[at + offset] = number

    def together(self, workers: int) -> Together | None:
        """Where all workers are by their states: in the last iteration that any has begun, as far as the furthest. None
        where the states are of different moments, since workers that take turns are less than a round apart."""
        numbers = self._numbers[self.PLACES : self.PLACES + self.PLACE * workers].tolist()
        last = max(numbers[:: self.PLACE])
        places = [numbers[at : at + self.PLACE] for at in range(0, len(numbers), self.PLACE) if numbers[at] == last]
        steps = [place >> 1 for _, place, _ in places]
        starts = {start for _, _, start in places}
        if max(steps) - min(steps) >= workers or len(starts) > 1:
            return None
        is_over = any(place == max(steps) << 1 | 1 for _, place, _ in places)
        return Together(max(steps), starts.pop(), last, is_over)

    def _be_at_home(self, turns: Turns) -> None:
        """Forgets what is about another place of the loader that was copied."""
        if self._numbers[self.HOME] != turns.home:
            self._numbers[self.DONE] = 0
            self._numbers[self.FROM] = turns.home
            self._numbers[self.HOME] = turns.home


def worker() -> Worker | None:
    """The worker process of torch's that this is; none in any other process."""
    torch_data = sys.modules.get("torch.utils.data")
    info = torch_data.get_worker_info() if torch_data is not None else None
    if info is None:
        return None
    if info.num_workers > WORKERS_MAX:
        raise ValueError(
            f"{info.num_workers} workers cannot share an order, {WORKERS_MAX} can: threads need no workers"
        )
    return Worker(info.id, info.num_workers)


def is_spawning() -> bool:
    """Whether what is pickled now goes to a process that this one starts, which shares its memory."""
    return get_spawning_popen() is not None
