"""AdamW and the learning rate over the steps."""

import math
from typing import Any

import torch
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from mashbill.train.config import Config


def build(model: Any, config: Config, steps: int) -> tuple[AdamW, LambdaLR]:
    """The optimizer, which decays matrices only, and its schedule over `steps` steps."""
    matrices = [each for each in model.parameters() if each.requires_grad and each.ndim >= 2]
    vectors = [each for each in model.parameters() if each.requires_grad and each.ndim < 2]
    groups = [
        {"params": matrices, "weight_decay": config.optimizer.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    first, second = config.optimizer.betas
    optimizer = AdamW(
        groups,
        lr=config.optimizer.learning_rate,
        betas=(first, second),
        eps=config.optimizer.epsilon,
        fused=torch.cuda.is_available(),
    )
    return optimizer, LambdaLR(optimizer, lambda step: share(config, step, steps))


def share(config: Config, step: int, steps: int) -> float:
    """The share of the learning rate at `step`, from 0, of `steps`.

    Cosine: Loshchilov & Hutter 2017 (SGDR), one period. Warm-up, stable, decay: Hu et al. 2024 (MiniCPM).
    """
    schedule = config.schedule
    if step < schedule.warmup_steps:
        return (step + 1) / schedule.warmup_steps
    if schedule.kind == "cosine":
        done = min(1.0, (step - schedule.warmup_steps) / max(1, steps - schedule.warmup_steps))
        return schedule.final + (1 - schedule.final) * 0.5 * (1 + math.cos(math.pi * done))
    decay = max(1, steps // 10) if schedule.decay_steps is None else schedule.decay_steps
    left = (steps - step) / decay if decay else 1.0
    return schedule.final + (1 - schedule.final) * min(1.0, left)
