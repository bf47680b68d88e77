"""Learning rates, weight decay and the average of the weights."""

import pytest
import torch

from training.loop.optimizer import Ema, lr_factor, make_optimizer, set_lr
from training.models import build


def test_schedule_warms_up_and_ends_at_zero():
    factors = [lr_factor(k, 100, 10) for k in range(101)]
    assert factors[0] == pytest.approx(0.1)
    assert max(factors) == factors[10] == 1
    assert factors[100] == pytest.approx(0)


def test_average_follows_the_model():
    model, averaged = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
    ema = Ema(model, averaged, decay=0.9)
    with torch.no_grad():
        model.weight.add_(1.0)
    before = ema.model.weight.clone()
    for _ in range(200):
        ema.update(model)
    assert not torch.allclose(before, model.weight)
    torch.testing.assert_close(ema.model.weight, model.weight, rtol=0, atol=1e-4)


def test_the_trunk_has_a_learning_rate_of_its_own_and_vectors_no_decay():
    model = build("mobile", variant="mobilenet-v2", size=32)
    optimizer = make_optimizer(model, "adamw", 1e-3, 0.05, trunk_lr_factor=0.25)
    set_lr(optimizer, 0.008)
    rates = {
        id(p): (group["lr"], group["weight_decay"])
        for group in optimizer.param_groups
        for p in group["params"]
    }
    assert len(rates) == len(list(model.parameters()))
    for name, parameter in model.named_parameters():
        lr = 0.002 if name.startswith("trunk.") else 0.008
        decay = 0.05 if parameter.squeeze().ndim > 1 else 0.0
        assert rates[id(parameter)] == (pytest.approx(lr), decay), name
