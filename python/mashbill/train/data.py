"""Batches: what the run reads, through mashbill's loader.

Validation never meets training. Where both are the same folder, the first rows of each split are held out: training
sees none of their targets.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mashbill import DataLoader, Dataset, MashbillError, _mashbill
from mashbill.loader import Stage
from mashbill.train.config import Config
from mashbill.train.error import TrainError

IGNORED = -100


@dataclass(frozen=True)
class Data:
    """A folder of packed rows and what its manifest says of the tokenizer."""

    dataset: Dataset
    tokenizer: str
    tokenizer_sha256: str
    tokenizer_files: dict[str, str]
    bos_id: int | None
    eos_id: int | None
    held_out: list[range]
    """Rows of the dataset whose targets training does not see."""


@dataclass(frozen=True)
class HeldOut:
    """A split that is measured on: its first `rows` rows, or all where those are fewer."""

    dataset: Dataset
    rows: int


@dataclass(frozen=True)
class Batch:
    """Rows × row length: ids, the token after each (-100: none), and positions in documents where they are masked."""

    input_ids: Tensor
    labels: Tensor
    position_ids: Tensor | None

    def rows(self, start: int, end: int) -> "Batch":
        """Some of the rows."""
        positions = None if self.position_ids is None else self.position_ids[start:end]
        return Batch(self.input_ids[start:end], self.labels[start:end], positions)

    def to(self, device: torch.device) -> "Batch":
        """On a device, copied while it computes."""
        positions = None if self.position_ids is None else self.position_ids.to(device, non_blocking=True)
        return Batch(self.input_ids.to(device, non_blocking=True), self.labels.to(device, non_blocking=True), positions)


class Batches:
    """The training batches of a process, epoch after epoch; the state is that of the last one taken."""

    def __init__(self, data: Data, config: Config, rows: int, rank: int, world_size: int, state: Any | None) -> None:
        stages: list[Stage] = [
            (each.from_step, each.weights, "ramp") if each.ramp else (each.from_step, each.weights)
            for each in config.mix or []
        ]
        self.held_out = data.held_out
        try:
            self.loader = DataLoader(
                data.dataset,
                rows,
                label_convention="shifted",
                seed=config.seed,
                last="wrap",
                weights=stages or None,
                steps=config.steps if stages else None,
                max_epochs=config.max_epochs,
                documents=config.document_mask,
                format="torch",
                rank=rank,
                world_size=world_size,
            )
            if state is not None:
                self.loader.load_state_dict(state)
        except (MashbillError, ValueError) as error:
            raise TrainError(
                str(error), "see `mix` and `batch_tokens`, or begin anew with another `output_path`"
            ) from error
        self.steps_per_epoch = max(1, len(data.dataset) // (rows * world_size))
        self.iterator = iter(self.loader)

    def next(self) -> Batch:
        """The next batch."""
        try:
            taken = next(self.iterator, None)
            while taken is None:
                self.iterator = iter(self.loader)
                taken = next(self.iterator, None)
        except MashbillError as error:
            raise TrainError(
                str(error), "`mashbill verify` says what else is damaged; then give the same command again", 3
            ) from error
        for index, row in enumerate(taken.rows.tolist()):
            if any(row in rows for rows in self.held_out):
                taken["labels"][index] = IGNORED
        return _batch(taken)

    def state_dict(self) -> Any:
        """Where to go on."""
        return self.loader.state_dict()


def open_all(config: Config, rank: int, quiet: bool) -> tuple[Data, dict[str, HeldOut]]:
    """The training data, and by split what is measured on."""
    train = _folder(config.train_data_path, config, rank, quiet)
    dataset = _open(train, config.pretokenized_splits)
    held_out: dict[str, HeldOut] = {}
    rows: list[range] = []
    if config.val_data_path and Path(config.val_data_path).resolve() == Path(config.train_data_path).resolve():
        first = 0
        for split in dataset.splits:
            count = min(split.rows - 1, max(1, round(split.rows * config.validation.held_out)))
            if count > 0:
                rows.append(range(first, first + count))
                held_out[split.name] = HeldOut(_open(train, [split.name]), min(count, config.validation.rows))
            first += split.rows
        if rank == 0:
            said = f"{sum(map(len, rows)):,} rows are held out for validation"
            print(f"note: {said}; what follows of a document that one cuts off may leak", file=sys.stderr)
    elif config.val_data_path is not None:
        folder = _folder(config.val_data_path, config, rank, quiet)
        for split in _open(folder, None).splits:
            held_out[split.name] = HeldOut(_open(folder, [split.name]), min(split.rows, config.validation.rows))
    return _described(dataset, config, rows), held_out


def validation_batches(held_out: HeldOut, config: Config, rank: int, world_size: int) -> Iterator[Batch]:
    """This process's part of the rows that are measured on."""
    loader = DataLoader(
        held_out.dataset,
        config.micro_batch_rows,
        label_convention="shifted",
        shuffle="off",
        last="short",
        documents=config.document_mask,
        format="torch",
        threads=1,
        rank=rank,
        world_size=world_size,
    )
    for taken in loader:
        inside = torch.from_numpy(taken.rows.astype("int64")) < held_out.rows
        if len(inside):
            taken["labels"][~inside] = IGNORED
            yield _batch(taken)
        if (loader.step * config.micro_batch_rows * world_size) >= held_out.rows:
            return


def _folder(path: str, config: Config, rank: int, quiet: bool) -> Path:
    """The tokenized folder; text is tokenized by the first process, into the run's folder."""
    if not Path(path).exists():
        raise TrainError(
            f"`{path}` does not exist", "correct `train_data_path` and `val_data_path`, or `--set train_data_path=…`"
        )
    if config.use_pretokenized_data:
        return Path(path)
    if config.tokenizer is None or config.max_seq_length is None:
        raise TrainError("`use_pretokenized_data: false` needs `tokenizer` and `max_seq_length`", "add both")
    output = Path(config.output_path) / "tokenized" / Path(path).name
    if rank == 0:
        print(f"tokenizing {path} into {output}", file=sys.stderr)
        command = ["mashbill", "tokenize", "--input", path, "--output", str(output), "--recursive", "--skip-existing"]
        command += ["--tokenizer", config.tokenizer, "--max-seq-length", str(config.max_seq_length)]
        code = _mashbill.run(command + (["--quiet"] if quiet else []), sys.executable)
        if code:
            raise TrainError(f"`{path}` could not be tokenized", "see above; then give the same command again", code)
    if torch.distributed.is_initialized():
        torch.distributed.barrier()
    return output


def _open(folder: Path, splits: list[str] | None) -> Dataset:
    try:
        return Dataset(folder, splits)
    except (MashbillError, ValueError) as error:
        if not (folder / "manifest.json").exists():
            hint = f"tokenize it first: mashbill tokenize --input {folder} --output {folder}_preprocessed"
            raise TrainError(f"there is no manifest.json in `{folder}`", hint) from error
        raise TrainError(str(error), f"`mashbill verify {folder}` says what is there") from error


def _described(dataset: Dataset, config: Config, held_out: list[range]) -> Data:
    manifest = json.loads((dataset.folder / "manifest.json").read_text(encoding="utf-8"))
    identity = manifest["tokenizer_identity"]
    name = config.tokenizer or manifest["tokenizer"]
    try:
        files = _mashbill.tokenizer_files(name)
    except ValueError as error:
        raise TrainError(
            f"the data's tokenizer is not here: {error}", "name its folder with `--set tokenizer=…`"
        ) from error
    if sha256(files["tokenizer.json"].encode()).hexdigest() != identity["sha256"]:
        raise TrainError(
            f"`{name}` is another tokenizer than the data's", "name the right one with `--set tokenizer=…`"
        )
    special = {role: identity[role] for role in ("bos", "eos", "pad")}
    tokens = {f"{role}_token": token["token"] for role, token in special.items() if token is not None}
    about = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": dataset.row_length, **tokens}
    files.setdefault("tokenizer_config.json", json.dumps(about, indent=1))
    ids = {role: None if token is None else int(token["id"]) for role, token in special.items()}
    return Data(dataset, name, identity["sha256"], files, ids["bos"], ids["eos"], held_out)


def _batch(taken: Any) -> Batch:
    positions = taken.get("position_ids")
    return Batch(taken["input_ids"], taken["labels"], None if positions is None else positions.long())
