"""What was measured, as Markdown: one table of speeds, one of ratios, and what they were measured with."""

from __future__ import annotations

import os
import platform
import re
import statistics
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import systems
from systems import Job

MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Measurement:
    """One run of one system, or one stage."""

    cpu_seconds: float
    wall_seconds: float
    tokens: int | None
    output_bytes: int | None
    scratch_bytes: int = 0
    memory_bytes_max: int | None = None


@dataclass
class Results:
    """All measurements by the system's name, in the order of the rounds."""

    measurements: dict[str, list[Measurement]]
    # For each peer, mashbill's run and the peer's that was its neighbor.
    pairs: dict[str, list[tuple[Measurement, Measurement]]]
    labels: dict[str, str]
    # The round whose memory was sampled.
    memory: dict[str, Measurement] = field(default_factory=dict)


def markdown(results: Results, job: Job, program: Path, peers: list[str], command_line: str) -> str:
    """The whole section."""
    size = job.input.stat().st_size
    rounds = {name: len(runs) for name, runs in results.measurements.items()}
    counted = f"{rounds['mashbill-1']} runs" + (f" ({rounds[peers[0]]} of the peers)" if peers else "")
    parts = [
        f"`{command_line}`",
        f"{size / MEGABYTE:.1f} MB of JSONL (MB = 10^6 bytes of input), rows of {job.row_length:,} tokens, "
        f"{systems.WORKERS} workers. Medians of {counted}; CPU = user + system time of all processes.",
        table(_speed_header(), _speed_rows(results, size, peers)),
        "Ratios of neighboring runs: median (least to greatest).",
        table(["what", "ratio"], _ratio_rows(results, peers)),
        "\n".join(f"- {line}" for line in _circumstances(program, peers)),
    ]
    return "\n\n".join(parts)


def write_section(file: Path, title: str, text: str) -> None:
    """Puts a section in the place of the one with its title, or behind the others of a page."""
    page = file.read_text(encoding="utf-8") if file.exists() else "# Speed\n"
    head, *sections = re.split(r"^## ", page, flags=re.MULTILINE)
    titles = [section.partition("\n")[0] for section in sections]
    section = f"{title}\n\n{text.strip()}\n"
    if title in titles:
        sections[titles.index(title)] = section
    else:
        sections.append(section)
    page = "\n".join([head.strip() + "\n", *(f"## {section.strip()}\n" for section in sections)])
    file.write_text(page, encoding="utf-8")


def _speed_header() -> list[str]:
    speeds = ["MB/CPU-s", "MB/wall-s", "tokens/CPU-s", "tokens/wall-s", "CPU-s", "wall-s"]
    return ["system", *speeds, "peak memory", "tokens written", "output", "scratch on disk"]


def _speed_rows(results: Results, size: int, peers: list[str]) -> Iterable[list[str]]:
    ends = [f"mashbill-{systems.WORKERS}", "mashbill-1"]
    for name in [*ends, *peers]:
        yield [results.labels[name], *_speeds(results.measurements[name], size), *_sizes(results, name)]
    alone = {
        "fastokens": "fastokens alone: texts in memory to ids, 1 thread, tokenizer loaded",
        "encode": "mashbill's tokenizer alone: the same",
    }
    floors = {
        "read": "floor: reading the file",
        "checksum": "floor: XXH3 of the file's bytes",
        "write": "floor: writing the row groups' bytes, and syncing",
    }
    for name, label in (alone | floors).items():
        yield [label, *_speeds(results.measurements[name], size), "", *_counts(results.measurements[name][0]), ""]
    for name in [f"mashbill-{systems.WORKERS}-one-line", "mashbill-1-one-line", "first-start"]:
        cpu, wall = _medians(results.measurements[name])
        yield [results.labels[name], "", "", "", "", f"{cpu:.3f}", f"{wall:.3f}", *_sizes(results, name)]


def _ratio_rows(results: Results, peers: list[str]) -> Iterable[list[str]]:
    for name in peers:
        pairs = results.pairs[name]
        what = f"{results.labels[f'mashbill-{systems.WORKERS}']}, loading included / `{name}`"
        yield [f"{what}, per CPU-second", _spread((b.cpu_seconds, a.cpu_seconds) for a, b in pairs)]
        yield [f"{what}, per wall second", _spread((b.wall_seconds, a.wall_seconds) for a, b in pairs)]
    of = results.measurements
    for threads in (1, systems.WORKERS):
        full, load = of[f"mashbill-{threads}"], of[f"mashbill-{threads}-one-line"]
        net = [a.cpu_seconds - b.cpu_seconds for a, b in zip(full, load, strict=True)]
        ratio = _spread(zip((alone.cpu_seconds for alone in of["fastokens"]), net, strict=True))
        label = results.labels[f"mashbill-{threads}"]
        yield [f"{label}, net of loading / fastokens alone, per CPU-second", ratio]
    engines = zip(of["fastokens"], of["encode"], strict=True)
    ratio = _spread((fastokens.cpu_seconds, encode.cpu_seconds) for fastokens, encode in engines)
    yield ["mashbill's tokenizer alone / fastokens alone, per CPU-second", ratio]
    walls = [_net_walls(of, threads) for threads in (1, systems.WORKERS)]
    label = f"mashbill, {systems.WORKERS} threads / 1 thread, net of loading, per wall second"
    yield [label, _spread(zip(*walls, strict=True))]
    # Each of the two counts as far as the one.
    counts = zip(of["count-alone"], of["count-together"], strict=True)
    ratio = _spread((2 * alone.wall_seconds, together.wall_seconds) for alone, together in counts)
    yield ["floor: counting in registers, 2 threads / 1 thread, per wall second", ratio]


def _net_walls(of: dict[str, list[Measurement]], threads: int) -> list[float]:
    pairs = zip(of[f"mashbill-{threads}"], of[f"mashbill-{threads}-one-line"], strict=True)
    return [full.wall_seconds - load.wall_seconds for full, load in pairs]


def _speeds(runs: list[Measurement], size: int) -> list[str]:
    cpu, wall = _medians(runs)
    tokens = runs[0].tokens
    tokens_per = [f"{tokens / seconds:,.0f}" if tokens else "" for seconds in (cpu, wall)]
    return [f"{size / MEGABYTE / cpu:,.2f}", f"{size / MEGABYTE / wall:,.2f}", *tokens_per, f"{cpu:.3f}", f"{wall:.3f}"]


def _medians(runs: list[Measurement]) -> tuple[float, float]:
    median: Callable[[Iterable[float]], float] = statistics.median
    return median(run.cpu_seconds for run in runs), median(run.wall_seconds for run in runs)


def _sizes(results: Results, name: str) -> list[str]:
    memory = results.memory[name].memory_bytes_max
    run = results.measurements[name][-1]
    return [_megabytes(memory), *_counts(run), _megabytes(run.scratch_bytes)]


def _counts(run: Measurement) -> list[str]:
    return [f"{run.tokens:,}" if run.tokens else "", _megabytes(run.output_bytes)]


def _megabytes(count: int | None) -> str:
    return f"{count / MEGABYTE:,.1f} MB" if count else ""


def _spread(fractions: Iterable[tuple[float, float]]) -> str:
    pairs = list(fractions)
    if any(part <= 0 for pair in pairs for part in pair):
        return "lost in the noise: the input is too small"
    ratios = [over / under for over, under in pairs]
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def table(header: list[str], rows: Iterable[list[str]]) -> str:
    """A table whose numbers stand at the right."""
    ruler = ["---", *("---:" for _ in header[1:])]
    return "\n".join(f"| {' | '.join(row)} |" for row in [header, ruler, *rows])


def _circumstances(program: Path, peers: list[str]) -> Iterable[str]:
    version = subprocess.run([str(program), "--version"], check=True, stdout=subprocess.PIPE, text=True).stdout
    lock = (systems.BENCHES / "Cargo.lock").read_text(encoding="utf-8")
    fastokens = re.search(r'name = "fastokens"\nversion = "(.+)"', lock)
    yield f"{version.strip()}, repository at {commit()}; fastokens {fastokens.group(1) if fastokens else 'unknown'}"
    for name in peers:
        yield f"`{name}`: {systems.versions_of(name)}"
    yield machine()
    yield f"load average over the last minute: {os.getloadavg()[0]:.1f} (two workers alone make 2)"


def machine() -> str:
    """What it was measured on."""
    cpu = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    model = cpu.group(1) if cpu else platform.machine()
    cores = f"{len(os.sched_getaffinity(0))} cores of {model}"
    return f"{cores}, {memory:.0f} GiB, {platform.system()} {platform.release()}"


def commit() -> str:
    """The repository's commit."""
    command = ["git", "-C", str(systems.REPOSITORY), "describe", "--always", "--dirty"]
    found = subprocess.run(command, check=False, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return found.stdout.strip() or "unknown"
