import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

KINDS = {"float32": TensorProto.FLOAT, "int64": TensorProto.INT64, "bool": TensorProto.BOOL, "uint8": TensorProto.UINT8}


@pytest.fixture
def write(tmp_path):
    """Writes a model of given nodes; inputs and outputs are names with types, initializers are arrays."""

    def make(nodes, inputs, outputs, initializers=None, opset=17, functions=(), domains=(), name="model.onnx"):
        graph = helper.make_graph(
            nodes,
            "graph",
            [helper.make_tensor_value_info(n, KINDS[kind], shape) for n, (kind, shape) in inputs.items()],
            [helper.make_tensor_value_info(n, KINDS[kind], None) for n, kind in outputs.items()],
            [numpy_helper.from_array(np.asarray(a), n) for n, a in (initializers or {}).items()],
        )
        imports = [helper.make_opsetid("", opset), *(helper.make_opsetid(d, 1) for d in domains)]
        model = helper.make_model(graph, opset_imports=imports, ir_version=10, functions=list(functions))
        path = tmp_path / name
        onnx.save(model, path)
        return path

    return make


@pytest.fixture
def reference():
    """Runs a model by onnxruntime without optimisation."""
    import onnxruntime

    def run(path, inputs):
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.intra_op_num_threads = 1
        options.log_severity_level = 4
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        return session.run(None, inputs)

    return run
