"""The learning rate over the steps, and what weight decay touches."""

import math
from pathlib import Path

import pytest
import torch
from mashbill.train import config_file, optimizer
from torch import nn

STEPS = 100


def schedule(tmp_path: Path, text: str) -> list[float]:
    path = tmp_path / "run.yaml"
    path.write_text(f"train_data_path: {tmp_path}\nmodel: {{llama: {{}}}}\nschedule: {text}\n")
    found = config_file.read(path, [])
    return [optimizer.share(found, step, STEPS) for step in range(STEPS)]


def test_cosine_warms_up_and_falls_to_the_final_share(tmp_path: Path) -> None:
    shares = schedule(tmp_path, "{kind: cosine, warmup_steps: 10, final: 0.1}")
    assert shares[:10] == pytest.approx([(step + 1) / 10 for step in range(10)])
    assert shares[10:] == pytest.approx([0.55 + 0.45 * math.cos(math.pi * step / 90) for step in range(90)])
    assert shares[10] == 1.0 and shares[-1] == pytest.approx(0.1, abs=1e-3)


def test_the_warm_up_that_is_not_given_fits_the_run(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(f"train_data_path: {tmp_path}\nmodel: {{llama: {{}}}}\n")
    found = config_file.read(path, [])
    for steps, warmup in ((5, 0), (30, 3), (1000, 100), (100_000, 100)):
        shares = [optimizer.share(found, step, steps) for step in range(min(steps, 200))]
        assert shares[:warmup] == [(step + 1) / warmup for step in range(warmup)] and shares[warmup] == 1.0


def test_wsd_is_stable_and_decays_linearly_at_the_end(tmp_path: Path) -> None:
    shares = schedule(tmp_path, "{kind: wsd, warmup_steps: 4, decay_steps: 20, final: 0.0}")
    assert shares[:4] == [0.25, 0.5, 0.75, 1.0]
    assert shares[4:81] == [1.0] * 77
    assert shares[80:] == pytest.approx([left / 20 for left in range(20, 0, -1)])
    a_tenth = schedule(tmp_path, "{kind: wsd, warmup_steps: 0, final: 0.5}")
    assert a_tenth[:91] == [1.0] * 91
    assert a_tenth[90:] == pytest.approx([0.5 + 0.5 * left / 10 for left in range(10, 0, -1)])


def test_only_matrices_decay(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    settings = "optimizer: {weight_decay: 0.25, betas: [0.8, 0.9]}"
    path.write_text(f"train_data_path: {tmp_path}\nmodel: {{llama: {{}}}}\n{settings}\n")
    model = nn.Sequential(nn.Linear(3, 3), nn.LayerNorm(3))
    found = optimizer.build(model, config_file.read(path, []))
    decays = {id(each): group["weight_decay"] for group in found.param_groups for each in group["params"]}
    assert [decays[id(each)] for each in model.parameters()] == [0.25, 0.0, 0.0, 0.0]
    assert found.defaults["betas"] == (0.8, 0.9)
    assert isinstance(found, torch.optim.AdamW)
