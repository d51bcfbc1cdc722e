"""AdamW and the learning rate over the steps."""

import math
from typing import Any

import torch
from torch.optim import AdamW

from mashbill.train.config import Config

WARMUP_STEPS = 100
"""Where none are given, or a tenth of the steps where that is less."""


def build(model: Any, config: Config) -> AdamW:
    """The optimizer, which decays matrices only. [`set_rate`] comes before each step."""
    matrices = [each for each in model.parameters() if each.requires_grad and each.ndim >= 2]
    vectors = [each for each in model.parameters() if each.requires_grad and each.ndim < 2]
    groups = [
        {"params": matrices, "weight_decay": config.optimizer.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    first, second = config.optimizer.betas
    return AdamW(
        groups,
        lr=config.optimizer.learning_rate,
        betas=(first, second),
        eps=config.optimizer.epsilon,
        fused=torch.cuda.is_available(),
    )


def state(optimizer: AdamW) -> dict[str, Any]:
    """What a checkpoint keeps: the moments and the counts of each parameter, and nothing of the configuration."""
    kept: dict[str, Any] = optimizer.state_dict()["state"]
    return kept


def restore(optimizer: AdamW, kept: dict[str, Any]) -> None:
    """Takes up [`state`]; rates, decay and betas stay those of the configuration."""
    optimizer.load_state_dict({"state": kept, "param_groups": optimizer.state_dict()["param_groups"]})


def set_rate(optimizer: AdamW, config: Config, step: int, steps: int) -> float:
    """Sets the learning rate of `step`, from 0, of `steps`, and gives it."""
    rate = config.optimizer.learning_rate * share(config, step, steps)
    for group in optimizer.param_groups:
        group["lr"] = rate
    return rate


def share(config: Config, step: int, steps: int) -> float:
    """The share of the learning rate at `step`, from 0, of `steps`.

    Cosine: Loshchilov & Hutter 2017 (SGDR), one period. Warm-up, stable, decay: Hu et al. 2024 (MiniCPM).
    """
    schedule = config.schedule
    warmup = min(WARMUP_STEPS, steps // 10) if schedule.warmup_steps is None else schedule.warmup_steps
    if step < warmup:
        return (step + 1) / warmup
    if schedule.kind == "cosine":
        done = min(1.0, (step - warmup) / max(1, steps - warmup))
        return schedule.final + (1 - schedule.final) * 0.5 * (1 + math.cos(math.pi * done))
    decay = max(1, steps // 10) if schedule.decay_steps is None else schedule.decay_steps
    left = (steps - step) / decay if decay else 1.0
    return schedule.final + (1 - schedule.final) * min(1.0, left)
