"""The networks behind their port: what they take and give, which files they refuse, and onnxruntime's manners."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from gatevault.core.errors import ModelError
from gatevault.core.models import EmbedderKind
from gatevault.vision.networks import DlibNetwork, MobileFaceNet, SFace, build_network


def averaging(side: int = 112, outputs: int = 128, name: str = "data", twice: bool = False) -> bytes:
    """A network that gives the mean of each colour, and then zeros."""
    weights = np.eye(3, outputs, dtype=np.float32)
    out = [helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, outputs])]
    nodes = [
        helper.make_node("GlobalAveragePool", [name], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["out"]),
    ]
    if twice:
        nodes.append(helper.make_node("Relu", ["out"], ["again"]))
        out.append(helper.make_tensor_value_info("again", TensorProto.FLOAT, [1, outputs]))
    graph = helper.make_graph(
        nodes,
        "averaging",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, side, side])],
        out,
        [helper.make_tensor("weights", TensorProto.FLOAT, weights.shape, weights.tobytes(), raw=True)],
    )
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def coloured(red: int, green: int, blue: int) -> np.ndarray:
    return np.full((112, 112, 3), (red, green, blue), np.uint8)


def test_sface_takes_red_green_blue_in_this_order_and_unscaled() -> None:
    network = SFace(averaging(), "made up")
    assert network.dimension == 128
    vector = network.vector(coloured(10, 20, 30))
    assert vector[:3].tolist() == [10.0, 20.0, 30.0]
    assert vector.shape == (128,) and not vector[3:].any()
    network.forget()


def test_a_mobilefacenet_takes_imagenets_scale() -> None:
    network = MobileFaceNet(averaging(outputs=64), "made up")
    assert network.dimension == 64
    vector = network.vector(coloured(0, 127, 255))
    wanted = (np.array((0, 127, 255)) / 255 - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)
    assert vector[:3] == pytest.approx(wanted, abs=1e-4)
    network.forget()


@pytest.mark.parametrize("kind", EmbedderKind)
@pytest.mark.parametrize(
    "data",
    [b"", b"text\n", b"\0" * 1000, averaging(side=99), averaging(twice=True), averaging(outputs=5000)],
    ids=["empty", "text", "zeros", "of another size", "of two outputs", "of 5,000 values"],
)
def test_a_file_of_another_kind_is_refused_in_one_line(kind: EmbedderKind, data: bytes) -> None:
    if kind is EmbedderKind.SFACE and data in (averaging(twice=True), averaging(side=99)):
        pytest.skip("OpenCV takes the first output, and tells no sizes")
    with pytest.raises(ModelError) as caught:
        build_network(kind, data, "given.onnx")
    assert "given.onnx" in str(caught.value) and "\n" not in str(caught.value)


def test_dlibs_network_has_128_values() -> None:
    with pytest.raises(ModelError, match="another kind"):
        DlibNetwork(averaging(side=150), "given.onnx")


# --- onnxruntime ---------------------------------------------------------------------------------


def test_the_installed_onnxruntime_has_no_telemetry_client() -> None:
    """From 1.29 on its Linux wheels have one, on by default: docs/adr/0011."""
    for library in (Path(onnxruntime.__file__).parent / "capi").glob("*.so*"):
        assert b"events.data.microsoft.com" not in library.read_bytes(), (
            f"{library.name}: install what uv.lock names"
        )


def test_a_newer_one_would_be_silent() -> None:
    """Importing our room sets what keeps it so, before anything can import onnxruntime, and against a setting."""
    code = (
        "import gatevault.vision, os, sys; print(os.environ['ORT_DISABLE_TELEMETRY'], 'onnxruntime' in sys.modules)"
    )
    environment = {**os.environ, "ORT_DISABLE_TELEMETRY": "0"}
    told = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    assert told.stdout == "1 False\n"


def test_it_starts_no_thread(network: bytes) -> None:
    code = (
        "import sys, os; from gatevault.vision.networks import DlibNetwork\n"
        "tasks = lambda: len(os.listdir('/proc/self/task'))\n"
        "before = tasks(); DlibNetwork(sys.stdin.buffer.read(), 'dlib').forget(); print(tasks() - before)"
    )
    told = subprocess.run([sys.executable, "-c", code], input=network, capture_output=True, check=True, timeout=60)
    assert told.stdout == b"0\n"
