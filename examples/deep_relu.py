"""Two 30-layer ReLU networks that differ only in how their weights are drawn.

initadvisor check examples.deep_relu:xavier     # finds that the signal fades; exit code 1
initadvisor check examples.deep_relu:he         # clean; exit code 0
"""

from torch import nn


def stack(depth: int = 30, width: int = 128) -> nn.Sequential:
    """`depth` linear layers with ReLU between, ten classes at the end."""
    layers: list[nn.Module] = [nn.Linear(64, width), nn.ReLU()]
    for _ in range(depth - 2):
        layers += [nn.Linear(width, width), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(width, 10))


def xavier() -> nn.Sequential:
    """Xavier keeps the variance of a linear layer; behind ReLU it halves the second moment at every layer."""
    model = stack()
    for layer in model:
        if isinstance(layer, nn.Linear):
            nn.init.xavier_normal_(layer.weight)
            nn.init.zeros_(layer.bias)
    return model


def he() -> nn.Sequential:
    """He doubles the variance, which is what ReLU takes away."""
    model = stack()
    for layer in model:
        if isinstance(layer, nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
    return model
