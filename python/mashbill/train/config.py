"""The YAML file that drives a run: its keys, their types, ranges and defaults, and how it is read.

The classes are the definition; errors with line numbers, the resolved copy that a run keeps and the JSON schema for
editors follow from them. Unknown keys are errors: a mistyped `learning_rte` that is ignored costs a run. Each key says
what becomes of another value when a run goes on ([`Resume`]), so none can be forgotten.
"""

import difflib
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PrivateAttr, ValidationError

from mashbill.train import printer, strict_yaml
from mashbill.train.error import TrainError
from mashbill.train.strict_yaml import INTEGER_MAX, KeyPath, YamlError

EXAMPLE = "see configs/train_direct.yaml for an example"
SCHEMA = "correct it; schemas/train.schema.json has every key"

STEPS_MAX = 10**12
"""Steps, tokens or rows: more than anybody computes."""
WIDTH_MAX = 2**20
"""Of a layer; and as many layers."""
ROW_LENGTH_MAX = 2**24
"""What `mashbill tokenize` makes at most."""
TEXT_SHOWN_MAX = 120
"""Characters of a wrong value that an error shows."""

Resume = Literal["holds", "refused", "same rows"]
"""What becomes of another value when a run goes on: it holds from the next step on; it is refused; it is taken where
the rows that are trained on and those that are held out stay the same, else refused."""


def _usable(text: str) -> str:
    if not text.strip():
        raise ValueError("it is empty")
    if any(unicodedata.category(each) in ("Cc", "Cs", "Zl", "Zp") for each in text):
        raise ValueError(f"it holds control characters: {printer.escaped(text)}")
    if printer.holds_token(text):
        raise ValueError("it holds a token of the Hub, which would stand in config.yaml: set HF_TOKEN instead")
    return text


Text = Annotated[str, AfterValidator(_usable)]
Share = Annotated[float, Field(ge=0, lt=1)]
Weight = Annotated[float, Field(ge=0, le=1e9)]


def _key(default: Any, description: str, resume: Resume, **bounds: Any) -> Any:
    return Field(default, description=description, json_schema_extra={"resume": resume}, **bounds)


class _Section(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        protected_namespaces=(),
        allow_inf_nan=False,
    )


class Llama(_Section):
    """A Llama to train from scratch; its vocabulary and its length are the data's."""

    hidden_size: int = _key(256, "width", "refused", ge=2, le=WIDTH_MAX)
    intermediate_size: int = _key(768, "width of the feed-forward layers", "refused", ge=1, le=WIDTH_MAX)
    num_hidden_layers: int = _key(6, "layers", "refused", ge=1, le=WIDTH_MAX)
    num_attention_heads: int = _key(8, "heads; the width is an even multiple", "refused", ge=1, le=WIDTH_MAX)
    num_key_value_heads: int = _key(4, "heads of keys and values; they divide the heads", "refused", ge=1, le=WIDTH_MAX)
    rope_theta: float = _key(10000.0, "base of the rotary positions", "refused", ge=1, le=1e12)
    tie_word_embeddings: bool = _key(True, "whether input and output share embeddings", "refused")


class Model(_Section):
    """The model: one that exists, or a new one."""

    start_from: Text | None = _key(None, "a Hub id or a folder to start from", "refused")
    llama: Llama | None = _key(None, "a new Llama, where nothing is started from", "refused")
    attention: Literal["sdpa", "eager", "flash_attention_2"] = _key("sdpa", "how attention is computed", "holds")
    compile: bool = _key(False, "whether torch.compile is used", "holds")


class Teacher(_Section):
    """The model whose logits are learned."""

    model: Text = _key(..., "a Hub id or a folder; its tokenizer has to be the data's", "holds")
    temperature: float = _key(2.0, "softens both distributions", "holds", ge=0.01, le=1000)
    weight: float = _key(0.5, "share of the divergence in the loss; the rest is cross-entropy", "holds", ge=0, le=1)


class Optimizer(_Section):
    """AdamW."""

    learning_rate: float = _key(3e-4, "at the top of the schedule", "holds", gt=0, le=100)
    weight_decay: float = _key(0.1, "of matrices; vectors are not decayed", "holds", ge=0, le=100)
    betas: list[Share] = _key([0.9, 0.95], "decay of the two moments", "holds", min_length=2, max_length=2)
    epsilon: float = _key(1e-8, "added to the denominator", "holds", gt=0, le=1)
    clip: float = _key(1.0, "largest norm of the gradient; 0: not clipped", "holds", ge=0, le=1e9)


class Schedule(_Section):
    """The learning rate over the steps, as a share of the optimizer's."""

    kind: Literal["cosine", "wsd"] = _key("cosine", "cosine, or warm-up, stable, decay", "holds")
    warmup_steps: int | None = _key(
        None, "linear from nothing to the top; null: 100, or a tenth of the steps if less", "holds", ge=0, le=STEPS_MAX
    )
    decay_steps: int | None = _key(None, "wsd: last steps, linear; null: a tenth of all", "holds", ge=0, le=STEPS_MAX)
    final: float = _key(0.1, "share at the last step", "holds", ge=0, le=1)


class Stage(_Section):
    """Weights of splits or categories from a step on."""

    weights: dict[Text, Weight] = _key(..., "shares of the rows by split or category", "holds", min_length=1)
    from_step: int = _key(0, "the first step", "holds", ge=0, le=STEPS_MAX)
    ramp: bool = _key(False, "whether they change linearly to the next stage's", "holds")


class Validation(_Section):
    """What is measured on data that training never sees."""

    every: int = _key(200, "steps between two measurements; 0: none", "holds", ge=0, le=STEPS_MAX)
    rows: int = _key(256, "rows of each split that are used at most", "holds", ge=1, le=STEPS_MAX)
    held_out: float = _key(
        0.01,
        "share held out of text that is tokenized first; of the rows, where no documents are",
        "same rows",
        gt=0,
        lt=1,
    )


class Checkpoints(_Section):
    """What a run can go on from and what `transformers` loads."""

    every: int = _key(500, "steps between two; the last has one always", "holds", ge=0, le=STEPS_MAX)
    keep: int = _key(2, "how many of the last are kept", "holds", ge=1, le=STEPS_MAX)


class Config(_Section):
    """A training run."""

    train_data_path: Text = _key(..., "what `mashbill tokenize` wrote, or JSONL to tokenize", "same rows")
    val_data_path: Text | None = _key(None, "the same; equal to train_data_path: what is held out of it", "same rows")
    use_pretokenized_data: bool = _key(True, "whether train_data_path is tokenized already", "same rows")
    pretokenized_splits: list[Text] | None = _key(None, "the splits to train on; null: all", "same rows", min_length=1)
    tokenizer: Text | None = _key(None, "what to tokenize with; null: the data's", "same rows")
    max_seq_length: int | None = _key(
        None, "tokens in a row that is to be tokenized", "same rows", ge=2, le=ROW_LENGTH_MAX
    )
    output_path: Text = _key("runs/direct", "the folder of the run", "holds")
    model: Model = _key(Model(llama=Llama()), "what is trained", "refused")
    teacher: Teacher | None = _key(None, "whom to distill from", "holds")
    document_mask: bool = _key(True, "whether attention stays inside of each document", "holds")
    steps: int | None = _key(None, "optimizer steps; null: one epoch", "holds", ge=1, le=STEPS_MAX)
    batch_tokens: int = _key(65536, "tokens a step, over all processes", "holds", ge=1, le=STEPS_MAX)
    micro_batch_rows: int = _key(4, "rows that a process computes at once", "holds", ge=1, le=STEPS_MAX)
    precision: Literal["auto", "fp32", "bf16"] = _key("auto", "auto: bf16 on a GPU, fp32 on a CPU", "holds")
    optimizer: Optimizer = _key(Optimizer(), "AdamW", "holds")
    schedule: Schedule = _key(Schedule(), "the learning rate", "holds")
    mix: list[Stage] | None = _key(None, "shares of the sources; null: each row once an epoch", "holds", min_length=1)
    max_epochs: int = _key(4, "how often the mix may show a row", "holds", ge=1, le=STEPS_MAX)
    validation: Validation = _key(Validation(), "measurements", "holds")
    checkpoints: Checkpoints = _key(Checkpoints(), "what is kept", "holds")
    seed: int = _key(0, "of new weights and of the order", "refused", ge=0, le=INTEGER_MAX)

    _source: "Source | None" = PrivateAttr(None)

    def place(self, *path: str | int) -> str:
        """Where a key was given: the file and its line, or the setting on the command line."""
        return "config" if self._source is None else self._source.place(path)

    def blamed(self, paths: Sequence[KeyPath]) -> str:
        """Where keys that do not fit together were given: on the command line, where one was set there."""
        return "config" if self._source is None else self._source.blamed(paths)


@dataclass
class Source:
    """Where the values of a configuration stand."""

    file: Path
    document: strict_yaml.Document
    settings: dict[KeyPath, str] = field(default_factory=dict)
    """Settings of the command line by what they set."""

    def place(self, path: KeyPath) -> str:
        """The setting or the line that gave the value at `path`, or the section that lacks it."""
        for length in range(len(path), -1, -1):
            if path[:length] in self.settings:
                return f"--set {self.settings[path[:length]]}"
            if path[:length] in self.document.lines:
                return f"{self.file}:{self.document.lines[path[:length]]}"
        return f"{self.file}:1"

    def blamed(self, paths: Sequence[KeyPath]) -> str:
        """The setting that one of the keys came with, else the line of the first."""
        for path in paths:
            for key, setting in self.settings.items():
                if key[: len(path)] == path or path[: len(key)] == key:
                    return f"--set {setting}"
        return self.place(paths[0])

    def written(self, path: KeyPath, value: Any) -> str:
        """A value as its author wrote it, as far as an error shows it."""
        text = str(value)
        if self.place(path).startswith(f"{self.file}:"):
            text = self.document.written.get(path, text)
        return text if len(text) <= TEXT_SHOWN_MAX else f"{text[:TEXT_SHOWN_MAX]}…"


def read(path: Path, settings: list[str]) -> Config:
    """The configuration in `path`, with `key.key=value` of `settings` put over it."""
    source = Source(path, _document(path))
    given = source.document.values
    for setting in settings:
        _put(source, setting)
    try:
        config = Config.model_validate(given)
    except ValidationError as error:
        raise _explained(error, source) from None
    config._source = source
    for paths, said, hint in _contradictions(config):
        raise TrainError(f"{source.blamed(paths)}: {said}", hint)
    return config


def rules(section: type[BaseModel] = Config, prefix: str = "") -> dict[str, Resume]:
    """Every key that has a value, with dots between, and what becomes of another value when a run goes on."""
    found: dict[str, Resume] = {}
    for name, about in section.model_fields.items():
        inner = _inner(about.annotation)
        if inner is None or inner is Stage:
            extra = about.json_schema_extra
            assert isinstance(extra, dict), f"{prefix}{name} is made with `_key`"
            found[f"{prefix}{name}"] = extra["resume"]  # type: ignore[assignment]
        else:
            found |= rules(inner, f"{prefix}{name}.")
    return found


def schema() -> dict[str, Any]:
    """The JSON schema of a configuration, for editors."""
    return Config.model_json_schema()


class _Dumper(yaml.SafeDumper):
    """Texts that are something else without quotes have quotes."""

    def represent_str(self, text: str) -> yaml.ScalarNode:
        try:
            is_plain = strict_yaml.plain(text, 1) == text
        except YamlError:
            is_plain = False
        return self.represent_scalar("tag:yaml.org,2002:str", text, style=None if is_plain else '"')


_Dumper.add_representer(str, _Dumper.represent_str)


def text(config: Config) -> str:
    """The resolved configuration, which [`read`] takes."""
    dumped: str = yaml.dump(config.model_dump(), Dumper=_Dumper, sort_keys=False, allow_unicode=True)
    return dumped


def _document(path: Path) -> strict_yaml.Document:
    try:
        document = strict_yaml.parse(strict_yaml.read(path))
    except OSError as error:
        raise TrainError(f"`{path}` cannot be read: {error.strerror}", "give a YAML file with `--config`") from error
    except ValueError as error:
        raise TrainError(f"`{path}` cannot be read: {error}", "give a YAML file with `--config`") from error
    except YamlError as error:
        raise TrainError(f"{path}:{error.line}: {error}", error.hint) from error
    if not isinstance(document.values, dict):
        raise TrainError(f"{path}:{document.lines.get((), 1)}: the file holds no keys", EXAMPLE)
    return document


def _put(source: Source, setting: str) -> None:
    """Puts one `key.key=value` over the file's values. Whatever is wrong with it is said of it, not of the file."""
    key, separator, text = setting.partition("=")
    place = f"--set {setting}"
    example = "write `--set key=value`, such as `--set optimizer.clip=0.5`"
    names = key.split(".")
    if not separator:
        raise TrainError(f"`{place}` has no `=`", example)
    if not all(names):
        raise TrainError(f"{place}: `{key}` is no key", example)
    value = _setting_value(place, text)
    section: Any = source.document.values
    path: KeyPath = ()
    for index, name in enumerate(names):
        step = _step(section, name, place, ".".join(names[:index]))
        path = (*path, step)
        if index == len(names) - 1:
            section[step] = value
        else:
            if isinstance(section, dict) and section.get(step) is None:
                section[step] = {}
                source.settings.setdefault(path, setting)
            section = section[step]
    for other, before in source.settings.items():
        if other[: len(path)] == path:
            raise TrainError(f"{place}: it replaces `--set {before}`, which was given before it", "give one of the two")
    source.document.lines = {each: line for each, line in source.document.lines.items() if each[: len(path)] != path}
    source.settings[path] = setting


def _setting_value(place: str, text: str) -> Any:
    try:
        value = strict_yaml.parse(text).values
    except YamlError as error:
        raise TrainError(f"{place}: {error}", error.hint) from error
    if "#" in text and "#" not in str(value):
        raise TrainError(f"{place}: `#` begins a comment", "put the text in quotes: `--set 'key=\"a # b\"'`")
    return value


def _step(section: Any, name: str, place: str, parent: str) -> str | int:
    """The key or the index that leads on from a section or a list."""
    if isinstance(section, dict):
        return name
    if not isinstance(section, list):
        said = f"{place}: `{parent}` has the value `{section}` and is no section"
        raise TrainError(said, f"set the whole of it: `--set '{parent}={{…}}'`")
    if not (name.isascii() and name.isdigit() and len(name) < 9 and int(name) < len(section)):
        said = f"{place}: `{parent}` is a list of {len(section)}, without `{name}`"
        raise TrainError(said, f"number them from 0, or set the whole of it: `--set '{parent}=[…]'`")
    return int(name)


def _explained(error: ValidationError, source: Source) -> TrainError:
    """The first problem as a sentence, with its line in the file or the setting that it came with."""
    problem = error.errors()[0]
    path: KeyPath = tuple(each for each in problem["loc"] if each != "[key]")
    key, place = ".".join(map(str, path)), source.place(path)
    if problem["type"] == "missing":
        return TrainError(f"{place}: `{key}` is missing", f"add `{path[-1]}: …`")
    if problem["type"] == "extra_forbidden":
        names = list(_section(path[:-1]).model_fields)
        close = difflib.get_close_matches(str(path[-1]), names, 1, 0.5)
        return TrainError(
            f"{place}: `{key}` is not a key",
            f"did you mean `{close[0]}`?" if close else f"there are {', '.join(names)}",
        )
    if problem["type"] == "value_error":
        return TrainError(f"{place}: `{key}`: {problem['ctx']['error']}", SCHEMA)
    said = problem["msg"][0].lower() + problem["msg"][1:]
    return TrainError(f"{place}: `{key}`: {said}, not `{source.written(path, problem['input'])}`", SCHEMA)


def _section(path: KeyPath) -> type[BaseModel]:
    """The class of the section at `path`."""
    section: type[BaseModel] = Config
    for part in path:
        if isinstance(part, str) and part in section.model_fields:
            section = _inner(section.model_fields[part].annotation) or section
    return section


def _inner(annotation: Any) -> type[BaseModel] | None:
    """The section that a type is, may be, or has as its items; none where it is a value."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = [_inner(each) for each in get_args(annotation)]
    return next((each for each in found if each is not None), None)


Contradiction = tuple[Sequence[KeyPath], str, str]
"""A key and those that it does not fit, what is wrong, and a hint."""


def _contradictions(config: Config) -> Iterator[Contradiction]:
    """What cannot work, of keys that are right by themselves, and paths where nothing is."""
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
        said = f"`hidden_size: {width}` is no even multiple of `num_attention_heads: {heads}`"
        near = max(1, round(width / (2 * heads))) * 2 * heads
        yield given("num_attention_heads", "hidden_size"), said, f"use `hidden_size: {near}`"
    if heads % of_keys:
        said = f"`num_attention_heads: {heads}` is no multiple of `num_key_value_heads: {of_keys}`"
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
    for folder in (output, *output.parents):
        if _is(folder.exists):
            if not _is(folder.is_dir):
                yield [("output_path",)], f"`{folder}` is no folder", "correct `output_path`"
            return
