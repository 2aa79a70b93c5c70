"""The profile against the header, the chip's lines against the profile, and the relay's level against both."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from typing import Final

from gatevault.core import wiring
from gatevault.core.board import Board
from gatevault.service.doctor.finding import Finding, advice, ok, problem, unknown, untold, warning
from gatevault.service.doctor.patient import Patient

HEADER_CHIPS: Final = ("pinctrl-bcm2711", "pinctrl-bcm2835", "pinctrl-rp1")
"""Labels of the chips that the 40-pin header of a Pi hangs on."""

OURS: Final = re.compile(r"lg\b|gatevault|gpiozero")
"""What our own processes call themselves to the kernel: lgpio says `lg`."""

_PINCTRL: Final = re.compile(r"\|\s*(hi|lo)\b|level=([01])")
"""The level in what `pinctrl get N` says, or raspi-gpio on older systems."""


def pins(patient: Patient) -> Iterator[Finding]:
    """What is doubtful in the profile (`core.wiring`). What is wrong in it, `config` refuses."""
    board = patient.board
    if board is None or patient.bench:
        return
    config = patient.probe.boot_config() or ""
    doubts = [doubt for doubt in wiring.findings(board) if not (doubt.cure and _cured(doubt.cure, config))]
    found = [
        warning("pins", f"{doubt.role}: {doubt.what}", _sentence(doubt.why), _sentence(doubt.fix))
        for doubt in doubts
    ]
    yield from found or [ok("pins", f"{len(board.pins())} roles, each on a pin of its own")]


def _cured(cure: str, config: str) -> bool:
    """Whether config.txt has the firmware drive the pin as `gpio=N=op,dl` would, alone or with others."""
    pin, _, wanted = cure.removeprefix("gpio=").partition("=")
    for line in config.splitlines():
        numbers, _, options = line.removeprefix("gpio=").partition("=")
        if line.startswith("gpio=") and pin in numbers.split(",") and {*wanted.split(",")} <= {*options.split(",")}:
            return True
    return False


def _sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}."


def strict_gpio(patient: Patient) -> Iterator[Finding]:
    """Whether the kernel takes a freed output back by itself."""
    config = patient.probe.boot_config()
    if patient.bench or config is None:
        return
    if re.search(r"^dtparam=(.*,)?strict_gpiod", config, re.MULTILINE):
        yield ok("strict gpio")
    else:
        yield advice(
            "strict gpio",
            "the kernel leaves a freed output driven as it was",
            "The guard and ExecStopPost release the relay; this is a third way, should both fail.",
            "Write dtparam=strict_gpiod into /boot/firmware/config.txt.",
        )


def lines(patient: Patient) -> Iterator[Finding]:
    """The chip is there, is the header's, and its lines are ours or free. DeviceError."""
    board = patient.board
    if board is None or patient.bench:
        return
    why = "Without its lines the gate neither opens nor hears a reader."
    try:
        chip = patient.survey(board.gpiochip)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EPERM):
            yield unknown("lines", f"{board.gpiochip} is not open to this user", "Run it as root.")
        else:
            fix = "`gpioinfo` lists the chips: name the one whose lines are called GPIO2, GPIO3 … in the profile."
            yield problem("lines", f"{board.gpiochip} cannot be opened ({error.strerror})", why, fix)
        return
    if patient.probe.is_pi and chip.label not in HEADER_CHIPS:
        fix = "On a Pi 5 with a kernel before 6.6.45 say /dev/gpiochip4; `gpioinfo` shows the chips."
        yield problem("lines", f"{board.gpiochip} is {chip.label}, not the header's chip", why, fix)
        return
    found = list(_held(patient, board, chip.lines))
    yield from found or [ok("lines", "ours" if patient.status else "free")]


def _held(patient: Patient, board: Board, there: tuple[tuple[bool, str], ...]) -> Iterator[Finding]:
    for role, pin in board.pins():
        used, consumer = there[pin] if pin < len(there) else (False, "")
        if pin >= len(there):
            yield problem(
                "lines",
                f"{board.gpiochip} has no line {pin} ({role})",
                "That part cannot work.",
                "Mend the profile.",
            )
        elif used and not OURS.match(consumer):
            yield problem(
                "lines",
                f"GPIO {pin} ({role}) is held by {consumer or 'the kernel'}",
                "The daemon cannot claim it, or two drive one wire.",
                "Take it out of /boot/firmware/config.txt (dtparam=spi=on, w1-gpio …), or choose another pin.",
            )
        elif patient.status is not None and not used:
            yield problem(
                "lines",
                f"GPIO {pin} ({role}) is held by nobody, though the daemon runs",
                "That part does nothing.",
                "systemctl restart gatevault; then see `journalctl -u gatevault`.",
            )


def relay_level(patient: Patient) -> Iterator[Finding]:
    """What the relay's line reads, beside what the profile calls released."""
    board = patient.board
    if board is None or patient.bench:
        return
    said = patient.probe.run("pinctrl", "get", str(board.relay.pin))
    if said is None:
        said = patient.probe.run("raspi-gpio", "get", str(board.relay.pin))
    found = _PINCTRL.search(said or "")
    if found is None:
        if patient.probe.is_pi:
            yield unknown(
                "relay level", "no pinctrl, or it may not look", "apt install raspi-utils; run it as root."
            )
        else:
            yield untold("relay level", "only a Raspberry Pi's pinctrl reads a line that another process holds")
        return
    high = found[1] == "hi" or found[2] == "1"
    energised = bool(patient.part("door").get("relay", False))
    if high == (board.relay.active_high == energised):
        yield ok("relay level", "energised, as the daemon says" if energised else "released")
    else:
        yield problem(
            "relay level",
            f"the relay's GPIO {board.relay.pin} is {'high' if high else 'low'}, and should not be",
            "The gate may stand open now, or stay shut for a resident.",
            "`gatevault relay-release`; if it stays so, active_high in the profile is wrong for this relay, or "
            "another program drives the line.",
        )
