"""The wizard at a real terminal: wrong answers are asked again, and it may be ended anywhere."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.bench import PATIENCE_S


class Phone:
    """A pseudo-terminal with the wizard in it."""

    def __init__(self, root: Path, *more: str) -> None:
        self._end, theirs = pty.openpty()
        command = [sys.executable, "-m", "gatevault", "provision", "--bench", "--state", str(root), *more]
        environment = {**os.environ, "COLUMNS": "40", "TERM": "dumb", "LANG": "C.UTF-8"}
        self.process = subprocess.Popen(
            command,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=environment,
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a background shell ignores it
        )
        os.close(theirs)
        self.shown = ""

    def sees(self, text: str) -> None:
        """Wait for a text; line breaks of the narrow terminal do not count."""
        until = time.monotonic() + PATIENCE_S
        while text.replace(" ", "") not in "".join(self.shown.split()):
            assert time.monotonic() < until, f"{text!r} was not shown; shown: {self.shown[-800:]}"
            ready, _, _ = select.select([self._end], [], [], 0.2)
            try:
                self.shown += os.read(self._end, 65_536).decode() if ready else ""
            except OSError:  # the other end is closed
                time.sleep(0.1)

    def types(self, text: str) -> None:
        self.shown = ""
        os.write(self._end, text.encode() + b"\n")

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(PATIENCE_S)
        os.close(self._end)


@pytest.fixture
def phone(tmp_path: Path) -> Iterator[Callable[..., Phone]]:
    phones: list[Phone] = []

    def start(*more: str) -> Phone:
        phones.append(Phone(tmp_path / "state", *more))
        return phones[-1]

    yield start
    for each in phones:
        each.close()


def test_wrong_answers_are_asked_again_and_ctrl_c_leaves_nothing(
    phone: Callable[..., Phone], tmp_path: Path
) -> None:
    wizard = phone()
    wizard.sees("Board profile [bench]")
    wizard.types("pi-zero")
    wizard.sees("Not taken: one of bench is wanted")
    wizard.types("")
    wizard.sees("relay 11 ●● 12 approach light")
    wizard.sees("USB keyboard readers")
    wizard.types("")
    wizard.sees("Test the parts now")
    wizard.types("n")
    wizard.sees("The gate's name")
    wizard.types("x" * 81)
    wizard.sees("Not taken: a text of 1 to 80 characters is wanted")
    wizard.types("North")
    wizard.sees("Camera")
    wizard.process.send_signal(signal.SIGINT)
    wizard.sees("Ended: the relay is released. Nothing was made.")
    assert wizard.process.wait(PATIENCE_S) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM], ids=["hang-up", "stop"])
def test_a_phone_that_hangs_up_while_the_relay_clicks_ends_in_order(
    phone: Callable[..., Phone], tmp_path: Path, number: signal.Signals
) -> None:
    wizard = phone("--lang", "zh")
    wizard.sees("板卡 [bench]")
    wizard.types("")
    wizard.sees("USB 键盘读卡器设备")
    wizard.types("")
    wizard.sees("现在测试部件")
    wizard.types("y")
    wizard.sees("现在测试继电器")
    wizard.types("y")
    wizard.sees("请听")
    wizard.process.send_signal(number)
    wizard.sees("继电器已释放")
    assert wizard.process.wait(PATIENCE_S) == 1
    assert list(tmp_path.iterdir()) == []
