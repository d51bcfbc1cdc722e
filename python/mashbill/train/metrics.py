"""What a run says while it trains: a line for people, `metrics.jsonl`, event files for TensorBoard.

`schemas/metrics.schema.json` has the keys of `metrics.jsonl`. A value that is not there, or not finite, is `null` in
it, which is JSON to every reader, and a gap in the curve.
"""

import contextlib
import json
import math
import os
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, BinaryIO

from torch.utils.tensorboard import SummaryWriter

from mashbill.train import printer
from mashbill.train.error import TrainError

LINE_SECONDS = 10.0
RECORD_BYTES_MAX = 64 << 20
"""Of a line of `metrics.jsonl`."""


class Metrics:
    """The records of a run, one per step. A run that resumes drops those after its checkpoint."""

    def __init__(self, folder: Path, steps: int, first_step: int, quiet: bool) -> None:
        self.steps = steps
        self.first_step = first_step
        self.quiet = quiet
        self.path = folder / "metrics.jsonl"
        try:
            unreadable, dropped = _cut(self.path, first_step)
            self.file = self.path.open("ab", buffering=0)
            self.board = SummaryWriter(str(folder / "tensorboard"), purge_step=first_step)
        except OSError as error:
            raise self._failure(error) from error
        if unreadable:
            printer.say(f"warning: `{self.path}` has {unreadable} lines that are not records; they are left there")
        if dropped and not quiet:
            dropping = f"from step {first_step:,} on, {dropped:,} lines of `{self.path}` are dropped"
            printer.say(f"note: {dropping}: those steps are redone")
        self.live = sys.stderr.isatty()
        self.started = self.spoken = time.monotonic()

    def step(self, record: dict[str, Any]) -> None:
        """Takes the record of a step: its `step`, `loss`, `learning_rate`, `tokens_per_second`, …"""
        self._write(record)
        now = time.monotonic()
        if not self.quiet and (self.live or now - self.spoken >= LINE_SECONDS or record["step"] + 1 == self.steps):
            self.spoken = now
            self._say(record, now)

    def validation(self, record: dict[str, Any]) -> None:
        """Takes a measurement: `validation` has the loss by split."""
        self._write(record)
        losses = ", ".join(f"{split} {_loss(loss)}" for split, loss in record["validation"].items())
        self.line(f"step {record['step']:,}: validation {losses}")

    def line(self, text: str) -> None:
        """Says something beside the live line."""
        if not self.quiet:
            self._clear()
            printer.say(text)

    def warn(self, text: str) -> None:
        """Says a warning, also where little is said."""
        self._clear()
        printer.say(f"warning: {text}")

    def sync(self) -> None:
        """Waits until the records are on the disk: those before a checkpoint outlive whatever it does."""
        try:
            os.fsync(self.file.fileno())
        except OSError as error:
            raise self._failure(error) from error

    def close(self) -> None:
        """Ends the live line and the files."""
        if self.live and not self.quiet:
            print(file=sys.stderr)
        # What could not be written was told before.
        with contextlib.suppress(OSError):
            self.file.close()
        with contextlib.suppress(OSError):
            self.board.close()

    def _clear(self) -> None:
        if self.live and not self.quiet:
            print("\r\x1b[K", end="", file=sys.stderr)

    def _write(self, record: dict[str, Any]) -> None:
        record = _finite(record)
        try:
            line = json.dumps(record, allow_nan=False).encode() + b"\n"
            if self.file.write(line) != len(line):
                raise OSError(0, "the disk is full")
            for name, value in record.items():
                by_split = value if isinstance(value, dict) else {"": value}
                for split, each in by_split.items():
                    if each is not None:
                        self.board.add_scalar(f"{name}/{split}" if split else name, each, record["step"])
        except OSError as error:
            raise self._failure(error) from error

    def _failure(self, error: OSError) -> TrainError:
        said = f"the metrics cannot be written to `{self.path.parent}`: {error.strerror or printer.reason(error)}"
        return TrainError(said, "make space, then run the same command again: it resumes from the last checkpoint", 3)

    def _say(self, record: dict[str, Any], now: float) -> None:
        done = record["step"] + 1
        left = (now - self.started) / max(1, done - self.first_step) * (self.steps - done)
        text = (
            f"step {done:,}/{self.steps:,}  loss {_loss(record['loss'])}  {record['tokens_per_second']:,.0f} tokens/s  "
            f"waiting for data {100 * record['loader_wait']:.1f} %  {timedelta(seconds=round(left))} left"
        )
        print(f"\r\x1b[K{text}" if self.live else text, end="" if self.live else "\n", file=sys.stderr, flush=True)


def _finite(record: dict[str, Any]) -> dict[str, Any]:
    """The record with null for numbers that JSON does not have."""
    return {name: _finite(each) if isinstance(each, dict) else _number(each) for name, each in record.items()}


def _number(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _loss(loss: float | None) -> str:
    """A loss for people; a step or a split may have no token that bears one."""
    return "none (no targets)" if loss is None else f"{loss:.4f}"


def _cut(path: Path, first_step: int) -> tuple[int, int]:
    """Cuts off the records from `first_step` on, and what a kill left of the last line. Gives the number of lines
    before that which are no records, and of those that were cut off."""
    if not path.exists():
        return 0, 0
    if not path.is_file():
        raise OSError(0, f"{path.name} is not a file")
    unreadable = end = dropped = 0
    with path.open("r+b") as file:
        for line, length in _lines(file):
            step = _step(line) if len(line) == length else None
            if dropped or (step is not None and step >= first_step):
                dropped += 1
                continue
            unreadable += step is None
            end += length
        file.truncate(end)
    return unreadable, dropped


def _lines(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """The lines that have an end, and their lengths; of one that is too long for a record the beginning."""
    while line := file.readline(RECORD_BYTES_MAX):
        last, length = line, len(line)
        while not last.endswith(b"\n"):
            if not (last := file.readline(RECORD_BYTES_MAX)):
                return
            length += len(last)
        yield line, length


def _step(line: bytes) -> int | None:
    """The step of a record; none where the line is no record."""
    try:
        step = json.loads(line)["step"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return step if isinstance(step, int) else None
