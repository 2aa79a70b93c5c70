"""`python -m gatevault.vision.export SOURCE TARGET`: dlib's face network as ONNX, once, when a device is set up.

    pixels      uint8, shape (n, 150, 150, 3), RGB chips as `dlib.get_face_chip` cuts them
    embedding   float32, shape (n, 128), as dlib's descriptor (largest difference: tests/vision/test_export.py)

What is taken from each colour is subtracted inside the graph, so that no caller prepares a chip in another way, and
the division by 256, a power of two, is folded into the first filters. Affines are folded into the convolutions.
That is elementwise float32 arithmetic in one order, which IEEE 754 leaves no choice in: the bytes are the same on
every machine, and their SHA-256 is pinned for the network of `face_recognition_models`.

The command's last word on standard output is the SHA-256 of what it wrote. Exit status: 0 written, 1 refused or
failed, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from onnx import TensorProto, helper

from gatevault.confine.profiles import confine_command
from gatevault.core.errors import GateVaultError, ModelError
from gatevault.vision.dlib_file import DIMENSION, SIDE, Convolution, Network, Weights, blocks, parse
from gatevault.vision.weights import EMBEDDER, EMBEDDER_SHA256, INSTALL_AGAIN, checked, package_folder, read_file

INPUT: Final = "pixels"
OUTPUT: Final = "embedding"

_OPSET: Final = 17
_FORMAT: Final = 8
"""The ONNX format of 2022: every onnxruntime of these years reads it."""

_SCALE: Final = np.float32(1 / 256)


def to_onnx(network: Network) -> bytes:
    """The ONNX file of a network; the same bytes on every machine. ModelError where a folded weight overflows."""
    graph = _Graph()
    at = graph.prepare(network.means)
    steps = iter(network.convolutions)
    first = next(steps)
    at = graph.relu(graph.convolve(at, first, _SCALE))
    at = graph.node("MaxPool", [at], kernel_shape=[3, 3], strides=[2, 2])
    height = _shrunk(_shrunk(SIDE, 7), 3)
    for block in blocks():
        inner = graph.convolve(graph.relu(graph.convolve(at, next(steps))), next(steps))
        if block.down:
            at = graph.node("AveragePool", [at], kernel_shape=[2, 2], strides=[2, 2])
            pooled, height = _shrunk(height, 2), _shrunk(height, 3)
            at = graph.widen(at, block.filters - block.inputs, 0)
            inner = graph.widen(
                inner, 0, pooled - height
            )  # dlib adds as if the smaller one had zeros beyond its edge
            height = pooled
        at = graph.relu(graph.node("Add", [inner, at]))
    pooled_name = graph.node("GlobalAveragePool", [at])
    flat = graph.node("Flatten", [pooled_name])
    graph.node("MatMul", [flat, graph.constant(network.matrix)], OUTPUT)
    return graph.finish()


def exported() -> bytes:
    """The network of `face_recognition_models` as ONNX. ModelError where its file is not the one we know."""
    data = read_file(package_folder() / EMBEDDER, INSTALL_AGAIN)
    return to_onnx(parse(checked(data, EMBEDDER, EMBEDDER_SHA256, INSTALL_AGAIN)))


def _shrunk(side: int, window: int) -> int:
    """A side after a window of this many pixels moved by two, without padding."""
    return (side - window) // 2 + 1


class _Graph:
    """Collects nodes and weights, each under a number of its own."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._weights: list[onnx.TensorProto] = []

    def node(self, kind: str, inputs: Sequence[str], output: str = "", **attributes: Any) -> str:
        output = output or f"{kind.lower()}{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def constant(self, values: np.ndarray[Any, Any]) -> str:
        if not np.isfinite(values).all():
            raise ModelError("this network's weights overflow when they are folded: train or take another one.")
        kind = TensorProto.INT64 if values.dtype == np.int64 else TensorProto.FLOAT
        raw = values.astype(values.dtype.newbyteorder("<")).tobytes()
        name = f"w{len(self._weights)}"
        self._weights.append(helper.make_tensor(name, kind, values.shape, raw, raw=True))
        return name

    def prepare(self, means: tuple[float, float, float]) -> str:
        """Chips as numbers, colours first, less their means."""
        moved = self.node("Transpose", [INPUT], perm=[0, 3, 1, 2])
        numbers = self.node("Cast", [moved], to=TensorProto.FLOAT)
        return self.node("Sub", [numbers, self.constant(np.array(means, np.float32).reshape(1, 3, 1, 1))])

    def convolve(self, at: str, step: Convolution, scale: np.float32 | None = None) -> str:
        filters, biases = folded(step)
        if scale is not None:
            filters = filters * scale
        side = filters.shape[2]
        return self.node(
            "Conv",
            [at, self.constant(filters), self.constant(biases)],
            kernel_shape=[side, side],
            strides=[step.stride] * 2,
            pads=[step.padding] * 4,
        )

    def relu(self, at: str) -> str:
        return self.node("Relu", [at])

    def widen(self, at: str, channels: int, pixels: int) -> str:
        """Zeros behind the last channel, the last row and the last column."""
        if not channels and not pixels:
            return at
        pads = np.array([0, 0, 0, 0, 0, channels, pixels, pixels], np.int64)
        return self.node("Pad", [at, self.constant(pads)])

    def finish(self) -> bytes:
        graph = helper.make_graph(
            self._nodes,
            "dlib-face-resnet",
            [helper.make_tensor_value_info(INPUT, TensorProto.UINT8, ["n", SIDE, SIDE, 3])],
            [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["n", DIMENSION])],
            self._weights,
        )
        model = helper.make_model(
            graph,
            producer_name="gatevault",
            ir_version=_FORMAT,
            opset_imports=[helper.make_opsetid("", _OPSET)],
        )
        onnx.checker.check_model(model, full_check=True)
        return bytes(model.SerializeToString(deterministic=True))


def folded(step: Convolution) -> tuple[Weights, Weights]:
    """Filters and biases of a convolution with its affine in it, each product and sum rounded once to float32."""
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows is refused
        filters = np.multiply(step.filters, step.gamma[:, None, None, None], dtype=np.float32)
        biases = np.add(np.multiply(step.gamma, step.biases, dtype=np.float32), step.beta, dtype=np.float32)
    return filters, biases


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m gatevault.vision.export", description="dlib's network to ONNX."
    )
    parser.add_argument("source", type=Path, metavar="SOURCE", help="dlib's file; `-` for the installed package's")
    parser.add_argument("target", type=Path, metavar="TARGET", help="the ONNX file, which must not be there yet")
    given = parser.parse_args(arguments)
    if arguments is None:
        confine_command(given.target.parent)
    try:
        data = exported() if given.source == Path("-") else to_onnx(parse(read_file(given.source)))
        _write_new(given.target, data)
    except GateVaultError as error:
        sys.stderr.write(f"gatevault export: {error}\n")
        return error.exit_status
    sys.stdout.write(hashlib.sha256(data).hexdigest() + "\n")
    return 0


def _write_new(target: Path, data: bytes) -> None:
    """A file that must not exist yet, whole or not at all."""
    fresh = target.with_name(f".{target.name}.{os.getpid()}.new")
    try:
        with fresh.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.link(fresh, target)
    except OSError as error:
        raise ModelError(f"{target} cannot be written ({error.strerror}): name another place.") from None
    finally:
        fresh.unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())
