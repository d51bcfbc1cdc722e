"""What a run says while it trains: a line for people, `metrics.jsonl`, event files for TensorBoard."""

import json
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from torch.utils.tensorboard import SummaryWriter

LINE_SECONDS = 10.0


class Metrics:
    """The records of a run, one a step. A run that goes on drops those after its checkpoint."""

    def __init__(self, folder: Path, steps: int, first_step: int, quiet: bool) -> None:
        self.steps = steps
        self.first_step = first_step
        self.quiet = quiet
        path, kept = folder / "metrics.jsonl", folder / ".metrics.tmp"
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
        # A kill may have cut off the last line.
        whole = [line for line in lines if line.endswith("\n") and json.loads(line)["step"] < first_step]
        kept.write_text("".join(whole), encoding="utf-8")
        kept.replace(path)
        self.file = path.open("a", encoding="utf-8", buffering=1)
        self.board = SummaryWriter(str(folder / "tensorboard"), purge_step=first_step)
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
        losses = ", ".join(f"{split} {loss:.4f}" for split, loss in record["validation"].items())
        self.line(f"step {record['step']:,}: validation {losses}")

    def line(self, text: str) -> None:
        """Says something beside the live line."""
        if not self.quiet:
            print(f"\r\x1b[K{text}" if self.live else text, file=sys.stderr, flush=True)

    def close(self) -> None:
        """Ends the live line and the files."""
        if self.live and not self.quiet:
            print(file=sys.stderr)
        self.file.close()
        self.board.close()

    def _write(self, record: dict[str, Any]) -> None:
        self.file.write(json.dumps(record) + "\n")
        for name, value in record.items():
            by_split = value if isinstance(value, dict) else {"": value}
            for split, each in by_split.items():
                self.board.add_scalar(f"{name}/{split}" if split else name, each, record["step"])

    def _say(self, record: dict[str, Any], now: float) -> None:
        done = record["step"] + 1
        left = (now - self.started) / max(1, done - self.first_step) * (self.steps - done)
        text = (
            f"step {done:,}/{self.steps:,}  loss {record['loss']:.4f}  {record['tokens_per_second']:,.0f} tokens/s  "
            f"waiting for data {100 * record['loader_wait']:.1f} %  {timedelta(seconds=round(left))} left"
        )
        print(f"\r\x1b[K{text}" if self.live else text, end="" if self.live else "\n", file=sys.stderr, flush=True)
