"""The run: steps, measurements and checkpoints, from the beginning or from where it was stopped.

The loss of a step is the sum over all its tokens that bear loss, on all processes and in all micro-batches, divided by
their number: where labels are masked unevenly, a mean of means would weigh tokens unequally.
"""

import contextlib
import json
import os
import signal
import time
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import torch
import torch.distributed as distributed
from torch.nn.parallel import DistributedDataParallel
from transformers.utils import logging

from mashbill.train import checkpoint, checks, data, model, optimizer
from mashbill.train import config as configuration
from mashbill.train.config import Config
from mashbill.train.error import TrainError
from mashbill.train.metrics import Metrics
from mashbill.train.model import Objective


class Processes:
    """This process among those of `torchrun`; alone where it was not started by it."""

    def __init__(self) -> None:
        self.rank = int(os.environ.get("RANK", 0))
        self.world_size = int(os.environ.get("WORLD_SIZE", 1))
        local = int(os.environ.get("LOCAL_RANK", 0))
        self.device = torch.device("cuda", local) if torch.cuda.is_available() else torch.device("cpu")
        if self.device.type == "cuda":
            torch.cuda.set_device(self.device)
        if self.world_size > 1:
            distributed.init_process_group("nccl" if self.device.type == "cuda" else "gloo")

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


class Run:
    """A training run."""

    def __init__(self, config: Config, quiet: bool) -> None:
        logging.disable_progress_bar()
        self.config = config
        self.processes = Processes()
        self.folder = Path(config.output_path)
        self.checkpoints = self.folder / "checkpoints"
        self.stopping = False
        before = checkpoint.latest(self.checkpoints)
        record: dict[str, Any] = checkpoint.record(before) if before else {"step": 0, "loader": None}

        torch.manual_seed(config.seed + self.processes.rank)
        self.train_data, self.validation_data = data.open_all(config, self.processes.rank, quiet)
        checks.models_fit(config, self.train_data)
        rows = checks.rows_per_process(config, self.train_data.dataset.row_length, self.processes.world_size)
        self.loader = data.Batches(
            self.train_data, config, rows, self.processes.rank, self.processes.world_size, record["loader"]
        )
        self.steps = config.steps or self.loader.steps_per_epoch
        self.step: int = record["step"]
        splits = self.train_data.dataset.splits
        self.tokens: dict[str, int] = record.get("tokens_by_split") or {split.name: 0 for split in splits}

        trained = model.load(str(before), config.model.attention) if before else model.build(config, self.train_data)
        teacher = model.load(config.teacher.model, config.model.attention) if config.teacher else None
        self.objective = Objective(trained, teacher, config)
        self.trained = trained.to(self.processes.device).train()
        if teacher is not None:
            teacher.to(self.processes.device).eval().requires_grad_(False)
        self.optimizer, self.schedule = optimizer.build(trained, config, self.steps)
        if before:
            self._restore(before)
        if config.model.compile:
            trained.base_model.compile()
        self.replica: Objective | DistributedDataParallel = self.objective
        if self.processes.world_size > 1:
            self.replica = DistributedDataParallel(self.objective)
        bf16 = config.precision == "bf16" or (config.precision == "auto" and self.processes.device.type == "cuda")
        self.precision = torch.autocast(self.processes.device.type, torch.bfloat16, enabled=bf16)
        if config.document_mask:
            with self.precision:
                model.check_documents(self.trained, self.processes.device)
        self.metrics = self._start(quiet, before) if self.processes.rank == 0 else None

    def train(self) -> int:
        """Runs to the last step, or until it is asked to stop; gives the command's exit code."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._stop)
        while self.step < self.steps:
            stop = self._step()
            last = self.step == self.steps
            measure, keep = self.config.validation.every, self.config.checkpoints.every
            if self.validation_data and measure and (last or self.step % measure == 0) and not stop:
                self._validate()
            if last or stop or (keep and self.step % keep == 0):
                self._save()
            if stop and not last:
                return 130
        if self.metrics:
            self.metrics.line(f"done: {self.checkpoints / f'step_{self.step:08d}'} loads with `transformers`")
        return 0

    def close(self) -> None:
        """Ends what the run holds."""
        if self.metrics:
            self.metrics.close()
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
                part = self._on_device({name: each[start : start + micro] for name, each in batch.items()})
                with self.precision:
                    loss, ce, kl = replica(**part)
                # DistributedDataParallel takes the mean over processes; the sum is wanted.
                (loss * (self.processes.world_size / max(count, 1.0))).backward()
            sums += torch.stack([loss.detach(), ce, kl])
        clip = self.config.optimizer.clip
        norm = torch.nn.utils.clip_grad_norm_(self.trained.parameters(), clip if clip > 0 else float("inf"))
        rate = self.schedule.get_last_lr()[0]
        self.optimizer.step()
        self.schedule.step()
        self.optimizer.zero_grad(set_to_none=True)
        loss, ce, kl = (each / (count or float("nan")) for each in self.processes.sum(sums.tolist()))
        seconds = time.monotonic() - started
        for split, more in zip(self.tokens, tokens, strict=True):
            self.tokens[split] += int(more)
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

    def _on_device(self, batch: data.Batch) -> data.Batch:
        """Copied while the device computes."""
        return {name: each.to(self.processes.device, non_blocking=True) for name, each in batch.items()}

    @torch.no_grad()
    def _validate(self) -> None:
        self.trained.eval()
        losses: dict[str, float] = {}
        for split, held_out in self.validation_data.items():
            total = count = 0.0
            for batch in data.validation_batches(held_out, self.config, self.processes.rank, self.processes.world_size):
                with self.precision:
                    total += float(self.objective(**self._on_device(batch))[1])
                count += float((batch["labels"] != data.IGNORED).sum())
            total, count = self.processes.sum([total, count])
            losses[split] = total / max(count, 1.0)
        self.trained.train()
        if self.metrics:
            self.metrics.validation({"step": self.step - 1, "validation": losses})

    def _save(self) -> None:
        generators = self.processes.gather(checkpoint.random_state())
        failure: TrainError | None = None
        if self.processes.rank == 0:
            state = {
                "optimizer": self.optimizer.state_dict(),
                "schedule": self.schedule.state_dict(),
                "random": generators,
            }
            about = {"step": self.step, "tokens_by_split": self.tokens, "loader": self.loader.loader.state_dict()}
            try:
                keep = self.config.checkpoints.keep
                tokenizer = self.train_data.tokenizer_files
                checkpoint.save(self.checkpoints, self.step, self.trained, tokenizer, state, about, keep)
            except TrainError as error:
                failure = error
        # No process goes on alone where the first one failed.
        if self.processes.sum([float(failure is not None)])[0] > 0:
            raise failure or TrainError("the checkpoint could not be written", "see the first process", code=3)

    def _restore(self, before: Path) -> None:
        state = torch.load(before / checkpoint.STATE, map_location="cpu", weights_only=True)
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        if self.processes.rank < len(state["random"]):
            checkpoint.restore_random_state(state["random"][self.processes.rank])

    def _start(self, quiet: bool, before: Path | None) -> Metrics:
        self.folder.mkdir(parents=True, exist_ok=True)
        metrics = Metrics(self.folder, self.steps, self.step, quiet)
        resolved = self.folder / "config.yaml"
        if before and resolved.exists():
            changed = configuration.differences(self.config, resolved)
            if changed:
                metrics.line(f"changed since the run began: {', '.join(changed)}")
        configuration.write(self.config, resolved)
        loader = self.loader.loader
        # For `mashbill inspect FOLDER --step N`.
        (self.folder / "loader.json").write_text(json.dumps(loader.recipe(), indent=1) + "\n", encoding="utf-8")
        parameters = sum(each.numel() for each in self.trained.parameters())
        begins = f"going on at step {self.step:,} from {before}" if before else f"training into {self.folder}"
        metrics.line(f"{begins}: {parameters / 1e6:.1f} M parameters, {self.steps:,} steps, {self.processes.device}")
        if self.config.mix:
            seen = ", ".join(f"{name} {times:.2f} times" for name, times in loader.epochs(self.steps).items())
            metrics.line(f"they show {seen}")
        return metrics

    def _stop(self, number: int, frame: FrameType | None) -> None:
        if self.stopping:
            # Asked twice: at once, the last checkpoint stands.
            raise KeyboardInterrupt
        self.stopping = True
        if self.metrics:
            self.metrics.line("stopping after this step; press Ctrl-C again to stop at once")
