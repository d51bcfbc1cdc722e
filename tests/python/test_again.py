"""A second run on the same output folder: what is done stays, what is new is added, nothing is overwritten unasked."""

import shutil
from pathlib import Path

import pytest
import sources
from cases import Workshop
from layout import Output
from test_bytes import promised


class Folder:
    """An input folder and its output, tokenized again and again."""

    def __init__(self, workshop: Workshop, path: Path) -> None:
        self.workshop = workshop
        self.input = path / "input"
        self.output = Output(path / "output")
        self.input.mkdir()

    def put(self, name: str, seed: int) -> None:
        (self.input / name).write_bytes(sources.jsonl(seed, sources.nasty_texts(seed, 200)))

    def tokenize(self, *flags: object, expect: int | tuple[int, ...] = 0) -> str:
        """Runs the command and gives back what it said."""
        tokenizer = self.workshop.tokenizer("template").argument
        base = ("tokenize", "--input", self.input, "--output", self.output.folder, "--tokenizer", tokenizer)
        done = self.workshop.command(*base, "--max-seq-length", 64, *flags, expect=expect)
        self.output = Output(self.output.folder)
        return done.stderr

    def assert_as_from_scratch(self) -> None:
        """The folder's bytes are those of one run over the same input into a new folder."""
        fresh = self.workshop.tokenize(self.input, self.workshop.tokenizer("template"), 64)
        assert promised(self.output) == promised(fresh)

    def times(self) -> dict[str, int]:
        beside = ("manifest.json", "README.md")
        files = [path for path in self.output.folder.rglob("*") if path.is_file() and path.name not in beside]
        return {str(path): path.stat().st_mtime_ns for path in files}


@pytest.fixture
def folder(workshop: Workshop, tmp_path: Path) -> Folder:
    folder = Folder(workshop, tmp_path)
    folder.put("one.jsonl", 21)
    folder.put("two.jsonl", 22)
    folder.tokenize()
    return folder


def test_a_second_run_does_nothing(folder: Folder) -> None:
    before = folder.times()
    folder.tokenize()
    folder.tokenize("--skip-existing")
    assert folder.times() == before
    folder.assert_as_from_scratch()


def test_a_new_file_adds_its_split_alone(folder: Folder) -> None:
    before = folder.times()
    folder.put("three.jsonl", 23)
    folder.tokenize()
    assert folder.output.splits == ["one", "three", "two"]
    assert before.items() <= folder.times().items()
    folder.assert_as_from_scratch()


def test_a_changed_file_is_refused_with_a_hint(folder: Folder) -> None:
    before = promised(folder.output)
    folder.put("two.jsonl", 24)
    said = folder.tokenize(expect=(1, 2, 3))
    assert "two" in said
    assert "hint:" in said
    assert "--skip-existing" in said or "--force" in said
    assert promised(folder.output) == before


def test_skip_existing_redoes_what_changed(folder: Folder) -> None:
    before = folder.times()
    folder.put("two.jsonl", 24)
    folder.tokenize("--skip-existing")
    kept = {name: time for name, time in before.items() if "/one/" in name}
    assert kept.items() <= folder.times().items()
    folder.assert_as_from_scratch()


def test_force_redoes_everything(folder: Folder) -> None:
    before = folder.times()
    folder.tokenize("--force")
    after = folder.times()
    assert before.keys() == after.keys()
    assert all(after[name] > before[name] for name in before if "shard_" in name)
    folder.assert_as_from_scratch()


def test_a_file_that_has_grown_gives_the_bytes_of_one_run(workshop: Workshop, tmp_path: Path) -> None:
    """The shards that were complete are kept, so this is where a difference would hide."""
    file, target = tmp_path / "long.jsonl", tmp_path / "output"
    content = workshop.dataset("long").files["long"].read_bytes()
    base = ("tokenize", "--input", file, "--output", target, "--max-seq-length", 1000, "--shard-size", "0.01")
    argument = workshop.tokenizer("template").argument
    for size in (content.index(b"\n", 37_000_000) + 1, content.index(b"\n", 41_000_000) - 30, len(content)):
        file.write_bytes(content[:size])
        workshop.command(*base, "--tokenizer", argument, "--skip-existing")
    grown, fresh = promised(Output(target)), promised(workshop.output("template", "long", 1000, "0.01"))
    assert grown == fresh


def test_files_of_mashbill_s_own_making_are_no_input(folder: Folder) -> None:
    (folder.input / "three.jsonl").write_bytes(b'no json\n{"text": "a document"}\n')
    folder.tokenize()
    shutil.copytree(folder.output.folder, folder.input / "an_output")
    folder.tokenize("--recursive")
    assert folder.output.splits == ["one", "three", "two"]


def test_a_file_of_such_a_name_that_lies_beside_no_split_is_data(folder: Folder) -> None:
    shutil.copy(folder.input / "one.jsonl", folder.input / "one_rejects.jsonl")
    folder.tokenize()
    assert folder.output.splits == ["one", "one_rejects", "two"]


def test_a_vanished_input_stays_until_it_is_pruned(folder: Folder) -> None:
    (folder.input / "two.jsonl").unlink()
    assert "two" in folder.tokenize()
    assert folder.output.splits == ["one"]
    assert folder.output.manifest["files_processed"] == 1
    assert (folder.output.folder / "two" / "shard_0000.parquet").exists()
    folder.tokenize("--prune")
    assert not (folder.output.folder / "two").exists()
    folder.assert_as_from_scratch()
