"""Faults that are planted for `gatevault doctor`: what each is, and how it is told."""

from __future__ import annotations

import errno
import os
from typing import Any

import msgspec
import pytest

from gatevault.core import control
from gatevault.core.camera import CameraState, Exposure
from gatevault.core.errors import DaemonDownError, LedgerBrokenError, NotAllowedError, VaultLockedError
from tests.service_units.patients import CONFIG, DAEMON, LIMITS, NET, PROCESS, VISION, Plant, Well


def config(well: Well, text: str) -> None:
    well.paths.config.write_text(text)


def profile(well: Well, monkeypatch: pytest.MonkeyPatch, *changes: tuple[str, str]) -> None:
    """Another pi-relay-hat."""
    from gatevault.service import config as reading

    text = (reading.hardware() / "boards" / "pi-relay-hat.toml").read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    folder = well.root / "hardware"
    (folder / "boards").mkdir(parents=True)
    (folder / "boards" / "pi-relay-hat.toml").write_text(text)
    monkeypatch.setattr(reading, "hardware", lambda: folder)


def unit(active: str = "active", restarts: int = 0, load: str = "loaded", enabled: str = "enabled") -> str:
    lines = (f"LoadState={load}", f"ActiveState={active}", f"NRestarts={restarts}", f"UnitFileState={enabled}")
    return 'case "$*" in *--failed*) ;; *) printf "%s\\n" ' + " ".join(lines) + " Result=exit-code;; esac"


def throttled(bits: str) -> Plant:
    return lambda well: well.program("vcgencmd", f'test "$1" = get_throttled && echo throttled={bits}')


def refused(numbers: int, **counts: int) -> Plant:
    return lambda well: well.status("readers", numbers={"entrance": numbers}, refused={"entrance": counts})


def contacts(**changes: bool) -> Plant:
    rest = {"presence": False, "rex": False, "dps": True, "tamper": None}
    return lambda well: well.status("door", contacts=rest | changes)


def in_process(pid: int, old: str, new: str) -> Plant:
    return lambda well: well.write(f"/proc/{pid}/status", PROCESS.replace(old, new))


def chip_error(number: int) -> Plant:
    return lambda well: setattr(well, "chip_error", OSError(number, os.strerror(number)))


def last_look(**changes: Any) -> Plant:
    look = {"frames": 9, "stale": 1, "error": ""} | changes
    return lambda well: well.status("vision", last_look=look)


def as_found(**changes: Any) -> Plant:
    state = CameraState("MJPG 1280x720", True, 310, 700, Exposure.HELD)
    told = msgspec.to_builtins(msgspec.structs.replace(state, **changes))
    return lambda well: well.status("vision", camera=told | {"findings": []})


def answer(command: type, body: Any) -> Plant:
    return lambda well: well.answers.update({command: body})


FAULTS: dict[str, tuple[Plant, str, str, str]] = {
    # name: plant, check, verdict, words of what or fix
    "no state": (lambda w: w.paths.device.unlink(), "state", "problem", "no GateVault state"),
    "config half written": (lambda w: config(w, "[gate]\nboard = "), "config", "problem", "config.toml"),
    "config with an unknown name": (lambda w: config(w, "[gate]\nbaord = 'x'"), "config", "problem", "baord"),
    "no such board": (lambda w: config(w, "[gate]\nboard = 'pi-relay'"), "config", "problem", "pi-relay-hat"),
    "key for everybody": (lambda w: w.paths.house_key.chmod(0o644), "permissions", "problem", "chmod o="),
    "key for the group": (lambda w: w.paths.house_key.chmod(0o640), "permissions", "problem", "chmod go="),
    "a store is gone": (lambda w: w.paths.vault.unlink(), "permissions", "problem", "vault.db"),
    "a unit for all": (
        lambda w: w.at("/etc/systemd/system/gatevault.service").chmod(0o666),
        *("permissions", "problem", "chown root:root"),
    ),
    "root may be written": (
        lambda w: w.write("/proc/mounts", "/dev/mmcblk0p2 / ext4 rw,noatime 0 0\n"),
        *("read-only root", "advice", "Overlay"),
    ),
    "another model file": (
        lambda w: next(w.paths.models.glob("*.onnx")).rename(w.paths.models / "x"),
        *("models", "problem", "not there"),
    ),
    "reset pull against the relay": (
        lambda w: w.write("/boot/firmware/config.txt", "dtparam=strict_gpiod\n#gpio=26=op,dh\n"),
        *("pins", "warning", "gpio=26=op,dh"),
    ),
    "the wrong level in config.txt": (
        lambda w: w.write("/boot/firmware/config.txt", "dtparam=strict_gpiod\ngpio=26=op,dl\n"),
        *("pins", "warning", "GPIO 26"),
    ),
    "no strict_gpiod": (
        lambda w: w.write("/boot/firmware/config.txt", CONFIG.replace("dtparam", "#dtparam")),
        *("strict gpio", "advice", "strict_gpiod"),
    ),
    "no chip": (chip_error(errno.ENOENT), "lines", "problem", "/dev/gpiochip0"),
    "no right to the chip": (chip_error(errno.EACCES), "lines", "unknown", "root"),
    "another chip": (lambda w: setattr(w, "label", "raspberrypi-exp-gpio"), "lines", "problem", "gpiochip4"),
    "a line of the kernel's": (lambda w: w.lines.update({25: "spi0 CS0"}), "lines", "problem", "spi0 CS0"),
    "a line of nobody's": (lambda w: w.lines.pop(26), "lines", "problem", "GPIO 26 (relay)"),
    "relay the wrong way round": (
        lambda w: w.program("pinctrl", "echo '26: op -- pd | lo // GPIO26 = output'"),
        *("relay level", "problem", "active_high"),
    ),
    "no pinctrl": (lambda w: w.program("pinctrl", None), "relay level", "unknown", "raspi-utils"),
    "under-voltage now": (throttled("0x50005"), "power", "problem", "too weak"),
    "under-voltage before": (throttled("0x50000"), "power", "warning", "since the last start"),
    "throttled": (throttled("0x4"), "power", "warning", "throttled"),
    "the kernel's alarm": (
        lambda w: w.write("/sys/class/hwmon/hwmon1/in0_lcrit_alarm", "1"),
        *("power", "problem", "under-voltage"),
    ),
    "a thin cable": (
        lambda w: w.program("vcgencmd", 'test "$2" = EXT5V_V && echo "EXT5V_V volt(24)=4.66V"; echo'),
        *("power", "warning", "4.66 V"),
    ),
    "no vcgencmd": (lambda w: w.program("vcgencmd", "exit 1"), "power", "ok", ""),
    "nothing tells of the supply": (
        lambda w: (w.program("vcgencmd", "exit 1"), w.write("/sys/class/hwmon/hwmon1/name", "cpu_thermal")),
        *("power", "unknown", "vcgencmd"),
    ),
    "hot": (lambda w: w.write("/sys/class/thermal/thermal_zone0/temp", "84100"), "temperature", "problem", "84 °C"),
    "warm": (
        lambda w: w.write("/sys/class/thermal/thermal_zone0/temp", "77000"),
        "temperature",
        "warning",
        "77 °C",
    ),
    "swap on the card": (
        lambda w: w.write("/proc/swaps", "Filename\n/var/swap file 100 0 -2\n"),
        *("swap", "advice", "/var/swap"),
    ),
    "a card at its end": (
        lambda w: w.write("/sys/block/mmcblk0/device/life_time", "0x0b 0x02"),
        *("card wear", "problem", "at its end"),
    ),
    "a worn card": (
        lambda w: w.write("/sys/block/mmcblk0/device/life_time", "0x09 0x02"),
        *("card wear", "warning", "90 %"),
    ),
    "few reserve blocks": (
        lambda w: w.write("/sys/block/mmcblk0/device/pre_eol_info", "0x02"),
        *("card wear", "warning", "mmcblk0"),
    ),
    "neither module nor server": (
        lambda w: (w.at("/sys/class/rtc/rtc0/since_epoch").unlink(), w.program("timedatectl", "echo NTP=no")),
        *("clock source", "warning", "DS3231"),
    ),
    "a server alone": (
        lambda w: w.at("/sys/class/rtc/rtc0/since_epoch").unlink(),
        *("clock source", "advice", "no clock module"),
    ),
    "a Pi 5 without its battery": (
        lambda w: (
            w.program("vcgencmd", 'echo "BATT_V volt(25)=0.02V throttled=0x0"'),
            w.program("timedatectl", ""),
        ),
        *("clock source", "warning", "J5"),
    ),
    "a module that is off": (
        lambda w: w.write("/sys/class/rtc/rtc0/since_epoch", "1700000000"),
        *("clock source", "warning", "hwclock"),
    ),
    "a dead unit": (lambda w: w.program("systemctl", unit("failed")), "services", "problem", "journalctl"),
    "no unit": (
        lambda w: w.program("systemctl", unit("inactive", load="not-found")),
        "services",
        "problem",
        "Install",
    ),
    "it dies again and again": (
        lambda w: w.program("systemctl", unit(restarts=9)),
        "services",
        "warning",
        "9 times",
    ),
    "not started at boot": (
        lambda w: w.program("systemctl", unit(enabled="disabled")),
        *("services", "warning", "systemctl enable"),
    ),
    "something else failed": (
        lambda w: w.program("systemctl", 'echo "systemd-timesyncd.service loaded failed failed Time"'),
        *("failed units", "warning", "timesyncd"),
    ),
    "no daemon": (
        answer(control.Status, DaemonDownError("No daemon: start it.")),
        "daemon",
        "problem",
        "systemctl",
    ),
    "not its admin": (
        answer(control.Status, NotAllowedError("Not yours.")),
        "daemon",
        "unknown",
        "gatevault-admin",
    ),
    "vision is down": (
        lambda w: w.status("vision", state="down", reason="it died"),
        "vision",
        "problem",
        "it died",
    ),
    "the clock is behind": (
        lambda w: w.status("clock", state="fault", reason="behind"),
        "clock",
        "problem",
        "clock set",
    ),
    "a time that an admin told": (lambda w: w.status("clock", source="admin"), "clock", "advice", "clock set"),
    "another model": (lambda w: w.status("vault", enrol_again=3), "enrolments", "problem", "3 residents"),
    "daemon without a filter": (
        in_process(DAEMON, "Seccomp:\t2", "Seccomp:\t0"),
        "sandbox daemon",
        "problem",
        "filter",
    ),
    "vision with capabilities": (
        in_process(VISION, "CapEff:\t0000000000000000", "CapEff:\t0000000000200000"),
        *("sandbox vision", "problem", "privileges of root"),
    ),
    "new privileges": (
        in_process(DAEMON, "NoNewPrivs:\t1", "NoNewPrivs:\t0"),
        "sandbox daemon",
        "problem",
        "privileges",
    ),
    "a swapped daemon": (in_process(DAEMON, "       0 kB", "     512 kB"), "sandbox daemon", "warning", "512 KB"),
    "core dumps": (
        lambda w: w.write(f"/proc/{VISION}/limits", LIMITS.replace("0  ", "unlimited  ", 1)),
        *("sandbox vision", "problem", "dump its memory"),
    ),
    "a network": (
        lambda w: w.write(f"/proc/{VISION}/net/dev", NET + "  eth0:    1500\n"),
        *("sandbox vision", "problem", "eth0"),
    ),
    "swapped wires": (
        refused(0, parity=4),
        "readers",
        "problem",
        "Swap the wires at GPIO 16 (D0) and GPIO 12 (D1)",
    ),
    "a cut wire": (refused(0, length=5), "readers", "problem", "cut"),
    "a bad cable": (refused(20, parity=2, glitch=3), "readers", "warning", "5 of 25"),
    "no reader": (
        lambda w: w.status("readers", fitted={"entrance": False}),
        "readers",
        "problem",
        "cannot be read",
    ),
    "an exit button that sticks": (contacts(rex=True), "contacts", "warning", "rex"),
    "presence all the while": (contacts(presence=True), "contacts", "warning", "presence"),
    "a door contact the wrong way round": (contacts(dps=False), "contacts", "warning", "door contact"),
    "an open housing": (contacts(tamper=False), "contacts", "warning", "housing"),
    "no camera": (lambda w: w.at("/dev/video0").unlink(), "camera", "problem", "there is: video0"),
    "a camera for all": (lambda w: w.at("/dev/video0").chmod(0o600), "camera", "problem", "udev"),
    "a slow camera": (as_found(opened_ms=1900), "camera", "warning", "1900 ms"),
    "old frames": (last_look(stale=12), "camera", "warning", "12 of its frames"),
    "a camera that failed": (last_look(error="it gave no frame"), "camera", "problem", "it gave no frame"),
    "a key beside the lock": (
        answer(control.KeyShow, {"provider": "file", "image_of_medium_opens": True, "thief": "All of it."}),
        *("key provider", "advice", "key move"),
    ),
    "PCRs that say nothing": (
        answer(
            control.KeyShow, {"provider": "tpm2", "image_of_medium_opens": False, "warning": "PCRs 0,2,7 are zero"}
        ),
        *("key provider", "warning", "are zero"),
    ),
    "no key": (answer(control.KeyShow, VaultLockedError("Locked.")), "key provider", "problem", "Locked"),
    "memory that may be swapped": (
        lambda w: w.status("vault", memory="unlocked"),
        *("key provider", "warning", "LimitMEMLOCK"),
    ),
    "an altered ledger": (
        answer(control.LedgerVerify, {"problems": [1, 2]}),
        "ledger audit",
        "problem",
        "2 findings",
    ),
    "a broken ledger": (
        answer(control.LedgerVerify, LedgerBrokenError("It is not signed: call an auditor.")),
        *("ledger audit", "problem", "auditor"),
    ),
    "a long ledger": (
        answer(control.LedgerVerify, DaemonDownError("timed out")),
        *("ledger audit", "unknown", "gatevault ledger verify"),
    ),
}
