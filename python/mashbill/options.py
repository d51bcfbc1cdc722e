"""What the options of a loader may be: what cannot work is named where it was given, not by what came of it later."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, SupportsIndex

__all__ = ["Curriculum", "Stage", "Weights", "check_whole", "stages"]

Weights = Mapping[str, float]
Curriculum = Literal["curriculum"]
Stage = tuple[int, Weights] | tuple[int, Weights, Literal["ramp"]]

_MOST = {"batch_size": 1 << 32, "seed": (1 << 64) - 1, "world_size": 1 << 32, "rank": (1 << 32) - 1}
"""Where that is less than 63 bits hold, or more."""


def check_whole(least: int, **given: object) -> None:
    """Fails at options that are no whole numbers from `least` on; those that are None were not given."""
    for name, value in given.items():
        most = _MOST.get(name, (1 << 63) - 1)
        number = None if isinstance(value, bool) or not isinstance(value, SupportsIndex) else value.__index__()
        if value is not None and (number is None or not least <= number <= most):
            bound = f"{least} or more" if number is None or number < least else f"at most {most}"
            raise ValueError(f"{name} is a whole number, {bound}, not {_shown(value)}")


def stages(weights: Weights | Sequence[Stage] | None) -> list[tuple[int, dict[str, float], bool]] | None:
    """The stages that weights stand for: the first step of each, its weights, and whether they change to the next."""
    if weights is None:
        return None
    if isinstance(weights, str) or not isinstance(weights, Mapping | Sequence):
        raise ValueError(f'weights are numbers by name, stages, or "curriculum", not {_shown(weights)}')
    given: Sequence[Stage] = [(0, weights)] if isinstance(weights, Mapping) else weights
    out = []
    for stage in given:
        if not isinstance(stage, Sequence) or len(stage) not in (2, 3) or stage[2:] not in ((), ("ramp",)):
            raise ValueError(f'a stage is (from_step, weights) or (from_step, weights, "ramp"), not {_shown(stage)}')
        check_whole(0, from_step=stage[0])
        if not isinstance(stage[1], Mapping) or not stage[1]:
            raise ValueError(f"the weights from step {stage[0]} on name no source: {_shown(stage[1])}")
        out.append((stage[0], dict(stage[1]), len(stage) == 3))
    if out and out[-1][2]:
        raise ValueError(f"the last stage, from step {out[-1][0]} on, is a ramp, and no stage follows to change to")
    return out


def _shown(value: object) -> str:
    text = ascii(value)
    return text if len(text) <= 80 else f"{text[:80]}…"
