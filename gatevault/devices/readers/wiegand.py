"""Wiegand readers: two lines, a short low pulse on D0 for each 0 and on D1 for each 1.

A frame is the data between two parity bits. Its first half, with the first bit, has an even number
of ones; its second half, with the last bit, an odd one. Accepted are 26 bits (24 of data) and 34
bits (32 of data).

The card number is the whole data field as one decimal number, which is what an admin types. Cards
are printed in two ways:

- `123,45678` (facility, number): type 123 * 65536 + 45678 = 8106606, for both lengths;
- `0008106606` (ten digits): the number itself, leading zeros or not. A 26-bit reader drops what
  lies above 24 bits: of a larger number, type the remainder of its division by 16777216.

Sources: SIA AC-01 (26 bits, timing); Civintec CN56 manual, section 6.4 (34 bits).

gpiozero loses frames, for it asks for both edges and reads the level late: so gpiod, falling edges
only, with the kernel's own timestamps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple, Protocol

from gatevault.core import board
from gatevault.core.errors import DeviceError
from gatevault.devices.readers.polled import RETRY_S, PolledReader, Source
from gatevault.devices.readers.port import Number, Outcome, Refusal

GAP_NS: Final = 25_000_000
"""A longer silence ends a frame. Readers send a bit every 0.2 to 20 ms."""

GLITCH_NS: Final = 20_000
"""Edges closer than this are not two bits: pulses alone last 20 to 100 µs."""

LENGTHS: Final = (26, 34)
LONGEST: Final = max(LENGTHS)

EVENT_BUFFER: Final = 1_024
"""Edges that the kernel keeps for us: thirty frames."""


class Edge(NamedTuple):
    """A falling edge: line 0 or 1, and CLOCK_MONOTONIC in nanoseconds."""

    line: int
    ns: int


class WiegandDecoder:
    """Edges in, numbers out; no clock, no device.

    A second edge of the same line within 20 µs is the line ringing and is left out; one of the
    other line leaves open which of the two was meant, and spoils the frame.
    """

    def __init__(self) -> None:
        self._bits: list[int] = []
        self._last: Edge | None = None
        self._spoilt: Refusal | None = None

    @property
    def pending(self) -> bool:
        """True inside a frame: call `flush` after 25 ms of silence."""
        return self._last is not None

    def feed(self, line: int, timestamp_ns: int) -> list[Outcome]:
        """Take one falling edge. Gives the frame before it, where this edge begins another."""
        if line not in (0, 1):
            raise ValueError("a Wiegand line is 0 or 1")
        done = self.flush(timestamp_ns)
        last, self._last = self._last, Edge(line, timestamp_ns)
        if last is not None:
            gap = timestamp_ns - last.ns
            if gap < 0:
                self._spoilt = Refusal.ORDER
            elif gap < GLITCH_NS:
                if line != last.line:
                    self._spoilt = Refusal.GLITCH
                return done
        if len(self._bits) < LONGEST:
            self._bits.append(line)
        else:
            self._spoilt = self._spoilt or Refusal.LENGTH
        return done

    def flush(self, now_ns: int) -> list[Outcome]:
        """End the frame if it has been silent for more than 25 ms at `now_ns`."""
        if self._last is None or now_ns - self._last.ns <= GAP_NS:
            return []
        bits, spoilt = self._bits, self._spoilt
        self.reset()
        return [spoilt or _number(bits)]

    def reset(self) -> None:
        """Forget the frame so far."""
        self._bits, self._last, self._spoilt = [], None, None


def _number(bits: list[int]) -> Outcome:
    if len(bits) not in LENGTHS:
        return Refusal.LENGTH
    half = len(bits) // 2
    if sum(bits[:half]) % 2 != 0 or sum(bits[half:]) % 2 != 1:
        return Refusal.PARITY
    return Number(str(int("".join(map(str, bits[1:-1])), 2)))


class EdgeRequest(Protocol):
    """The part of gpiod's `LineRequest` that is used."""

    @property
    def fd(self) -> int: ...
    def read_edge_events(self, max_events: int | None = None) -> Iterable[Any]: ...
    def release(self) -> None: ...


class GpiodEdges:
    """The two lines of a reader as a `Source` of edges, in order of time."""

    def __init__(self, request: EdgeRequest, wiring: board.Wiegand) -> None:
        self._request = request
        self._line = {wiring.d0: 0, wiring.d1: 1}

    def fileno(self) -> int:
        return self._request.fd

    def read(self) -> list[Edge]:
        edges = [Edge(self._line[e.line_offset], e.timestamp_ns) for e in self._request.read_edge_events()]
        # Each line has its own interrupt: events of one batch may come out of order.
        return sorted(edges, key=lambda edge: edge.ns)

    def close(self) -> None:
        self._request.release()


def request_edges(gpiochip: str, wiring: board.Wiegand) -> GpiodEdges:
    """Ask the kernel for the falling edges of both lines. Raises DeviceError."""
    try:
        import gpiod
        from gpiod.line import Bias, Direction
        from gpiod.line import Edge as Edges
    except ImportError as error:
        raise DeviceError("gpiod, which reads Wiegand, is not there: pip install 'gpiod>=2.5'") from error
    # The pull-up keeps a cut wire idle; level shifters are stronger than it.
    settings = gpiod.LineSettings(direction=Direction.INPUT, edge_detection=Edges.FALLING, bias=Bias.PULL_UP)
    try:
        request = gpiod.request_lines(
            gpiochip,
            {(wiring.d0, wiring.d1): settings},
            consumer=f"gatevault-{wiring.name}",
            event_buffer_size=EVENT_BUFFER,
        )
    except (OSError, ValueError) as error:
        raise DeviceError(
            f"GPIO {wiring.d0} and {wiring.d1} of {gpiochip} cannot be read ({error}): "
            "check the profile, and that no other program holds them"
        ) from error
    return GpiodEdges(request, wiring)


class WiegandReader(PolledReader[Edge]):
    """A `Reader` on two lines of the board."""

    def __init__(
        self,
        wiring: board.Wiegand,
        open_source: Callable[[], Source[Edge]],
        retry_s: tuple[float, float] = RETRY_S,
    ) -> None:
        super().__init__(wiring.name, open_source, retry_s)
        self._decoder = WiegandDecoder()

    def _decode(self, event: Edge) -> list[Outcome]:
        return self._decoder.feed(event.line, event.ns)

    def _idle(self, now_ns: int) -> list[Outcome]:
        return self._decoder.flush(now_ns)

    def _forget(self) -> None:
        self._decoder.reset()

    def _pause_ms(self) -> int | None:
        return GAP_NS // 1_000_000 + 1 if self._decoder.pending else None
