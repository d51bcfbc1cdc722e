"""Runs mashbill's loader beside its peers over the same rows, and prints Markdown.

    python3 benches/compare/loader.py --markdown docs/loader-speed.md

Each system is a process that waits; a round asks each peer and mashbill for batches for a second or two, one right
after the other and in turns, since the speed of one machine drifts. Ratios are of such neighbors.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import report
import systems

PEERS = Path(__file__).resolve().parent / "peers"
ROW_LENGTH = 1024
BATCH = 32
# Each peer: its environment, mashbill's batches that it is compared with, what it does, and the ratio that is wanted.
# Where none is, the peer does less than mashbill.
PAIRS = {
    "memmap": ("loader", "mashbill-numpy", "numpy: memory-mapped arrays, fancy indexing, three columns", "≥ 0.7"),
    "datasets": ("loader", "mashbill-torch", 'Hugging Face `datasets`, `with_format("torch")`, three columns', "≥ 10"),
    "streaming": ("loader-streaming", "mashbill-torch", "mosaicml-streaming, three columns", "≥ 10"),
    "litdata": ("loader", "mashbill-torch", "litdata, three columns", "≥ 10"),
    "litdata-tokens": ("loader", "mashbill-torch", "litdata, `TokensLoader`: ids alone", ""),
}
PACKAGES = ("numpy", "pyarrow", "torch", "datasets", "litdata", "mosaicml-streaming")


class Loader:
    """A system that gives batches when it is asked to."""

    def __init__(self, python: Path, name: str, folder: Path) -> None:
        command = [str(python), str(PEERS / "load_batches.py"), name, str(folder)]
        self.name = name
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment(folder),
        )
        self._answer()

    def take(self, seconds: float) -> dict[str, float]:
        """Takes batches for so long."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{seconds}\n")
        self.process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, float]:
        assert self.process.stdout is not None
        # Some peers print.
        for line in self.process.stdout:
            if line.startswith("{"):
                return json.loads(line)
        raise SystemExit(f"error: {self.name} ended with {self.process.wait()}")

    def end(self) -> None:
        """Ends the process."""
        self.process.kill()
        self.process.wait()


def environment(folder: Path) -> dict[str, str]:
    """Nothing is looked for on the network or left elsewhere, and torch computes on one thread."""
    quiet = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(folder / "hf"), "OMP_NUM_THREADS": "1"}
    return {**os.environ, **quiet, "TMPDIR": str(folder)}


def main() -> None:
    """Prepares, measures, prints."""
    args = _arguments()
    with tempfile.TemporaryDirectory(prefix="mashbill-loader-", dir=args.work) as work:
        folder = Path(work)
        python = systems.environment_of("loader")
        install(args.wheel or build_wheel(python, folder), python)
        prepare(folder, python, args.rows, args.peers)
        sections = [
            _speed(folder, args),
            _cold(folder, python, args),
            _start(folder, python, args),
            _memory(folder, python),
        ]
        count = json.loads((folder / "rows.json").read_text())["rows"]
    text = "\n\n".join([_header(args, count), *sections, _circumstances(args)]) + "\n"
    if args.markdown:
        args.markdown.write_text(text, encoding="utf-8")
    print(text, end="")


def build_wheel(python: Path, folder: Path) -> Path:
    """The wheel as it is released."""
    maturin = python.parent / "maturin"
    manifest = systems.REPOSITORY / "python" / "Cargo.toml"
    command = [str(maturin), "build", "--quiet", "--release", "--locked", "--manifest-path", str(manifest)]
    subprocess.run([*command, "--out", str(folder / "wheels")], check=True)
    return next((folder / "wheels").glob("*.whl"))


def install(wheel: Path, python: Path) -> None:
    """Puts the wheel into the environment."""
    options = ["--quiet", "--disable-pip-version-check", "--no-input", "--no-index", "--no-deps", "--force-reinstall"]
    subprocess.run([str(python), "-m", "pip", "install", *options, str(wheel)], check=True)


def prepare(folder: Path, python: Path, rows: int, peers: list[str]) -> None:
    """Makes about so many rows of real records, and the same in many shards, and gives each peer its format."""
    mashbill = str(python.parent / "mashbill")
    env = environment(folder) | {"XDG_CACHE_HOME": str(folder / "home")}
    # The records that ship with mashbill.
    made = folder / "quickstart"
    subprocess.run([mashbill, "quickstart", "--quiet", "--output", str(made)], check=True, env=env)
    files = sorted((made / "data").glob("*/*.jsonl"))
    records = [line for path in files for line in path.read_text("utf-8").splitlines(True)]
    draw = random.Random(1)
    # GPT-2 makes a token of about four bytes of these records.
    wanted = rows * ROW_LENGTH * 4
    command = [mashbill, "tokenize", "--quiet", "--tokenizer", "gpt2", "--max-seq-length", str(ROW_LENGTH)]
    command += ["--shard-size"]
    # A shard has a row group at least: many splits make many shards.
    for name, splits, gigabytes in (("tokenized", 4, 1), ("many_shards", 50, 0.0001)):
        source = folder / "records" / name
        source.mkdir(parents=True)
        for split in range(splits):
            with (source / f"part_{split:02}.jsonl").open("w", encoding="utf-8") as out:
                while out.tell() < wanted // splits:
                    draw.shuffle(records)
                    out.writelines(records)
        arguments = [str(gigabytes), "--input", str(source), "--output", str(folder / name)]
        subprocess.run([*command, *arguments], check=True, env=env)
    cache = "import mashbill, sys; mashbill.Dataset(sys.argv[1], cache=sys.argv[2])"
    subprocess.run([str(python), "-c", cache, str(folder / "tokenized"), str(folder / "cache")], check=True, env=env)
    shutil.rmtree(folder / "records")
    for name in ("memmap", *(peer for peer in peers if peer != "memmap")):
        print(f"preparing {name}", file=sys.stderr)
        command = [str(systems.environment_of(PAIRS[name][0])), str(PEERS / "prepare_rows.py"), name, str(folder)]
        ran = subprocess.run(
            command, check=False, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        if ran.returncode != 0:
            raise SystemExit(f"error: {name} could not be prepared:\n{ran.stderr[-4000:]}")


def measure(python: Path, what: str, folder: Path, *more: str) -> dict[str, Any]:
    """One of the other measures."""
    command = [str(python), str(PEERS / "load_measures.py"), what, str(folder), *more]
    ran = subprocess.run(command, check=True, env=environment(folder), stdout=subprocess.PIPE, text=True)
    return json.loads(ran.stdout)


@contextmanager
def loaders(folder: Path, peers: list[str]) -> Iterator[dict[str, Loader]]:
    """All systems, ready."""
    with ExitStack() as stack:
        running = {}
        names = {name: PAIRS[name][0] for name in peers} | {PAIRS[name][1]: "loader" for name in peers}
        for name, where in names.items():
            running[name] = Loader(systems.environment_of(where), name, folder)
            stack.callback(running[name].end)
        yield running


def _speed(folder: Path, args: argparse.Namespace) -> str:
    pairs: dict[str, list[tuple[dict[str, float], dict[str, float]]]] = {name: [] for name in args.peers}
    with loaders(folder, args.peers) as running:
        for number in range(args.rounds):
            for name in args.peers:
                ours = PAIRS[name][1]
                order = [ours, name][:: -1 if number % 2 else 1]
                taken = {each: running[each].take(args.seconds) for each in order}
                pairs[name].append((taken[ours], taken[name]))
                print(f"round {number + 1} of {args.rounds}  {name}", file=sys.stderr)
    rows = []
    for name, measured in pairs.items():
        ours, theirs = (statistics.median(_rate(each[side]) for each in measured) for side in (0, 1))
        cpu = [statistics.median(_cpu(each[side]) for each in measured) for side in (0, 1)]
        ratios = [_rate(each[0]) / _rate(each[1]) for each in measured]
        _, _, label, wanted = PAIRS[name]
        rows.append(
            [
                label,
                f"{theirs:,.0f}",
                f"{ours:,.0f}",
                f"{cpu[1]:,.0f}",
                f"{cpu[0]:,.0f}",
                _spread(ratios),
                wanted,
            ]
        )
    header = ["peer", "peer, batches/s", "mashbill, batches/s", "peer, CPU µs/batch", "mashbill, CPU µs/batch"]
    table = report.table([*header, "ratio", "wanted"], rows)
    return (
        "## Shuffled batches\n\n"
        f"Batches of {BATCH} × {ROW_LENGTH:,}, one process, everything in the page cache. mashbill reads its decoded "
        "cache with two threads ahead and delivers `input_ids`, `attention_mask` and `labels` (64 bits), as arrays "
        f"beside numpy, else as tensors.\n\n{table}"
    )


def _cold(folder: Path, python: Path, args: argparse.Namespace) -> str:
    kinds = {"blocks": '`shuffle="blocks"`', "full": '`shuffle="full"`'}
    ratios: dict[str, list[float]] = {kind: [] for kind in kinds}
    rates: dict[str, list[float]] = {kind: [] for kind in (*kinds, "pyarrow")}
    for number in range(args.rounds):
        for kind in kinds:
            order = ["ours", "pyarrow"][:: -1 if number % 2 else 1]
            cost = {}
            for each in order:
                found = (
                    measure(python, "pyarrow", folder) if each == "pyarrow" else measure(python, "cold", folder, kind)
                )
                cost[each] = found["rows"] / found["cpu_seconds"]
            ratios[kind].append(cost["ours"] / cost["pyarrow"])
            rates[kind].append(cost["ours"])
            rates["pyarrow"].append(cost["pyarrow"])
    rows = [["pyarrow, in the shards' order", f"{statistics.median(rates['pyarrow']):,.0f}", "1", ""]]
    wanted = {"blocks": "≥ 3", "full": ""}
    rows += [
        [f"mashbill, {label}", f"{statistics.median(rates[kind]):,.0f}", _spread(ratios[kind]), wanted[kind]]
        for kind, label in kinds.items()
    ]
    return (
        "## Straight from Snappy Parquet\n\n"
        "An epoch of all three columns with nothing decoded beforehand: rows a CPU second of the whole process, from "
        "the opening to the last batch. pyarrow reads row groups on one thread and shuffles nothing.\n\n"
        + report.table(["reader", "rows/CPU-s", "ratio", "wanted"], rows)
    )


def _start(folder: Path, python: Path, args: argparse.Namespace) -> str:
    found = [measure(python, "first_batch", folder) for _ in range(args.rounds)]
    first = [each["seconds"] for each in found]
    rows = [[f"first batch of {found[0]['shards']:.0f} shards", _milliseconds(first), "", "< 300 ms"]]
    names = {
        "cache": "decoded cache",
        "shards": "straight from the shards",
        "weights": "with weights, straight from the shards",
    }
    for kind, times in measure(python, "resume", folder).items():
        ratios = [resumed / fresh for resumed, fresh in zip(times["resumed"], times["fresh"], strict=True)]
        rows.append([f"start of an epoch, {names[kind]}", _milliseconds(times["fresh"]), "", ""])
        resumed = _milliseconds(times["resumed"])
        rows.append([f"resumed at 90 % of it, {names[kind]}", resumed, _spread(ratios), "≤ 1.5"])
    return "## From the options to the first batch\n\n" + report.table(
        ["what", "median (range)", "ratio", "wanted"], rows
    )


def _memory(folder: Path, python: Path) -> str:
    rows = []
    for kind, label in (("cache", "decoded cache"), ("full", '`shuffle="full"`'), ("blocks", '`shuffle="blocks"`')):
        found = measure(python, "memory", folder, kind)
        without = (found["peak"] - found["batches"]) / 1e6
        rows.append(
            [
                label,
                f"{found['peak'] / 1e6:.0f} MB",
                f"{found['batches'] / 1e6:.0f} MB",
                f"{without:.0f} MB",
                "≤ 200 MB",
            ]
        )
    header = ["rows come from", "peak", "of that batches", "rest", "wanted"]
    return (
        "## Memory\n\n"
        "The greatest resident size of the whole process, Python included, over an epoch with `documents=True`.\n\n"
        + report.table(header, rows)
    )


def _header(args: argparse.Namespace, rows: int) -> str:
    return (
        "# The loader's speed\n\n"
        "mashbill's loader beside its peers over the same rows, in one run on one machine. Made by the command below; "
        "[benches/README.md](../benches/README.md) says how it is measured.\n\n"
        f"`{_command_line(args)}`\n\n"
        f"{rows:,} rows of {ROW_LENGTH:,} tokens; medians of {args.rounds} rounds (least to greatest)."
    )


def _circumstances(args: argparse.Namespace) -> str:
    environments = dict.fromkeys(["loader", *(PAIRS[name][0] for name in args.peers)])
    versions = [f"{name}: {systems.versions_of(name, PACKAGES)}" for name in environments]
    load = f"load average over the last minute: {os.getloadavg()[0]:.1f}"
    return "\n".join(f"- {line}" for line in [f"repository at {report.commit()}", *versions, report.machine(), load])


def _rate(taken: dict[str, float]) -> float:
    return taken["batches"] / taken["seconds"]


def _cpu(taken: dict[str, float]) -> float:
    return taken["cpu_seconds"] / taken["batches"] * 1e6


def _spread(ratios: list[float]) -> str:
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def _milliseconds(seconds: list[float]) -> str:
    return f"{statistics.median(seconds) * 1e3:.1f} ms ({min(seconds) * 1e3:.1f} to {max(seconds) * 1e3:.1f})"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=32768, help="rows of 1,024 tokens [32768]")
    parser.add_argument("--rounds", type=int, default=7, help="rounds [7]")
    parser.add_argument("--seconds", type=float, default=1.5, help="how long each system is asked for batches [1.5]")
    parser.add_argument("--peers", nargs="*", choices=PAIRS, default=list(PAIRS), help="which peers to run [all]")
    parser.add_argument("--wheel", type=Path, help="mashbill's wheel [built from this repository]")
    parser.add_argument("--work", type=Path, help="a folder with room for 3 GB [the temporary folder]")
    parser.add_argument("--markdown", type=Path, help="write the page to this file, too")
    args = parser.parse_args()
    if args.rounds < 1 or args.rows < 1024:
        parser.error("--rounds must be 1 or more and --rows 1024 or more")
    return args


def _command_line(args: argparse.Namespace) -> str:
    """The command to type, without the folders of this machine."""
    command = ["python3", "benches/compare/loader.py"]
    for name, default in (("rows", 32768), ("rounds", 7), ("seconds", 1.5)):
        if getattr(args, name) != default:
            command += [f"--{name}", str(getattr(args, name))]
    return shlex.join(command if args.peers == list(PAIRS) else [*command, "--peers", *args.peers])


if __name__ == "__main__":
    main()
