"""The tokenizers, data sets and runs that the tests share. Each is made once, when the first test asks for it.

What needs the data beside the repository (`../shared`) or the package index is skipped where that is absent, and named
at the end of the test run, so that a short run never looks like a full one.
"""

import gzip
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import sources
from layout import Output, Shard
from reference import Documents, Record, Reference, Rows, expected_rows, read_records, read_rows

REPOSITORY = Path(__file__).resolve().parents[2]
SHARED = REPOSITORY.parent / "shared"


@dataclass(frozen=True)
class TokenizerCase:
    """A tokenizer as `--tokenizer` names it, and the same one for the reference."""

    argument: str
    file: Path
    bos: str | None
    eos: str | None

    def reference(self, *, literal_specials: bool = True) -> Reference:
        return Reference.load(self.file, self.bos, self.eos, literal_specials=literal_specials)


@dataclass(frozen=True)
class Dataset:
    """An input folder, and the file of each split in it."""

    folder: Path
    files: dict[str, Path]
    text_field: str = "text"

    @classmethod
    def of(cls, folder: Path, text_field: str = "text") -> "Dataset":
        files = {path.name.split(".")[0]: path for path in sorted(folder.iterdir())}
        return cls(folder, files, text_field)

    @cached_property
    def records(self) -> dict[str, list[Record]]:
        return {name: read_records(path, self.text_field) for name, path in self.files.items()}


@dataclass(frozen=True)
class Split:
    """One split of a run beside what the reference makes of the same input."""

    name: str
    output: Output
    length: int
    file: Path
    text_field: str
    records: list[Record]
    documents: Documents

    @cached_property
    def rows(self) -> Rows:
        return read_rows(self.output.stretches(self.name), self.length)

    @cached_property
    def table(self) -> pa.Table:
        return self.output.documents(self.name)

    @cached_property
    def shards(self) -> list[Shard]:
        return self.output.shards(self.name)

    @cached_property
    def documents_per_shard(self) -> list[int]:
        """How many of the reference's documents begin in each shard's stretch of the input."""
        borders = [shard.input.start for shard in self.shards] + [self.shards[-1].input.end] if self.shards else [0]
        counts = np.diff(np.searchsorted(self.documents.keys, borders))
        return [int(count) for count in counts]

    @cached_property
    def expected(self) -> Rows:
        return expected_rows(self.documents, self.documents_per_shard, self.length, self.output.pad)


@dataclass
class Workshop:
    """Makes inputs, runs the command, and keeps both for the next test that wants them."""

    binary: Path
    folder: Path
    cache: Path
    missing: dict[str, str]
    _made: dict[str, object] = field(default_factory=dict)
    _paths: int = 0

    def command(self, *arguments: object, expect: int | tuple[int, ...] = 0) -> subprocess.CompletedProcess[str]:
        """Runs `mashbill` and fails where the exit code is another than expected."""
        environment = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
        # Every tokenizer here is a file or embedded: a run that looks to the network is wrong.
        environment |= {"NO_COLOR": "1", "HF_HUB_OFFLINE": "1", "HF_ENDPOINT": "http://127.0.0.1:9"}
        done = subprocess.run(
            [str(self.binary), *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=600,
            env=environment,
            cwd=self.folder,
            check=False,
        )
        codes = (expect,) if isinstance(expect, int) else expect
        assert done.returncode in codes, f"{done.args}: exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert "panicked" not in done.stderr
        return done

    def tokenize(
        self,
        source: Path,
        tokenizer: str | TokenizerCase,
        length: int,
        *flags: object,
        expect: int | tuple[int, ...] = 0,
    ) -> Output:
        """Tokenizes `source` into a new folder."""
        argument = tokenizer if isinstance(tokenizer, str) else tokenizer.argument
        output = self.fresh("output")
        base = ["tokenize", "--quiet", "--input", source, "--output", output, "--tokenizer", argument]
        self.command(*base, "--max-seq-length", length, *flags, expect=expect)
        return Output(output)

    def fresh(self, name: str) -> Path:
        """A path in the tests' folder that nothing stands at."""
        self._paths += 1
        return self.folder / f"{self._paths:03}-{name}"

    def file(self, name: str, content: bytes) -> Path:
        """A file of that name in a folder of its own."""
        path = self.fresh("input")
        path.mkdir()
        (path / name).write_bytes(content)
        return path / name

    def skip(self, what: str, why: str) -> None:
        """Skips a test for lack of data, and remembers to say so at the end."""
        self.missing[what] = why
        pytest.skip(f"{what}: {why}")

    def shared(self, path: str) -> Path:
        """A file of the shared data."""
        if not (SHARED / path).exists():
            self.skip(path, "the folder `shared` with the data is not beside the repository")
        return SHARED / path

    def tokenizer(self, name: str) -> TokenizerCase:
        """`gpt2`, `dolma2` or `llama3`; `template`, `nfc` or `unigram`, which are trained on the spot."""
        if name not in self._made:
            self._made[name] = self._make_tokenizer(name)
        made = self._made[name]
        assert isinstance(made, TokenizerCase)
        return made

    def _make_tokenizer(self, name: str) -> TokenizerCase:
        if name == "gpt2":
            return TokenizerCase("gpt2", self.shared("data/tokenizers/gpt2.json"), None, "<|endoftext|>")
        if name == "dolma2":
            file = self.shared("data/tokenizers/dolma2.tokenizer.json")
            return TokenizerCase(str(file), file, None, "<|endoftext|>")
        if name == "llama3":
            file = self._llama3()
            return TokenizerCase(str(file), file, "<|begin_of_text|>", "<|end_of_text|>")
        folder = self.fresh("tokenizer")
        folder.mkdir()
        file = folder / "tokenizer.json"
        sources.train_tokenizer(name, file)
        # A file once, a folder once: both are to be had with `--tokenizer`.
        return TokenizerCase(str(file if name == "nfc" else folder), file, "<s>", "</s>")

    def _llama3(self) -> Path:
        file = self.cache / "llama3.tokenizer.json"
        if not file.exists():
            builder = self.shared("tools/build_tokenizer.py")
            built = subprocess.run(
                [sys.executable, str(builder), "llama3", str(file)],
                capture_output=True,
                text=True,
                timeout=300,
                check=False,
            )
            if built.returncode != 0:
                self.skip("llama3", f"its tokenizer could not be built: {built.stderr.strip()[-300:]}")
        return file

    def dataset(self, name: str) -> Dataset:
        """`gsm8k`, `human_eval`, `corpus`, its `slice`, `nasty` or `long` (the last two made on the spot)."""
        key = f"dataset {name}"
        if key not in self._made:
            self._made[key] = self._make_dataset(name)
        made = self._made[key]
        assert isinstance(made, Dataset)
        return made

    def _make_dataset(self, name: str) -> Dataset:
        folder = self.fresh(name)
        if name == "gsm8k":
            files = [(part, self.shared(f"data/gsm8k/{part}.jsonl")) for part in ("train", "test")]
            for part, file in files:
                example = REPOSITORY / "examples" / "gsm8k" / "add_text.py"
                target = folder / f"gsm8k_{part}.jsonl"
                subprocess.run([sys.executable, str(example), str(file), str(target)], check=True)
        elif name == "human_eval":
            file = self.shared("data/human_eval/HumanEval.jsonl.gz")
            folder.mkdir()
            shutil.copy(file, folder)
            return Dataset.of(folder, "prompt")
        elif name == "corpus":
            file = self.shared("data/bench/corpus.jsonl.zst")
            folder.mkdir()
            shutil.copy(file, folder)
        elif name == "slice":
            self._write_slice(folder)
        elif name == "nasty":
            folder.mkdir()
            (folder / "nasty.jsonl").write_bytes(sources.jsonl(7, sources.nasty_texts(7, 3000)))
        elif name == "long":
            folder.mkdir()
            sources.long_input(folder / "long.jsonl", 80)
        else:
            raise ValueError(name)
        return Dataset.of(folder)

    def _write_slice(self, folder: Path) -> None:
        """6 MB of the corpus, the document that spells special tokens among them."""
        file = self.shared("data/bench/corpus.jsonl.zst")
        with pa.input_stream(str(file), compression="zstd") as stream:
            lines = stream.read().splitlines(keepends=True)
        literal = [line for line in lines if b"<|im_start|>" in line]
        assert literal, "no document of the corpus spells a special token"
        folder.mkdir()
        with gzip.open(folder / "slice.jsonl.gz", "wb", compresslevel=1) as out:
            out.writelines([*lines[: len(lines) // 12], *literal])

    def documents(self, tokenizer: str, dataset: str) -> dict[str, Documents]:
        """What the reference makes of each split."""
        key = f"documents {tokenizer} {dataset}"
        if key not in self._made:
            reference = self.tokenizer(tokenizer).reference()
            records = self.dataset(dataset).records
            self._made[key] = {name: reference.documents(split) for name, split in records.items()}
        made = self._made[key]
        assert isinstance(made, dict)
        return made

    def output(self, tokenizer: str, dataset: str, length: int, shard_size: str | None = None) -> Output:
        """The output of a run with the defaults, or with shards of another size in GB."""
        key = f"output {tokenizer} {dataset} {length} {shard_size}"
        if key not in self._made:
            data = self.dataset(dataset)
            flags = [] if data.text_field == "text" else ["--text-field", data.text_field]
            flags += [] if shard_size is None else ["--shard-size", shard_size]
            self._made[key] = self.tokenize(data.folder, self.tokenizer(tokenizer), length, *flags)
        made = self._made[key]
        assert isinstance(made, Output)
        return made

    def splits(self, tokenizer: str, dataset: str, length: int, shard_size: str | None = None) -> list[Split]:
        """Each split of a run beside the reference's account of it."""
        output = self.output(tokenizer, dataset, length, shard_size)
        data = self.dataset(dataset)
        documents = self.documents(tokenizer, dataset)
        assert sorted(output.splits) == sorted(data.files)
        return [
            Split(name, output, length, file, data.text_field, data.records[name], documents[name])
            for name, file in data.files.items()
        ]
