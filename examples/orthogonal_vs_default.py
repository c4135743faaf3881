"""PyTorch's default against orthogonal weights in a tanh network too deep for the default.

python examples/orthogonal_vs_default.py              # a few minutes; --short takes seconds
python examples/orthogonal_vs_default.py --pictures examples/pictures
"""

from __future__ import annotations

import argparse
from pathlib import Path

from torch import nn

import initadvisor
from initadvisor.compare.pictures import save


def stack(depth: int, width: int = 100) -> nn.Sequential:
    """`depth` linear layers with tanh between."""
    layers: list[nn.Module] = [nn.Linear(64, width), nn.Tanh()]
    for _ in range(depth - 2):
        layers += [nn.Linear(width, width), nn.Tanh()]
    return nn.Sequential(*layers, nn.Linear(width, 10))


def main() -> None:
    """Orthogonal matrices keep every length; Gaussian ones of the same variance do so only on average."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="20 layers, 60 steps")
    parser.add_argument("--pictures", type=Path, help="write SVG files into this folder")
    options = parser.parse_args()
    depth, steps = (20, 60) if options.short else (50, 250)
    result = initadvisor.compare(
        lambda: stack(depth),
        inits="default,xavier,orthogonal",
        data="digits",
        steps=steps,
        lr=0.01,
    )
    print(f"{depth} layers of tanh\n\n{result.to_text()}")
    if options.pictures:
        save(result, options.pictures, "orthogonal_vs_default")


if __name__ == "__main__":
    main()
