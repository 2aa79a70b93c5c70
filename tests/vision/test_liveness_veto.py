"""An added network vetoes; it never makes anybody alive."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from gatevault.core.errors import ModelError
from gatevault.core.liveness.veto import VetoModel
from gatevault.core.types import Box
from gatevault.vision.detect import Face
from gatevault.vision.frame import Pixels
from gatevault.vision.liveness import Veto
from gatevault.vision.liveness.veto import LOOKS

SIDE = 80
FACE = Face(Box(173, 74, 272, 173), 0.9)


def _network(folder: Path, classes: int = 3) -> VetoModel:
    """The mean of each of the colours, blue, green, red, over 10, as so many classes."""
    given = helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, SIDE, SIDE])
    told = helper.make_tensor_value_info("output", TensorProto.FLOAT, [1, classes])
    ten = helper.make_tensor("ten", TensorProto.FLOAT, [], [10.0])
    nodes = [
        helper.make_node("ReduceMean", ["input"], ["mean"], axes=[2, 3], keepdims=0),
        helper.make_node("Div", ["mean", "ten"], ["output" if classes == 3 else "colours"]),
    ]
    inside = [ten]
    if classes != 3:
        inside.append(helper.make_tensor("one", TensorProto.FLOAT, [3, classes], [1.0] * 3 * classes))
        nodes.append(helper.make_node("MatMul", ["colours", "one"], ["output"]))
    graph = helper.make_graph(nodes, "colours", [given], [told], inside)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    data = onnx.save_model(model, str(folder / "colours.onnx")) or (folder / "colours.onnx").read_bytes()
    return VetoModel("colours.onnx", hashlib.sha256(data).hexdigest())


def test_it_tells_what_the_network_tells(tmp_path: Path) -> None:
    veto = Veto(_network(tmp_path), tmp_path)
    green = np.zeros((300, 400, 3), np.uint8)
    green[:, :, 1] = 200
    veto.see(green, FACE)
    assert veto.score < 0.01
    veto.forget()
    veto.see(np.ascontiguousarray(green[:, :, [1, 0, 2]]), FACE)
    assert veto.score > 0.99


def test_it_looks_at_some_frames_alone(tmp_path: Path, astronaut: Pixels) -> None:
    veto = Veto(_network(tmp_path), tmp_path)
    seen = []
    for _ in range(60):
        veto.see(astronaut, FACE)
        seen.append(veto.score)
    assert len(set(seen[3 * LOOKS :])) <= LOOKS


def test_a_network_that_saw_nothing_vetoes(tmp_path: Path) -> None:
    assert math.isnan(Veto(_network(tmp_path), tmp_path).score)


def test_other_bytes_than_were_named_are_refused(tmp_path: Path) -> None:
    model = _network(tmp_path)
    (tmp_path / model.file).write_bytes(b"another")
    with pytest.raises(ModelError):
        Veto(model, tmp_path)


def test_a_network_without_that_class_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="classes"):
        Veto(_network(tmp_path, classes=1), tmp_path)
