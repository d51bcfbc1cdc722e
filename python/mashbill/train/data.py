"""Batches: what the run reads, through mashbill's loader.

Validation never meets training. Where both are the same folder, it is the documents that `mashbill tokenize` held out,
or where it held none out the first rows of each split: training sees none of their targets.
"""

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mashbill import DataLoader, Dataset, MashbillError, _mashbill
from mashbill.loader import Part
from mashbill.options import Stage
from mashbill.train import printer
from mashbill.train.config import Config
from mashbill.train.error import TrainError, without_hint

IGNORED = -100
SPLITS_SHOWN_MAX = 16
"""Names that a warning shows."""
_MEASURED_ON = {"dev", "eval", "evaluation", "heldout", "holdout", "test", "testing", "tests", "testset"} | {
    "val",
    "valid",
    "validation",
}

Batch = dict[str, Tensor]
"""Rows × row length: `input_ids`, `labels` (the token after each; -100: none), and `position_ids` in documents where
those are masked."""


@dataclass(frozen=True)
class Data:
    """A folder of packed rows and what its manifest says of the tokenizer."""

    dataset: Dataset
    tokenizer: str
    tokenizer_sha256: str
    tokenizer_files: dict[str, str]
    bos_id: int | None
    eos_id: int | None
    held_out: dict[str, int]
    """How many of a split's first rows training does not see, where not documents are held out but rows."""

    def identity(self) -> dict[str, Any]:
        """What has to stay the same when a run resumes."""
        return {"identity": self.dataset.identity, "held_out": self.held_out}


@dataclass(frozen=True)
class HeldOut:
    """A split that is measured on: its first `rows` rows, or all where those are fewer."""

    dataset: Dataset
    rows: int


class Batches:
    """The training batches of a process, epoch after epoch; the state is that of the last one taken."""

    def __init__(self, data: Data, config: Config, rows: int, rank: int, world_size: int, state: Any | None) -> None:
        stages: list[Stage] = [
            (each.from_step, each.weights, "ramp") if each.ramp else (each.from_step, each.weights)
            for each in config.mix or []
        ]
        splits = data.dataset.splits
        self.first_rows = np.cumsum([0, *(split.rows for split in splits)])
        self.first_seen = self.first_rows[:-1] + [data.held_out.get(split.name, 0) for split in splits]
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
                quiet=True,
                rank=rank,
                world_size=world_size,
            )
            if state is not None:
                self.loader.load_state_dict(state)
        except (MashbillError, ValueError, OverflowError) as error:
            hint = "see `mix`, `steps`, `max_epochs` and `batch_tokens`, or start afresh with another `output_path`"
            place = config.blamed([("mix",), ("steps",), ("max_epochs",), ("batch_tokens",)])
            raise TrainError(f"{place}: {without_hint(error)}", hint) from error
        self.rows_a_step = rows * world_size
        self.endless = chain.from_iterable(repeat(self.loader))

    def steps_in_all(self, step: int, rows_taken: int) -> int:
        """The steps of one epoch, of which `step` steps have taken `rows_taken` rows, perhaps in other batches."""
        left = max(0, len(self.loader.dataset) - rows_taken) // self.rows_a_step
        return max(1, step + left)

    def next(self) -> tuple[Batch, list[float]]:
        """The next batch, and how many real tokens of each split are in it. Counted with numpy: torch's threads take
        longer to begin and end than such sums take, above all beside the loader's."""
        try:
            taken = next(self.endless)
        except MashbillError as error:
            hint = "`mashbill verify` says what else is damaged; then run the same command again"
            raise TrainError(without_hint(error), hint, 3) from error
        rows = taken.rows.astype(np.int64)
        split = np.searchsorted(self.first_rows, rows, side="right") - 1
        seen = rows >= self.first_seen[split]
        taken["labels"].numpy()[~seen] = IGNORED
        tokens = np.bincount(split, _real_tokens(taken) * seen, len(self.first_seen))
        return _batch(taken), tokens.tolist()


def open_all(config: Config, rank: int, quiet: bool) -> tuple[Data, dict[str, HeldOut]]:
    """The training data, and by split what is measured on."""
    path = Path(config.train_data_path)
    from_itself = config.val_data_path is not None and Path(config.val_data_path).resolve() == path.resolve()
    fraction = config.validation.held_out if from_itself else None
    folder = _folder(path, "tokenized", fraction, config, rank, quiet)
    dataset = _open(folder, config.pretokenized_splits)
    if rank == 0:
        _say_what_looks_held_back(dataset, config)
    data = _described(dataset, config)
    measured = folder
    part: Part = "train"
    rows: dict[str, int] = {}
    if from_itself and _manifest(folder)["options"].get("held_out"):
        part = "validation"
        rows = {each.name: each.rows for each in _open(folder, config.pretokenized_splits, part).splits}
    elif from_itself:
        share = config.validation.held_out
        rows = {each.name: min(each.rows - 1, max(1, round(each.rows * share))) for each in dataset.splits}
        data.held_out.update(rows)
        if rank == 0:
            said = f"the first {sum(rows.values()):,} rows are held out for validation, and what follows of a document"
            printer.say(f"note: {said} that one cuts off may leak")
            printer.say(f"hint: `mashbill tokenize --val-fraction {share}` holds out whole documents")
    elif config.val_data_path is not None:
        measured = _folder(Path(config.val_data_path), "tokenized_validation", None, config, rank, quiet)
        validated = _open(measured, None)
        rows = {each.name: each.rows for each in validated.splits}
        if validated.row_length > dataset.row_length:
            said = (
                f"rows of `{measured}` have {validated.row_length:,} tokens, those of `{folder}` {dataset.row_length:,}"
            )
            raise TrainError(f"{config.place('val_data_path')}: {said}", "tokenize it with the same `--max-seq-length`")
        if _manifest(measured)["tokenizer_identity"]["sha256"] != data.tokenizer_sha256:
            said = f"`{measured}` was made with another tokenizer than `{folder}`"
            raise TrainError(said, f"tokenize it with `{data.tokenizer}`, or take another `val_data_path`")
    counts = {split: min(count, config.validation.rows) for split, count in rows.items() if count > 0}
    return data, {split: HeldOut(_open(measured, [split], part), count) for split, count in counts.items()}


def _say_what_looks_held_back(dataset: Dataset, config: Config) -> None:
    """Warns of splits that nobody has named and whose names are those of data to measure on."""
    named = {name for stage in config.mix or [] for name in stage.weights}
    names = [split.name for split in dataset.splits]
    found = [name for name in names if name not in named and _MEASURED_ON & set(re.split(r"[^a-z]+", name.lower()))]
    if config.pretokenized_splits is not None or not found:
        return
    more = f" and {len(found) - SPLITS_SHOWN_MAX:,} more" if len(found) > SPLITS_SHOWN_MAX else ""
    shown = ", ".join(f"`{name}`" for name in found[:SPLITS_SHOWN_MAX])
    printer.say(f"warning: splits are trained on whose names are of data to measure on: {shown}{more}")
    others = [name for name in names if name not in found]
    setting = shlex.quote(f"pretokenized_splits={json.dumps(others, ensure_ascii=False)}")
    short = 0 < len(others) <= SPLITS_SHOWN_MAX
    said = f"`--set {setting}`" if short else "name those to train on in `pretokenized_splits`"
    printer.say(f"hint: to leave them out: {said}")


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


def _folder(path: Path, name: str, fraction: float | None, config: Config, rank: int, quiet: bool) -> Path:
    """The tokenized folder; text is tokenized by the first process, into the run's folder."""
    if config.use_pretokenized_data:
        return path
    output = Path(config.output_path) / name
    if rank == 0:
        printer.say(f"tokenizing {path} into {output}")
        assert config.tokenizer is not None and config.max_seq_length is not None, "text needs both"
        code = _mashbill.tokenize_to_train(path, output, config.tokenizer, config.max_seq_length, fraction, quiet)
        if code:
            raise TrainError(f"`{path}` could not be tokenized", "see above; then run the same command again", code)
    if torch.distributed.is_initialized():
        torch.distributed.barrier()
    return output


def _open(folder: Path, splits: list[str] | None, part: Part = "train") -> Dataset:
    try:
        return Dataset(folder, splits, part=part)
    except (MashbillError, ValueError) as error:
        if not (folder / "manifest.json").exists():
            hint = f"tokenize it first: mashbill tokenize --input {folder} --recursive --output {folder}_preprocessed"
            raise TrainError(f"there is no manifest.json in `{folder}`", hint) from error
        larger = "hold out more: `validation.held_out` where text is tokenized first, else `--val-fraction`"
        hint = larger if part == "validation" else f"`mashbill verify {folder}` says what is there"
        raise TrainError(without_hint(error), hint) from error


def _manifest(folder: Path) -> Any:
    return json.loads((folder / "manifest.json").read_text(encoding="utf-8"))


def _described(dataset: Dataset, config: Config) -> Data:
    manifest = _manifest(dataset.folder)
    identity = manifest["tokenizer_identity"]
    if config.max_seq_length not in (None, dataset.row_length):
        said = f"`max_seq_length: {config.max_seq_length}`: the rows of `{dataset.folder}` have {dataset.row_length}"
        raise TrainError(f"{config.place('max_seq_length')}: {said}", "leave it out, or tokenize again")
    name = config.tokenizer or manifest["tokenizer"]
    elsewhere, place = "name the right one with `--set tokenizer=…`", config.place("tokenizer")
    try:
        files = _mashbill.tokenizer_files(name)
    except ValueError as error:
        raise TrainError(f"{place}: the data's tokenizer is not here: {without_hint(error)}", elsewhere) from error
    if sha256(files["tokenizer.json"].encode()).hexdigest() != identity["sha256"]:
        raise TrainError(f"{place}: `{name}` is another tokenizer than the data's", elsewhere)
    special = {role: identity[role] for role in ("bos", "eos", "pad")}
    tokens = {f"{role}_token": token["token"] for role, token in special.items() if token is not None}
    about = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": dataset.row_length, **tokens}
    files.setdefault("tokenizer_config.json", json.dumps(about, indent=1))
    ids = {role: None if token is None else int(token["id"]) for role, token in special.items()}
    return Data(dataset, name, identity["sha256"], files, ids["bos"], ids["eos"], {})


def _real_tokens(taken: Any) -> Any:
    """The tokens of each row, without padding."""
    if taken.seq_lens is None:
        return taken["attention_mask"].numpy().sum(1)
    return np.add.reduceat(taken.seq_lens, np.cumsum(taken.pieces_in_row, dtype=np.int64) - taken.pieces_in_row)


def _batch(taken: Any) -> Batch:
    return {name: taken[name] for name in ("input_ids", "labels", "position_ids") if name in taken}
