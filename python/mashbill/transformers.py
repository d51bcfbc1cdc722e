"""Hugging Face's `Trainer`, fed by the loader.

    trainer = mashbill.transformers.Trainer(model=model, args=args, train_dataset=loader, eval_dataset=held_out)
    trainer.train(resume_from_checkpoint=True)

The loader makes whole batches of its own rank, so nothing samples, collates or distributes them again. Its place is in
each checkpoint's `trainer_state.json`: a run that resumes opens the loader there and decodes nothing that was seen.

What would train on wrong targets or across documents without a word is refused: by what is known when the trainer is
made, and by a look at the model's own loss and attention before the first step.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import torch
import transformers
from torch import Tensor

from mashbill.loader import DataLoader

__all__ = ["Trainer"]

IGNORED = -100
PLACE = "mashbill"
"""The key of the loader's state in `trainer_state.json`."""


class Trainer(transformers.Trainer):  # type: ignore[misc]
    """`transformers.Trainer` whose `train_dataset` and `eval_dataset` may be a `mashbill.DataLoader`.

    The loaders say `label_convention="aligned"` for Hugging Face's models, which shift labels by themselves, and
    "shifted" with a `compute_loss_func` that compares `logits[i]` with `labels[i]`. Their batch size is
    `per_device_train_batch_size` and `per_device_eval_batch_size`; rank and world size are those of the run, as in
    every loader that is made after the `TrainingArguments`. A pass for evaluation begins where the loader is and does
    not move it. `loader.json` in the output folder is what `mashbill inspect FOLDER --step N` reads.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        given_collator = kwargs.get("data_collator", args[2] if len(args) > 2 else None)
        super().__init__(*args, **kwargs)
        self._probed = False
        evaluated = self.eval_dataset if isinstance(self.eval_dataset, dict) else {"": self.eval_dataset}
        loaders = [each for each in (self.train_dataset, *evaluated.values()) if isinstance(each, DataLoader)]
        for loader in loaders:
            self._check(loader)
        if loaders and given_collator is not None:
            _refuse("a `data_collator` would see nothing of the loader's batches, which are whole", "leave it out")
        if isinstance(self.train_dataset, DataLoader):
            self.add_callback(_Place(self.train_dataset))
            if self.train_dataset.label_convention == "shifted":
                # Targets are counted, for the mean over all of a step, as they stand.
                self._loss_shifts_labels = False

    def get_train_dataloader(self) -> Any:
        """The batches of a run."""
        loader = self.train_dataset
        if not isinstance(loader, DataLoader):
            return super().get_train_dataloader()
        self._check_batch_size(loader, self._train_batch_size, "per_device_train_batch_size")
        if self.args.dataloader_num_workers:
            _refuse("`dataloader_num_workers` starts no workers for the loader", "give the loader more `threads`")
        if loader.last == "short" and loader.world_size > 1:
            _refuse('with `last="short"` some ranks may have a step without rows', 'use `last="drop"`')
        return _Batches(_Run(loader, self))

    def get_eval_dataloader(self, eval_dataset: Any = None) -> Any:
        """The batches of one evaluation."""
        loader = self.eval_dataset if eval_dataset is None else eval_dataset
        if isinstance(loader, str):
            loader = self.eval_dataset[loader]
        if not isinstance(loader, DataLoader):
            return super().get_eval_dataloader(eval_dataset)
        self._check(loader)
        self._check_batch_size(loader, self.args.eval_batch_size, "per_device_eval_batch_size")
        if not _has_length(loader):
            _refuse("an evaluation by this loader has no end", 'use `last="drop"` or `"short"`, or give `steps`')
        if loader.last == "short" and loader.world_size > 1:
            _refuse('with `last="short"` ranks may have batches of different sizes', 'use `last="drop"`')
        return _Batches(_Pass(loader))

    def training_step(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Tensor:
        """A step; before the first one, a look at what the model makes of labels and positions."""
        if not self._probed and isinstance(self.train_dataset, DataLoader):
            with self.compute_loss_context_manager():
                self._probe(model)
            self._probed = True
        loss: Tensor = super().training_step(model, inputs, *args, **kwargs)
        return loss

    def _check(self, loader: DataLoader) -> None:
        """Refuses what can be known to be wrong without running the model."""
        args = self.args
        if (loader.rank, loader.world_size) != (args.process_index, args.world_size):
            _refuse(
                f"the loader is rank {loader.rank} of {loader.world_size} and this process {args.process_index} of "
                f"{args.world_size}",
                "make the loader after the `TrainingArguments`, which start `torch.distributed`",
            )
        base = getattr(self.model, "get_base_model", lambda: self.model)()
        shifts = isinstance(base, transformers.PreTrainedModel) and self.compute_loss_func is None
        if shifts and loader.label_convention == "shifted":
            _refuse_shifted(base)
        if loader.documents and args.use_cache:
            _refuse("with `use_cache` attention passes the borders of packed documents", "use `use_cache=False`")

    def _check_batch_size(self, loader: DataLoader, batch_size: int, option: str) -> None:
        if loader.batch_size != batch_size:
            _refuse(
                f"the loader's batches have {loader.batch_size} rows, and `{option}` makes {batch_size}",
                f"use `{option}={loader.batch_size}`",
            )

    @torch.no_grad()
    def _probe(self, model: Any) -> None:
        """Refuses a model that shifts labels where it should not, or the other way, or that mixes documents."""
        loader, training = self.train_dataset, model.training
        model.eval()
        device = self.args.device
        ids = torch.arange(16, device=device).unsqueeze(0) % loader.dataset.vocabulary_size
        if self.compute_loss_func is None and self.label_smoother is None:
            nothing = torch.full_like(ids, IGNORED)
            only_first = nothing.clone()
            only_first[0, 0] = ids[0, 1]
            # Whoever shifts has no use for the first label.
            without, with_first = (_loss(model(input_ids=ids, labels=labels)) for labels in (nothing, only_first))
            shifts = torch.allclose(without, with_first, equal_nan=True)
            if shifts and loader.label_convention == "shifted":
                _refuse_shifted(model)
            if not shifts and loader.label_convention == "aligned":
                _refuse(
                    f"`{type(model).__name__}` does not shift labels: aligned ones would teach it to repeat its input",
                    'make the loader with `label_convention="shifted"`',
                )
        if loader.documents:
            positions = torch.cat([torch.arange(7), torch.arange(9)]).unsqueeze(0).to(device)
            packed = _logits(model(input_ids=ids, position_ids=positions))[:, 7:].float()
            alone = _logits(model(input_ids=ids[:, 7:], position_ids=positions[:, 7:])).float()
            if (packed - alone).norm() > 0.05 * alone.norm():
                _refuse(
                    f"attention of `{type(model).__name__}` passes the borders of packed documents",
                    'load the model with `attn_implementation="sdpa"`, or make the loader with `documents=False`',
                )
        model.train(training)


class _Place(transformers.TrainerCallback):  # type: ignore[misc]
    """Puts the loader's place into what a checkpoint is made of."""

    def __init__(self, loader: DataLoader) -> None:
        self.loader = loader

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """After each step: whenever a checkpoint is written, it is of now."""
        state.stateful_callbacks[PLACE] = {"args": {}, "attributes": {"loader": self.loader.state_dict()}}


class _Rows(torch.utils.data.IterableDataset[dict[str, Tensor]]):
    """What the trainer calls a dataset; its length is in rows."""

    def __init__(self, loader: DataLoader) -> None:
        self.loader = loader

    def __len__(self) -> int:
        return len(self.loader) * self.loader.batch_size * self.loader.world_size


class _Run(_Rows):
    """Batches for as long as the trainer wants them; each iteration is one of its epochs.

    The trainer counts epochs from steps, the loader from rows. Where a run goes on with another number of processes
    these may differ; so the loader's epochs are taken behind one another, and no batch is lost between the trainer's.
    """

    def __init__(self, loader: DataLoader, trainer: Trainer) -> None:
        super().__init__(loader)
        self.trainer = trainer
        self.batches: Iterator[dict[str, Tensor]] | None = None

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        steps = len(self.loader) if _has_length(self.loader) else None
        passed = 0
        if self.batches is None:
            passed = self._resume(steps)
            self._leave_recipe()
            self.batches = _endless(self.loader)
        # The trainer takes and drops what it has seen of its epoch; nothing is decoded for that.
        for _ in range(passed):
            yield {}
        while steps is None or passed < steps:
            batch = next(self.batches, None)
            if batch is None:
                return
            yield batch
            passed += 1

    def _resume(self, steps: int | None) -> int:
        """Goes to the place of the trainer's checkpoint; the batches that the trainer will pass over in this epoch."""
        state, args = self.trainer.state, self.trainer.args
        if state.global_step == 0:
            return 0
        if PLACE not in state.stateful_callbacks:
            _refuse(
                "the checkpoint does not say where the loader was: another trainer wrote it",
                "load the loader's state yourself and begin a run from the checkpoint's model",
            )
        self.loader.load_state_dict(state.stateful_callbacks[PLACE]["attributes"]["loader"])
        if args.ignore_data_skip:
            return 0
        accumulated: int = args.gradient_accumulation_steps
        updates = state.global_step if steps is None else state.global_step % -(-steps // accumulated)
        return int(updates * accumulated)

    def _leave_recipe(self) -> None:
        """Puts beside the checkpoints what `mashbill inspect --step` needs."""
        if self.trainer.is_world_process_zero():
            path = Path(self.trainer.args.output_dir) / "loader.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_name(".loader.json.partial")
            partial.write_text(json.dumps(self.loader.recipe(), indent=1) + "\n", encoding="utf-8")
            partial.replace(path)


class _Pass(_Rows):
    """The batches from the loader's place to its epoch's end, as often as wanted."""

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        return map(_model_inputs, copy.copy(self.loader))


class _Batches(torch.utils.data.DataLoader[dict[str, Tensor]]):
    """What the trainer and `accelerate.skip_first_batches` take; there is nothing left to do for it."""

    def __init__(self, rows: _Rows) -> None:
        super().__init__(rows, batch_size=None, collate_fn=_as_it_is)
        self.loader = rows.loader

    def __len__(self) -> int:
        return len(self.loader)


def _endless(loader: DataLoader) -> Iterator[dict[str, Tensor]]:
    """Epoch after epoch; the end comes with the loader's `steps`."""
    while True:
        some = False
        for batch in loader:
            some = True
            yield _model_inputs(batch)
        if not some:
            return


def _model_inputs(batch: dict[str, Any]) -> dict[str, Tensor]:
    """The arrays as the models take them; some index with ids, which only 64 bits may do everywhere."""
    return {name: torch.as_tensor(array).long() for name, array in batch.items()}


def _as_it_is(batch: Any) -> Any:
    return batch


def _has_length(loader: DataLoader) -> bool:
    try:
        len(loader)
    except TypeError:
        return False
    return True


def _loss(output: Any) -> Tensor:
    loss: Tensor = output["loss"] if isinstance(output, dict) else output[0]
    return loss.float().mean()


def _logits(output: Any) -> Tensor:
    logits: Tensor = output["logits"] if isinstance(output, dict) else output[0]
    return logits


def _refuse_shifted(model: Any) -> NoReturn:
    _refuse(
        f"`{type(model).__name__}` shifts labels by itself: shifted ones would train it on the token after the next",
        'make the loader with `label_convention="aligned"`, or give a `compute_loss_func`',
    )


def _refuse(what: str, hint: str) -> NoReturn:
    raise ValueError(f"{what}\nhint: {hint}")
