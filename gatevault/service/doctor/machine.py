"""The machine under the gate: power, heat, swap, the card's wear, and what keeps its time."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Final

from gatevault.core.audit import STEP_S
from gatevault.service.doctor.finding import Finding, advice, ok, problem, unknown, untold, warning
from gatevault.service.doctor.patient import Patient
from gatevault.service.doctor.probe import Probe

_SUPPLY: Final = "Under-voltage resets the Pi, breaks USB cameras and corrupts cards, mostly when the lock moves."
_BETTER_SUPPLY: Final = (
    "Use the board's own supply (5.1 V 3 A; Pi 5: 5 A), a short thick cable, and a supply of its own for the lock."
)

LOW_INPUT_V: Final = 4.75
"""USB's own lower limit; a Pi calls 4.63 V under-voltage."""

FLAT_BATTERY_V: Final = 2.0
"""What a Pi 5 measures without a battery on J5 is near 0 V; a lithium cell has 2.5 to 3.3 V."""

WARM_C: Final = 75.0
HOT_C: Final = 82.0
"""A Pi slows down from 80 °C and more from 85 °C."""

_NOW: Final = {
    0: "under-voltage",
    1: "its frequency is capped",
    2: "it is throttled",
    3: "the soft heat limit is on",
}
"""Bits of `vcgencmd get_throttled`; the same 16 higher: since the last start."""


def power(patient: Patient) -> Iterator[Finding]:
    """What firmware, kernel and the Pi 5's power chip say of the supply."""
    if patient.bench:
        return
    probe = patient.probe
    if not probe.is_pi:
        yield untold("power", "this is no Raspberry Pi: nothing tells of its supply")
        return
    said = probe.run("vcgencmd", "get_throttled")
    found = re.search(r"throttled=0x([0-9a-fA-F]+)", said or "")
    sensors = _sensors(probe, "rpi_volt")
    alarm = any(probe.number(f"{place}/in0_lcrit_alarm") == 1 for place in sensors)
    volts = _adc(probe, "EXT5V_V")
    if found is None and not sensors and volts is None:
        yield unknown(
            "power", "the firmware does not tell of its supply", "As root, with vcgencmd installed.", _SUPPLY
        )
        return
    bits = int(found[1], 16) if found else 0
    now = [text for bit, text in _NOW.items() if bits >> bit & 1]
    if alarm or bits & 1:
        yield problem("power", "the supply is too weak now (under-voltage)", _SUPPLY, _BETTER_SUPPLY)
    elif volts is not None and volts < LOW_INPUT_V:
        yield warning("power", f"the supply gives {volts:.2f} V", _SUPPLY, _BETTER_SUPPLY)
    elif bits >> 16 & 1:
        yield warning("power", "there was under-voltage since the last start", _SUPPLY, _BETTER_SUPPLY)
    elif now:
        yield warning(
            "power",
            f"the processor is slowed down: {', '.join(now)}",
            "A face takes longer than somebody waits at a gate.",
            "Cool it (heat sink, shade, ventilation), then run this again.",
        )
    else:
        yield ok("power", "" if volts is None else f"{volts:.2f} V")


def temperature(patient: Patient) -> Iterator[Finding]:
    """The hottest of the kernel's thermal zones."""
    if patient.bench:
        return
    probe, base = patient.probe, "/sys/class/thermal"
    zones = [name for name in probe.names(base) if name.startswith("thermal_zone")]
    found = [value for name in zones if (value := probe.number(f"{base}/{name}/temp")) is not None]
    if not found:
        yield untold("temperature", "nothing tells of this machine's heat")
        return
    degrees = max(found) / 1000
    why = "A Pi slows down from 80 °C, and a housing in the sun only grows hotter."
    fix = "Shade or ventilate the housing, fit a heat sink, and move the lock's supply away."
    if degrees >= HOT_C:
        yield problem("temperature", f"{degrees:.0f} °C", why, fix)
    elif degrees >= WARM_C:
        yield warning("temperature", f"{degrees:.0f} °C", why, fix)
    else:
        yield ok("temperature", f"{degrees:.0f} °C")


def swap(patient: Patient) -> Iterator[Finding]:
    """Swap that lies on a disk; compressed RAM (zram) is no disk."""
    if patient.bench:
        return
    rows = [line.split() for line in (patient.probe.text("/proc/swaps") or "").splitlines()[1:]]
    places = [row[0] for row in rows if row and "zram" not in row[0]]
    if not places:
        yield ok("swap")
    else:
        yield advice(
            "swap",
            f"there is swap on a disk: {', '.join(places)}",
            "Keys and templates are locked in RAM and the units forbid swap; without it nothing rests on that "
            "alone, and the card wears less.",
            "dphys-swapfile swapoff && apt purge dphys-swapfile (Trixie: rpi-swap with Mechanism=zram).",
        )


def wear(patient: Patient) -> Iterator[Finding]:
    """What eMMC tells of its wear; a plain SD card tells nothing."""
    if patient.bench:
        return
    probe, base = patient.probe, "/sys/block"
    disks = [name for name in probe.names(base) if re.fullmatch(r"mmcblk\d+", name)]
    if not disks:
        yield ok("card wear", "no SD card or eMMC here")
    for name in disks:
        yield _wear_of(probe, name, f"{base}/{name}/device")


def _wear_of(probe: Probe, name: str, place: str) -> Finding:
    why = "A worn card fails without a word: then neither faces nor administration work, and the ledger ends."
    fix = "Make a backup (`gatevault backup make`) and replace it now; keep a spare."
    if probe.text(f"{place}/type") == "SD":
        return untold(
            "card wear",
            f"{name} is a plain SD card, which tells nothing of its wear",
            why,
            "Use a high-endurance card and replace it every three years, or take eMMC or an SSD; keep backups.",
        )
    steps = [int(word, 16) for word in (probe.text(f"{place}/life_time") or "").split() if word.startswith("0x")]
    end = probe.number(f"{place}/pre_eol_info") or 0
    worn = max(steps, default=0)
    if not worn and not end:
        return untold("card wear", f"{name} does not tell its wear", why, "Keep backups and a spare.")
    told = f"{name} has used up to {min(worn, 10) * 10} % of its life" if worn else f"{name} tells its reserve"
    if worn >= 0x0B or end >= 3:
        return problem("card wear", f"{told}: it is at its end", why, fix)
    if worn >= 0x09 or end == 2:
        return warning("card wear", told, why, fix)
    return ok("card wear", told)


def clock_source(patient: Patient) -> Iterator[Finding]:
    """What will tell the time after a power cut."""
    if patient.bench:
        return
    probe = patient.probe
    why = (
        "After a power cut a clock that nothing carries starts in the past: faces are off until it is set, and "
        "consents cannot end on time."
    )
    fit = (
        "Fit a clock module (DS3231; dtoverlay=i2c-rtc,ds3231) or, on a Pi 5, the battery on J5; or let NTP "
        "through. After a power cut: `gatevault clock set`."
    )
    synchronised = "NTPSynchronized=yes" in (probe.run("timedatectl", "show") or "")
    module = _module(probe)
    if module is not None and abs(module - time.time()) > STEP_S:
        yield warning(
            "clock source",
            f"the clock module is {abs(module - time.time()):.0f} s off the system's clock",
            why,
            "hwclock --systohc, where the system's clock is right.",
        )
    elif module is not None:
        yield ok("clock source", "a clock module" + (" and a time server" if synchronised else ""))
    elif synchronised:
        yield advice("clock source", "a time server, and no clock module", why, fit)
    else:
        yield warning("clock source", "no clock module, and no time server answers", why, fit)


def _module(probe: Probe) -> int | None:
    """The time of a clock module that a battery keeps; None without one. Seconds since 1970."""
    base = "/sys/class/rtc/rtc0"
    volts = _adc(probe, "BATT_V")
    if volts is not None and volts < FLAT_BATTERY_V and "rpi" in (probe.text(f"{base}/name") or ""):
        return None
    return probe.number(f"{base}/since_epoch")


def _adc(probe: Probe, rail: str) -> float | None:
    """A voltage that the Pi 5's power chip measures."""
    if not probe.is_pi:
        return None
    found = re.search(r"=([0-9.]+)V", probe.run("vcgencmd", "pmic_read_adc", rail) or "")
    return float(found[1]) if found else None


def _sensors(probe: Probe, name: str) -> list[str]:
    """Folders of the hwmon sensors of this name."""
    base = "/sys/class/hwmon"
    return [f"{base}/{one}" for one in probe.names(base) if probe.text(f"{base}/{one}/name") == name]
