"""A gate that is well, for `doctor` to look at: a made-up machine, the daemon's answers, and a real state.

Tests break one thing of it. Programs are shell scripts in a folder that PATH names.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gatevault.core import control
from gatevault.core.errors import GateVaultError
from gatevault.devices.survey import Chip, Line
from gatevault.service.doctor import camera, examine
from gatevault.service.doctor import probe as probing
from gatevault.service.doctor.probe import Probe
from gatevault.service.state import StatePaths

DAEMON, VISION = 41, 42
PROFILE_LINES = {26, 27, 22, 23, 24, 25, 5, 6, 13, 18, 16, 12}
"""The lines of hardware/boards/pi-relay-hat.toml."""

STATUS = {
    "health": "ok",
    "pid": DAEMON,
    "vision": {"state": "ok", "pid": VISION, "last_look": {"frames": 9, "stale": 1, "error": ""}},
    "vault": {"state": "unlocked", "enrol_again": 0, "memory": "memfd_secret"},
    "liveness": {"state": "ok"},
    "matching": {"state": "ok"},
    "registry": {"state": "ok"},
    "cards": {"state": "ok"},
    "ledger": {"state": "ok"},
    "door": {
        "state": "ok",
        "relay": False,
        "contacts": {"presence": False, "rex": False, "dps": True, "tamper": None},
    },
    "readers": {
        "state": "ok",
        "fitted": {"entrance": True},
        "numbers": {"entrance": 40},
        "refused": {"entrance": {}},
    },
    "clock": {"state": "ok"},
}

PROCESS = "Name:\tpython\nVmSwap:\t       0 kB\nCapEff:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\n"
LIMITS = "Limit  Soft Limit  Hard Limit  Units\nMax core file size        0          0          bytes\n"
NET = "Inter-|   Receive\n face |bytes\n    lo:       0       0\n"

CONFIG = "# as it ships\ngpio=26=op,dh\ndtparam=strict_gpiod\n"

FILES = {
    "/proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\0",
    "/proc/mounts": "/dev/mmcblk0p2 / ext4 ro,noatime 0 0\n/dev/mmcblk0p3 /var/lib/gatevault ext4 rw 0 0\n",
    "/proc/swaps": "Filename Type Size Used Priority\n/dev/zram0 partition 100 0 100\n",
    "/boot/firmware/config.txt": CONFIG,
    "/sys/class/thermal/thermal_zone0/temp": "48312\n",
    "/sys/class/hwmon/hwmon1/name": "rpi_volt\n",
    "/sys/class/hwmon/hwmon1/in0_lcrit_alarm": "0\n",
    "/sys/block/mmcblk0/device/type": "MMC\n",
    "/sys/block/mmcblk0/device/life_time": "0x02 0x01\n",
    "/sys/block/mmcblk0/device/pre_eol_info": "0x01\n",
    "/sys/class/rtc/rtc0/name": "rpi-rtc soc:rpi_rtc\n",
    "/sys/class/video4linux/video0/name": "HD Webcam\n",
    "/run/systemd/system/.keep": "",
    "/etc/systemd/system/gatevault.service": "[Service]\n",
    "/opt/gatevault/bin/gatevault": "",
    "/dev/video0": "",
    **{f"/proc/{pid}/status": PROCESS for pid in (DAEMON, VISION)},
    **{f"/proc/{pid}/limits": LIMITS for pid in (DAEMON, VISION)},
    **{f"/proc/{pid}/net/dev": NET for pid in (DAEMON, VISION)},
}

PROGRAMS = {
    "vcgencmd": 'case "$1 $2" in "get_throttled "*) echo throttled=0x0;; *EXT5V_V) echo EXT5V_V=5.11V;; '
    "*BATT_V) echo BATT_V=3.02V;; esac",
    "timedatectl": "echo NTP=yes; echo NTPSynchronized=yes",
    "pinctrl": "echo '26: op -- pd | hi // GPIO26 = output'",
    "systemctl": 'case "$*" in *--failed*) ;; *) echo LoadState=loaded; echo ActiveState=active; echo NRestarts=0; '
    "echo UnitFileState=enabled; echo Result=success;; esac",
}


class Well:
    """One gate and its machine. Change it, then `look`."""

    def __init__(self, state: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.paths = StatePaths(state)
        self.root, self.programs = folder / "root", folder / "bin"
        self.answers: dict[type, Any] = {
            control.Status: STATUS,
            control.KeyShow: {"provider": "tpm2", "image_of_medium_opens": False, "thief": "nothing"},
            control.LedgerVerify: {"problems": []},
        }
        self.lines = dict.fromkeys(PROFILE_LINES, "lg") | {
            16: "gatevault-entrance",
            12: "gatevault-entrance",
        }
        self.label, self.chip_error = "pinctrl-rp1", None
        for place, text in FILES.items():
            self.write(place, text)
        self.write("/sys/class/rtc/rtc0/since_epoch", str(int(time.time())))
        self.at("/dev/video0").chmod(0o660)
        for name, script in PROGRAMS.items():
            self.program(name, script)
        monkeypatch.setenv("PATH", f"{self.programs}")
        monkeypatch.setattr(probing, "PATHS", str(self.programs))
        monkeypatch.setattr(camera, "formats", lambda _: ["YUYV", "MJPG"])
        monkeypatch.setattr(camera, "_group", os.getgid)

    def at(self, place: str) -> Path:
        return self.root / place.lstrip("/")

    def write(self, place: str, text: str) -> None:
        self.at(place).parent.mkdir(parents=True, exist_ok=True)
        self.at(place).write_text(text)

    def program(self, name: str, script: str | None) -> None:
        """A program that says this; None: it is not installed."""
        self.programs.mkdir(exist_ok=True)
        place = self.programs / name
        if script is None:
            place.unlink()
            return
        place.write_text(f"#!/bin/sh\n{script}\n")
        place.chmod(0o755)

    def status(self, part: str, **changes: Any) -> None:
        """Change a part of what the daemon reports."""
        now = self.answers[control.Status]
        self.answers[control.Status] = now | {part: now[part] | changes}

    def ask(self, command: control.Command) -> dict[str, Any]:
        answer = self.answers[type(command)]
        if isinstance(answer, GateVaultError):
            raise answer
        body: dict[str, Any] = answer
        return body

    def survey(self, path: str) -> Chip:
        if self.chip_error is not None:
            raise self.chip_error
        assert path == "/dev/gpiochip0"
        return Chip(self.label, tuple(Line(n in self.lines, self.lines.get(n, "")) for n in range(54)))

    def look(self) -> dict[str, Any]:
        return examine(self.paths.root, Probe(self.root), self.ask, self.survey)


Plant = Callable[[Well], object]
