"""Wiegand frames: published vectors, and what noise may and may not do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatevault.devices.readers.port import Number, Outcome, Refusal
from gatevault.devices.readers.wiegand import GAP_NS, GLITCH_NS, WiegandDecoder
from tests.devices.fakes import BIT_NS, wiegand_bits

frames = st.one_of(
    st.integers(0, 2**24 - 1).map(lambda n: (26, n)), st.integers(0, 2**32 - 1).map(lambda n: (34, n))
)


def decode(bits: list[int], start_ns: int = 10**12) -> list[Outcome]:
    decoder = WiegandDecoder()
    out: list[Outcome] = []
    for i, bit in enumerate(bits):
        out += decoder.feed(bit, start_ns + i * BIT_NS)
    out += decoder.flush(start_ns + len(bits) * BIT_NS + GAP_NS)
    assert not decoder.pending
    return out


@pytest.mark.parametrize(
    ("frame", "number"),
    [
        # Allegion knowledge base, 26A: site 101, badge 4095.
        ("00110010100001111111111111", 101 * 65536 + 4095),
        # HID sample (frame 21a6616 hex): facility 13, card 13067.
        (f"{0x21A6616:026b}", 13 * 65536 + 13067),
        # Civintec CN56 manual, 6.4.2 and 6.4.5.
        ("1" + f"{0xD41B81:024b}" + "0", 0xD41B81),
        ("1" + f"{0x89D41B81:032b}" + "1", 0x89D41B81),
    ],
)
def test_published_frames(frame: str, number: int) -> None:
    assert decode([int(bit) for bit in frame]) == [Number(str(number))]


@given(st.integers(0, 255), st.integers(0, 65535))
def test_every_facility_and_number_of_26_bits(facility: int, number: int) -> None:
    assert decode(wiegand_bits(facility << 16 | number)) == [Number(str(facility * 65536 + number))]


@given(st.integers(0, 65535), st.integers(0, 65535))
def test_every_facility_and_number_of_34_bits(facility: int, number: int) -> None:
    assert decode(wiegand_bits(facility << 16 | number, 34)) == [Number(str(facility * 65536 + number))]


@given(frames, st.data())
def test_one_flipped_bit_is_refused(frame: tuple[int, int], data: st.DataObject) -> None:
    length, number = frame
    bits = wiegand_bits(number, length)
    bits[data.draw(st.integers(0, length - 1))] ^= 1
    assert decode(bits) == [Refusal.PARITY]


@given(frames, st.data())
def test_one_missing_bit_gives_no_number(frame: tuple[int, int], data: st.DataObject) -> None:
    length, number = frame
    bits = wiegand_bits(number, length)
    del bits[data.draw(st.integers(0, length - 1))]
    assert decode(bits) == [Refusal.LENGTH]


@given(frames, st.data())
def test_a_spike_gives_the_number_or_none(frame: tuple[int, int], data: st.DataObject) -> None:
    """A short spike on either line, before or after a bit, never makes another number."""
    length, number = frame
    bits = wiegand_bits(number, length)
    edges = [(bit, 10**9 + i * BIT_NS) for i, bit in enumerate(bits)]
    at = data.draw(st.integers(0, length - 1))
    shift = data.draw(st.integers(1, GLITCH_NS - 1)) * data.draw(st.sampled_from([-1, 1]))
    edges.append((data.draw(st.integers(0, 1)), edges[at][1] + shift))
    decoder = WiegandDecoder()
    out = [o for line, ns in sorted(edges, key=lambda e: e[1]) for o in decoder.feed(line, ns)]
    out += decoder.flush(10**12)
    assert out in ([Number(str(number))], [Refusal.GLITCH])


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(-1000, 60_000_000)), max_size=120))
def test_any_noise_ends_and_forgets(pulses: list[tuple[int, int]]) -> None:
    decoder = WiegandDecoder()
    now = 10**9
    for line, gap in pulses:
        now += gap
        for outcome in decoder.feed(line, now):
            assert isinstance(outcome, Number | Refusal)
    assert len(decoder.flush(now + 2 * GAP_NS)) == (1 if pulses else 0)
    assert not decoder.pending


def test_frames_apart_are_two_and_the_second_ends_the_first() -> None:
    decoder = WiegandDecoder()
    out: list[Outcome] = []
    for start, data in ((0, 1), (10**9, 2)):
        for i, bit in enumerate(wiegand_bits(data)):
            out += decoder.feed(bit, start + i * BIT_NS)
    assert out == [Number("1")]
    assert decoder.flush(2 * 10**9) == [Number("2")]


def test_gap_is_25_ms() -> None:
    decoder = WiegandDecoder()
    decoder.feed(0, 0)
    assert decoder.flush(GAP_NS) == []
    assert decoder.flush(GAP_NS + 1) == [Refusal.LENGTH]


def test_time_running_backwards_spoils_the_frame() -> None:
    bits = wiegand_bits(77)
    decoder = WiegandDecoder()
    for i, bit in enumerate(bits):
        decoder.feed(bit, 10**9 + i * BIT_NS - (3 * BIT_NS if i == 9 else 0))
    assert decoder.flush(10**10) == [Refusal.ORDER]


def test_long_noise_is_one_refusal() -> None:
    assert decode([1] * 500) == [Refusal.LENGTH]


def test_a_number_never_shows() -> None:
    (number,) = decode(wiegand_bits(123456))
    assert "123456" not in repr(number)
