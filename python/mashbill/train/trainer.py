"""The run: steps, measurements and checkpoints, from the beginning or from where it was stopped.

The loss of a step is the sum over all its tokens that bear loss, on all processes and in all micro-batches, divided by
their number: where labels are masked unevenly, a mean of means would weigh tokens unequally.
"""

import contextlib
import json
import math
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

import numpy as np
import torch
import torch.distributed as distributed
from torch.nn.parallel import DistributedDataParallel
from transformers.utils import logging

from mashbill.train import checkpoint, checks, data, model, optimizer, printer, publish, resume
from mashbill.train.checkpoint import Checkpoint
from mashbill.train.config import Config
from mashbill.train.error import TrainError
from mashbill.train.lock import Lock
from mashbill.train.metrics import Metrics
from mashbill.train.model import Objective
from mashbill.train.resume import Change

T = TypeVar("T")


TORCHRUN = "start them with `torchrun --nproc-per-node=… -m mashbill.train --config …`; for one: unset WORLD_SIZE RANK"


class Processes:
    """This process among those of `torchrun`; alone where it was not started by it."""

    def __init__(self) -> None:
        self.rank, self.world_size, local = _place()
        self.device = torch.device("cuda", local) if torch.cuda.is_available() else torch.device("cpu")
        if self.device.type == "cuda":
            torch.cuda.set_device(self.device)
        if self.world_size > 1:
            try:
                distributed.init_process_group("nccl" if self.device.type == "cuda" else "gloo")
            except (ValueError, RuntimeError) as error:
                said = f"the {self.world_size} processes cannot reach one another: {printer.reason(error)}"
                raise TrainError(said, TORCHRUN) from error

    def sum(self, values: list[float]) -> list[float]:
        """The sums over all processes, in double precision."""
        if self.world_size == 1:
            return values
        summed = torch.tensor(values, dtype=torch.float64, device=self.device)
        distributed.all_reduce(summed)
        return summed.tolist()

    def gather(self, value: Any) -> list[Any]:
        """Every process's value, by rank."""
        if self.world_size == 1:
            return [value]
        gathered: list[Any] = [None] * self.world_size
        distributed.all_gather_object(gathered, value)
        return gathered

    def first(self, act: Callable[[], T]) -> T:
        """What the first process makes of `act`, for all; where it fails, no process goes on alone."""
        value: Any = None
        failure: TrainError | None = None
        if self.rank == 0:
            try:
                value = act()
            except TrainError as error:
                failure = error
        value, code = self.gather((value, failure.code if failure else 0))[0]
        if failure or code:
            raise failure or TrainError("the first process failed", "see what it says", code, told=True)
        return value  # type: ignore[no-any-return]


def _place() -> tuple[int, int, int]:
    """The rank, the number of processes, and the rank on this machine, as `torchrun` gives them to a process."""
    given = {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0"}
    given |= {name: os.environ[name] for name in given if name in os.environ}
    for name, text in given.items():
        if not (text.isascii() and text.isdigit() and len(text) < 10):
            raise TrainError(f"`{name}={text}` in the environment is not a process number", TORCHRUN)
    rank, world_size, local = map(int, given.values())
    if rank >= world_size:
        said = f"`RANK={rank}` and `WORLD_SIZE={world_size}` in the environment contradict each other"
        raise TrainError(said, TORCHRUN)
    return rank, world_size, local


def generators_state() -> dict[str, Any]:
    """The state of every generator that a model may draw from in this process."""
    cuda = torch.cuda.get_rng_state() if torch.cuda.is_available() else None
    return {"torch": torch.get_rng_state(), "cuda": cuda}


def restore_generators(state: dict[str, Any]) -> None:
    """Takes up [`generators_state`]."""
    torch.set_rng_state(state["torch"])
    if state["cuda"] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])


class Run:
    """A training run."""

    def __init__(self, config: Config, quiet: bool) -> None:
        logging.disable_progress_bar()
        self.config = config
        self.quiet = quiet
        self.processes = Processes()
        self.folder = Path(config.output_path)
        self.checkpoints = self.folder / "checkpoints"
        self.stopping = False
        self.told: set[str] = set()
        self.without_targets = 0
        self.lock: Lock | None = None
        self.metrics: Metrics | None = None
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def _open(self) -> None:
        config, processes = self.config, self.processes
        before: Checkpoint | None = processes.first(self._look)
        record: dict[str, Any] = before.record if before else {"step": 0, "rows_taken": 0, "loader": None}
        changes = resume.changes(config, record) if before else []

        torch.manual_seed((config.seed + processes.rank) % 2**64)
        self.train_data, self.validation_data = data.open_all(config, processes.rank, self.quiet)
        self.rows = self.train_data.identity()
        if before:
            resume.rows_are_the_same(config, record, changes, self.rows)
        checks.models_fit(config, self.train_data)
        rows = checks.rows_per_process(config, self.train_data.dataset.row_length, processes.world_size)
        self.loader = data.Batches(
            self.train_data, config, rows, processes.rank, processes.world_size, record["loader"]
        )
        self.step: int = record["step"]
        self.rows_taken: int = record["rows_taken"]
        there, rows_a_step = len(self.train_data.dataset), self.loader.rows_a_step
        checks.rows_are_enough(config, there, rows_a_step, self.train_data.dataset.row_length, processes.world_size)
        self.steps = config.steps or self.loader.steps_in_all(self.step, self.rows_taken)
        checks.epochs_fit(config, self.steps - self.step, there, self.rows_taken, rows_a_step)
        checks.schedule_fits(config, self.steps)
        splits = self.train_data.dataset.splits
        self.tokens: dict[str, int] = record.get("tokens_by_split") or {split.name: 0 for split in splits}
        self.history = resume.history(record, changes)

        self._load(before)
        if processes.rank == 0:
            self.metrics = Metrics(self.folder, self.steps, self.step, self.quiet)
            self._say_what_begins(before, changes)

    def _look(self) -> Checkpoint | None:
        """Takes the folder, and finds what this run resumes from. The first process does it for all."""
        publish.fail_if_in_the_way(self.folder)
        self.lock = Lock(self.folder)
        checkpoint.clear(self.checkpoints)
        before, damaged = checkpoint.newest(self.checkpoints)
        if damaged and before is None:
            said = "; ".join(f"`{each.folder.name}`: {each.why}" for each in damaged)
            hint = f"put a whole one there; or move `{self.checkpoints}` away, and the run starts afresh"
            raise TrainError(f"no checkpoint in `{self.checkpoints}` is whole: {said}", hint)
        if before:
            # Refused before anything is touched.
            resume.changes(self.config, before.record)
        for each in damaged:
            aside = checkpoint.set_aside(each)
            printer.say(f"warning: the checkpoint `{each.folder}` is damaged: {each.why}; it is now `{aside.name}`")
        if damaged and before:
            printer.say(f"warning: resuming from the one before it, `{before.folder}`")
        return before

    def _load(self, before: Checkpoint | None) -> None:
        """Models, optimizer and generators, as they begin or go on."""
        config, processes = self.config, self.processes
        trained = (
            model.load(str(before.folder), config, str(before.folder))
            if before
            else model.build(config, self.train_data)
        )
        teacher = model.load(config.teacher.model, config, config.place("teacher", "model")) if config.teacher else None
        self.objective = Objective(trained, teacher, config, self.train_data.dataset.vocabulary_size)
        self.trained = trained.to(processes.device).train()
        if teacher is not None:
            teacher.to(processes.device).eval().requires_grad_(False)
        self.optimizer = optimizer.build(trained, config)
        if before:
            self._restore(before)
        if config.model.compile:
            trained.base_model.compile()
        self.replica: Objective | DistributedDataParallel = self.objective
        if processes.world_size > 1:
            self.replica = DistributedDataParallel(self.objective)
        bf16 = config.precision == "bf16" or (config.precision == "auto" and processes.device.type == "cuda")
        self.precision = torch.autocast(processes.device.type, torch.bfloat16, enabled=bf16)
        if config.document_mask:
            with self.precision:
                model.check_documents(self.trained, processes.device)

    def train(self) -> int:
        """Runs to the last step, or until it is asked to stop; gives the command's exit code."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._stop)
        recipe: str | None = json.dumps(self.loader.loader.recipe(), indent=1) + "\n"
        while self.step < self.steps:
            stop = self._step()
            if recipe is not None and self.metrics:
                self._keep_config(recipe)
                recipe = None
            last = self.step == self.steps
            measure, keep = self.config.validation.every, self.config.checkpoints.every
            if self.validation_data and measure and (last or self.step % measure == 0) and not stop:
                self._validate()
            if last or stop or (keep and self.step % keep == 0):
                self._save()
            if stop and not last:
                return 130
        if self.metrics and self.without_targets > 1:
            self.metrics.warn(f"of {self.without_targets:,} steps no token bore loss: they changed no weight")
        if self.metrics:
            self.metrics.line(f"done: {self.checkpoints / f'step_{self.step:08d}'} loads with `transformers`")
        return 0

    def close(self) -> None:
        """Ends what the run holds."""
        if self.metrics:
            self.metrics.close()
        if self.lock:
            self.lock.release()
        if self.processes.world_size > 1:
            distributed.destroy_process_group()

    def _step(self) -> bool:
        """One optimizer step; whether some process was asked to stop."""
        started = time.monotonic()
        batch, tokens = self.loader.next()
        waited = time.monotonic() - started
        bearing = float(np.count_nonzero(batch["labels"].numpy() != data.IGNORED))
        count, stop, *tokens = self.processes.sum([bearing, float(self.stopping), *tokens])
        rows, micro, replica = len(batch["labels"]), self.config.micro_batch_rows, self.replica
        sums = torch.zeros(3, device=self.processes.device)
        for start in range(0, rows, micro):
            # Gradients are exchanged after the last micro-batch only.
            exchange: contextlib.AbstractContextManager[Any] = contextlib.nullcontext()
            if isinstance(replica, DistributedDataParallel) and start + micro < rows:
                exchange = replica.no_sync()
            with exchange:
                self.last_rows = {name: each[start : start + micro] for name, each in batch.items()}
                part = self._on_device(self.last_rows)
                with self.precision:
                    loss, ce, kl = replica(**part)
                # DistributedDataParallel takes the mean over processes; the sum is wanted.
                (loss * (self.processes.world_size / max(count, 1.0))).backward()
            sums += torch.stack([loss.detach(), ce, kl])
        clip = self.config.optimizer.clip
        norm = torch.nn.utils.clip_grad_norm_(self.trained.parameters(), clip if clip > 0 else float("inf"))
        # Summed over the processes before the weights change: all of them stop, or none.
        *summed, norms = self.processes.sum([*sums.tolist(), float(norm)])
        if not all(map(math.isfinite, (*summed, norms))):
            raise self._diverged(summed[0] / max(count, 1.0), float(norm))
        rate = optimizer.set_rate(self.optimizer, self.config, self.step, self.steps)
        # Without a target the gradient is nothing: decay and momentum alone would move the weights.
        if count:
            self.optimizer.step()
        else:
            self._say_without_targets()
        self.optimizer.zero_grad(set_to_none=True)
        loss, ce, kl = (each / count if count else None for each in summed)
        seconds = time.monotonic() - started
        for split, more in zip(self.tokens, tokens, strict=True):
            self.tokens[split] += int(more)
        self.rows_taken += rows * self.processes.world_size
        if self.metrics:
            record = {
                "step": self.step,
                "loss": loss,
                "learning_rate": rate,
                "gradient_norm": float(norm),
                "tokens": sum(self.tokens.values()),
                "tokens_by_split": self.tokens,
                "tokens_per_second": sum(tokens) / seconds,
                "loader_wait": waited / seconds,
            }
            if self.config.teacher:
                record |= {"cross_entropy": ce, "divergence": kl}
            self.metrics.step(record)
        self.step += 1
        return stop > 0

    def _say_without_targets(self) -> None:
        """Says the first step of which no token bears loss; the end of the run says how many there were."""
        self.without_targets += 1
        if self.metrics and self.without_targets == 1:
            said = f"no token of step {self.step:,} bears loss: it changes no weight, and its loss is null"
            self.metrics.warn(f"{said} in `{self.metrics.path}`")

    def _diverged(self, loss: float, norm: float) -> TrainError:
        """The error of a step whose loss or gradient is not finite: nothing can be learned from it."""
        said = f"step {self.step:,} is not applied: its loss is {loss:g}, its gradient's norm {norm:g}"
        return self._not_finite(said)

    def _not_finite(self, said: str) -> TrainError:
        """An error after which the last checkpoint stands."""
        rate, clip = self.config.optimizer.learning_rate, self.config.optimizer.clip
        tries = f"`--set optimizer.learning_rate={rate / 10:g}`"
        tries += "" if 0 < clip <= 1 else ", `--set optimizer.clip=1`"
        stands = checkpoint.steps(self.checkpoints)
        goes_on = f"resumes from step {stands[-1]:,}" if stands else "starts afresh, since there is no checkpoint yet"
        hint = f"run the same command with {tries} or a longer `schedule.warmup_steps`: it {goes_on}"
        return TrainError(said, hint, code=3, told=self.processes.rank != 0)

    @torch.no_grad()
    def _fail_if_spoilt(self) -> None:
        """No checkpoint is made, and none goes, for weights with which no further step can be made."""
        spoilt = model.not_finite(self.trained)
        if not spoilt:
            self.trained.eval()
            with self.precision:
                summed = self.objective(**self._on_device(self.last_rows))
            self.trained.train()
            if all(bool(torch.isfinite(each)) for each in summed):
                return
        why = f"`{spoilt[0]}` holds values that are not finite" if spoilt else "the loss with them is not finite"
        raise self._not_finite(f"the weights after {self.step:,} steps are not saved: {why}")

    def _on_device(self, batch: data.Batch) -> data.Batch:
        """Copied while the device computes."""
        return {name: each.to(self.processes.device, non_blocking=True) for name, each in batch.items()}

    @torch.no_grad()
    def _validate(self) -> None:
        self.trained.eval()
        losses: dict[str, float | None] = {}
        for split, held_out in self.validation_data.items():
            total = count = 0.0
            for batch in data.validation_batches(held_out, self.config, self.processes.rank, self.processes.world_size):
                with self.precision:
                    total += float(self.objective(**self._on_device(batch))[1])
                count += float((batch["labels"] != data.IGNORED).sum())
            total, count = self.processes.sum([total, count])
            losses[split] = total / count if count else None
        self.trained.train()
        if self.metrics:
            self.metrics.validation({"step": self.step - 1, "validation": losses})

    def _save(self) -> None:
        generators = self.processes.gather(generators_state())
        self.processes.first(lambda: self._write_checkpoint(generators))

    def _write_checkpoint(self, generators: list[Any]) -> None:
        def write(folder: Path) -> None:
            self.trained.save_pretrained(folder)
            for name, text in self.train_data.tokenizer_files.items():
                (folder / name).write_text(text, encoding="utf-8")
            state = {"optimizer": optimizer.state(self.optimizer), "random": generators}
            torch.save(state, folder / checkpoint.STATE)

        record = {
            "step": self.step,
            "rows_taken": self.rows_taken,
            "tokens_by_split": self.tokens,
            "rows": self.rows,
            "loader": self.loader.loader.state_dict(),
            "config": self.config.model_dump(),
            "history": self.history,
        }
        assert self.metrics is not None, "the first process has the metrics"
        self.metrics.sync()
        self._fail_if_spoilt()
        warnings = checkpoint.save(self.checkpoints, self.step, write, record)
        warnings += checkpoint.prune(self.checkpoints, self.config.checkpoints.keep)
        for said in warnings:
            if said not in self.told:
                self.told.add(said)
                self.metrics.warn(said)

    def _restore(self, before: Checkpoint) -> None:
        try:
            state = torch.load(before.folder / checkpoint.STATE, map_location="cpu", weights_only=True)
            optimizer.restore(self.optimizer, state["optimizer"])
            before_us = len(state["random"])
            if before_us != self.processes.world_size and self.processes.rank == 0:
                said = f"{before_us} {'process' if before_us == 1 else 'processes'} made the steps before"
                now = f"{self.processes.world_size} from step {self.step:,} on: the same rows, with other rounding"
                printer.say(f"note: {said}, {now}")
            if self.processes.rank < before_us:
                restore_generators(state["random"][self.processes.rank])
        # What was written is what is there, so another version of torch or of mashbill wrote it.
        except Exception as error:
            said = f"`{before.folder / checkpoint.STATE}` cannot be restored: {printer.reason(error)}"
            raise TrainError(
                said, "continue with the versions that wrote it, or start afresh with another `output_path`"
            ) from error

    def _keep_config(self, recipe: str) -> None:
        """Writes what the steps from here on are made with, once there is one. `recipe` is that of their batches."""
        publish.whole(self.folder / "config.yaml", resume.resolved(self.config, self.history))
        # For `mashbill inspect FOLDER --step N`.
        publish.whole(self.folder / "loader.json", recipe)

    def _say_what_begins(self, before: Checkpoint | None, changes: list[Change]) -> None:
        assert self.metrics is not None, "the first process has the metrics"
        said = ", ".join(map(str, changes))
        if changes and self.step < self.steps:
            self.metrics.line(f"changed from step {self.step:,} on: {said}")
        elif changes:
            printer.say(f"warning: no step is left, so what was changed is not used: {said}")
        parameters = sum(each.numel() for each in self.trained.parameters())
        begins = f"resuming at step {self.step:,} from {before.folder}" if before else f"training into {self.folder}"
        about = f"{parameters / 1e6:.1f} M parameters, {self.steps:,} steps, {self.processes.device}"
        self.metrics.line(f"{begins}: {about}")
        times = self.loader.loader.epochs(self.steps)
        seen = ", ".join(f"{name or 'each row'} {each:.2f} times" for name, each in times.items())
        self.metrics.line(f"they show {seen}")

    def _stop(self, number: int, frame: FrameType | None) -> None:
        if self.stopping:
            # Asked twice: at once, the last checkpoint stands.
            raise KeyboardInterrupt
        self.stopping = True
        if self.metrics:
            self.metrics.line("stopping after this step; press Ctrl-C again to stop at once")
