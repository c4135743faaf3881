"""One table of (spec, shapes) that drives the tests that every method has to pass."""

from __future__ import annotations

from initadvisor.graph import Layout
from initadvisor.initializers import InitSpec

MATRICES = [((64, 48), None), ((48, 64), None), ((50, 50), None), ((32, 16, 3, 3), None), ((24, 16, 5), None)]
STORED = [
    ((48, 64), Layout((1,), (0,))),  # (in, out)
    ((32, 4, 3, 3), Layout((0,), (1,), groups=4)),
    ((32, 1, 3, 3), Layout((0,), (1,), groups=32)),
    ((32, 8, 4, 4), Layout((1,), (0,), stride=4, transposed=True)),
    ((32, 8, 3, 3), Layout((1,), (0,), groups=4, stride=4, transposed=True)),
    ((6, 40, 20), Layout((2,), (1,), batch_axes=(0,))),
]
VECTORS = [((64,), None), ((3, 64), None)]
QKV = {
    "axis": 0,
    "blocks": [
        {"name": n, "start": 16 * i, "stop": 16 * (i + 1), "spec": {"method": m}}
        for i, (n, m) in enumerate([("q", "xavier_uniform"), ("k", "orthogonal"), ("v", "kaiming_normal")])
    ],
}

CASES: list[tuple[InitSpec, list[tuple[tuple[int, ...], Layout | None]]]] = [
    (InitSpec("constant", {"value": 0.3}), MATRICES + VECTORS),
    (InitSpec("zeros"), MATRICES + VECTORS),
    (InitSpec("ones"), VECTORS),
    (InitSpec("normal", {"std": 0.02}), MATRICES + STORED + VECTORS),
    (InitSpec("uniform", {"bound": 0.1}), MATRICES + STORED + VECTORS),
    (InitSpec("truncated_normal", {"std": 0.02}), MATRICES + STORED + VECTORS),
    (InitSpec("truncated_normal", {"std": 0.02, "cut": 3.0}), MATRICES),
    *(
        (InitSpec("variance_scaling", {"scale": 1.7, "mode": mode, "distribution": family}), MATRICES + STORED)
        for mode in ("fan_in", "fan_out", "fan_avg", "fan_geo")
        for family in ("normal", "uniform", "truncated_normal")
    ),
    *(
        (InitSpec(f"{name}_{family}"), MATRICES + STORED)
        for name in ("lecun", "xavier", "kaiming")
        for family in ("normal", "uniform", "truncated_normal")
    ),
    (InitSpec("kaiming_normal", {"negative_slope": 0.25, "mode": "fan_out"}), MATRICES + STORED),
    (InitSpec("pytorch_default"), MATRICES),
    (InitSpec("orthogonal", {"gain": 1.3}), MATRICES + STORED),
    (InitSpec("orthogonal", {"unit_variance": True}), MATRICES + STORED),
    (InitSpec("orthogonal", {"centred": True, "gain": 4.0}), MATRICES + STORED),
    (InitSpec("delta_orthogonal"), MATRICES + STORED),
    (InitSpec("sparse_orthogonal", {"density": 0.25}), MATRICES + STORED),
    (InitSpec("mirrored_orthogonal"), MATRICES + STORED),
    *((InitSpec("mirrored_orthogonal", {"gain": 0.9, "sides": sides}), MATRICES) for sides in ("rows", "columns")),
    (InitSpec("identity", {"gain": 0.9}), MATRICES + STORED),
    (InitSpec("idinit"), MATRICES),
    (InitSpec("idinit", {"loose": 0.01}), MATRICES),
    (InitSpec("idinit_zero"), MATRICES),
    (InitSpec("zero"), MATRICES),
    (InitSpec("standardised_normal", {"gain": 1.7}), MATRICES + STORED),
    (InitSpec("small_embedding"), MATRICES),
    (InitSpec("small_init", {"width": 64}), MATRICES),
    (InitSpec("wang_init", {"width": 64, "layers": 12}), MATRICES),
    (InitSpec("siren_first"), MATRICES),
    (InitSpec("siren"), MATRICES),
    (InitSpec("fourier_features", {"sigma": 4.0}), MATRICES),
    (InitSpec("moe_router"), MATRICES),
    (InitSpec("negative_mean_normal"), MATRICES),
    (InitSpec("focal_prior"), VECTORS),
    (InitSpec("class_prior", {"priors": [0.7, 0.2, 0.1]}), [((3,), None)]),
    (InitSpec("base_rate", {"rates": [0.5, 0.01]}), [((2,), None)]),
    (InitSpec("lstm_bias"), [((64,), None), ((2, 64), None)]),
    (InitSpec("chrono_bias", {"t_max": 100.0}), [((4096,), None)]),
    (InitSpec("hippo_legs"), [((16, 16), None), ((3, 16, 16), None)]),
    (InitSpec("hippo_input"), VECTORS),
    (InitSpec("s4d_log_real"), VECTORS),
    (InitSpec("s4d_imaginary"), VECTORS),
    (InitSpec("s4d_real"), VECTORS),
    (InitSpec("mamba_a_log"), VECTORS),
    (InitSpec("mamba2_a_log"), [((4096,), None)]),
    (InitSpec("mamba_dt_bias"), [((4096,), None)]),
    (InitSpec("lora_a"), MATRICES),
    (InitSpec("lora_a_gaussian", {"rank": 8}), MATRICES),
    (InitSpec("lora_b"), MATRICES),
    *(
        (InitSpec("mimetic_value_output", {"part": part, "stream": "attention"}), [((96, 96), None)])
        for part in ("value", "output")
    ),
    *(
        (InitSpec("mimetic_query_key", {"part": part, "stream": "attention", "heads": 4}), [((96, 96), None)])
        for part in ("query", "key")
    ),
    (InitSpec("blocks", QKV), [((48, 32), None)]),
]
RECORDS = [(spec, shape, layout) for spec, cases in CASES for shape, layout in cases]
IDS = [f"{spec.describe()[:40]}-{shape}{'' if layout is None else '-stored'}" for spec, shape, layout in RECORDS]
