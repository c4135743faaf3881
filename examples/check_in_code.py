"""Check a model from code, and stop before a GPU hour is spent.

python examples/check_in_code.py
"""

import torch
from torchvision.models import vgg11

import initadvisor


def main() -> initadvisor.Report:
    """Build VGG-11, spoil one layer, and let the report name it."""
    torch.manual_seed(0)
    model = vgg11(weights=None)
    with torch.no_grad():
        model.features[3].weight.zero_()  # in front of ReLU, with zero bias: no gradient will ever pass
    report = initadvisor.check(model)
    for finding in report.findings:
        print(f"{finding.rule} {finding.severity:7} {finding.subject.name}: {finding.message}")
    return report


if __name__ == "__main__":
    raise SystemExit(1 if main().summary.error else 0)
