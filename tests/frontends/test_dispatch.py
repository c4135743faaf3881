"""`load` sends each target to its frontend; torch is imported only where it is needed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from initadvisor.errors import FormatError, NotFoundError
from initadvisor.frontends import load


def test_neither_onnx_nor_safetensors_import_torch(tmp_path: Path) -> None:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 2])
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [x], [y])
    onnx.save(helper.make_model(graph), tmp_path / "m.onnx")
    header = b'{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'
    (tmp_path / "m.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(8))
    code = (
        "import sys; from initadvisor.frontends import load;"
        f"load({str(tmp_path / 'm.onnx')!r}); load({str(tmp_path / 'm.safetensors')!r});"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_unknown_targets_say_what_a_target_is(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"torchvision:.*timm:"):
        load(str(tmp_path / "nothing"))
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(FormatError, match="suffix"):
        load(tmp_path / "notes.txt")
    with pytest.raises(FormatError, match="int"):
        load(3)


def test_a_folder_and_a_source_file_are_answered_with_what_to_give_instead(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r'is a folder \(".*\*\.onnx" names the files in it\)'):
        load(tmp_path)
    (tmp_path / "nets.py").write_text("def net(): ...")
    with pytest.raises(FormatError, match=r"Python source.*nets:FUNCTION"):
        load(tmp_path / "nets.py")
