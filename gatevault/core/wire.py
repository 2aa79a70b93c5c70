"""Messages between the three processes, and their framing.

A frame is a 4-byte big-endian length and that many bytes of MessagePack. Every message is a
tagged struct of a closed union; unknown tags, unknown fields, values out of range and frames
longer than `MAX_FRAME` raise `ProtocolError`, after which the owner closes that connection and
nothing else. Sans-IO: bytes in, messages out. Buffers can be wiped, since vectors pass through.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Final, TypeVar

import msgspec
import numpy as np
from msgspec import Meta

from gatevault.core.camera import CameraState
from gatevault.core.confined import Confined
from gatevault.core.errors import ProtocolError
from gatevault.core.liveness import Edge, Prompt, Refusal, Site, Tier
from gatevault.core.liveness.veto import VetoModel
from gatevault.core.models import ModelSettings
from gatevault.core.settings import LookSettings
from gatevault.core.types import MAX_DIMENSION, Box, Quality, Scan, Vector

VERSION: Final = 5
"""Version of this protocol, told in `Hello` and `Ready`; peers of another version are refused."""

MAX_FRAME: Final = 1024 * 1024
"""Longest frame in bytes: a resident's export is the largest message, a vector has 16 KiB at most."""

HEADER: Final = 4

MAX_SENTENCE: Final = 500
"""Longest sentence for people in a message of vision's."""

Nonce = Annotated[str, Meta(pattern=r"^[0-9a-f]{32}\Z")]
Count = Annotated[int, Meta(ge=0, le=1_000_000)]


class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="t"):
    """Base of all messages; each subclass names its own tag."""


# --- daemon to vision --------------------------------------------------------------------------


class Hello(Message, frozen=True, tag="hello"):
    """The first word of all: what vision may do. `bench` admits `file:` and `dir:` cameras, and looks that check no
    liveness.

    Vision loads `models` and answers `Ready`, or `Unfit`. They have a default so that the Hello of version 1, which
    named none, is read far enough to see its version.
    """

    version: int
    bench: bool
    camera: Annotated[str, Meta(max_length=4096)]
    look: LookSettings
    models: ModelSettings = ModelSettings()
    infrared: Annotated[str, Meta(max_length=4096)] = ""
    """The camera beside it that sees in near infrared; empty where there is none."""
    site: Site = Site()
    veto: VetoModel | None = None


class Purpose(StrEnum):
    ACCESS = "access"
    ENROL = "enrol"
    AIM = "aim"
    """For the installer: where a face stands and how it is lit. No vector is computed."""


class Look(Message, frozen=True, tag="look"):
    """Open the camera now.

    `trigger_ns` is CLOCK_MONOTONIC of the presence event: no frame older than it counts.
    `camera` overrides the configured one (bench only). For ENROL a `dir:` camera shows each
    picture once and a picture is shown once; for ACCESS they repeat until the look ends.
    `tier`: what a face must show before its vector is given out; OFF belongs to a bench and to enrolments.
    `same_person`: least cosine within one person's look, by the calibration; None: identity is not followed.
    """

    nonce: Nonce
    purpose: Purpose
    trigger_ns: Annotated[int, Meta(ge=0)]
    limit_ms: Annotated[int, Meta(ge=1, le=60_000)]
    camera: Annotated[str, Meta(max_length=4096)] | None = None
    tier: Tier = Tier.OFF
    same_person: Annotated[float, Meta(ge=-1.0, le=1.0)] | None = None


class Asked(Message, frozen=True, tag="asked"):
    """The daemon lit an arrow, or put it out."""

    nonce: Nonce
    prompt: Prompt


class Driven(Message, frozen=True, tag="driven"):
    """The daemon drove the lamp."""

    nonce: Nonce
    edge: Edge


class Stop(Message, frozen=True, tag="stop"):
    """End this look: enough was seen."""

    nonce: Nonce


# --- vision to daemon --------------------------------------------------------------------------


class Ready(Message, frozen=True, tag="ready"):
    """Vision's answer to Hello: its networks are loaded. `model` names their recipe (`core.models.model_name`)."""

    version: int
    pid: Annotated[int, Meta(ge=1)]
    model: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
    dimension: Annotated[int, Meta(ge=1, le=MAX_DIMENSION)]
    confined: Confined


class Unfit(Message, frozen=True, tag="unfit"):
    """Vision's other answer to Hello, and its last word: why it cannot load the models, or may not look,
    in a sentence for people."""

    version: int
    reason: Annotated[str, Meta(max_length=MAX_SENTENCE)]


class CameraOpen(Message, frozen=True, tag="camera-open"):
    """The camera is open for this look."""

    nonce: Nonce


class FaceSeen(Message, frozen=True, tag="face"):
    """One usable face of one fresh frame: becomes a `Scan`. The vector is float32, little-endian.

    `distinct` is false where the frame's pixels equal those of an earlier frame of this look (a
    repeated photograph on the bench): such a face confirms nothing at enrolment.
    """

    nonce: Nonce
    frame: Count
    box: tuple[int, int, int, int]
    score: float
    quality: Quality
    vector: memoryview
    distinct: bool = True

    def scan(self) -> Scan:
        """Copy the message's buffer into a `Scan` of its own; ProtocolError if it is malformed."""
        if self.vector.nbytes % 4:
            raise ProtocolError("vision sent a vector of a broken length: the look is ended.")
        values = np.frombuffer(self.vector, dtype="<f4").astype(np.float32)
        try:
            return Scan(self.nonce, self.frame, Box(*self.box), self.score, self.quality, values, self.distinct)
        except ValueError as error:
            values.fill(0.0)
            raise ProtocolError(f"vision sent an impossible face ({error}): the look is ended.") from None


class Sight(Message, frozen=True, tag="sight"):
    """What a look for AIM tells of one frame: its size, its mean grey (0 to 1), the nearest face, if there is one,
    and that face's quality where it would do for a look."""

    nonce: Nonce
    frame: Count
    size: tuple[Count, Count]
    light: Annotated[float, Meta(ge=0.0, le=1.0)]
    box: tuple[int, int, int, int] | None = None
    quality: Quality | None = None


class Hint(StrEnum):
    """Why a frame gave no scan."""

    NO_FACE = "no-face"
    SEVERAL_FACES = "several-faces"
    """At enrolment and aiming alone: at the gate a second face of like size ends the look."""
    COME_CLOSER = "come-closer"
    TOO_DARK = "too-dark"
    TOO_BRIGHT = "too-bright"
    BLURRED = "blurred"
    MODEL_FAULT = "model-fault"
    """A network gave no numbers for a good face."""
    CUT_OFF = "cut-off"
    """The nearest face reaches beyond the picture: half a face embeds as somebody."""
    BAD_FRAME = "bad-frame"
    """The camera gave half a picture, none, or one torn from two moments."""


class FrameEmpty(Message, frozen=True, tag="empty"):
    """A fresh frame without a usable face, and why."""

    nonce: Nonce
    frame: Count
    hint: Hint


class Begin(Message, frozen=True, tag="begin"):
    """A face stands before the camera, and is followed: the challenge of this look may begin."""

    nonce: Nonce


class LookEnd(StrEnum):
    """How a look ended."""

    STOPPED = "stopped"
    LIMIT = "limit"
    END_OF_FILE = "end-of-file"
    SEVERAL_FACES = "several-faces"
    NOT_LIVE = "not-live"
    TOLD = "told"
    """Every frame of a track that lives was told: no later one counts."""
    CAMERA = "camera"


class LookDone(Message, frozen=True, tag="done"):
    """The look is over, the camera closed, frames and vectors overwritten.

    `frames` fresh frames were examined, `stale` refused for their age. `error` is a sentence for
    people where `end` is CAMERA. `opened_ms` is how long the camera was open. `refusal`: why, where it is NOT_LIVE.
    `camera`: what a real camera was found to do.
    """

    nonce: Nonce
    end: LookEnd
    frames: Count
    stale: Count
    opened_ms: Count
    error: Annotated[str, Meta(max_length=MAX_SENTENCE)] = ""
    refusal: Refusal | None = None
    camera: CameraState | None = None


ToVision = Hello | Look | Asked | Driven | Stop
FromVision = Ready | Unfit | CameraOpen | Begin | FaceSeen | Sight | FrameEmpty | LookDone

M = TypeVar("M")


def face_seen(
    nonce: str, frame: int, box: Box, score: float, quality: Quality, vector: Vector, distinct: bool
) -> FaceSeen:
    """The message for a face; its buffer is the vector's own memory, not a copy."""
    corners = (box.left, box.top, box.right, box.bottom)
    return FaceSeen(nonce, frame, corners, score, quality, vector.data.cast("B"), distinct)


def pack(message: Message) -> bytearray:
    """A message as one frame, in a buffer that the caller can wipe after sending."""
    frame = bytearray(HEADER)
    _ENCODER.encode_into(message, frame, HEADER)
    size = len(frame) - HEADER
    if size > MAX_FRAME:
        raise ProtocolError(f"a message of {size} bytes is longer than a frame may be ({MAX_FRAME}).")
    frame[:HEADER] = size.to_bytes(HEADER, "big")
    return frame


_ENCODER: Final = msgspec.msgpack.Encoder()


FROM_VISION: Final = msgspec.msgpack.Decoder(FromVision)
TO_VISION: Final = msgspec.msgpack.Decoder(ToVision)


def unpack(decoder: msgspec.msgpack.Decoder[M], payload: memoryview) -> M:
    """Decode one frame's payload; ProtocolError if it is no message of that union.

    Fields of type memoryview point into `payload`: copy what must outlive it.
    """
    try:
        return decoder.decode(payload)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise ProtocolError(f"not a message of this protocol ({type(error).__name__}).") from None


class FrameBuffer:
    """Cuts a byte stream into frames, in one buffer of its own that can be wiped.

    Fill `space()` (as `recv_into` does), tell `filled(n)`, then take `frames()`. Memory is bounded
    by MAX_FRAME whatever the peer sends.
    """

    def __init__(self) -> None:
        self._buffer = bytearray(4096)
        self._used = 0

    def space(self) -> memoryview:
        """The free part of the buffer, never empty."""
        if self._used == len(self._buffer):
            self._grow(2 * len(self._buffer))
        return memoryview(self._buffer)[self._used :]

    def filled(self, count: int) -> None:
        self._used += count

    @property
    def partial(self) -> bool:
        """Whether half a frame is waiting for its rest."""
        return self._used > 0

    def frames(self) -> Iterator[memoryview]:
        """Each whole frame's payload; valid until the next one is asked for, then overwritten.

        ProtocolError for an empty frame or one longer than MAX_FRAME.
        """
        while self._used >= HEADER:
            size = int.from_bytes(self._buffer[:HEADER], "big")
            if not 0 < size <= MAX_FRAME:
                raise ProtocolError(f"a frame of {size} bytes is not one of this protocol.")
            end = HEADER + size
            if self._used < end:
                if end > len(self._buffer):
                    self._grow(end)
                return
            yield memoryview(self._buffer)[HEADER:end]
            rest = self._used - end
            whole = memoryview(self._buffer)  # moves in place: slices of a bytearray would be copies
            whole[:rest] = whole[end : self._used]
            self._clear(rest)

    def wipe(self) -> None:
        """Overwrite all that was received."""
        self._clear(0)

    def _clear(self, keep: int) -> None:
        self._buffer[keep : self._used] = bytes(self._used - keep)
        self._used = keep

    def _grow(self, size: int) -> None:
        larger = bytearray(size)
        larger[: self._used] = memoryview(self._buffer)[: self._used]
        self._buffer[: self._used] = bytes(self._used)
        self._buffer = larger
