"""dlib's file, read strictly: whatever is not this architecture's file, byte by byte, is refused in one
sentence."""

from __future__ import annotations

import struct
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatevault.core.errors import ModelError
from gatevault.vision.dlib_file import Network, blocks, parse
from gatevault.vision.weights import EMBEDDER, package_folder

FIRST_WEIGHT = 352
"""Where the first filter begins: what stands before is structure alone."""


@cache
def original() -> bytes:
    """dlib's file. No fixture: Hypothesis and pytest would print 22 MB of it where a test fails."""
    return (package_folder() / EMBEDDER).read_bytes()


def refused(data: bytes) -> str:
    with pytest.raises(ModelError, match="architecture") as caught:
        parse(data)
    text = str(caught.value)
    assert "\n" not in text and "at byte" in text
    return text


def test_the_networks_form() -> None:
    network = parse(original())
    assert isinstance(network, Network)
    assert network.means == pytest.approx((122.782, 117.001, 104.298), abs=1e-5)
    shapes = [step.filters.shape for step in network.convolutions]
    assert len(shapes) == 29
    assert shapes[0] == (32, 3, 7, 7)
    assert shapes[-1] == (256, 256, 3, 3)
    assert network.matrix.shape == (256, 128)
    assert sum(block.down for block in blocks()) == 4
    # Where the file has its first weight, little-endian.
    assert network.convolutions[0].filters.flat[0] == struct.unpack_from("<f", original(), FIRST_WEIGHT)[0]


@settings(max_examples=60)
@given(data=st.data())
def test_a_truncated_file_is_refused(data: st.DataObject) -> None:
    refused(original()[: data.draw(st.integers(0, len(original()) - 1))])


@pytest.mark.parametrize("more", [b"\0", b"\x01\x01", b"garbage" * 1000])
def test_what_follows_the_end_is_refused(more: bytes) -> None:
    assert "more than there should be" in refused(original() + more)


@settings(max_examples=100)
@given(at=st.integers(0, FIRST_WEIGHT - 1), bit=st.integers(0, 7))
def test_a_flipped_bit_in_the_structure_is_refused_or_a_number_that_may_vary(at: int, bit: int) -> None:
    """Margins of training and mean colours may be others; all else may not. Nothing crashes."""
    changed = bytearray(original())
    changed[at] ^= 1 << bit
    try:
        network = parse(bytes(changed))
    except ModelError:
        return
    assert len(network.convolutions) == 29
    assert 17 <= at < 29 or 312 <= at < 330, "what is not one of five numbers was taken"


@settings(max_examples=60)
@given(data=st.data())
def test_a_stretch_of_other_bytes_never_crashes_it(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(original()) - 1))
    stretch = data.draw(st.binary(min_size=1, max_size=64))
    try:
        network = parse(original()[:at] + stretch + original()[at + len(stretch) :])
    except ModelError:
        return
    assert all(np.isfinite(step.filters).all() for step in network.convolutions)


@settings(max_examples=200)
@given(st.binary(max_size=400))
def test_any_bytes_are_refused(data: bytes) -> None:
    refused(data)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_weight_that_is_no_number_is_refused(value: float) -> None:
    assert "finite" in refused(
        original()[:FIRST_WEIGHT] + struct.pack("<f", value) + original()[FIRST_WEIGHT + 4 :]
    )


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"#!/bin/sh\necho hello\n",
        b"\x08\x08\x12\x09gatevault:",
        b"\x01\x01\x08\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x01\x01\x88\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x01\x01\x01\rloss_metric_2\x01\x01\x08\xff\xff\xff\xff\xff\xff\xff\x7f",
    ],
    ids=[
        "empty",
        "a script",
        "an ONNX file",
        "a huge length",
        "a negative length",
        "an exponent beyond all numbers",
    ],
)
def test_what_is_something_else_is_refused(data: bytes) -> None:
    refused(data)


def test_dlibs_landmarks_are_no_face_network() -> None:
    refused((package_folder() / "shape_predictor_5_face_landmarks.dat").read_bytes())


def test_a_huge_tensor_is_not_allocated() -> None:
    """Its dimensions are known beforehand: what the file claims is compared, never believed."""
    at = original().index(b"con_4") + 5
    claimed = original()[:at] + b"\x01\x02" + b"\x08" + b"\xff" * 7 + b"\x0f" + original()[at + 5 :]
    assert "instead of" in refused(claimed)
