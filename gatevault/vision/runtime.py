"""onnxruntime as a gate uses it: one thread, nothing kept of a face, nothing sent, nothing written (ADR 11).

Its arenas and memory patterns are off, so that what a run needed goes back through free(), which overwrites it
(`confine.process.overwrite_freed`); they would save 0.2 ms of 6.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as native

from gatevault.core.errors import ModelError

_PROVIDERS: Final = ["CPUExecutionProvider"]
_SILENT: Final = 4
"""Its chatter tells of file names and devices, in lines of its own; our sentences say what went wrong."""

_REFUSALS: Final = (
    *(native.Fail, native.InvalidArgument, native.InvalidGraph, native.InvalidProtobuf, native.NotImplemented),
    *(native.RuntimeException, native.EPFail, RuntimeError, ValueError),
)
"""What it raises for bytes that are no network it can run: these share no base of their own."""

onnxruntime.set_default_logger_severity(_SILENT)


class Session:
    """One network of one input and one output, loaded from the bytes that were hashed."""

    def __init__(self, data: bytes, name: str) -> None:
        """`name` is the file's, for the sentence. ModelError where it does not load, or has other ends."""
        try:
            self._session = onnxruntime.InferenceSession(data, _options(), providers=_PROVIDERS)
        except _REFUSALS as error:
            raise ModelError(
                f"onnxruntime does not load {name} ({type(error).__name__}): it is no network that this "
                "release can run; add another file with `gatevault models add`."
            ) from None
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        if len(inputs) != 1 or len(outputs) != 1:
            raise ModelError(
                f"{name} has {len(inputs)} inputs and {len(outputs)} outputs: a face network has one each."
            )
        self._input, self._output = inputs[0], outputs[0]
        self._name = name

    def expect(self, kind: str, shape: tuple[int, ...], dimension: int | None = None) -> int:
        """Check the input's element type and shape (the first is a batch); the number of values that a face
        becomes.

        ModelError where they are others.
        """
        given, made = self._input, self._output.shape
        fits = given.type == f"tensor({kind})" and tuple(given.shape[1:]) == shape
        if not fits or len(made) != 2 or not isinstance(made[1], int) or made[1] < 1:
            raise ModelError(f"{self._name} takes {given.type} {given.shape}: that is another kind of network.")
        if dimension is not None and made[1] != dimension:
            raise ModelError(f"{self._name} gives {made[1]} values and not {dimension}: that is another network.")
        return int(made[1])

    def run(self, batch: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.float32]]:
        """The output for a batch, shape (n, d); the caller wipes both."""
        (values,) = self._session.run([self._output.name], {self._input.name: batch})
        return np.asarray(values, np.float32)


def _options() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.enable_cpu_mem_arena = False
    options.enable_mem_pattern = False
    options.log_severity_level = _SILENT
    for pool in ("intra", "inter"):
        options.add_session_config_entry(f"session.{pool}_op.allow_spinning", "0")
    return options
