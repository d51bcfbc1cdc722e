"""Counts the tokens that a model would be trained on, split by split, without torch.

python examples/load/with_numpy.py data/distillation_preprocessed
"""

import sys
from pathlib import Path

import mashbill


def main(folder: Path) -> None:
    """Goes through one epoch of the folder."""
    dataset = mashbill.Dataset(folder)
    targets = dict.fromkeys((split.name for split in dataset.splits), 0)
    first_rows, first = [], 0
    for split in dataset.splits:
        first_rows.append((first, split.name))
        first += split.rows
    loader = mashbill.DataLoader(dataset, batch_size=8, label_convention="shifted", last="short")
    for batch in loader:
        for row, labels in zip(batch.rows, batch["labels"], strict=True):
            name = [name for first, name in first_rows if first <= row][-1]
            targets[name] += int((labels != -100).sum())
    for name, count in targets.items():
        print(f"{name}: {count} targets")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
