"""Calibrations as bytes: what goes in comes out, and whatever else comes in is a CalibrationError."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatevault.core.calibration import Calibration, Tail, pack, unpack
from gatevault.core.errors import CalibrationError
from gatevault.core.normalisation import Normaliser, Part
from tests.calibrations import EMBEDDERS, SHIPPED, gaussians, packed, shipped_bytes

TAILS = {"north": Tail(0.1, 0.1), "south": Tail(0.2, 0.1)}
WHOLE = packed(3, shares=(0.7, 0.3), tails=TAILS, strength=0.5)


def changed(**figures: Any) -> bytes:
    return msgspec.msgpack.encode(msgspec.msgpack.decode(WHOLE) | figures)


def with_part(**figures: Any) -> bytes:
    first, second = msgspec.msgpack.decode(WHOLE)["parts"]
    return changed(parts=[first, second | figures])


@given(st.integers(0, 2**32 - 1), st.integers(1, 10), st.integers(1, 3))
def test_figures_come_back_as_they_were_and_covariances_nearly(seed: int, dimension: int, groups: int) -> None:
    names = [f"group {n}" for n in range(groups - 1)]
    whole = unpack(
        packed(dimension, tails=dict.fromkeys(names, Tail(0.1, 0.2)), strength=0.7, reach=3.0, seed=seed)
    )
    (part,) = whole.normaliser.parts
    means, covariances = gaussians(dimension, groups, seed)
    assert (part.share, part.strength, part.reach, part.floor) == (1.0, 0.7, 3.0, -1.0)
    assert whole.figures.groups == (*names, "reference")
    np.testing.assert_array_equal(part.means, means)
    np.testing.assert_array_equal(part.covariances, part.covariances.transpose(0, 2, 1))
    widest = np.abs(covariances).max(axis=(1, 2), keepdims=True)
    assert (np.abs(part.covariances - covariances) <= widest * 2.0**-11).all(), "float16 has eleven bits"
    assert part.means.dtype == part.covariances.dtype == np.float32


def test_two_parts_come_back_in_their_order() -> None:
    whole = unpack(packed(3, shares=(0.7, 0.3), seed=5))
    for number, part in enumerate(whole.normaliser.parts):
        np.testing.assert_array_equal(part.means, gaussians(3, 1, 5 + number)[0])
    assert [part.share for part in whole.normaliser.parts] == [0.7, 0.3]
    assert [part.embedder for part in whole.figures.parts] == list(EMBEDDERS)
    assert whole.dimension == 6


def test_what_came_back_is_packed_to_the_same_figures() -> None:
    once = unpack(WHOLE)
    told = {
        name: getattr(once.figures, name)
        for name in once.figures.__struct_fields__
        if name not in ("format", "name", "parts", "shares", "groups")
    }
    again = unpack(pack(once.figures.name, EMBEDDERS, once.normaliser, once.figures.groups, told))
    assert msgspec.structs.replace(again.figures, parts=once.figures.parts) == once.figures
    for one, other in zip(once.normaliser.parts, again.normaliser.parts, strict=True):
        np.testing.assert_allclose(one.covariances, other.covariances, rtol=2e-3, atol=1e-9)


def test_a_part_for_each_network_is_packed() -> None:
    normaliser = Normaliser([Part(1.0, 2.0, 0.0, -1.0, *gaussians(2, 1))])
    with pytest.raises(ValueError, match=r"shorter|longer"):
        pack("test", EMBEDDERS, normaliser, ("reference",), {})


@pytest.mark.parametrize("model", SHIPPED)
def test_a_shipped_file_cut_short_is_refused(model: str) -> None:
    whole = shipped_bytes(model)
    for size in (0, 1, len(whole) // 2, len(whole) - 1):
        with pytest.raises(CalibrationError):
            unpack(whole[:size])
    with pytest.raises(CalibrationError):
        unpack(whole + b"\0")


def test_every_truncation_is_refused() -> None:
    for size in range(len(WHOLE)):
        with pytest.raises(CalibrationError):
            unpack(WHOLE[:size])


@settings(max_examples=500)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@given(st.integers(0, len(WHOLE) - 1), st.integers(1, 255))
def test_one_changed_byte_gives_figures_or_a_calibration_error(at: int, flip: int) -> None:
    damaged = bytearray(WHOLE)
    damaged[at] ^= flip
    check_figures_or_refused(bytes(damaged))


@given(st.binary(max_size=300))
def test_any_bytes_are_a_calibration_error(data: bytes) -> None:
    with pytest.raises(CalibrationError):
        unpack(data)


@given(st.sampled_from(sorted(msgspec.msgpack.decode(WHOLE))), st.data())
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_any_value_in_any_field_gives_figures_or_a_calibration_error(field: str, data: st.DataObject) -> None:
    anything = st.none() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text() | st.binary()
    value = data.draw(anything | st.lists(anything, max_size=4) | st.dictionaries(st.text(), anything, max_size=3))
    check_figures_or_refused(changed(**{field: value}))


def check_figures_or_refused(data: bytes) -> None:
    try:
        found = unpack(data)
    except CalibrationError as error:
        assert error.__cause__ is None
        return
    assert isinstance(found, Calibration)
    assert all(np.isfinite(part.covariances).all() for part in found.normaliser.parts)


@pytest.mark.parametrize(
    "data", [b"", b"\xc0", b"\x91" * 100_000, b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff"]
)
def test_what_is_no_map_is_refused(data: bytes) -> None:
    with pytest.raises(CalibrationError):
        unpack(data)


NAN, ENDLESS = float("nan"), float("inf")


@pytest.mark.parametrize(
    "bad",
    [
        {"format": 0},
        {"format": 2},
        {"name": ""},
        {"extra": 1},
        {"parts": []},
        {"parts": msgspec.msgpack.decode(WHOLE)["parts"][:1]},
        {"parts": msgspec.msgpack.decode(WHOLE)["parts"] + msgspec.msgpack.decode(WHOLE)["parts"][:1]},
        {"shares": [1.0]},
        {"shares": [0.7, 0.2, 0.1]},
        {"shares": [0.7, 0.0]},
        {"shares": [0.7, NAN]},
        {"groups": []},
        {"groups": ["north", "south"]},
        {"groups": ["north", "south", "west", "reference"]},
        {"tails": {"nobody": {"centre": 0.1, "spread": 0.1}}},
        {"tails": {"north": {"centre": NAN, "spread": 0.1}}},
        {"tails": {"north": {"centre": 0.1, "spread": ENDLESS}}},
        {"reference": {"centre": ENDLESS, "spread": 0.1}},
        {"reference": {"centre": 0.1, "spread": 0.0}},
        {"reference": {"centre": 0.1, "spread": -0.1}},
        {"verification": {"centre": -ENDLESS, "spread": 0.1}},
        {"fused": []},
        {"fused": [{"centre": 0.1, "spread": NAN}]},
        {"caution": 0.5},
        {"caution": NAN},
        *({name: value} for name in ("same_person", "agreement", "novelty", "typical") for value in (NAN, ENDLESS)),
        {"sources": [{"file": "set.npz", "sha256": "AB" * 32, "rows": b""}]},
    ],
    ids=str,
)
def test_figures_that_do_not_fit_together_are_refused(bad: dict[str, Any]) -> None:
    unpack(changed())
    with pytest.raises(CalibrationError):
        unpack(changed(**bad))


def floats(count: int, *, of: str = "<f4", last: float = 0.1) -> bytes:
    return np.array([0.1] * (count - 1) + [last], of).tobytes()


@pytest.mark.parametrize(
    "bad",
    [
        {"embedder": "01"},
        {"dimension": 0},
        {"dimension": 2},
        {"dimension": 4},
        {"dimension": 4097},
        {"reach": -0.1},
        {"reach": 21.0},
        {"strength": -0.1},
        {"strength": NAN},
        {"floor": -1.1},
        {"floor": NAN},
        {"means": b""},
        {"means": floats(8)},
        {"means": floats(10)},
        {"means": floats(9)[:-1]},
        {"means": floats(9, last=NAN)},
        {"means": floats(9, last=ENDLESS)},
        {"covariances": b""},
        {"covariances": floats(17, of="<f2")},
        {"covariances": floats(19, of="<f2")},
        {"covariances": floats(18, of="<f2", last=NAN)},
        {"covariances": floats(18, of="<f2", last=ENDLESS)},
        {"scales": []},
        {"scales": [1.0, 1.0]},
        {"scales": [1.0] * 4},
        {"scales": [1.0, 1.0, NAN]},
        {"scales": [1.0, 1.0, ENDLESS]},
        {"scales": [1.0, 1.0, 1e300]},
    ],
    ids=lambda bad: " ".join(f"{name} {str(value)[:30]}" for name, value in bad.items()),
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_gaussians_that_are_none_are_refused(bad: dict[str, Any]) -> None:
    unpack(with_part(means=floats(9), covariances=floats(18, of="<f2"), scales=[1.0] * 3))
    with pytest.raises(CalibrationError):
        unpack(with_part(**bad))
