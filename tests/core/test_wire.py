"""Messages and frames: what goes in comes out, and whatever else comes in is a ProtocolError."""

from __future__ import annotations

import random
from typing import Any, get_args

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gatevault.core import control, wire
from gatevault.core.errors import ProtocolError
from gatevault.core.settings import LookSettings
from gatevault.core.types import MAX_DIMENSION, Box, Quality
from gatevault.core.wire import HEADER, MAX_FRAME, FaceSeen, FrameBuffer, pack, unpack
from tests.core.samples import fields_of, quality, valid

NONCE = "0123456789abcdef" * 2
DECODERS = {
    "to-vision": (wire.TO_VISION, get_args(wire.ToVision)),
    "from-vision": (wire.FROM_VISION, get_args(wire.FromVision)),
    "commands": (control.COMMANDS, control.COMMAND_TYPES),
    "replies": (control.REPLIES, get_args(control.Reply)),
}
EVERY_KIND = tuple(kind for _, kinds in DECODERS.values() for kind in kinds)
KINDS = [(decoder, kind) for decoder, kinds in DECODERS.values() for kind in kinds]
each_kind = pytest.mark.parametrize(("decoder", "kind"), KINDS, ids=[kind.__name__ for _, kind in KINDS])
each_decoder = pytest.mark.parametrize(("decoder", "kinds"), DECODERS.values(), ids=DECODERS)


def feed(buffer: FrameBuffer, data: bytes, sizes: list[int]) -> list[bytes]:
    """Receive `data` in pieces of the given sizes, cyclically, and take every frame."""
    found: list[bytes] = []
    at = turn = 0
    while at < len(data):
        space = buffer.space()
        count = min(len(space), len(data) - at, sizes[turn % len(sizes)])
        space[:count] = data[at : at + count]
        space.release()
        buffer.filled(count)
        found += [bytes(frame) for frame in buffer.frames()]
        at += count
        turn += 1
    return found


def framed(payload: bytes) -> bytes:
    return len(payload).to_bytes(HEADER, "big") + payload


# --- messages ------------------------------------------------------------------------------------


@each_kind
@settings(max_examples=20)
@given(data=st.data())
def test_every_message_comes_back_as_it_was(
    decoder: msgspec.msgpack.Decoder[Any], kind: type, data: st.DataObject
) -> None:
    message = data.draw(valid(kind))
    (payload,) = feed(FrameBuffer(), bytes(pack(message)), [MAX_FRAME])
    back = unpack(decoder, memoryview(payload))
    assert type(back) is kind
    assert back == message


@each_kind
@settings(max_examples=5)
@given(data=st.data())
def test_unknown_fields_and_tags_are_refused(
    decoder: msgspec.msgpack.Decoder[Any], kind: type, data: st.DataObject
) -> None:
    fields = fields_of(data.draw(valid(kind)))
    for bad in (fields | {"extra": 1}, fields | {"t": "nobody"}, fields | {"t": 7}):
        with pytest.raises(ProtocolError):
            unpack(decoder, memoryview(msgspec.msgpack.encode(bad)))
    untagged = {name: value for name, value in fields.items() if name != "t"}
    with pytest.raises(ProtocolError):
        unpack(decoder, memoryview(msgspec.msgpack.encode(untagged)))


@each_kind
def test_a_message_is_refused_in_every_other_direction(decoder: msgspec.msgpack.Decoder[Any], kind: type) -> None:
    for other, kinds in DECODERS.values():
        if kind not in kinds:
            with pytest.raises(ProtocolError):
                unpack(other, memoryview(msgspec.msgpack.encode({"t": kind.__struct_config__.tag})))  # type: ignore[attr-defined]


def test_an_unknown_field_inside_a_message_is_refused() -> None:
    face = fields_of(FaceSeen(NONCE, 0, (0, 0, 9, 9), 1.0, quality(), memoryview(b"\0\0\0\0")))
    face["quality"] |= {"name": 1}
    with pytest.raises(ProtocolError):
        unpack(wire.FROM_VISION, memoryview(msgspec.msgpack.encode(face)))


@each_decoder
@settings(max_examples=150)
@given(data=st.data())
def test_garbage_is_a_protocol_error_and_nothing_else(
    decoder: msgspec.msgpack.Decoder[Any], kinds: tuple[type, ...], data: st.DataObject
) -> None:
    check_garbage(decoder, kinds, data)


def test_a_hundred_thousand_damaged_messages() -> None:
    chance = random.Random(1)
    vector = memoryview(np.ones(32, np.float32)).cast("B")
    whole = [
        (wire.FROM_VISION, FaceSeen(NONCE, 1, (0, 0, 9, 9), 1.0, quality(), vector)),
        (wire.TO_VISION, wire.Hello(1, True, "dir:photos", LookSettings())),
        (control.COMMANDS, control.ConsentGive("r-0123456789abcdef", "zh", "ab" * 32, "42")),
        (control.REPLIES, control.Answer({"list": [1, {"a": None}, "text"], "n": 1.5})),
    ]
    for turn in range(100_000):
        decoder, message = whole[turn % len(whole)]
        payload = pack(message)[HEADER:]
        for _ in range(chance.randint(1, 5)):
            payload[chance.randrange(len(payload))] = chance.randrange(256)
        check_refused_or_message(decoder, EVERY_KIND, bytes(payload))


def check_garbage(decoder: msgspec.msgpack.Decoder[Any], kinds: tuple[type, ...], data: st.DataObject) -> None:
    """Any bytes, a damaged message, or a message with any field of any value: refused or a message."""
    check_refused_or_message(decoder, kinds, data.draw(st.binary(max_size=300) | damaged(kinds) | misfilled(kinds)))


def check_refused_or_message(
    decoder: msgspec.msgpack.Decoder[Any], kinds: tuple[type, ...], payload: bytes
) -> None:
    try:
        message = unpack(decoder, memoryview(payload))
    except ProtocolError as error:
        assert error.__cause__ is None
        return
    assert type(message) in kinds
    if isinstance(message, FaceSeen):
        try:
            message.scan()
        except ProtocolError:
            return


@st.composite
def damaged(draw: st.DrawFn, kinds: tuple[type, ...]) -> bytes:
    payload = bytearray(msgspec.msgpack.encode(draw(valid(draw(st.sampled_from(kinds))))))
    for _ in range(draw(st.integers(1, 4))):
        payload[draw(st.integers(0, len(payload) - 1))] = draw(st.integers(0, 255))
    return bytes(payload[: draw(st.integers(0, len(payload)))] if draw(st.booleans()) else payload)


@st.composite
def misfilled(draw: st.DrawFn, kinds: tuple[type, ...]) -> bytes:
    fields = fields_of(draw(valid(draw(st.sampled_from(kinds)))))
    anything = st.none() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text() | st.binary()
    fields[draw(st.sampled_from(sorted(fields)))] = draw(anything | st.lists(anything, max_size=5))
    return msgspec.msgpack.encode(fields)


def test_deep_nesting_is_a_protocol_error() -> None:
    body = b"\x82\xa1t\xa6answer\xa4body\x81\xa1a" + b"\x91" * 100_000
    with pytest.raises(ProtocolError):
        unpack(control.REPLIES, memoryview(body))


@pytest.mark.parametrize("length", [b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff"])
def test_a_claimed_length_is_not_believed(length: bytes) -> None:
    for decoder, _ in DECODERS.values():
        with pytest.raises(ProtocolError):
            unpack(decoder, memoryview(length + b"\0" * 8))


# --- vectors -------------------------------------------------------------------------------------

VECTORS = arrays(np.float32, st.integers(1, 600), elements=st.floats(-1e6, 1e6, width=32))


@given(VECTORS)
def test_a_vector_survives_bit_exactly_in_a_copy_of_its_own(vector: np.ndarray[Any, np.dtype[np.float32]]) -> None:
    vector[0] = 1.0
    frame = pack(wire.face_seen(NONCE, 3, Box(1, 2, 30, 40), 0.9, quality(), vector, False))
    message = unpack(wire.FROM_VISION, memoryview(frame)[HEADER:])
    assert isinstance(message, FaceSeen)
    scan = message.scan()
    message.vector.release()
    frame[:] = bytes(len(frame))
    assert scan.embedding.tobytes() == vector.tobytes()
    assert (scan.nonce, scan.frame, scan.box, scan.distinct) == (NONCE, 3, Box(1, 2, 30, 40), False)
    scan.wipe()
    assert not scan.embedding.any()


def test_a_face_message_holds_the_vectors_own_memory() -> None:
    vector = np.ones(4, dtype=np.float32)
    message = wire.face_seen(NONCE, 0, Box(0, 0, 1, 1), 1.0, quality(), vector, True)
    vector.fill(0.0)
    assert bytes(message.vector) == bytes(16)


@pytest.mark.parametrize(
    "vector",
    [
        b"",
        b"\0" * 3,
        b"\0" * 5,
        b"\0" * 16,
        np.full(4, np.nan, np.float32).tobytes(),
        np.full(4, np.inf, np.float32).tobytes(),
        np.full(4, 3e38, np.float32).tobytes(),
        np.ones(MAX_DIMENSION + 1, np.float32).tobytes(),
    ],
    ids=["empty", "3 bytes", "5 bytes", "zero", "NaN", "infinite", "too long a norm", "too many values"],
)
@pytest.mark.filterwarnings("error")
def test_an_impossible_vector_is_a_protocol_error(vector: bytes) -> None:
    with pytest.raises(ProtocolError):
        FaceSeen(NONCE, 0, (0, 0, 1, 1), 1.0, quality(), memoryview(vector)).scan()


@pytest.mark.parametrize("box", [(0, 0, 0, 9), (5, 0, 1, 9), (0, 9, 9, 9)])
def test_an_impossible_box_is_a_protocol_error(box: tuple[int, int, int, int]) -> None:
    with pytest.raises(ProtocolError):
        FaceSeen(NONCE, 0, box, 1.0, quality(), memoryview(np.ones(1, np.float32).tobytes())).scan()


def test_quality_that_is_not_finite_is_refused() -> None:
    for field in Quality.__struct_fields__:
        with pytest.raises(ValueError, match="finite"):
            msgspec.structs.replace(quality(), **{field: float("nan")})


# --- frames --------------------------------------------------------------------------------------


@given(st.lists(st.binary(min_size=1, max_size=9000), max_size=6), st.lists(st.integers(1, 5000), min_size=1))
def test_frames_are_the_same_wherever_the_stream_is_cut(payloads: list[bytes], sizes: list[int]) -> None:
    buffer = FrameBuffer()
    assert feed(buffer, b"".join(map(framed, payloads)), sizes) == payloads
    assert not buffer.partial
    assert not any(buffer._buffer)


@given(st.binary(max_size=200), st.lists(st.integers(1, 50), min_size=1, max_size=5))
def test_any_stream_gives_frames_or_a_protocol_error(data: bytes, sizes: list[int]) -> None:
    try:
        frames = feed(FrameBuffer(), data, sizes)
    except ProtocolError:
        return
    assert b"".join(map(framed, frames)) == data[: sum(HEADER + len(frame) for frame in frames)]


@pytest.mark.parametrize("size", [0, MAX_FRAME + 1, 2**32 - 1])
def test_a_frame_that_is_empty_or_too_long_is_refused_and_takes_no_memory(size: int) -> None:
    buffer = FrameBuffer()
    with pytest.raises(ProtocolError):
        feed(buffer, size.to_bytes(HEADER, "big") + b"x", [100])
    assert len(buffer._buffer) == 4096


def test_memory_is_bounded_by_the_longest_frame() -> None:
    buffer = FrameBuffer()
    long = framed(bytes([7]) * MAX_FRAME)
    assert feed(buffer, long * 2 + framed(b"x"), [65_536]) == [long[HEADER:]] * 2 + [b"x"]
    assert len(buffer._buffer) == HEADER + MAX_FRAME


def test_a_message_longer_than_a_frame_is_not_sent() -> None:
    with pytest.raises(ProtocolError):
        pack(control.Answer({"text": "x" * MAX_FRAME}))
    assert len(pack(control.Answer({"text": "x" * (MAX_FRAME - 40)}))) <= HEADER + MAX_FRAME


def test_what_was_received_is_overwritten() -> None:
    buffer = FrameBuffer()
    first = buffer._buffer
    feed(buffer, framed(b"secret" * 1000)[:5000], [4096])
    assert buffer.partial
    assert buffer._buffer is not first, "it had to grow"
    assert not any(first), "the smaller buffer was left full"
    buffer.wipe()
    assert not buffer.partial
    assert not any(buffer._buffer)


def test_a_frame_is_overwritten_when_the_next_is_asked_for() -> None:
    buffer = FrameBuffer()
    data = framed(b"A" * 40) + framed(b"B" * 8)
    buffer.space()[: len(data)] = data
    buffer.filled(len(data))
    frames = buffer.frames()
    assert bytes(next(frames)) == b"A" * 40
    assert bytes(next(frames)) == b"B" * 8
    assert b"A" not in bytes(buffer._buffer)
    assert list(frames) == []
    assert not any(buffer._buffer)


def test_a_frame_not_yet_done_with_is_given_again() -> None:
    buffer = FrameBuffer()
    buffer.space()[:6] = framed(b"ab")
    buffer.filled(6)
    assert bytes(next(buffer.frames())) == b"ab"
    assert [bytes(frame) for frame in buffer.frames()] == [b"ab"]
