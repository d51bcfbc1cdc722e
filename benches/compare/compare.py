"""Runs mashbill, its peers and the physical floor on the same file, side by side, and prints a Markdown table.

Speeds of one machine drift by a fifth over minutes. So every round runs everything in turns, each peer right after or
before a run of mashbill, and ratios are of such neighbors: their median, and the least and the greatest. What takes
a second or less runs several times a round. The first round is for memory and warm caches; its times are not used.
"""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

import systems
import usage
from report import Measurement, Results, markdown, write_section
from systems import Job, System

STAGES = ("fastokens", "encode", "read", "checksum", "write", "count-alone", "count-together")
# How often a round runs mashbill and the stages: all of them together take a tenth of a peer's time.
TURNS = 5


def main() -> None:
    args = _arguments()
    usage.adopt_orphans()
    program = args.mashbill or systems.build(systems.REPOSITORY / "Cargo.toml", "mashbill-cli", "mashbill")
    stages = args.stages or systems.build(systems.BENCHES / "Cargo.toml", "mashbill-benches", "stages")
    with tempfile.TemporaryDirectory(prefix="mashbill-compare-", dir=args.work) as work:
        job = Job(
            input=args.input.resolve(),
            tokenizer=args.tokenizer.resolve(),
            row_length=args.max_seq_length,
            eos_token=args.eos_token or systems.eos_token_of(args.tokenizer),
            work=Path(work),
        )
        systems.prepare(job)
        comparison = Comparison(job, program, stages, args.peers, args.rounds)
        for number in range(args.rounds + 1):
            comparison.round(number)
    text = markdown(comparison.results, job, program, args.peers, shlex.join(_command_line(args)))
    if args.markdown:
        write_section(args.markdown, "Side by side", text)
    print(text)


class Comparison:
    """Everything that is run, and what came of it."""

    def __init__(self, job: Job, program: Path, stages: Path, peers: list[str], rounds: int) -> None:
        self.job = job
        self.stages = stages
        self.rounds = rounds
        self.results = Results(measurements=defaultdict(list), pairs=defaultdict(list), labels={})
        self.mashbill = systems.mashbill(job, program, systems.WORKERS)
        one_thread = systems.mashbill(job, program, 1)
        one_line = systems.one_line(self.mashbill, job)
        self.alone = [
            self.mashbill,
            one_line,
            one_thread,
            systems.one_line(one_thread, job),
            systems.first_start(one_line, job),
        ]
        self.peers = [systems.peer(job, name) for name in peers]
        self.results.labels |= {system.name: system.label for system in [*self.alone, *self.peers]}

    def round(self, number: int) -> None:
        """Runs mashbill and the stages in turns, then each peer beside mashbill. Round 0 is for memory."""
        for turn in range(TURNS if number > 0 else 1):
            self._turn(number, _direction(number + turn))
        direction = _direction(number)
        for system in self.peers[::direction]:
            pair = {neighbor.name: self._run(neighbor, number) for neighbor in [self.mashbill, system][::direction]}
            if number > 0:
                self.results.pairs[system.name].append((pair[self.mashbill.name], pair[system.name]))
            self._keep(number, system.name, pair[system.name])

    def _turn(self, number: int, direction: int) -> None:
        for system in self.alone[::direction]:
            self._keep(number, system.name, self._run(system, number))
        for name in STAGES[::direction]:
            self._keep(number, name, self._run_stage(name, number))

    def _keep(self, number: int, name: str, measurement: Measurement) -> None:
        if number > 0:
            self.results.measurements[name].append(measurement)
        else:
            self.results.memory[name] = measurement

    def _run(self, system: System, number: int) -> Measurement:
        for folder in (system.output, system.scratch):
            shutil.rmtree(folder, ignore_errors=True)
        self._claim_memory(system.name)
        used = usage.run(system.command, system.environment, sample_memory=number == 0)
        measurement = Measurement(
            cpu_seconds=used.cpu_seconds,
            wall_seconds=used.wall_seconds,
            tokens=system.count_tokens(system.output),
            output_bytes=_bytes_below(system.output),
            scratch_bytes=_bytes_below(system.scratch),
            memory_bytes_max=used.memory_bytes_max,
        )
        self._say(system.name, number, measurement)
        return measurement

    def _run_stage(self, name: str, number: int) -> Measurement:
        """A stage measures itself: what it is prepared with does not count."""
        command = systems.stage(self.job, self.stages, name)
        self._claim_memory(name)
        used = usage.run(command, systems.STAGE_ENVIRONMENT, sample_memory=number == 0)
        found = json.loads(used.stdout)
        measurement = Measurement(
            cpu_seconds=found["cpu_seconds"],
            wall_seconds=found["wall_seconds"],
            tokens=found["tokens"],
            output_bytes=found["output_bytes"],
            memory_bytes_max=used.memory_bytes_max,
        )
        self._say(name, number, measurement)
        return measurement

    def _claim_memory(self, name: str) -> None:
        """As much as the round for memory saw it take and write."""
        if first := self.results.memory.get(name):
            usage.claim_memory((first.memory_bytes_max or 0) + (first.output_bytes or 0) + first.scratch_bytes)

    def _say(self, name: str, number: int, measurement: Measurement) -> None:
        times = f"{measurement.cpu_seconds:8.3f} CPU-s {measurement.wall_seconds:8.3f} s"
        print(f"round {number} of {self.rounds}  {name:<22} {times}", file=sys.stderr)


def _direction(turn: int) -> int:
    """Every other turn has the opposite order, so that drift favors nobody."""
    return -1 if turn % 2 else 1


def _bytes_below(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--input", type=Path, required=True, help="a .jsonl file with a field `text`")
    parser.add_argument("--tokenizer", type=Path, required=True, help="a tokenizer.json")
    parser.add_argument("--max-seq-length", type=int, default=1024, help="tokens in every row [1024]")
    parser.add_argument("--eos-token", help="the EOS for datatrove [found in the tokenizer.json]")
    parser.add_argument("--rounds", type=int, default=5, help="rounds that count, after one that does not [5]")
    parser.add_argument(
        "--peers", nargs="*", choices=systems.PEERS, default=list(systems.PEERS), help="which peers to run [all]"
    )
    parser.add_argument("--mashbill", type=Path, help="the mashbill program [built from this repository]")
    parser.add_argument("--stages", type=Path, help="the program `stages` [built from this folder]")
    parser.add_argument("--work", type=Path, help="a folder with room for the outputs [the temporary folder]")
    parser.add_argument("--markdown", type=Path, help="a page on which to write the tables, too, as a section")
    args = parser.parse_args()
    if args.rounds < 1:
        parser.error("--rounds must be 1 or more")
    for path in (args.input, args.tokenizer):
        if not path.is_file():
            parser.error(f"{path} is no file")
    return args


def _command_line(args: argparse.Namespace) -> list[str]:
    """The command to type, without the folders of this machine."""
    command = ["python3", "benches/compare/compare.py", "--input", args.input.name, "--tokenizer", args.tokenizer.name]
    command += ["--max-seq-length", str(args.max_seq_length), "--rounds", str(args.rounds)]
    return command if args.peers == list(systems.PEERS) else [*command, "--peers", *args.peers]


if __name__ == "__main__":
    main()
