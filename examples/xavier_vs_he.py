"""Xavier against He, on a deep ReLU network and on a deep tanh network: the textbook experiment, measured.

python examples/xavier_vs_he.py              # a few minutes; --short takes seconds
python examples/xavier_vs_he.py --pictures examples/pictures
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from torch import nn

import initadvisor
from initadvisor.compare.pictures import save


def stack(function: Callable[[], nn.Module], depth: int, width: int = 128) -> nn.Sequential:
    """`depth` linear layers with a function between, for the 64 pixels and ten classes of digits."""
    layers: list[nn.Module] = [nn.Linear(64, width), function()]
    for _ in range(depth - 2):
        layers += [nn.Linear(width, width), function()]
    return nn.Sequential(*layers, nn.Linear(width, 10))


def main() -> None:
    """Train both networks from PyTorch's default, Xavier and He on the same batches."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="12 layers, 60 steps, one learning rate")
    parser.add_argument("--pictures", type=Path, help="write SVG files into this folder")
    options = parser.parse_args()
    depth, steps, rates = (12, 60, [0.01]) if options.short else (20, 600, [0.001, 0.003, 0.01])
    for name, function in (("relu", nn.ReLU), ("tanh", nn.Tanh)):
        result = initadvisor.compare(
            lambda function=function: stack(function, depth),
            inits="default,xavier,he",
            data="digits",
            steps=steps,
            lr=rates,
            schedule="cosine",
        )
        print(f"{depth} layers of {name}\n\n{result.to_text()}")
        if options.pictures:
            save(result, options.pictures, f"xavier_vs_he_{name}")


if __name__ == "__main__":
    main()
