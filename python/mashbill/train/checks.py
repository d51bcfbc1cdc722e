"""What has to fit before anything is loaded: the batch, the data and the models."""

import hashlib
from pathlib import Path
from typing import Any

from transformers import AutoConfig
from transformers.utils import cached_file

from mashbill.train.config import Config
from mashbill.train.data import Data
from mashbill.train.error import TrainError


def rows_per_process(config: Config, row_length: int, world_size: int) -> int:
    """Rows that a process takes a step, from the tokens that all take."""
    unit = row_length * world_size
    rows, rest = divmod(config.batch_tokens, unit)
    if rows == 0 or rest:
        near = max(1, round(config.batch_tokens / unit)) * unit
        rows_of = f"rows of {row_length:,} tokens on {world_size} process{'es' if world_size > 1 else ''}"
        raise TrainError(
            f"`batch_tokens: {config.batch_tokens}` is no multiple of {rows_of}", f"use `--set batch_tokens={near}`"
        )
    return rows


def models_fit(config: Config, data: Data) -> None:
    """Fails where a model that is started from, or a teacher, knows other tokens or shorter rows than the data's."""
    if config.model.start_from is not None:
        _model_fits(config.model.start_from, data)
    if config.teacher is not None:
        _model_fits(config.teacher.model, data)
        _same_tokenizer(config.teacher.model, data)


def _model_fits(name: str, data: Data) -> None:
    try:
        found: Any = AutoConfig.from_pretrained(name)
    except (OSError, ValueError) as error:
        hint = "give a Hub id or a folder of `save_pretrained`"
        raise TrainError(f"the model `{name}` cannot be found: {error}", hint) from error
    text: Any = found.get_text_config()
    ids, needed = text.vocab_size, data.dataset.vocabulary_size
    theirs_instead = f"tokenize with the model's own tokenizer: `mashbill tokenize --tokenizer {name} …`"
    if ids < needed:
        said = f"the model `{name}` has {ids:,} ids, the data's tokenizer `{data.tokenizer}` {needed:,}"
        raise TrainError(said, theirs_instead)
    longest = getattr(text, "max_position_embeddings", None)
    if longest is not None and longest < data.dataset.row_length:
        raise TrainError(
            f"the model `{name}` takes {longest:,} tokens, the data's rows have {data.dataset.row_length:,}",
            f"tokenize with `--max-seq-length {longest}`",
        )
    for role, ours in (("bos", data.bos_id), ("eos", data.eos_id)):
        theirs = getattr(text, f"{role}_token_id", None)
        known = theirs if isinstance(theirs, list) else [theirs]
        if ours is not None and theirs is not None and ours not in known:
            said = f"the model `{name}` has the {role.upper()} id {theirs}, the data's `{data.tokenizer}` {ours}"
            raise TrainError(said, theirs_instead)


def _same_tokenizer(name: str, data: Data) -> None:
    """A teacher's logits are compared id by id, so an equal number of ids is not enough."""
    path = cached_file(name, "tokenizer.json", _raise_exceptions_for_missing_entries=False)
    if path is None:
        hint = "put the data's tokenizer.json beside the teacher's config.json"
        raise TrainError(f"the teacher `{name}` has no tokenizer.json to compare", hint)
    found = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    if found != data.tokenizer_sha256:
        raise TrainError(
            f"the teacher `{name}` has another tokenizer than the data (`{data.tokenizer}`)",
            f"tokenize with the teacher's: `mashbill tokenize --tokenizer {name} …`",
        )
