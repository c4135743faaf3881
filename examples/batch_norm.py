"""The same ReLU network with and without batch norm: how much the initialization still matters.

python examples/batch_norm.py              # a few minutes; --short takes seconds
python examples/batch_norm.py --pictures examples/pictures
"""

from __future__ import annotations

import argparse
from pathlib import Path

from torch import nn

import initadvisor
from initadvisor.compare.pictures import save


def stack(depth: int, normed: bool, width: int = 64) -> nn.Sequential:
    """`depth` linear layers with ReLU between, each behind a batch norm if `normed`."""
    layers: list[nn.Module] = []
    for index in range(depth - 1):
        layers.append(nn.Linear(width if index else 64, width))
        layers += [nn.BatchNorm1d(width)] if normed else []
        layers.append(nn.ReLU())
    return nn.Sequential(*layers, nn.Linear(width, 10))


def main() -> None:
    """A norm sets the signal right at every layer, whatever the weights; the gradient still feels them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="10 layers, 60 steps")
    parser.add_argument("--pictures", type=Path, help="write SVG files into this folder")
    options = parser.parse_args()
    depth, steps = (10, 60) if options.short else (15, 300)
    for name, normed in (("off", False), ("on", True)):
        result = initadvisor.compare(
            lambda normed=normed: stack(depth, normed),
            inits="default,xavier,he",
            data="digits",
            steps=steps,
            lr=0.01,
        )
        print(f"{depth} layers of ReLU, batch norm {name}\n\n{result.to_text()}")
        if options.pictures:
            save(result, options.pictures, f"batch_norm_{name}")


if __name__ == "__main__":
    main()
