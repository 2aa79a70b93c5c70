"""A test for each part as it is wired: what is driven a person judges, what comes in is seen.

What can be told without asking is: no change at all, a change on another pin (two wires swapped), a contact that
reads pressed while nobody presses, pulses that make no card number (D0 and D1 swapped).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Final

from gatevault.core.board import Board
from gatevault.core.errors import DeviceError
from gatevault.core.header import physical
from gatevault.core.provisioning.questions import INPUTS, OUTPUTS, fitted
from gatevault.core.provisioning.words import word
from gatevault.devices.readers.polled import PolledReader
from gatevault.devices.sensors import SensorEvent
from gatevault.service.provision.talk import WATCH_S, Talk, Verdict
from gatevault.service.provision.workbench import Workbench, listening, workbench

PAUSE_S: Final = 0.1
"""How often contacts and readers are looked at."""

ENOUGH: Final = 2
"""Changes that show a contact works: there and back."""


def try_parts(board: Board, wedge: Sequence[str], talk: Talk, *, bench: bool) -> dict[str, str]:
    """Every part of this board to what became of its test; a part that the board has not is left out."""
    parts = [part for part in (*OUTPUTS, *INPUTS) if fitted(board, part, bench=bench, wedge=bool(wedge))]
    tested = dict.fromkeys(parts, Verdict.SKIP.value)
    with ExitStack() as stack:
        pins: Workbench | None = None
        for part in parts:
            if not talk.wants(f"tests.{part}", "test-now", part=_name(talk, part)):
                continue
            pins = pins or stack.enter_context(workbench(board, bench=bench))
            verdict = Verdict.AGAIN
            while verdict is Verdict.AGAIN:
                verdict = _test(pins, part, wedge, talk, bench=bench)
            tested[part] = verdict.value
            talk.say("verdict", part=_name(talk, part), verdict=word(f"verdict-{verdict}", talk.language))
    return tested


def _name(talk: Talk, part: str) -> str:
    return word(f"part-{part}", talk.language, name="").strip()


def _test(pins: Workbench, part: str, wedge: Sequence[str], talk: Talk, *, bench: bool) -> Verdict:
    if part == "relay":
        return _relay(pins, talk)
    if part == "reader":
        return _readers(pins.board, wedge, talk, bench=bench)
    return _contact(pins, SensorEvent(part), talk) if part in INPUTS else _light(pins, part, talk)


def _relay(pins: Workbench, talk: Talk) -> Verdict:
    talk.say("relay-driving")
    pins.click()
    heard = talk.judged("relay", "relay-judge")
    if heard is Verdict.BROKEN:
        gpio = pins.board.relay.pin
        talk.say("relay-silent", pin=physical(gpio), gpio=gpio)
    if heard is Verdict.WORKS and talk.yes("relay-rest") is False:
        talk.say("relay-inverted")
        return Verdict.BROKEN
    return heard


def _light(pins: Workbench, part: str, talk: Talk) -> Verdict:
    talk.say("buzzer-driving" if part == "buzzer" else "light-driving", part=_name(talk, part))
    pins.blink(part)
    seen = talk.judged(part, "light-judge")
    if seen is Verdict.BROKEN:
        gpio = getattr(pins.board, part).pin
        talk.say("light-dark", pin=physical(gpio), gpio=gpio)
    return seen


def _contact(pins: Workbench, kind: SensorEvent, talk: Talk) -> Verdict:
    """Watch until it changed there and back, or somebody says that it is enough."""
    pins.changes()
    rest = pins.state()[kind]
    if _inverted(kind, rest, talk):
        talk.say("contact-inverted", state=_state(talk, bool(rest)))
        return Verdict.BROKEN
    talk.say("contact-do", part=_name(talk, kind))
    own, others, until = 0, set(), time.monotonic() + WATCH_S
    while own < ENOUGH and time.monotonic() < until:
        for changed, active in pins.changes():
            talk.say("contact-now", part=_name(talk, changed), state=_state(talk, active))
            own += changed is kind
            if changed is not kind:
                others.add(changed)
        if own < ENOUGH and talk.watched(PAUSE_S):
            break
    if own >= ENOUGH:
        return Verdict.WORKS
    gpio = getattr(pins.board, kind.value).pin
    talk.say("contact-none", pin=physical(gpio), gpio=gpio)
    for other in others:
        talk.say("contact-swapped", other=_name(talk, other))
    return Verdict.BROKEN


def _inverted(kind: SensorEvent, rest: bool | None, talk: Talk) -> bool:
    """Whether a contact reads the wrong way at rest: a button as pressed, a shut door as open."""
    if kind is SensorEvent.DPS:
        shut = talk.yes("door-shut")
        return shut is not None and shut is not rest
    return rest is True and kind in (SensorEvent.PRESENCE, SensorEvent.REX)


def _state(talk: Talk, active: bool) -> str:
    return word("closed" if active else "open", talk.language)


def _readers(board: Board, wedge: Sequence[str], talk: Talk, *, bench: bool) -> Verdict:
    """Each reader in turn must give one card; no number is shown or kept."""
    with listening(board, wedge, bench=bench) as (readers, cards, faults):
        for reader in readers:
            talk.say("reader-do", name=reader.name)
            until = time.monotonic() + WATCH_S
            while reader.name not in cards and time.monotonic() < until:
                if talk.watched(PAUSE_S):
                    break
            if reader.name in cards:
                talk.say("reader-read")
                continue
            for name, why in faults:
                talk.say("reader-fault", name=name, why=why)
            refused = sum(reader.refused.values()) if isinstance(reader, PolledReader) else 0
            if refused:
                talk.say("reader-parity", count=refused)
            else:
                talk.say("reader-none", name=reader.name)
            return Verdict.BROKEN
    return Verdict.WORKS


def pins_held(error: DeviceError) -> str:
    """The same in words for whoever wires a gate: mostly it is the daemon that has the pins."""
    text = str(error)
    busy = "busy" in text.lower()
    hint = "Another program has the pins: systemctl stop gatevault.target, then again. " if busy else ""
    return f"{hint}{text}"
