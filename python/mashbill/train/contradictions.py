"""What cannot work in a configuration whose keys are right by themselves, and paths where nothing is."""

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from mashbill.train.config import EXAMPLE, Config, Llama
from mashbill.train.strict_yaml import KeyPath

Contradiction = tuple[Sequence[KeyPath], str, str]
"""A key and those that it does not fit, what is wrong, and a hint."""


def of(config: Config) -> Iterator[Contradiction]:
    """All that there are, the worst first."""
    yield from _of_the_model(config)
    yield from _of_the_steps(config)
    yield from _of_the_mix(config)
    yield from _of_the_data(config)


def _of_the_model(config: Config) -> Iterator[Contradiction]:
    model, llama = config.model, config.model.llama
    if (model.start_from is None) == (llama is None):
        hint = EXAMPLE if llama is None else "leave one out; `--set model.llama=null` takes it out of the file's"
        yield [("model", "start_from"), ("model", "llama")], "`model` needs one of `start_from` and `llama`", hint
    if model.start_from is not None:
        yield from _of_a_model(("model", "start_from"), model.start_from)
    if config.teacher is not None:
        yield from _of_a_model(("teacher", "model"), config.teacher.model)
    if llama is not None:
        yield from _of_the_shape(llama)


def _of_the_shape(llama: Llama) -> Iterator[Contradiction]:
    width, heads, of_keys = llama.hidden_size, llama.num_attention_heads, llama.num_key_value_heads

    def given(*names: str) -> list[KeyPath]:
        """Those that are not defaults first."""
        return [("model", "llama", name) for name in sorted(names, key=lambda name: name not in llama.model_fields_set)]

    if width % (2 * heads):
        said = f"`hidden_size: {width}` is not an even multiple of `num_attention_heads: {heads}`"
        near = max(1, round(width / (2 * heads))) * 2 * heads
        yield given("num_attention_heads", "hidden_size"), said, f"use `hidden_size: {near}`"
    if heads % of_keys:
        said = f"`num_attention_heads: {heads}` is not a multiple of `num_key_value_heads: {of_keys}`"
        near = max(each for each in range(1, min(heads, of_keys) + 1) if heads % each == 0)
        yield given("num_key_value_heads", "num_attention_heads"), said, f"use `num_key_value_heads: {near}`"


def _of_a_model(path: KeyPath, name: str) -> Iterator[Contradiction]:
    hint = "give a Hub id or a folder of `save_pretrained`"
    if _is(Path(name).is_dir):
        if not _is((Path(name) / "config.json").is_file):
            yield [path], f"the model `{name}` has no config.json", hint
    elif _is(Path(name).exists) or not _is_hub_id(name):
        yield [path], f"the model `{name}` cannot be found: it is neither a folder nor a Hub id", hint


def _is(question: Callable[[], bool]) -> bool:
    """The answer of the disk; no to names that no file can have, and where this user may not look."""
    try:
        return question()
    except OSError:
        return False


def _is_hub_id(name: str) -> bool:
    return re.fullmatch(r"[A-Za-z0-9][\w.-]{0,95}(/[A-Za-z0-9][\w.-]{0,95})?", name, re.ASCII) is not None


def _of_the_steps(config: Config) -> Iterator[Contradiction]:
    schedule = config.schedule
    if schedule.decay_steps is not None and schedule.kind != "wsd":
        said = f"`decay_steps` is of `kind: wsd`, and this is `kind: {schedule.kind}`"
        yield [("schedule", "decay_steps"), ("schedule", "kind")], said, "leave it out, or set `schedule.kind: wsd`"
    if config.steps is not None:
        yield from too_few_steps(config, config.steps)


def too_few_steps(config: Config, steps: int) -> Iterator[Contradiction]:
    """Warm-up and decay that do not fit into the steps of the run."""
    schedule = config.schedule
    warmup, decay = schedule.warmup_steps or 0, schedule.decay_steps or 0
    if warmup > steps:
        said = f"`warmup_steps: {warmup}` are more than the run's {steps} steps"
        yield [("schedule", "warmup_steps"), ("steps",)], said, f"use at most {steps}, or leave it out"
    elif warmup + decay > steps:
        said = f"`warmup_steps: {warmup}` and `decay_steps: {decay}` are more than the run's {steps} steps"
        paths: list[KeyPath] = [("schedule", "decay_steps"), ("schedule", "warmup_steps"), ("steps",)]
        yield paths, said, f"use at most {steps - warmup} `decay_steps`, or leave them out"


def _of_the_mix(config: Config) -> Iterator[Contradiction]:
    stages = config.mix or []
    for index, stage in enumerate(stages):
        place: KeyPath = ("mix", index, "from_step")
        if index == 0 and stage.from_step != 0:
            yield [place], f"the first stage begins at step {stage.from_step}, not 0", "begin with `from_step: 0`"
        if index > 0 and stage.from_step <= stages[index - 1].from_step:
            before = stages[index - 1].from_step
            yield [place], f"the stage from step {stage.from_step} follows one from step {before}", "put them in order"
        if sum(stage.weights.values()) <= 0:
            yield [("mix", index, "weights")], "all weights are 0", "give a split or category a weight above 0"
    if stages and stages[-1].ramp:
        said = "the last stage has `ramp: true`, and no stage to change to"
        yield [("mix", len(stages) - 1, "ramp")], said, "leave it out, or add a stage"


def _of_the_data(config: Config) -> Iterator[Contradiction]:
    splits = config.pretokenized_splits or []
    for index, split in enumerate(splits):
        if split in splits[:index]:
            yield [("pretokenized_splits", index)], f"the split `{split}` is named twice", "name it once"
    for name in ("train_data_path", "val_data_path"):
        path = getattr(config, name)
        if path is not None and not _is(Path(path).exists):
            yield [(name,)], f"`{path}` does not exist", f"correct `{name}`, or `--set {name}=…`"
    tokenizer = config.tokenizer
    if tokenizer is not None and not _is(Path(tokenizer).exists) and re.match(r"\.{0,2}/|~|.*\.json$", tokenizer):
        yield [("tokenizer",)], f"`{tokenizer}` does not exist", "correct `tokenizer`, or `--set tokenizer=…`"
    if not config.use_pretokenized_data:
        for name in ("tokenizer", "max_seq_length"):
            if getattr(config, name) is None:
                yield (
                    [("use_pretokenized_data",), (name,)],
                    f"`use_pretokenized_data: false` needs `{name}`",
                    f"add `{name}: …`",
                )
    output = Path(config.output_path)
    for name in ("train_data_path", "val_data_path"):
        path = getattr(config, name)
        if path is not None and _is(lambda: output.exists() and output.samefile(path)):  # noqa: B023, asked at once
            said = f"`output_path` is `{name}`: the run would write among its data"
            yield [("output_path",), (name,)], said, "give the run a folder of its own: `--set output_path=…`"
    for folder in (output, *output.parents):
        if _is(folder.exists):
            if not _is(folder.is_dir):
                yield [("output_path",)], f"`{folder}` is not a folder", "correct `output_path`"
            return
