"""What has to fit before anything is loaded: the batch, the data and the models."""

from typing import Any

from transformers import AutoConfig
from transformers.utils import cached_file

from mashbill.train import contradictions, printer, vocabulary
from mashbill.train.config import Config
from mashbill.train.data import Data
from mashbill.train.error import TrainError
from mashbill.train.strict_yaml import KeyPath


def rows_per_process(config: Config, row_length: int, world_size: int) -> int:
    """Rows that a process takes a step, from the tokens that all take."""
    unit = row_length * world_size
    rows, rest = divmod(config.batch_tokens, unit)
    if rows == 0 or rest:
        near = max(1, round(config.batch_tokens / unit)) * unit
        rows_of = f"rows of {row_length:,} tokens on {world_size} process{'es' if world_size > 1 else ''}"
        said = f"`batch_tokens: {config.batch_tokens}` is not a multiple of {rows_of}"
        raise TrainError(f"{config.place('batch_tokens')}: {said}", f"use `--set batch_tokens={near}`")
    return rows


def rows_are_enough(config: Config, there: int, rows_a_step: int, row_length: int, world_size: int) -> None:
    """Fails where one step takes more rows than there are: it would hold rows twice, and an epoch would be none."""
    if rows_a_step <= there:
        return
    said = f"`batch_tokens: {config.batch_tokens}` are {rows_a_step:,} rows a step, and there are {there:,}"
    fits = there // world_size * world_size * row_length
    hint = f"use at most `--set batch_tokens={fits}`" if fits else f"use at most {there} processes"
    raise TrainError(f"{config.place('batch_tokens')}: {said}", f"{hint}, or more data")


def epochs_fit(config: Config, steps: int, there: int, taken: int, rows_a_step: int) -> None:
    """Fails where `steps` more steps show the rows more often than `max_epochs`; of a mix, the loader says so."""
    rows = taken + steps * rows_a_step
    if config.mix or steps <= 0 or rows <= config.max_epochs * there:
        return
    times = rows / there
    said = f"{steps:,} steps of {rows_a_step:,} rows show each of the {there:,} rows {times:.1f} times"
    fit = (config.max_epochs * there - taken) // rows_a_step
    hint = f"use `--set max_epochs={-(-rows // there)}` if that is meant"
    hint += f", or {steps - fit:,} steps less" if fit > 0 else ""
    place = config.blamed([("steps",), ("max_epochs",), ("batch_tokens",)])
    raise TrainError(f"{place}: {said}, more than `max_epochs: {config.max_epochs}`", hint)


def schedule_fits(config: Config, steps: int) -> None:
    """Fails where warm-up and decay take more than the steps of the run, which the data may have decided on."""
    for paths, said, hint in contradictions.too_few_steps(config, steps):
        raise TrainError(f"{config.blamed(paths)}: {said}", hint)


def models_fit(config: Config, data: Data) -> None:
    """Fails where a model that is started from, or a teacher, knows other tokens or shorter rows than the data's."""
    if config.model.start_from is not None:
        _model_fits(config, ("model", "start_from"), config.model.start_from, data)
    if config.teacher is not None:
        _model_fits(config, ("teacher", "model"), config.teacher.model, data)


def _model_fits(config: Config, keys: KeyPath, name: str, data: Data) -> None:
    place = config.place(*keys)
    try:
        found: Any = AutoConfig.from_pretrained(name, trust_remote_code=False)
    # Whatever a foreign config.json makes of the code that reads it.
    except Exception as error:
        hint = "give a Hub id or a folder of `save_pretrained`; code that a model brings with it is never run"
        raise TrainError(f"{place}: the model `{name}` cannot be used: {printer.reason(error)}", hint) from error
    text: Any = found.get_text_config()
    ids, needed = getattr(text, "vocab_size", None), data.dataset.vocabulary_size
    theirs_instead = f"tokenize with the model's own tokenizer: `mashbill tokenize --tokenizer {name} …`"
    if not isinstance(ids, int):
        raise TrainError(f"{place}: the model `{name}` does not say how many ids it has", "take a language model")
    if ids < needed:
        said = f"the model `{name}` has {ids:,} ids, the data's tokenizer `{data.tokenizer}` {needed:,}"
        raise TrainError(f"{place}: {said}", theirs_instead)
    longest = getattr(text, "max_position_embeddings", None)
    if isinstance(longest, int) and longest < data.dataset.row_length:
        raise TrainError(
            f"{place}: the model `{name}` takes {longest:,} tokens, the data's rows have {data.dataset.row_length:,}",
            f"tokenize with `--max-seq-length {longest}`",
        )
    for role, ours in (("bos", data.bos_id), ("eos", data.eos_id)):
        theirs = getattr(text, f"{role}_token_id", None)
        known = theirs if isinstance(theirs, list) else [theirs]
        if ours is not None and theirs is not None and ours not in known:
            said = f"the model `{name}` has the {role.upper()} id {theirs}, the data's `{data.tokenizer}` {ours}"
            raise TrainError(f"{place}: {said}", theirs_instead)
    _tokenizer_fits(place, name, data, is_teacher=keys[0] == "teacher")


def _tokenizer_fits(place: str, name: str, data: Data, is_teacher: bool) -> None:
    """An equal number of ids is not enough: they have to stand for the same tokens. A teacher's logits are compared id
    by id; a model that is started from may learn other tokens where those were added to its vocabulary."""
    role = "teacher" if is_teacher else "model"
    try:
        path = cached_file(name, "tokenizer.json", _raise_exceptions_for_missing_entries=False)
    except OSError as error:
        said = f"the tokenizer.json of the {role} `{name}` cannot be fetched: {printer.reason(error)}"
        raise TrainError(f"{place}: {said}", "try again, or give a folder", code=3) from error
    if path is None and is_teacher:
        hint = "put the data's tokenizer.json beside the teacher's config.json"
        raise TrainError(f"{place}: the teacher `{name}` has no tokenizer.json to compare", hint)
    if path is None:
        printer.say(f"note: the model `{name}` has no tokenizer.json: whether its ids are the data's is not known")
        return
    ours = vocabulary.read(data.tokenizer_files["tokenizer.json"].encode())
    try:
        theirs = vocabulary.read_file(path)
    except (OSError, ValueError) as error:
        said = f"the tokenizer.json of the {role} `{name}` cannot be read: {printer.reason(error)}"
        raise TrainError(f"{place}: {said}", "get the model again") from error
    difference = ours.difference(theirs, added=is_teacher)
    if difference is not None:
        said = f"the {role} `{name}` has another tokenizer than the data (`{data.tokenizer}`): {difference}"
        hint = f"tokenize with the {role}'s: `mashbill tokenize --tokenizer {name} …`"
        raise TrainError(f"{place}: {said}", hint)
