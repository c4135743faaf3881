"""Draw a network as advised, kill units with too large a step, and wake them in the middle of training.

python examples/advise_and_revive.py
"""

import torch
from torch import nn
from torch.nn import functional as F

import initadvisor
from initadvisor.apply.data_driven import dormant_units, revive


def main() -> None:
    """Two rings of points, told apart by a small ReLU network."""
    torch.manual_seed(0)
    angle, label = 2 * torch.pi * torch.rand(512), torch.arange(512) % 2
    points = torch.stack([angle.cos(), angle.sin()], 1) * (1.0 + label)[:, None]
    model = nn.Sequential(nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 2))

    plan = initadvisor.advise(model, input_shape=(512, 2))
    initadvisor.apply(model, plan)
    print(plan.step("2.weight").reason)

    optimizer = torch.optim.SGD(model.parameters(), lr=2.0, momentum=0.9)
    for step in range(300):
        if step == 5:  # by now the large steps have pushed many units below zero for every point
            for group in optimizer.param_groups:
                group["lr"] = 0.05
        if step in (20, 100):
            dormant = sum(int(units.sum()) for units in dormant_units(model, points).values())
            revived = revive(model, points, optimizer=optimizer, number=step)
            print(f"step {step}: {dormant} dormant units, drawn anew: {dict(revived.units)}")
        loss = F.cross_entropy(model(points), label)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    accuracy = float((model(points).argmax(1) == label).float().mean())
    print(f"accuracy {accuracy:.2f}")


if __name__ == "__main__":
    main()
