"""The YAML file that drives a run: its keys, their types and defaults, and how it is read.

The classes are the definition; errors with line numbers, the resolved copy that a run keeps and the JSON schema for
editors follow from them. Unknown keys are errors: a mistyped `learning_rte` that is ignored costs a run.
"""

import difflib
import re
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mashbill.train.error import TrainError

EXAMPLE = "see configs/train_direct.yaml for an example"


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, protected_namespaces=())


class Llama(_Section):
    """A Llama to train from scratch; its vocabulary and its length are the data's."""

    hidden_size: int = Field(256, description="width")
    intermediate_size: int = Field(768, description="width of the feed-forward layers")
    num_hidden_layers: int = Field(6, description="layers")
    num_attention_heads: int = Field(8, description="heads")
    num_key_value_heads: int = Field(4, description="heads of keys and values")
    rope_theta: float = Field(10000.0, description="base of the rotary positions")
    tie_word_embeddings: bool = Field(True, description="whether input and output share embeddings")


class Model(_Section):
    """The model: one that exists, or a new one."""

    start_from: str | None = Field(None, description="a Hub id or a folder to start from")
    llama: Llama | None = Field(None, description="a new Llama, where nothing is started from")
    attention: Literal["sdpa", "eager", "flash_attention_2"] = Field("sdpa", description="how attention is computed")
    compile: bool = Field(False, description="whether torch.compile is used")


class Teacher(_Section):
    """The model whose logits are learned."""

    model: str = Field(description="a Hub id or a folder; its tokenizer has to be the data's")
    temperature: float = Field(2.0, description="softens both distributions", gt=0)
    weight: float = Field(0.5, description="share of the divergence in the loss; the rest is cross-entropy", ge=0, le=1)


class Optimizer(_Section):
    """AdamW."""

    learning_rate: float = Field(3e-4, description="at the top of the schedule", gt=0)
    weight_decay: float = Field(0.1, description="of matrices; vectors are not decayed")
    betas: list[float] = Field([0.9, 0.95], description="decay of the two moments", min_length=2, max_length=2)
    epsilon: float = Field(1e-8, description="added to the denominator")
    clip: float = Field(1.0, description="largest norm of the gradient; 0: not clipped", ge=0)


class Schedule(_Section):
    """The learning rate over the steps, as a share of the optimizer's."""

    kind: Literal["cosine", "wsd"] = Field("cosine", description="cosine, or warm-up, stable, decay")
    warmup_steps: int = Field(100, description="linear from nothing to the top", ge=0)
    decay_steps: int | None = Field(None, description="wsd: last steps, linear; null: a tenth of all")
    final: float = Field(0.1, description="share at the last step")


class Stage(_Section):
    """Weights of splits or categories from a step on."""

    weights: dict[str, float] = Field(description="shares of the rows by split or category")
    from_step: int = Field(0, description="the first step", ge=0)
    ramp: bool = Field(False, description="whether they change linearly to the next stage's")


class Validation(_Section):
    """What is measured on data that training never sees."""

    every: int = Field(200, description="steps between two measurements; 0: none", ge=0)
    rows: int = Field(256, description="rows of each split that are used at most", ge=1)
    held_out: float = Field(
        0.01,
        description="share held out of text that is tokenized first; of the rows, where no documents are",
        gt=0,
        lt=1,
    )


class Checkpoints(_Section):
    """What a run can go on from and what `transformers` loads."""

    every: int = Field(500, description="steps between two; the last has one always", ge=0)
    keep: int = Field(2, description="how many of the last are kept", ge=1)


class Config(_Section):
    """A training run."""

    train_data_path: str = Field(description="what `mashbill tokenize` wrote, or JSONL to tokenize")
    val_data_path: str | None = Field(None, description="the same; equal to train_data_path: what is held out of it")
    use_pretokenized_data: bool = Field(True, description="whether train_data_path is tokenized already")
    pretokenized_splits: list[str] | None = Field(None, description="the splits to train on; null: all")
    tokenizer: str | None = Field(None, description="what to tokenize with; null: the data's")
    max_seq_length: int | None = Field(None, description="tokens in a row that is to be tokenized")
    output_path: str = Field("runs/direct", description="the folder of the run")
    model: Model = Field(Model(llama=Llama()), description="what is trained")
    teacher: Teacher | None = Field(None, description="whom to distill from")
    document_mask: bool = Field(True, description="whether attention stays inside of each document")
    steps: int | None = Field(None, description="optimizer steps; null: one epoch", ge=1)
    batch_tokens: int = Field(65536, description="tokens a step, over all processes", ge=1)
    micro_batch_rows: int = Field(4, description="rows that a process computes at once", ge=1)
    precision: Literal["auto", "fp32", "bf16"] = Field("auto", description="auto: bf16 on a GPU, fp32 on a CPU")
    optimizer: Optimizer = Field(Optimizer(), description="AdamW")
    schedule: Schedule = Field(Schedule(), description="the learning rate")
    mix: list[Stage] | None = Field(None, description="shares of the sources; null: each row once an epoch")
    max_epochs: int = Field(4, description="how often the mix may show a row", ge=1)
    validation: Validation = Field(Validation(), description="measurements")
    checkpoints: Checkpoints = Field(Checkpoints(), description="what is kept")
    seed: int = Field(0, description="of new weights and of the order")


class _Loader(yaml.SafeLoader):
    """Safe, and with the numbers of YAML 1.2: 1.1, which PyYAML reads, takes 3e-4 for a text."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+$"), list("-+0123456789")
)


def read(path: Path, settings: list[str]) -> Config:
    """The configuration in `path`, with `key.key=value` of `settings` put over it."""
    try:
        text = path.read_text(encoding="utf-8")
        node, given = yaml.compose(text, _Loader), yaml.load(text, _Loader)
    except OSError as error:
        raise TrainError(f"`{path}` cannot be read: {error.strerror}", "give a YAML file with `--config`") from error
    except yaml.YAMLError as error:
        raise TrainError(f"`{path}` is not YAML: {error}", EXAMPLE) from error
    if not isinstance(given, dict):
        raise TrainError(f"`{path}` holds no keys", EXAMPLE)
    for setting in settings:
        _put(given, setting)
    try:
        config = Config.model_validate(given)
    except ValidationError as error:
        raise _explained(error, str(path), node, settings) from error
    if (config.model.start_from is None) == (config.model.llama is None):
        raise TrainError(f"{path}: `model` needs one of `start_from` and `llama`", EXAMPLE)
    return config


def write(config: Config, path: Path) -> None:
    """Keeps the resolved configuration with the run."""
    path.write_text(yaml.safe_dump(config.model_dump(), sort_keys=False), encoding="utf-8")


def differences(config: Config, path: Path) -> list[str]:
    """The keys in which a run's resolved copy at `path` is another one."""
    kept, now = _flat(yaml.load(path.read_text(encoding="utf-8"), _Loader)), _flat(config.model_dump())
    return [key for key in {**now, **kept} if now.get(key) != kept.get(key)]


def schema() -> dict[str, Any]:
    """The JSON schema of a configuration, for editors."""
    return Config.model_json_schema()


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat


def _put(given: dict[str, Any], setting: str) -> None:
    keys, separator, text = setting.partition("=")
    if not separator:
        raise TrainError(f"`--set {setting}` has no `=`", "write `--set key=value`, such as `--set optimizer.clip=0.5`")
    *parents, last = keys.split(".")
    for parent in parents:
        if not isinstance(given.get(parent), dict):
            given[parent] = {}
        given = given[parent]
    given[last] = yaml.load(text, _Loader)


def _explained(error: ValidationError, file: str, node: Any, settings: list[str]) -> TrainError:
    """The first problem as a sentence, with its line in the file or the setting that it came with."""
    problem = error.errors()[0]
    path = list(problem["loc"])
    key = ".".join(map(str, path))
    setting = next((each for each in settings if key.startswith(each.partition("=")[0])), None)
    place = f"--set {setting}" if setting else f"{file}:{_line(node, path)}"
    if problem["type"] == "missing":
        return TrainError(f"{place}: `{key}` is missing", f"add `{path[-1]}: …`")
    if problem["type"] == "extra_forbidden":
        section: Any = Config
        for part in path[:-1]:
            kinds = str(section.model_fields[part].annotation) if isinstance(part, str) else ""
            section = next((each for each in _Section.__subclasses__() if f".{each.__name__}" in kinds), section)
        names = list(section.model_fields)
        close = difflib.get_close_matches(str(path[-1]), names, 1, 0.5)
        return TrainError(
            f"{place}: `{key}` is not a key",
            f"did you mean `{close[0]}`?" if close else f"there are {', '.join(names)}",
        )
    said = problem["msg"][0].lower() + problem["msg"][1:]
    return TrainError(
        f"{place}: `{key}`: {said}, not `{problem['input']}`", "correct it; schemas/train.schema.json has every key"
    )


def _line(node: Any, path: list[int | str]) -> int:
    """The line of a key, or of the mapping that lacks it."""
    line: int = node.start_mark.line + 1
    for part in path:
        if isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            node = node.value[part]
            line = node.start_mark.line + 1
            continue
        found = [pair for pair in getattr(node, "value", []) if isinstance(pair, tuple) and pair[0].value == part]
        if not found:
            return line
        line, node = found[0][0].start_mark.line + 1, found[0][1]
    return line
