"""The YAML file: what is said about a mistake, what the command line puts over it, and its schema."""

import json
import os
import re
import time
from pathlib import Path

import jsonschema
import pytest
import yaml
from mashbill.train import config, config_file
from mashbill.train.error import TrainError

REPOSITORY = Path(__file__).parents[3]
LEAST = "train_data_path: data\nmodel:\n  llama: {}\n"


def read(tmp_path: Path, text: str | bytes, *settings: str) -> config.Config:
    (tmp_path / "data").mkdir(exist_ok=True)
    path = tmp_path / "run.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return config_file.read(path, list(settings))


def refused(tmp_path: Path, text: str | bytes, *settings: str) -> tuple[str, str]:
    """The error without the folder, and its hint."""
    with pytest.raises(TrainError) as raised:
        read(tmp_path, text, *settings)
    return str(raised.value).replace(f"{tmp_path}/", ""), raised.value.hint


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


MISTAKES = r"""
5 | optimizer:\n  learning_rte: 1 | `optimizer.learning_rte` is not a key | did you mean `learning_rate`?
4 | batch_tokns: 8 | `batch_tokns` is not a key | did you mean `batch_tokens`?
4 | qqq: 8 | `qqq` is not a key | there are train_data_path, val_data_path
4 | teacher: {model: t, wieght: 1.0} | `teacher.wieght` is not a key | did you mean `weight`?
5 | mix:\n- wieghts: {} | `mix.0.weights` is missing | add `weights: …`
4 | teacher: {weight: 1.0} | `teacher.model` is missing | add `model: …`
4 | steps: many | `steps`: input should be a valid integer, not `many` | correct it
4 | steps: 1.5 | `steps`: input should be a valid integer, not `1.5` | correct it
4 | steps: true | `steps`: input should be a valid integer, not `true` | correct it
4 | document_mask: 1 | `document_mask`: input should be a valid boolean, not `1` | correct it
4 | schedule: {kind: x} | `schedule.kind`: input should be 'cosine' or 'wsd', not `x` | correct it
4 | pretokenized_splits: a | `pretokenized_splits`: input should be a valid list, not `a` | correct it
4 | mix: [{weights: {code: x}}] | `mix.0.weights.code`: input should be a valid number, not `x` | correct it
"""


@pytest.mark.parametrize("mistake", MISTAKES.strip().splitlines())
def test_a_mistake_is_named_with_its_line(tmp_path: Path, mistake: str) -> None:
    line, text, message, hint = (part.replace("\\n", "\n") for part in mistake.split(" | "))
    said, told = refused(tmp_path, f"{LEAST}{text}\n")
    assert said == f"run.yaml:{line}: {message}"
    assert hint in told


LONG = bool(os.environ.get("MASHBILL_LONG"))
WEIRD = (
    *("", "~", "true", "1", "0", "-1", "1.5", "5e-324", "1e308", "x", "[]", "{}", "[1]", "[null]", "[[1]]", "{a: 1}"),
    *(
        "{a: {b: 1}}",
        "[{}]",
        '"\\0"',
        '"\\ud800"',
        "18446744073709551615",
        "|\n  x",
        "'",
        "- 1",
        "2001-01-01",
        "#x",
        "@x",
    ),
    *(
        "a: b",
        "/dev/null",
        "/",
        "~/x",
        "data/../data",
        "\u202e",
        "\x1b",
        "a" * 5000,
        "/" + "a/" * 3000,
        "[{weights: {a: .5}}]",
    ),
)


@pytest.mark.parametrize("way", ["file", "setting"])
def test_no_value_of_any_key_is_more_than_an_error_with_its_place(tmp_path: Path, way: str) -> None:
    taken = 0
    keys = [*config.rules(), "model", "teacher", "schedule", "mix.0", "mix.0.weights", "optimizer.betas.0", "a.b.c"]
    for number, key in enumerate(keys):
        # Some of them; all with MASHBILL_LONG=1.
        for value in WEIRD if LONG else WEIRD[number % 8 :: 8]:
            *parents, last = key.split(".")
            lines = [f"{'  ' * depth}{parent}:" for depth, parent in enumerate(parents)]
            nested = "\n".join([*lines, f"{'  ' * len(parents)}{last}: {value}"])
            least = "".join(each for each in ("train_data_path: data\n", "model: {llama: {}}\n") if each[:5] != key[:5])
            text, place = (least + nested, "run.yaml:") if way == "file" else (LEAST, f"--set {key}=")
            try:
                found = read(tmp_path, text, *([f"{key}={value}"] if way == "setting" else []))
            except TrainError as error:
                assert str(error).replace(f"{tmp_path}/", "").startswith(place), (key, value, error)
                continue
            taken += 1
            (tmp_path / "copy.yaml").write_text(config.text(found))
            assert config_file.read(tmp_path / "copy.yaml", []).model_dump() == found.model_dump()
    assert taken > 5


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(TrainError, match="1: `train_data_path` is missing"):
        read(tmp_path, "model:\n  llama: {}\n")


# YAML that is read in more than one way, or stands for more than it says: line | text | message | hint.
UNCLEAR = r"""
5 | steps: 4\nsteps: 5 | the key `steps` is given twice, in line 4 before | keep one
5 | optimizer: {clip: 1,\n  clip: 2} | the key `clip` is given twice, in line 4 before | keep one
4 | seed: 0100 | `0100` is one number to some readers of YAML and another, or a text, to others | "0100"
4 | steps: 1:30 | `1:30` is one number to some readers of YAML and another, or a text, to others | plain digits
4 | steps: 1_000 | `1_000` is one number to some readers of YAML and another, or a text, to others | plain digits
4 | steps: 0x10 | `0x10` is one number to some readers of YAML and another, or a text, to others | plain digits
4 | steps: 0o17 | `0o17` is one number to some readers of YAML and another, or a text, to others | plain digits
4 | optimizer: {clip: .inf} | `.inf` is not a number that can be used | finite
4 | optimizer: {clip: -.INF} | `-.INF` is not a number that can be used | finite
4 | optimizer: {clip: .NaN} | `.NaN` is not a number that can be used | finite
4 | optimizer: {clip: 1e999} | `1e999` is out of range | 64 bits
4 | optimizer: {epsilon: 1e-999} | `1e-999` is out of range | 64 bits
4 | seed: 18446744073709551616 | `18446744073709551616` is out of range | 64 bits
4 | document_mask: yes | `yes` is a text to some readers of YAML and true to others | write true
4 | document_mask: Off | `Off` is a text to some readers of YAML and false to others | write false
4 | pretokenized_splits: [no] | `no` is a text to some readers of YAML and false to others | "no"
4 | teacher: &t {model: m} | there is an anchor, `&t` | write values out
4 | teacher: *t | there is an alias, `*t` | write out
4 | <<: {seed: 1} | there is a merge key, `<<` | write out
4 | seed: !!int 5 | there is a tag, `tag:yaml.org,2002:int` | remove it
4 | seed: !!python/name:os.system | there is a tag, `tag:yaml.org,2002:python/name:os.system` | remove it
4 | ? [seed]\n: 1 | a key is a list or a section | `key: value`
4 | "": 1 | a key is empty | `key: value`
4 | ---\nseed: 1 | a second document begins | keep one
5 | optimizer:\n\tclip: 1 | it is not YAML: while scanning for the next token, found character '\\t' | spaces
5 | mix: [1 | it is not YAML: while parsing a flow sequence, expected ',' or ']', but got '<stream end>' | quotes
"""


@pytest.mark.parametrize("case", UNCLEAR.strip().splitlines())
def test_what_yaml_leaves_open_is_refused_with_its_line(tmp_path: Path, case: str) -> None:
    line, text, message, hint = case.split(" | ")
    said, told = refused(tmp_path, LEAST + text.replace("\\n", "\n").replace("\n\\t", "\n\t") + "\n")
    assert said.startswith(f"run.yaml:{line}: {message.replace(chr(92) * 2, chr(92))}")
    assert hint in told


def test_aliases_that_multiply_are_refused_at_once(tmp_path: Path) -> None:
    levels = [f"  - &a{level} [{','.join([f'*a{level - 1}' if level else 'lol'] * 9)}]" for level in range(9)]
    began = time.process_time()
    said, _ = refused(tmp_path, "\n".join(["train_data_path: x", "steps:", *levels, ""]))
    assert said == "run.yaml:3: there is an anchor, `&a0`"
    assert time.process_time() - began < 1.0


HOSTILE = {
    "deep lists": ("a: " + "[" * 100_000, "run.yaml:1: values lie in more than 16 others"),
    "deep sections": ("\n".join(" " * depth + "a:" for depth in range(300)), "run.yaml:18: values lie in more than 16"),
    "a long number": ("seed: " + "9" * 100_000, "run.yaml:1: `9999999999"),
    "a large file": ("# comment\n" * 30_000, "run.yaml:1: it is larger than 256 KiB"),
    "UTF-16": ("seed: 1\n".encode("utf-16"), "run.yaml:1: it is in UTF-16, not UTF-8"),
    "UTF-16 without a mark": ("seed: 1\n".encode("utf-16-le"), "run.yaml:1: there is a NUL character"),
    "UTF-32": ("seed: 1\n".encode("utf-32"), "run.yaml:1: it is in UTF-32, not UTF-8"),
    "Latin-1": ("seed: 1\noutput_path: caf\xe9\n".encode("latin-1"), "run.yaml:2: it is not UTF-8: byte 0xE9"),
    "a control character": (b"seed: 1\n# \x1b[2J\n", "run.yaml:2: there is the character U+001B"),
    "nothing": (b"", "run.yaml:1: the file holds no keys"),
    "a list": (b"# yes\n- seed\n", "run.yaml:2: the file holds no keys"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_files_that_are_no_configuration_are_named(tmp_path: Path, case: str) -> None:
    text, message = HOSTILE[case]
    assert refused(tmp_path, text)[0].startswith(message)


def test_a_mark_of_utf_8_is_passed_over(tmp_path: Path) -> None:
    assert read(tmp_path, b"\xef\xbb\xbf" + LEAST.encode() + b"seed: 3\n").seed == 3


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for name, why in (("fifo", "not a file but a device or a pipe"), (".", "Is a directory"), ("gone", "No such file")):
        with pytest.raises(TrainError, match=why):
            config_file.read(tmp_path / name, [])


# Values that cannot work: line | text | a part of the message.
IMPOSSIBLE = r"""
4 | seed: -1 | `seed`: input should be greater than or equal to 0, not `-1`
4 | steps: 0 | `steps`: input should be greater than or equal to 1
4 | batch_tokens: 0 | `batch_tokens`: input should be greater than or equal to 1
4 | micro_batch_rows: 0 | `micro_batch_rows`: input should be greater than or equal to 1
4 | checkpoints: {keep: 0} | `checkpoints.keep`: input should be greater than or equal to 1
4 | checkpoints: {every: -1} | `checkpoints.every`: input should be greater than or equal to 0
4 | validation: {held_out: 1.0} | `validation.held_out`: input should be less than 1
4 | optimizer: {learning_rate: 0} | `optimizer.learning_rate`: input should be greater than 0
4 | optimizer: {learning_rate: 1e300} | `optimizer.learning_rate`: input should be less than or equal to 100
4 | optimizer: {weight_decay: -0.1} | `optimizer.weight_decay`: input should be greater than or equal to 0
4 | optimizer: {betas: [0.9]} | `optimizer.betas`: list should have at least 2 items
4 | optimizer: {betas: [0.9, 1.0]} | `optimizer.betas.1`: input should be less than 1, not `1.0`
4 | optimizer: {epsilon: 0} | `optimizer.epsilon`: input should be greater than 0
4 | schedule: {warmup_steps: -1} | `schedule.warmup_steps`: input should be greater than or equal to 0
5 | steps: 5\nschedule: {warmup_steps: 6} | `warmup_steps: 6` are more than the run's 5 steps
5 | steps: 5\nschedule: {kind: wsd, warmup_steps: 3, decay_steps: 3} | `warmup_steps: 3` and `decay_steps: 3` are more
4 | schedule: {decay_steps: 3} | `decay_steps` is of `kind: wsd`
4 | precision: fp8 | `precision`: input should be 'auto', 'fp32' or 'bf16', not `fp8`
4 | output_path: "" | `output_path`: it is empty
4 | output_path: "a\0b" | `output_path`: it holds control characters: a\u{0}b
4 | output_path: run.yaml/x | `run.yaml` is not a folder
4 | output_path: ./data/ | `output_path` is `train_data_path`: the run would write among its data
5 | val_data_path: data\noutput_path: data | `output_path` is `train_data_path`: the run would write among its data
4 | tokenizer: hf_abcdefghijklmnopqrstuv | `tokenizer`: it holds a token of the Hub
4 | pretokenized_splits: [] | `pretokenized_splits`: list should have at least 1 item
4 | pretokenized_splits: [a, a] | the split `a` is named twice
4 | mix: [] | `mix`: list should have at least 1 item
4 | mix: [{weights: {}}] | `mix.0.weights`: dictionary should have at least 1 item
4 | mix: [{weights: {a: -1}}] | `mix.0.weights.a`: input should be greater than or equal to 0
4 | mix: [{weights: {a: 0}}] | all weights are 0
4 | mix: [{from_step: 3, weights: {a: 1}}] | the first stage begins at step 3, not 0
6 | mix:\n- {weights: {a: 1}}\n- {weights: {a: 2}} | the stage from step 0 follows one from step 0
4 | mix: [{weights: {a: 1}, ramp: true}] | the last stage has `ramp: true`
4 | use_pretokenized_data: false | `use_pretokenized_data: false` needs `tokenizer`
4 | max_seq_length: 1 | `max_seq_length`: input should be greater than or equal to 2
4 | val_data_path: nowhere | `nowhere` does not exist
4 | teacher: {model: ./nowhere} | the model `./nowhere` cannot be found: it is neither a folder nor a Hub id
4 | teacher: {model: data} | the model `data` has no config.json
4 | teacher: {model: m, temperature: 0} | `teacher.temperature`: input should be greater than or equal to 0.01
"""


@pytest.mark.parametrize("case", IMPOSSIBLE.strip().splitlines())
def test_values_that_cannot_work_are_refused_with_their_line(tmp_path: Path, case: str) -> None:
    line, text, message = case.split(" | ")
    said, _ = refused(tmp_path, LEAST + text.replace("\\n", "\n") + "\n")
    assert said.startswith(f"run.yaml:{line}: ") and message in said


SHAPES = r"""
{hidden_size: 100} | 2 | `hidden_size: 100` is not an even multiple of `num_attention_heads: 8` | `hidden_size: 96`
{num_attention_heads: 3} | 2 | `hidden_size: 256` is not an even multiple of `num_attention_heads: 3` | size: 258`
{hidden_size: 24, num_attention_heads: 8} | 2 | `hidden_size: 24` is not an even multiple | `hidden_size: 32`
{num_key_value_heads: 3} | 2 | `num_attention_heads: 8` is not a multiple of `num_key_value_heads: 3` | heads: 2`
{num_hidden_layers: 0} | 2 | `model.llama.num_hidden_layers`: input should be greater than or equal to 1 | correct it
"""


@pytest.mark.parametrize("case", SHAPES.strip().splitlines())
def test_shapes_that_are_none_are_refused(tmp_path: Path, case: str) -> None:
    shape, line, message, hint = case.split(" | ")
    said, told = refused(tmp_path, f"train_data_path: data\nmodel: {{llama: {shape}}}\n")
    assert said.startswith(f"run.yaml:{line}: ") and message in said and hint in told


def test_a_model_is_one_of_two(tmp_path: Path) -> None:
    for model in ("{}", "{llama: {}, start_from: gpt2}"):
        said, _ = refused(tmp_path, f"train_data_path: data\nmodel: {model}\n")
        assert said == "run.yaml:2: `model` needs one of `start_from` and `llama`"


def test_keys_are_texts_as_they_are_written(tmp_path: Path) -> None:
    found = read(tmp_path, LEAST + "mix: [{weights: {no: 1, 2024: 2, 0100: 3, ~: 4}}]\n")
    assert found.mix is not None and found.mix[0].weights == {"no": 1, "2024": 2, "0100": 3, "~": 4}


def test_the_command_line_goes_over_the_file(tmp_path: Path) -> None:
    settings = [
        "optimizer.learning_rate=1e-4",
        "steps=7",
        "pretokenized_splits=[a, b]",
        "teacher.model=t",
        "val_data_path=",
    ]
    found = read(tmp_path, LEAST + "steps: 5\nval_data_path: data\n", *settings)
    assert found.optimizer.learning_rate == 1e-4
    assert (found.steps, found.pretokenized_splits, found.val_data_path) == (7, ["a", "b"], None)
    assert found.teacher is not None and found.teacher.model == "t"


# A setting that is wrong beside a file that is right, or whose fault is the file's: settings | message.
SETTINGS = r"""
stps=7 | --set stps=7: `stps` is not a key
steps | `--set steps` has no `=`
=5 | --set =5: `` is not a key
optimizer..clip=5 | --set optimizer..clip=5: `optimizer..clip` is not a key
steps=0100 | --set steps=0100: `0100` is one number to some readers of YAML and another, or a text, to others
steps=[1 | --set steps=[1: it is not YAML: while parsing a flow sequence, expected ',' or ']', but got '<stream end>'
steps=*a | --set steps=*a: there is an alias, `*a`
model={llama: {}, llama: {}} | --set model={llama: {}, llama: {}}: the key `llama` is given twice, in line 1 before
output_path=#x | --set output_path=#x: `#` begins a comment
steps=1 steps=2 | --set steps=2: it replaces `--set steps=1`, which was given before it
optimizer.clip=1 optimizer={} | --set optimizer={}: it replaces `--set optimizer.clip=1`, which was given before it
steps.x=1 | --set steps.x=1: `steps` has the value `5` and is not a section
mix.7.from_step=1 | --set mix.7.from_step=1: `mix` is a list of 1, without `7`
mix.0.from_step=1 | --set mix.0.from_step=1: the first stage begins at step 1, not 0
teacher.temperature=1 | --set teacher.temperature=1: `teacher.model` is missing
seed=-1 | --set seed=-1: `seed`: input should be greater than or equal to 0, not `-1`
model.llama.hidden_size=9 | --set model.llama.hidden_size=9: `hidden_size: 9` is not an even multiple of
optimizer.betas=[1,2] | --set optimizer.betas=[1,2]: `optimizer.betas.0`: input should be less than 1, not `1`
steps=2 schedule.warmup_steps=3 | --set schedule.warmup_steps=3: `warmup_steps: 3` are more than the run's 2 steps
mix.0.weights.a=0 | --set mix.0.weights.a=0: all weights are 0
model.start_from=gpt2 | --set model.start_from=gpt2: `model` needs one of `start_from` and `llama`
train_data_path=nowhere | --set train_data_path=nowhere: `nowhere` does not exist
optimizer.clip=2 optimizer.clip_end=2 | --set optimizer.clip_end=2: `optimizer.clip_end` is not a key
"""


@pytest.mark.parametrize("case", SETTINGS.strip().splitlines())
def test_a_fault_in_a_setting_is_blamed_on_it(tmp_path: Path, case: str) -> None:
    settings, message = case.split(" | ")
    given = settings.split(" ") if "{llama" not in settings else [settings]
    text = LEAST + "steps: 5\nmix: [{weights: {a: 1}}]\n"
    assert refused(tmp_path, text, *given)[0].startswith(message)


def test_a_fault_in_the_file_is_not_blamed_on_a_setting(tmp_path: Path) -> None:
    said, _ = refused(tmp_path, LEAST + "optimizer: {betas: [0.9, 2.0]}\n", "optimizer.beta=1", "seed=1")
    assert said.startswith("--set optimizer.beta=1") or said.startswith("run.yaml:4: `optimizer.betas.1`")
    said, _ = refused(tmp_path, LEAST + "optimizer: {betas: [0.9, 2.0]}\n", "optimizer.clip=1", "seed=1")
    assert said == "run.yaml:4: `optimizer.betas.1`: input should be less than 1, not `2.0`"


def test_a_setting_that_does_not_fit_the_file_is_blamed(tmp_path: Path) -> None:
    said, _ = refused(tmp_path, LEAST + "schedule: {warmup_steps: 7}\n", "steps=5")
    assert said == "--set steps=5: `warmup_steps: 7` are more than the run's 5 steps"


def test_a_setting_reaches_into_lists(tmp_path: Path) -> None:
    text = LEAST + "mix: [{weights: {a: 1}}, {from_step: 5, weights: {a: 2}}]\n"
    found = read(tmp_path, text, "mix.1.from_step=7")
    assert found.mix is not None and [stage.from_step for stage in found.mix] == [0, 7]


@pytest.mark.parametrize("name", ["no", "0100", "1e3", "08", "~", "1:30", "plain", "caf\xe9", "a b: c", "# x", "0x1f"])
def test_the_resolved_copy_reads_as_the_same(tmp_path: Path, name: str) -> None:
    mix = "mix: [{weights: {code: 1, chat: 3}, ramp: true}, {from_step: 3, weights: {code: 1, chat: 1}}]\n"
    found = read(
        tmp_path, LEAST + mix + f"output_path: {json.dumps(name)}\npretokenized_splits: [{json.dumps(name)}]\n"
    )
    (tmp_path / "resolved.yaml").write_text(config.text(found))
    assert config_file.read(tmp_path / "resolved.yaml", []).model_dump() == found.model_dump()


def test_every_key_says_what_becomes_of_it_when_a_run_goes_on() -> None:
    described = json.dumps(config.schema())
    assert described.count('"resume"') == described.count('"description"') - len(config.schema()["$defs"]) - 1
    page = (REPOSITORY / "docs" / "train.md").read_text()
    rows = re.findall(r"^\| (.*?) \| (takes effect|refused|same rows)", page, re.M)
    told = {
        key: rule.replace("takes effect", "holds")
        for cells, rule in rows
        for key in re.findall(r"`([a-z_.*]+)`", cells)
    }
    # Of a section that is told as a whole, each key.
    sections = {key[:-2]: rule for key, rule in told.items() if key.endswith(".*")}
    assert config.rules() == {
        key: told.get(key) or next((rule for name, rule in sections.items() if key.startswith(f"{name}.")), None)
        for key in config.rules()
    }


@pytest.mark.parametrize("path", sorted((REPOSITORY / "configs").glob("*.yaml")), ids=lambda path: path.name)
def test_the_configs_that_ship_are_valid(tmp_path: Path, path: Path) -> None:
    for name in ("distillation", "distillation_preprocessed"):
        (tmp_path / "data" / name).mkdir(parents=True)
    config_file.read(path, [])
    jsonschema.validate(yaml.safe_load(path.read_text().replace("3e-4", "0.0003")), config.schema())


def test_the_schema_is_current() -> None:
    path = REPOSITORY / "schemas" / "train.schema.json"
    current = json.dumps(config.schema(), indent=2) + "\n"
    before = path.read_text() if path.exists() else ""
    path.write_text(current)
    assert before == current, f"{path} was written again: commit it"
