"""Reports with everything that a page shows, made by hand."""

from __future__ import annotations

from initadvisor.report import Details, DrawnFrom, FlowStep, LayerRow, Recommended, Report, SignalRow, WeightHistogram
from initadvisor.report.details import BINS, WeightDensity
from initadvisor.rules import Finding, Fix
from tests.report.samples import finding, report, skipped

MARKUP = (
    "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
    "</style></table><svg onload=document.title='owned'>{{7*7}}\u202egnp.\x00\x1b[31m'\"&"
)


def full(layers: int = 12, *, name: str = "blocks.{}.fc", probed: bool = True, target: str = "model.onnx") -> Report:
    """A model of linear layers, every third of them at fault, with a probe, histograms and the flow."""
    names = [name.format(i) for i in range(layers)]
    findings = [_finding(each, i) for i, each in enumerate(names) if i % 3 == 0]
    return report(
        *findings,
        target=target,
        layers=tuple(_layer(each, i) for i, each in enumerate(names)),
        signal=tuple(_signal(each, i) for i, each in enumerate(names)),
        not_evaluated=(skipped("IA501", names[0], "an operator is not known: Mystery"),),
        probe=_probe(names) if probed else None,
        details=_details(names),
    )


def _finding(name: str, place: int) -> Finding:
    severity = ("error", "warning", "info")[place // 3 % 3]
    made = finding(("IA101", "IA102", "IA205")[place // 3 % 3], name, severity, f"std 0.0{place % 10} is small")
    command = "initadvisor fix model.onnx --only-flagged"
    fix = Fix(method="kaiming_normal", params={"gain": 1.414}, safety="safe-before-training", command=command)
    return made.model_copy(update={"fix": fix})


def _layer(name: str, place: int) -> LayerRow:
    return LayerRow(
        name=name,
        op=("linear", "conv")[place % 2],
        weight=f"{name}.weight",
        bias=f"{name}.bias",
        shape=(64, 16 * (place + 1)),
        fan_in=16.0 * (place + 1),
        fan_out=64.0,
        activation="relu",
        depth=place + 1,
        drawn_from=DrawnFrom(method="pytorch_default", gain=0.58, confidence=0.99),
        recommended=Recommended(method="kaiming_normal", params={}, reason="a ReLU follows"),
    )


def _signal(name: str, place: int) -> SignalRow:
    fades = 0.7**place
    return SignalRow(layer=name, depth=place + 1, output_rms=max(fades, 1e-300), gradient_rms=max(fades, 1e-300))


def _probe(names: list[str]) -> dict[str, object]:
    return {
        "losses": [2.3, 2.2, "nan"],
        "layers": {n: {"rms": 0.7**i or 1e-300, "gradient_rms": 1e-3} for i, n in enumerate(names)},
        "gradients": {f"{n}.weight": {"update_to_weight": 1e-3 * (i + 1)} for i, n in enumerate(names)},
    }


def _details(names: list[str]) -> Details:
    density = WeightDensity(method="kaiming_normal", family="normal", std=0.125)
    histograms = tuple(
        WeightHistogram(
            layer=each,
            parameter=f"{each}.weight",
            std=0.05,
            low=-0.1,
            high=0.1,
            counts=tuple(range(BINS)),
            sampled=BINS * (BINS - 1) // 2,
            recommended=density,
        )
        for each in names[:30]
    )
    flow = []
    for place, each in enumerate(names[:500]):
        first = 2 * place
        flow.append(
            FlowStep(operator="linear", where=each, layer=each, shape=(8, 64), inputs=(first - 1,) if place else ())
        )
        skip = (first, first - 2) if place else (first,)
        flow.append(FlowStep(operator="add", where=each.rpartition(".")[0], shape=(8, None), inputs=skip))
    return Details(histograms=histograms, weights=len(names), flow=tuple(flow), operators=2 * len(names))
