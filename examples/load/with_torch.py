"""Trains a bigram model for a few steps, stops, and goes on from a checkpoint as if nothing had happened.

python examples/load/with_torch.py data/distillation_preprocessed
"""

import sys
from pathlib import Path
from typing import Any

import mashbill
import torch


def train(folder: Path, steps: int, checkpoint: dict[str, Any] | None) -> tuple[list[float], dict[str, Any]]:
    """Takes some steps and gives their losses and a checkpoint."""
    torch.manual_seed(0)
    dataset = mashbill.Dataset(folder)
    model = torch.nn.Sequential(
        torch.nn.Embedding(dataset.vocabulary_size, 16), torch.nn.Linear(16, dataset.vocabulary_size)
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    loader = mashbill.DataLoader(dataset, batch_size=4, label_convention="shifted", last="wrap", format="torch")
    if checkpoint is not None:
        model.load_state_dict(checkpoint["model"])
        loader.load_state_dict(checkpoint["loader"])
    losses = []
    for batch in loader:
        logits = model(batch["input_ids"])
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), batch["labels"].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        if len(losses) == steps:
            break
    return losses, {"model": model.state_dict(), "loader": loader.state_dict()}


def main(folder: Path) -> None:
    """Compares a run that is stopped in the middle with one that is not."""
    straight, _ = train(folder, 6, None)
    first, checkpoint = train(folder, 3, None)
    second, _ = train(folder, 3, checkpoint)
    print("not stopped:", *(f"{loss:.4f}" for loss in straight))
    print("stopped:    ", *(f"{loss:.4f}" for loss in first + second))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
