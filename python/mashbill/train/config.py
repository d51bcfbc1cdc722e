"""What drives a run: the keys of its YAML file, their types, ranges and defaults.

The classes are the definition; errors with line numbers, the resolved copy that a run keeps and the JSON schema for
editors follow from them. Unknown keys are errors: a mistyped `learning_rte` that is ignored costs a run. Each key says
what happens to another value when a run resumes ([`Resume`]), so none can be forgotten.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PrivateAttr

from mashbill.train import printer, strict_yaml
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


def _at_home(path: str) -> str:
    """A path whose `~` is the home folder that it stands for: no shell has read the file."""
    if not path.startswith("~"):
        return path
    try:
        return str(Path(path).expanduser())
    except RuntimeError:
        said = f"no user here has the home folder `{path.split('/')[0]}`; a folder of that name is `./{path}`"
        raise ValueError(said) from None


Text = Annotated[str, AfterValidator(_usable)]
Location = Annotated[Text, AfterValidator(_at_home)]
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
    """A Llama to train from scratch; vocabulary and row length are those of the data."""

    hidden_size: int = _key(256, "width of the hidden states", "refused", ge=2, le=WIDTH_MAX)
    intermediate_size: int = _key(768, "width of the feed-forward layers", "refused", ge=1, le=WIDTH_MAX)
    num_hidden_layers: int = _key(6, "number of layers", "refused", ge=1, le=WIDTH_MAX)
    num_attention_heads: int = _key(
        8, "attention heads; hidden_size must be an even multiple of it", "refused", ge=1, le=WIDTH_MAX
    )
    num_key_value_heads: int = _key(
        4, "heads of keys and values; must divide num_attention_heads", "refused", ge=1, le=WIDTH_MAX
    )
    rope_theta: float = _key(10000.0, "base of the rotary position embeddings", "refused", ge=1, le=1e12)
    tie_word_embeddings: bool = _key(True, "whether the input and output embeddings are shared", "refused")


class Model(_Section):
    """The model: one that exists, or a new one."""

    start_from: Location | None = _key(None, "the model to start from: a Hub id or a folder", "refused")
    llama: Llama | None = _key(None, "a new Llama, if start_from is not given", "refused")
    attention: Literal["sdpa", "eager", "flash_attention_2"] = _key("sdpa", "how attention is computed", "holds")
    compile: bool = _key(False, "whether torch.compile is used", "holds")


class Teacher(_Section):
    """The model whose logits are learned."""

    model: Location = _key(..., "the teacher: a Hub id or a folder; its tokenizer must be that of the data", "holds")
    temperature: float = _key(2.0, "temperature that softens both distributions", "holds", ge=0.01, le=1000)
    weight: float = _key(0.5, "share of the divergence in the loss; the rest is cross-entropy", "holds", ge=0, le=1)


class Optimizer(_Section):
    """AdamW."""

    learning_rate: float = _key(3e-4, "learning rate at the top of the schedule", "holds", gt=0, le=100)
    weight_decay: float = _key(0.1, "weight decay of matrices; vectors are not decayed", "holds", ge=0, le=100)
    betas: list[Share] = _key([0.9, 0.95], "decay rates of the two moments", "holds", min_length=2, max_length=2)
    epsilon: float = _key(1e-8, "number added to the denominator", "holds", gt=0, le=1)
    clip: float = _key(1.0, "largest norm of the gradient; 0: not clipped", "holds", ge=0, le=1e9)


class Schedule(_Section):
    """The learning rate over the steps, as a share of the optimizer's."""

    kind: Literal["cosine", "wsd"] = _key("cosine", "cosine, or warm-up, stable, decay", "holds")
    warmup_steps: int | None = _key(
        None, "steps of linear warm-up from 0; null: 100, or a tenth of the steps if less", "holds", ge=0, le=STEPS_MAX
    )
    decay_steps: int | None = _key(
        None, "for wsd: last steps, in which it falls linearly; null: a tenth of all steps", "holds", ge=0, le=STEPS_MAX
    )
    final: float = _key(0.1, "share of the learning rate that is left at the last step", "holds", ge=0, le=1)


class Stage(_Section):
    """Weights of splits or categories from a step on."""

    weights: dict[Text, Weight] = _key(..., "shares of the rows by split or category", "holds", min_length=1)
    from_step: int = _key(0, "the step from which on the weights count", "holds", ge=0, le=STEPS_MAX)
    ramp: bool = _key(False, "whether the weights change linearly to those of the next stage", "holds")


class Validation(_Section):
    """What is measured on data that training never sees."""

    every: int = _key(200, "steps between two measurements; 0: none", "holds", ge=0, le=STEPS_MAX)
    rows: int = _key(256, "largest number of rows of each split that are used", "holds", ge=1, le=STEPS_MAX)
    held_out: float = _key(
        0.01,
        "share of documents held out if text is tokenized first; share of rows if no documents are held out",
        "same rows",
        gt=0,
        lt=1,
    )


class Checkpoints(_Section):
    """What a run can resume from and what `transformers` loads."""

    every: int = _key(
        500, "steps between two checkpoints; one is always written at the last step", "holds", ge=0, le=STEPS_MAX
    )
    keep: int = _key(2, "how many of the latest checkpoints are kept", "holds", ge=1, le=STEPS_MAX)


class Config(_Section):
    """A training run."""

    train_data_path: Location = _key(..., "what `mashbill tokenize` wrote, or JSONL to tokenize", "same rows")
    val_data_path: Location | None = _key(
        None, "data to validate on; if it equals train_data_path, what is held out of that", "same rows"
    )
    use_pretokenized_data: bool = _key(True, "whether train_data_path is already tokenized", "same rows")
    pretokenized_splits: list[Text] | None = _key(None, "the splits to train on; null: all", "same rows", min_length=1)
    tokenizer: Location | None = _key(None, "the tokenizer; null: that of the data", "same rows")
    max_seq_length: int | None = _key(
        None, "tokens per row, if text is tokenized first", "same rows", ge=2, le=ROW_LENGTH_MAX
    )
    output_path: Location = _key("runs/direct", "the folder of the run", "holds")
    model: Model = _key(Model(llama=Llama()), "what is trained", "refused")
    teacher: Teacher | None = _key(None, "the teacher model to distill from", "holds")
    document_mask: bool = _key(True, "whether attention stays inside each document", "holds")
    steps: int | None = _key(None, "number of optimizer steps; null: one epoch", "holds", ge=1, le=STEPS_MAX)
    batch_tokens: int = _key(65536, "tokens per step, over all processes together", "holds", ge=1, le=STEPS_MAX)
    micro_batch_rows: int = _key(4, "rows that one process computes at a time", "holds", ge=1, le=STEPS_MAX)
    precision: Literal["auto", "fp32", "bf16"] = _key("auto", "auto: bf16 on a GPU, fp32 on a CPU", "holds")
    optimizer: Optimizer = _key(Optimizer(), "AdamW", "holds")
    schedule: Schedule = _key(Schedule(), "the learning rate", "holds")
    mix: list[Stage] | None = _key(None, "shares of the sources; null: each row once per epoch", "holds", min_length=1)
    max_epochs: int = _key(
        4, "how often a row may be seen at most; with a mix, how often each source", "holds", ge=1, le=STEPS_MAX
    )
    validation: Validation = _key(Validation(), "measurements", "holds")
    checkpoints: Checkpoints = _key(Checkpoints(), "what is kept", "holds")
    seed: int = _key(0, "seed of new weights and of the order of rows", "refused", ge=0, le=INTEGER_MAX)

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


def rules(section: type[BaseModel] = Config, prefix: str = "") -> dict[str, Resume]:
    """Every key that has a value, with dots between, and what happens to another value when a run resumes."""
    found: dict[str, Resume] = {}
    for name, about in section.model_fields.items():
        section_of = inner(about.annotation)
        if section_of is None or section_of is Stage:
            extra = about.json_schema_extra
            assert isinstance(extra, dict), f"{prefix}{name} is made with `_key`"
            found[f"{prefix}{name}"] = extra["resume"]  # type: ignore[assignment]
        else:
            found |= rules(section_of, f"{prefix}{name}.")
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
    """The resolved configuration, which [`mashbill.train.config_file.read`] takes."""
    dumped: str = yaml.dump(config.model_dump(), Dumper=_Dumper, sort_keys=False, allow_unicode=True)
    return dumped


def inner(annotation: Any) -> type[BaseModel] | None:
    """The section that a type is, may be, or has as its items; none where it is a value."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = [inner(each) for each in get_args(annotation)]
    return next((each for each in found if each is not None), None)
