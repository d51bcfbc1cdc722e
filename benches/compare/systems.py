"""What is compared: how each system is made ready, called, and asked how many tokens it wrote.

Each does the same job as far as it can: one JSONL file, one tokenizer.json, rows of one length, Snappy Parquet, two
workers. Where a peer does less (see its label), that is to its advantage.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

COMPARE = Path(__file__).resolve().parent
BENCHES = COMPARE.parent
REPOSITORY = BENCHES.parent
WORKERS = 2
PEERS = ("datasets", "datasets-rc", "datatrove")


@dataclass(frozen=True)
class Job:
    """What is tokenized, with what, and where there is room for it."""

    input: Path
    tokenizer: Path
    row_length: int
    eos_token: str
    work: Path

    @property
    def one_line(self) -> Path:
        return self.work / "one_line.jsonl"

    @property
    def parts(self) -> Path:
        return self.work / "parts"


@dataclass(frozen=True)
class System:
    """One way to turn text into token ids, as a command."""

    name: str
    label: str
    command: list[str]
    output: Path
    scratch: Path
    count_tokens: Callable[[Path], int]
    environment: dict[str, str]


def prepare(job: Job) -> None:
    """Writes the inputs that are made of the input: its first line, and as many parts as there are workers."""
    job.parts.mkdir(parents=True, exist_ok=True)
    size = job.input.stat().st_size
    with job.input.open("rb") as lines:
        job.one_line.write_bytes(lines.readline())
        lines.seek(0)
        for worker in range(WORKERS):
            with (job.parts / f"part_{worker}.jsonl").open("wb") as part:
                while lines.tell() < size * (worker + 1) // WORKERS:
                    part.write(lines.readline())


def mashbill(job: Job, program: Path, threads: int) -> System:
    output = job.work / f"mashbill-{threads}"
    options = {
        "--input": job.input,
        "--output": output,
        "--tokenizer": job.tokenizer,
        "--max-seq-length": job.row_length,
        "--threads": threads,
    }
    return System(
        name=f"mashbill-{threads}",
        label=f"mashbill, {threads} thread{'s' if threads > 1 else ''}",
        command=[str(program), "tokenize", "--quiet", *(str(word) for pair in options.items() for word in pair)],
        output=output,
        scratch=job.work / "no-scratch",
        count_tokens=_tokens_of_manifest,
        # Its verdict on the tokenizer is kept there from one run to the next.
        environment={**os.environ, "XDG_CACHE_HOME": str(job.work / "cache")},
    )


def one_line(full: System, job: Job) -> System:
    """The same command on the first line of the input: what starting and loading the tokenizer cost."""
    command = [str(job.one_line) if word == str(job.input) else word for word in full.command]
    return replace(full, name=f"{full.name}-one-line", label=f"{full.label}, on one line", command=command)


def first_start(one_line: System, job: Job) -> System:
    """The same where nothing is known of the tokenizer yet: the scratch folder is emptied before each run."""
    environment = {**one_line.environment, "XDG_CACHE_HOME": str(job.work / "empty-cache")}
    label = f"{one_line.label}, the very first start"
    return replace(one_line, name="first-start", label=label, scratch=job.work / "empty-cache", environment=environment)


def peer(job: Job, name: str) -> System:
    """A peer in a virtual environment of its own, which is made if need be."""
    output, scratch = job.work / name, job.work / f"{name}-scratch"
    options: dict[str, object] = {
        "--tokenizer": job.tokenizer,
        "--output": output,
        "--scratch": scratch,
        "--workers": WORKERS,
    }
    if name == "datatrove":
        script, count = "run_datatrove.py", _tokens_of_raw_files
        label = "`datatrove`: `DocumentTokenizer`, raw ids (no packing, no Parquet, no BOS)"
        options |= {"--input": job.parts, "--eos-token": job.eos_token}
    else:
        script, count = "run_datasets.py", _tokens_of_note
        library = "tokenizers" if name == "datasets-rc" else "transformers"
        label = f"`{name}`: Hugging Face `datasets`, map + group_texts → Parquet"
        label += ", tokenizers 1.0 release candidate called directly" if name == "datasets-rc" else ""
        options |= {"--input": job.input, "--row-length": job.row_length, "--library": library}
    words = (str(word) for pair in options.items() for word in pair)
    python = environment_of(name)
    return System(
        name=name,
        label=label,
        command=[str(python), str(COMPARE / "peers" / script), *words],
        output=output,
        scratch=scratch,
        count_tokens=count,
        environment={
            **os.environ,
            "HF_HOME": str(job.work / "hf-home"),
            "HF_HUB_OFFLINE": "1",
            # Each of the two workers computes on one thread, which is the cheapest way on two cores.
            "TOKENIZERS_PARALLELISM": "false",
            "RAYON_NUM_THREADS": "1",
        },
    )


# fastokens would give long texts to more threads, which costs CPU time.
STAGE_ENVIRONMENT = {**os.environ, "FASTOKENS_BPE_THREADS": "1"}


def stage(job: Job, program: Path, name: str) -> list[str]:
    """The command that measures one stage and prints JSON."""
    return [
        *(str(program), "--stage", name, "--input", str(job.input)),
        *("--tokenizer", str(job.tokenizer), "--max-seq-length", str(job.row_length)),
    ]


def build(manifest: Path, package: str, binary: str) -> Path:
    """Builds a program of this repository as it is released and gives its path."""
    command = ["cargo", "build", "--release", "--locked", "--manifest-path", str(manifest), "--package", package]
    messages = subprocess.run(
        [*command, "--message-format", "json-render-diagnostics"], check=True, stdout=subprocess.PIPE, text=True
    )
    for line in messages.stdout.splitlines():
        message = json.loads(line)
        if message.get("executable") and message["target"]["name"] == binary:
            return Path(message["executable"])
    raise SystemExit(f"error: cargo built no program `{binary}`")


def eos_token_of(tokenizer: Path) -> str:
    """A special token that ends a text, for the peer that wants one by name; which one changes no cost."""
    added = json.loads(tokenizer.read_text(encoding="utf-8"))["added_tokens"]
    special = [token["content"] for token in added if token["special"]]
    named = [token for token in special if re.search(r"end_?of_?text|^</s>$|^<eos>$", token)]
    if not named:
        raise SystemExit(f"error: {tokenizer} has no special token that looks like an EOS\n\nhint: pass --eos-token")
    return named[0]


PACKAGES = ("datasets", "datatrove", "transformers", "tokenizers", "pyarrow")


def versions_of(name: str, packages: tuple[str, ...] = PACKAGES) -> str:
    """The versions of what counts in a peer's environment."""
    script = (
        "import importlib.metadata as m, json, platform, sys\n"
        "found = {d.metadata['Name']: d.version for d in m.distributions()}\n"
        "print(json.dumps({'Python': platform.python_version()} | {n: found[n] for n in sys.argv[1:] if n in found}))"
    )
    python = environment_of(name)
    output = subprocess.run([str(python), "-c", script, *packages], check=True, stdout=subprocess.PIPE, text=True)
    return ", ".join(f"{package} {version}" for package, version in json.loads(output.stdout).items())


def environment_of(name: str) -> Path:
    """The Python of the peer's virtual environment, made from its lock where it is not there or out of date."""
    folder, lock = BENCHES / f".venv-{name}", COMPARE / f"requirements-{name}.lock"
    python, stamp = folder / "bin" / "python", folder / "stamp"
    wanted = f"{hashlib.sha256(lock.read_bytes()).hexdigest()} {sys.version}"
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"making {folder.relative_to(REPOSITORY)}", file=sys.stderr)
        shutil.rmtree(folder, ignore_errors=True)
        venv.create(folder, with_pip=True)
        install = [
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--no-input",
            "--require-hashes",
            "-r",
            str(lock),
        ]
        subprocess.run([str(python), "-m", "pip", *install], check=True)
        # Written last, so that half an environment has none.
        stamp.write_text(wanted)
    return python


def _tokens_of_manifest(output: Path) -> int:
    splits = json.loads((output / "manifest.json").read_text(encoding="utf-8"))["splits"]
    return sum(split["tokens"] for split in splits.values())


def _tokens_of_note(output: Path) -> int:
    return int((output / "tokens.txt").read_text())


def _tokens_of_raw_files(output: Path) -> int:
    return sum(file.stat().st_size for file in output.glob("*.ds")) // 4
