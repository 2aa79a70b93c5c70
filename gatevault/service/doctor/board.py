"""The profile against the header, the chip's lines against the profile, and the relay's level against both."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from typing import Final

from gatevault.core.board import Board, Relay
from gatevault.core.header import physical, pulled_up_at_reset
from gatevault.service.doctor.finding import Finding, advice, ok, problem, unknown, untold, warning
from gatevault.service.doctor.patient import Patient

ID_PINS: Final = (0, 1)
CONSOLE_PINS: Final = (14, 15)
"""The serial console drives GPIO 14 from the first moment of a boot."""

HEADER_CHIPS: Final = ("pinctrl-bcm2711", "pinctrl-bcm2835", "pinctrl-rp1")
"""Labels of the chips that the 40-pin header of a Pi hangs on."""

OURS: Final = re.compile(r"lg\b|gatevault|gpiozero")
"""What our own processes call themselves to the kernel: lgpio says `lg`."""

_PINCTRL: Final = re.compile(r"\|\s*(hi|lo)\b|level=([01])")
"""The level in what `pinctrl get N` says, or raspi-gpio on older systems."""


def pins(patient: Patient) -> Iterator[Finding]:
    """Each role on a pin that the header has and that may have it. Two roles on one pin: `config` refuses that."""
    board = patient.board
    if board is None or patient.bench:
        return
    found = [*_places(board), *_at_reset(board.relay, patient)]
    yield from found or [ok("pins", f"{len(board.pins())} roles, each on a pin of its own")]


def _places(board: Board) -> Iterator[Finding]:
    where = f"Choose another pin in the profile {board.name}.toml, and move the wire to it."
    for role, pin in board.pins():
        if pin in ID_PINS:
            why = "GPIO 0 and 1 belong to a HAT's own memory: the firmware talks there at each start."
            yield problem("pins", f"{role} is on GPIO {pin}, which is reserved", why, where)
        elif physical(pin) is None:
            why = "Nothing can be wired to it: that part would never work."
            yield problem("pins", f"{role} is on GPIO {pin}, which the header does not have", why, where)
        elif pin in CONSOLE_PINS:
            why = "The serial console drives it during each boot: a relay there clicks, a contact reads nonsense."
            yield warning("pins", f"{role} is on GPIO {pin}, the serial console's", why, where)


def _at_reset(relay: Relay, patient: Patient) -> Iterator[Finding]:
    """From power-on until the daemon claims it, the chip's own pull holds the line; `gpio=` in config.txt helps."""
    level, released_high = ("high" if pulled_up_at_reset(relay.pin) else "low"), not relay.active_high
    if (level == "high") == released_high or physical(relay.pin) is None:
        return
    wanted = "dh" if released_high else "dl"
    config = patient.probe.boot_config()
    for line in (config or "").splitlines():
        number, _, options = line.removeprefix("gpio=").partition("=")
        if line.startswith("gpio=") and str(relay.pin) in number.split(",") and wanted in options.split(","):
            return
    yield warning(
        "pins",
        f"the relay's GPIO {relay.pin} is pulled {level} at reset, which is its energised side",
        "From power-on until the daemon claims the line the relay may click, and the gate opens for a moment.",
        f"Write gpio={relay.pin}=op,{wanted} into /boot/firmware/config.txt, and fit 10 kOhm from the relay's "
        f"input to its {'supply' if released_high else 'ground'}.",
    )


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
