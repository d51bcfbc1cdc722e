"""What the loader costs a training run: steps on a tokenized folder beside the same steps on tensors in memory.

    python train.py [FOLDER] [--pairs 12] [--steps 6] [--document-mask] [--set KEY=VALUE]...

One run of `mashbill train` in this process takes its batches in turns from the loader and from memory, where random ids
lie with the positions of real batches, so that attention has the same work. Blocks of `--steps` steps follow each other
as ABBA; a ratio is of the two blocks of a pair. Without FOLDER it takes what `mashbill quickstart` makes. Needs the
package with torch (`pip install './python[train]'`); takes about three minutes on two CPU cores as it is given above.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from mashbill.train import config_file
from mashbill.train.data import Batch, Batches
from mashbill.train.trainer import Run

CONFIG = """
train_data_path: {data}
output_path: {output}
model:
  llama: {{hidden_size: 128, num_hidden_layers: 4, num_attention_heads: 4, num_key_value_heads: 2}}
steps: 1000000
max_epochs: 1000000000000
batch_tokens: 1024
checkpoints: {{every: 1000000}}
document_mask: {document_mask}
"""
IN_MEMORY = 16


class Memory:
    """Batches of random ids, made beforehand, in turns."""

    def __init__(self, loader: Batches, vocabulary: int) -> None:
        self.batches = [loader.next() for _ in range(IN_MEMORY)]
        for batch, _ in self.batches:
            batch["input_ids"].random_(vocabulary)
            batch["labels"].random_(vocabulary)
        self.taken = 0

    def next(self) -> tuple[Batch, list[float]]:
        self.taken += 1
        return self.batches[self.taken % IN_MEMORY]


class Timed:
    """The loader, and the seconds that were spent waiting for it."""

    def __init__(self, loader: Batches) -> None:
        self.loader, self.waited = loader, 0.0

    def next(self) -> tuple[Batch, list[float]]:
        begun = time.perf_counter()
        batch = self.loader.next()
        self.waited += time.perf_counter() - begun
        return batch


def block(run: Run, loader: Timed | Memory, steps: int) -> tuple[float, float]:
    """Seconds and CPU seconds of `steps` steps on the batches of `loader`."""
    run.loader = loader
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(steps):
        run._step()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - wall, time.process_time() - cpu


def said(name: str, values: list[float], unit: str = "") -> str:
    low, middle, high = statistics.quantiles(values, n=4)
    return f"{name}: median {middle:.4f}{unit} (quartiles {low:.4f} to {high:.4f}, {len(values)} pairs)"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--pairs", type=int, default=12)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--document-mask", action="store_true")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        folder = given.folder
        if folder is None:
            folder = scratch / "quickstart" / "tokenized"
            command = ["mashbill", "quickstart", "--quiet", "--output", folder.parent]
            subprocess.run([sys.executable, "-m", *command], check=True)
        path = scratch / "run.yaml"
        mask = str(given.document_mask).lower()
        path.write_text(CONFIG.format(data=folder, output=scratch / "run", document_mask=mask))
        run = Run(config_file.read(path, given.set), quiet=True)
        loader, memory = Timed(run.loader), Memory(run.loader, run.train_data.dataset.vocabulary_size)
        for source in (loader, memory):
            block(run, source, 2 * given.steps)
        seconds, speeds, cpu, waits = [], [], [], []
        for pair in range(given.pairs):
            order = [loader, memory] if pair % 2 == 0 else [memory, loader]
            loader.waited = 0.0
            taken = {source: block(run, source, given.steps) for source in order}
            seconds.append(taken[loader][0] / given.steps)
            speeds.append(taken[memory][0] / taken[loader][0])
            cpu.append(taken[loader][1] / taken[memory][1])
            waits.append(100 * loader.waited / taken[loader][0])
        run.close()
    print(f"{run.processes.device}, torch {torch.__version__} with {torch.get_num_threads()} threads")
    print(said("seconds a step", seconds))
    print(said("waiting for the loader", waits, " %"))
    print(said("tokens/s over those of tensors in memory", speeds))
    print(said("CPU seconds over those of tensors in memory", cpu))


if __name__ == "__main__":
    main()
