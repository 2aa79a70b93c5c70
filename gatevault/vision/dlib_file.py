"""dlib's file of its face network, read strictly: this one architecture and nothing beside it.

The file is what dlib's `serialize` writes for `net_type` of `dlib/python/face_recognition.cpp` (a ResNet of 29
convolutions, CC0 in `face_recognition_models`). Whoever trained the same architecture on other faces has
the same file with other weights, and it is taken as well. From the first byte:

integer   1 byte: low nibble = bytes that follow (1 to 8), 0x80 = negative; then little-endian bytes
float     two integers: mantissa, exponent of 2
text      integer: length; then its bytes
flag      one byte, `0` or `1`
tensor    integer version 2; four integers: dimensions; their product of raw little-endian float32
view      integer version 1; four integers: dimensions (which part of a tensor is what)

    loss      1; "loss_metric_2"; float: margin; float: distance threshold
    versions  an integer a layer, from the output to the input: 2; of tags and skips 1; of the first 3
    input     "input_rgb_image_sized"; floats: mean of red, green, blue; 150; 150
    layers    from the input to the output: name and details; three flags; three empty tensors; of the
              first layer also 1

The details of a layer: see `_Layers`. A convolution is followed by its affine, which scales and shifts
each channel.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from gatevault.core.errors import ModelError

SIDE: Final = 150
"""Height and width of the chip that the network takes, in pixels."""

DIMENSION: Final = 128

STAGES: Final = ((32, 3, False), (64, 4, True), (128, 3, True), (256, 3, True), (256, 1, True))
"""Filters, residual blocks, and whether the first block halves height and width, from the input to the output."""

_MAX_NAME: Final = 64
_MAX_MEAN: Final = 255.0

Weights = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Convolution:
    """One convolution and its affine: y = gamma · (filters ∗ x + biases) + beta, for each channel.

    `filters` has the shape (outputs, inputs, side, side), the others (outputs,).
    """

    filters: Weights = field(repr=False)
    biases: Weights = field(repr=False)
    gamma: Weights = field(repr=False)
    beta: Weights = field(repr=False)
    stride: int
    padding: int


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """The weights: what is taken from red, green and blue (0 to 255), 29 convolutions, a matrix (256, 128)."""

    means: tuple[float, float, float]
    convolutions: tuple[Convolution, ...] = field(repr=False)
    matrix: Weights = field(repr=False)


@dataclass(frozen=True, slots=True)
class Block:
    """One residual block of two convolutions; `down`: it halves height and width."""

    inputs: int
    filters: int
    down: bool


def blocks() -> Iterator[Block]:
    """The residual blocks from the input to the output."""
    inputs = STAGES[0][0]
    for filters, count, down in STAGES:
        for number in range(count):
            yield Block(inputs, filters, down and number == 0)
            inputs = filters


def parse(data: bytes) -> Network:
    """Read dlib's file. ModelError where one byte is not what this architecture's file has there."""
    reader = _Reader(data)
    try:
        network = _Layers(reader).network()
    except _UnexpectedError as error:
        raise ModelError(
            f"this is no dlib face network of the known architecture (at byte {reader.at}: {error}): use "
            "dlib_face_recognition_resnet_model_v1.dat, or another file that dlib's own example loads."
        ) from None
    return network


class _UnexpectedError(Exception):
    """What stands at this place is not what should."""


class _Reader:
    """dlib's elements, one after the other. Every failure is an _UnexpectedError."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0

    def bytes(self, count: int) -> bytes:
        if not 0 <= count <= len(self._data) - self.at:
            raise _UnexpectedError("the file ends too early")
        found = self._data[self.at : self.at + count]
        self.at += count
        return found

    def integer(self) -> int:
        head = self.bytes(1)[0]
        size = head & 0x0F
        if head & 0x70 or not 1 <= size <= 8:
            raise _UnexpectedError("no whole number")
        value = int.from_bytes(self.bytes(size), "little")
        return -value if head & 0x80 else value

    def expect(self, *values: int) -> None:
        for value in values:
            if (found := self.integer()) != value:
                raise _UnexpectedError(f"{found} instead of {value}")

    def real(self) -> float:
        mantissa, exponent = self.integer(), self.integer()
        try:
            value = math.ldexp(mantissa, exponent)
        except OverflowError:
            value = math.inf
        if not math.isfinite(value):
            raise _UnexpectedError("no finite number")
        return value

    def text(self, wanted: str) -> None:
        size = self.integer()
        if size > _MAX_NAME or self.bytes(size) != wanted.encode():
            raise _UnexpectedError(f"not {wanted!r}")

    def flags(self) -> None:
        if set(self.bytes(3)) - set(b"01"):
            raise _UnexpectedError("not three flags")

    def tensor(self, *shape: int) -> Weights:
        """A tensor of these four dimensions, as a copy."""
        self.expect(2, *shape)
        raw = self.bytes(4 * math.prod(shape))
        values = np.frombuffer(raw, "<f4").astype(np.float32)
        if not np.isfinite(values).all():
            raise _UnexpectedError("a weight that is no finite number")
        return values

    def view(self, *shape: int) -> None:
        self.expect(1, *shape)

    def end(self) -> None:
        if self.at != len(self._data):
            raise _UnexpectedError(f"{len(self._data) - self.at} bytes more than there should be")


class _Layers:
    """The file from its beginning to its end."""

    def __init__(self, reader: _Reader) -> None:
        self._reader = reader
        self._first = True

    def network(self) -> Network:
        read = self._reader
        read.expect(1)
        read.text("loss_metric_2")
        read.real(), read.real()
        read.expect(*_versions())
        read.text("input_rgb_image_sized")
        means = read.real(), read.real(), read.real()
        if not all(0 <= mean <= _MAX_MEAN for mean in means):
            raise _UnexpectedError("a mean colour beyond 0 to 255")
        read.expect(SIDE, SIDE)
        found = [self._convolution(STAGES[0][0], 3, side=7, stride=2)]
        self._plain("relu_")
        self._pool("max_pool_2", 3, 3, 2, 2)
        for block in blocks():
            found.append(self._convolution(block.filters, block.inputs, stride=2 if block.down else 1))
            self._plain("relu_")
            found.append(self._convolution(block.filters, block.filters))
            if block.down:
                self._pool("avg_pool_2", 2, 2, 2, 2)
            self._plain("add_prev_")
            self._plain("relu_")
        self._pool("avg_pool_2", 0, 0, 1, 1)  # all of height and width
        matrix = self._matrix(STAGES[-1][0], DIMENSION)
        read.end()
        return Network(means, tuple(found), matrix)

    def _convolution(self, outputs: int, inputs: int, side: int = 3, stride: int = 1) -> Convolution:
        """`con_4`: tensor of filters and biases; filters, side, side, strides, paddings; two views; four
        multipliers for training. `affine_`: tensor of gamma and beta; two views; mode 0."""
        read, padding = self._reader, side // 2 if stride == 1 else 0
        count = outputs * inputs * side * side
        read.text("con_4")
        values = read.tensor(count + outputs, 1, 1, 1)
        read.expect(outputs, side, side, stride, stride, padding, padding)
        read.view(outputs, inputs, side, side)
        read.view(1, outputs, 1, 1)
        self._multipliers()
        self._tail()
        read.text("affine_")
        affine = read.tensor(2 * outputs, 1, 1, 1)
        read.view(1, outputs, 1, 1)
        read.view(1, outputs, 1, 1)
        read.expect(0)
        self._tail()
        filters = values[:count].reshape(outputs, inputs, side, side)
        return Convolution(filters, values[count:], affine[:outputs], affine[outputs:], stride, padding)

    def _matrix(self, inputs: int, outputs: int) -> Weights:
        """`fc_2`: outputs; inputs; the matrix; its view, and that of no biases; mode 1; four multipliers."""
        read = self._reader
        read.text("fc_2")
        read.expect(outputs, inputs)
        matrix = read.tensor(inputs, outputs, 1, 1).reshape(inputs, outputs)
        read.view(inputs, outputs, 1, 1)
        read.view(0, 0, 0, 0)
        read.expect(1)
        self._multipliers()
        self._tail()
        return matrix

    def _pool(self, name: str, *size_and_strides: int) -> None:
        self._reader.text(name)
        self._reader.expect(*size_and_strides, 0, 0)  # no padding
        self._tail()

    def _plain(self, name: str) -> None:
        self._reader.text(name)
        self._tail()

    def _multipliers(self) -> None:
        for _ in range(4):
            self._reader.real()

    def _tail(self) -> None:
        self._reader.flags()
        for _ in range(3):
            self._reader.tensor(0, 0, 0, 0)
        if self._first:
            self._reader.expect(1)
            self._first = False


def _versions() -> list[int]:
    """Versions of the layers as the file tells them, from the output to the input."""
    told: list[Any] = [2, 2]  # matrix, pool
    for block in reversed(list(blocks())):
        told += [2, 2]  # relu, sum
        told += [2, 1, 1] if block.down else []  # pool, skip, tag of what is skipped to
        told += [2, 2, 2, 2, 2, 1]  # affine, convolution, relu, affine, convolution; tag of what is added
    return [*told, 2, 2, 2, 3]  # pool, relu, affine, convolution
