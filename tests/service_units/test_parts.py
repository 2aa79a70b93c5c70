"""The wizard's part tests on mock pins: what is found without asking, and a relay that always ends released."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from gpiozero import Factory

from gatevault.core.board import Board, Input, Output, Relay
from gatevault.core.errors import DeviceError
from gatevault.core.provisioning.questions import Question
from gatevault.core.provisioning.words import Language, word
from gatevault.devices import pins as pins_module
from gatevault.devices.trace import read_trace
from gatevault.service.provision import parts, workbench
from gatevault.service.provision.talk import Verdict
from gatevault.service.provision.workbench import workbench as opened
from tests.bench import eventually

BOARD = Board(
    name="bench",
    description="some parts",
    relay=Relay(pin=17),
    buzzer=Output(pin=25),
    presence=Input(pin=5, bounce_ms=0),
    rex=Input(pin=6, bounce_ms=0),
    dps=Input(pin=13, bounce_ms=0),
)


class Scripted:
    """Says yes to the parts that it is to test, and does something to the pins while it waits."""

    language = Language.EN
    width = 80

    def __init__(self, *wanted: str, judged: Sequence[Verdict] = (), yes: Sequence[bool] = ()) -> None:
        self.wanted = {f"tests.{part}" for part in wanted}
        self.said: list[str] = []
        self.verdicts = list(judged)
        self.replies = list(yes)
        self.meanwhile: list[Callable[[], object]] = []

    def say(self, name: str, /, **values: object) -> None:
        self.said.append(word(name, self.language, **values))

    def show(self, lines: Sequence[str]) -> None: ...

    def ask(self, question: Question, check: Callable[[Any], None] | None = None) -> Any:
        raise AssertionError

    def wants(self, key: str, name: str, /, **values: object) -> bool:
        return key in self.wanted

    def judged(self, part: str, name: str) -> Verdict:
        return self.verdicts.pop(0)

    def yes(self, name: str) -> bool | None:
        return self.replies.pop(0) if self.replies else None

    def watched(self, seconds: float) -> bool:
        if not self.meanwhile:
            return True
        self.meanwhile.pop(0)()
        return False

    def progress(self, text: str) -> None: ...


@pytest.fixture
def factory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Factory]:
    """The pins that the wizard opened, for the test to drive as the world does."""
    held: list[Factory] = []
    real = pins_module.open_pins

    def opening(board: Board, **more: Any) -> Factory:
        held.append(real(board, bench=True, trace=tmp_path / "pins.jsonl"))
        return held[-1]

    monkeypatch.setattr(workbench, "open_pins", opening)
    for name in ("CLICK_S", "BLINK_S"):
        monkeypatch.setattr(workbench, name, 0.01)
    return held


def values(tmp_path: Path, role: str) -> list[int]:
    return [edge.value for edge in read_trace(tmp_path / "pins.jsonl") if edge.role == role]


def moves(factory: list[Factory], gpio: int, *states: bool) -> list[Callable[[], object]]:
    """A contact closed (True) or opened, step by step."""

    def step(closed: bool) -> Callable[[], object]:
        return lambda: factory[-1].pin(gpio).drive_low() if closed else factory[-1].pin(gpio).drive_high()

    return [step(closed) for closed in states]


def run(talk: Scripted) -> dict[str, str]:
    return parts.try_parts(BOARD, (), talk, bench=True)


def test_what_is_not_wanted_is_noted_as_not_tested_and_no_pin_is_touched(factory: list[Factory]) -> None:
    assert run(Scripted()) == dict.fromkeys(("relay", "buzzer", "presence", "rex", "dps"), "skip")
    assert factory == []


def test_a_relay_is_heard_again_until_it_is_judged(factory: list[Factory], tmp_path: Path) -> None:
    talk = Scripted("relay", judged=[Verdict.AGAIN, Verdict.WORKS], yes=[True])
    assert run(talk)["relay"] == "works"
    assert values(tmp_path, "relay") == [1, 0] * 4


def test_a_relay_that_is_energised_at_rest_does_not_work(factory: list[Factory], tmp_path: Path) -> None:
    talk = Scripted("relay", judged=[Verdict.WORKS], yes=[False])
    assert run(talk)["relay"] == "broken"
    assert any("active_high" in line for line in talk.said)
    assert values(tmp_path, "relay")[-1] == 0


def test_a_silent_relay_is_told_with_its_pin(factory: list[Factory]) -> None:
    talk = Scripted("relay", "buzzer", judged=[Verdict.BROKEN, Verdict.WORKS])
    found = run(talk)
    assert (found["relay"], found["buzzer"]) == ("broken", "works")
    assert any("pin 11 (GPIO 17)" in line for line in talk.said)


def test_a_contact_that_goes_there_and_back_works(factory: list[Factory]) -> None:
    talk = Scripted("presence")
    talk.meanwhile = moves(factory, 5, True, False)
    assert run(talk)["presence"] == "works"
    assert "presence button: closed" in talk.said


def test_two_swapped_wires_are_found(factory: list[Factory]) -> None:
    talk = Scripted("presence")
    talk.meanwhile = moves(factory, 6, True, False)
    assert run(talk)["presence"] == "broken"
    assert any("exit button changed instead" in line for line in talk.said)


def test_a_contact_that_never_moves_is_told_with_its_pin(factory: list[Factory]) -> None:
    talk = Scripted("rex")
    assert run(talk)["rex"] == "broken"
    assert any("pin 31 (GPIO 6)" in line for line in talk.said)


def test_a_button_that_reads_pressed_at_rest_is_of_the_other_kind(factory: list[Factory]) -> None:
    talk = Scripted("relay", "presence")

    def pressed(part: str, name: str) -> Verdict:
        factory[-1].pin(5).drive_low()
        return Verdict.WORKS

    talk.judged = pressed  # type: ignore[method-assign]
    assert run(talk)["presence"] == "broken"
    assert any("At rest it reads closed" in line for line in talk.said)


@pytest.mark.parametrize(("shut", "verdict"), [(True, "broken"), (False, "works")])
def test_a_door_contact_is_compared_with_the_door(factory: list[Factory], shut: bool, verdict: str) -> None:
    """Mock pins read open: a door that is shut says that the contact is of the other kind."""
    talk = Scripted("dps", yes=[shut])
    talk.meanwhile = moves(factory, 13, True, False)
    assert run(talk)["dps"] == verdict


@pytest.mark.parametrize("end", [KeyboardInterrupt, DeviceError("a wire burnt")])
def test_whatever_ends_a_test_the_relay_is_released(
    factory: list[Factory], tmp_path: Path, end: BaseException | type[BaseException]
) -> None:
    talk = Scripted("relay")

    def ending(part: str, name: str) -> Verdict:
        raise end

    talk.judged = ending  # type: ignore[method-assign]
    with pytest.raises((KeyboardInterrupt, DeviceError)):
        run(talk)
    assert values(tmp_path, "relay")[-1] == 0


def test_in_the_middle_of_a_click_too(
    factory: list[Factory], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(KeyboardInterrupt), opened(BOARD, bench=True) as pins:
        monkeypatch.setattr(workbench.time, "sleep", _interrupted)
        pins.click()
    monkeypatch.undo()
    assert values(tmp_path, "relay") == [1, 0]


def _interrupted(_: float) -> None:
    raise KeyboardInterrupt


def test_a_wizard_that_is_killed_leaves_the_guard_to_release(tmp_path: Path) -> None:
    trace = tmp_path / "pins.jsonl"
    script = textwrap.dedent(f"""
        import time
        from pathlib import Path
        from gatevault.service.config import load_board
        from gatevault.service.provision import workbench
        with workbench.workbench(load_board("bench"), bench=True, trace=Path({str(trace)!r})) as pins:
            workbench.CLICK_S = 60
            pins.click()
    """)
    wizard = subprocess.Popen([sys.executable, "-c", script])
    eventually(lambda: values(tmp_path, "relay") == [1])
    wizard.send_signal(signal.SIGKILL)
    wizard.wait()
    eventually(lambda: values(tmp_path, "relay") == [1, 0])
