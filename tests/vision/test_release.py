"""No vector leaves vision but with a track that lives; what does not leave is overwritten."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gatevault.core.liveness import Edge, Lamp, Prompt, Refusal, Side, Site, Tier
from gatevault.core.types import Box, Quality
from gatevault.core.wire import Begin, FaceSeen, Look, Message, Purpose
from gatevault.vision import release as module
from gatevault.vision.frame import Frame
from gatevault.vision.liveness import LiveTrack, NotLive, Pending
from gatevault.vision.liveness.track import _OURS
from gatevault.vision.release import APART_NS, MOST_KEPT, Checked, Seen, Unchecked, _released, open_release

NONCE = "0f" * 16
FRONTAL = Quality(150.0, 60.0, 0.5, 0.0, 0.0)
TURNED = Quality(150.0, 60.0, 0.5, 0.4, 0.0)


def a_look(tier: Tier = Tier.LED) -> Look:
    return Look(NONCE, Purpose.ACCESS, 0, 3_000, None, tier, 0.6)


def frame(number: int, step_ns: int = APART_NS) -> Frame:
    return Frame(np.zeros((4, 4, 3), np.uint8), (number + 1) * step_ns, number)


def seen(of: Frame) -> Seen:
    vector = np.full(8, 1.0 + of.index, np.float32)
    return Seen(of.index, of.taken_ns, Box(0, 0, 2, 2), 1.0, FRONTAL, vector)


class FakeTrack:
    """A track whose verdict the test says; it remembers what it was told."""

    made: list[FakeTrack]

    def __init__(self, tier: Tier, **_: Any) -> None:
        self.said: Pending | NotLive | LiveTrack = Pending(False)
        self.told: list[Any] = []
        self.vectors: list[int] = []
        self.forgotten = False
        FakeTrack.made.append(self)

    def see(self, *_: Any) -> None: ...

    def prompt(self, prompt: Prompt) -> None:
        self.told.append(prompt)

    def edge(self, edge: Edge) -> None:
        self.told.append(edge)

    def vector(self, taken_ns: int, vector: Any) -> None:
        assert np.isclose(float(np.linalg.norm(vector)), 1.0)
        self.vectors.append(taken_ns)

    def verdict(self, now_ns: int) -> Pending | NotLive | LiveTrack:
        return self.said

    def forget(self) -> None:
        self.forgotten = True

    def lives(self, *frames: Frame) -> None:
        self.said = LiveTrack(_OURS, Tier.LED, frozenset(each.taken_ns for each in frames))


class Sent:
    """What left, its numbers copied, for the buffers are overwritten."""

    def __init__(self) -> None:
        self.faces: list[tuple[int, float]] = []
        self.others: list[Message] = []

    def __call__(self, message: Message) -> None:
        if isinstance(message, FaceSeen):
            self.faces.append((message.frame, float(np.frombuffer(message.vector, np.float32)[0])))
        else:
            self.others.append(message)


@pytest.fixture
def sent() -> Sent:
    return Sent()


@pytest.fixture
def track(monkeypatch: pytest.MonkeyPatch) -> Callable[[], FakeTrack]:
    FakeTrack.made = []
    monkeypatch.setattr(module, "Track", FakeTrack)
    return lambda: FakeTrack.made[-1]


@pytest.fixture
def checked(track: Callable[[], FakeTrack], sent: Sent) -> Checked:
    return Checked(a_look(), Site(), sent)


def show(checked: Checked, *frames: Frame) -> list[Seen]:
    given = []
    for each in frames:
        assert checked.wants(each, FRONTAL)
        given.append(seen(each))
        checked.face(given[-1])
    return given


def test_nothing_leaves_while_the_track_is_not_judged(checked: Checked, sent: Sent) -> None:
    show(checked, *map(frame, range(3)))
    assert checked.settle(10**12) is None and sent.faces == [] and not checked.over


def test_with_a_living_track_its_own_frames_leave_and_are_overwritten(
    checked: Checked, sent: Sent, track: Callable[[], FakeTrack]
) -> None:
    frames = [frame(number) for number in range(4)]
    given = show(checked, *frames)
    track().lives(*frames[1:])
    assert checked.settle(0) is None
    assert sent.faces == [(1, 2.0), (2, 3.0), (3, 4.0)], "the first is of another track"
    assert not any(each.vector.any() for each in given)
    assert checked.over, "the camera need not stay open"
    later = frame(9)
    show(checked, later)
    checked.settle(0)
    assert sent.faces[-1][0] == 3, "what comes after the judgement does not leave"


def test_a_face_needs_a_live_track_that_covers_it(sent: Sent) -> None:
    of = frame(1)
    live = LiveTrack(_OURS, Tier.LED, frozenset({of.taken_ns}))
    assert isinstance(_released(live, NONCE, seen(of)), FaceSeen)
    with pytest.raises(ValueError, match="not of this track"):
        _released(live, NONCE, seen(frame(2)))
    with pytest.raises(TypeError):
        LiveTrack(object(), Tier.LED, frozenset({of.taken_ns}))


def test_who_was_asked_and_does_not_live_ends_the_look(
    checked: Checked, sent: Sent, track: Callable[[], FakeTrack]
) -> None:
    given = show(checked, frame(0), frame(1))
    track().said = Pending(True)
    checked.settle(0)
    checked.settle(0)
    assert sent.others == [Begin(NONCE)], "asked for once"
    track().said = NotLive(Refusal.WRONG_WAY)
    assert checked.settle(0) is Refusal.WRONG_WAY
    assert sent.faces == [] and not any(each.vector.any() for each in given)


def test_who_left_before_anything_was_asked_makes_room_for_the_next(
    checked: Checked, track: Callable[[], FakeTrack]
) -> None:
    given = show(checked, frame(0))
    first = track()
    first.said = NotLive(Refusal.LOST_TRACK)
    assert checked.settle(0) is None
    assert first.forgotten and track() is not first and not given[0].vector.any()


def test_lights_are_told_to_the_track_and_begin_it(checked: Checked, track: Callable[[], FakeTrack]) -> None:
    lights = [Prompt(5, Side.LEFT), Edge(6, Lamp.LED, True)]
    for light in lights:
        checked.told(light)
    track().said = NotLive(Refusal.TOO_LATE)
    assert track().told == lights
    assert checked.settle(0) is Refusal.TOO_LATE, "a recording's challenge counts as asked"


def test_identity_is_followed_to_the_end_and_only_the_latest_vectors_wait(
    checked: Checked, track: Callable[[], FakeTrack]
) -> None:
    frames = [frame(number) for number in range(MOST_KEPT + 3)]
    given = show(checked, *frames)
    assert track().vectors == [each.taken_ns for each in frames]
    assert [each.vector.any() for each in given] == [False] * 3 + [True] * MOST_KEPT
    checked.forget()
    assert track().forgotten and not any(each.vector.any() for each in given)


def test_turned_heads_and_frames_a_moment_apart_are_not_embedded(checked: Checked) -> None:
    assert not checked.wants(frame(0), TURNED)
    show(checked, frame(0))
    assert not checked.wants(frame(1, APART_NS // 2 + 1), FRONTAL)


def test_where_liveness_is_off_each_face_leaves_at_once(sent: Sent) -> None:
    off = open_release(a_look(Tier.OFF), Site(), sent)
    assert isinstance(off, Unchecked)
    given = seen(frame(0))
    off.face(given)
    assert sent.faces == [(0, 1.0)] and not given.vector.any() and off.settle(0) is None
