"""Each check of `gatevault doctor` finds the fault that is planted for it, and nothing on a gate that is well."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gatevault.core import control
from gatevault.core.camera import CameraState, Exposure
from gatevault.core.errors import DaemonDownError, LedgerBrokenError, NotAllowedError, VaultLockedError
from gatevault.service.doctor import CHECKS, camera
from gatevault.service.doctor import probe as probing
from gatevault.service.making import make_state
from tests.bench import copied
from tests.service_units.patients import CONFIG, DAEMON, LIMITS, NET, PROCESS, VISION, Plant, Well


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("gate") / "state"
    make_state(root, bench=False, keys="file", name="north gate", board="pi-relay-hat")
    return root


@pytest.fixture
def well(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Well:
    return Well(copied(made, tmp_path / "state"), tmp_path, monkeypatch)


def test_a_gate_that_is_well(well: Well) -> None:
    body = well.look()
    assert [finding for finding in body["findings"] if finding["verdict"] != "ok"] == []
    assert body["ok"] is True
    assert body["seconds"] < 20
    assert {finding["check"] for finding in body["findings"]} >= {*CHECKS, "vision", "enrolments"} - {"sandbox"}


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


@pytest.mark.parametrize("name", FAULTS)
def test_it_finds_what_is_planted(well: Well, name: str) -> None:
    plant, check, verdict, words = FAULTS[name]
    plant(well)
    body = well.look()
    of_check = [finding for finding in body["findings"] if finding["check"] == check]
    if verdict == "ok":
        assert [finding["verdict"] for finding in of_check] == ["ok"]
        return
    found, *more = [finding for finding in of_check if finding["verdict"] != "ok"]
    assert not more or check == "services", "one fault, one finding; the made-up systemctl speaks of both units"
    assert found["verdict"] == verdict
    assert words in found["what"] + " " + found["fix"], found
    assert all(found[name] for name in ("what", "why", "fix")), found
    assert body["ok"] is (verdict == "advice")
    assert found["fails"] is (verdict != "advice")


def test_every_check_has_a_fault_that_it_finds() -> None:
    found = {check for _, check, verdict, _ in FAULTS.values() if verdict != "ok"}
    assert set(CHECKS) - {"disk", "sandbox"} <= found, "disk: below; sandbox: one for each process"


def free(monkeypatch: pytest.MonkeyPatch, **changes: int) -> None:
    """A state's disk as the kernel may tell of it."""
    from gatevault.service.doctor import state

    numbers = {"blocks": 10**6, "bavail": 10**6, "files": 10**5, "favail": 10**5, "flag": 0} | changes
    told = os.statvfs_result(
        (
            4096,
            4096,
            numbers["blocks"],
            0,
            numbers["bavail"],
            numbers["files"],
            0,
            numbers["favail"],
            numbers["flag"],
            255,
        )
    )
    monkeypatch.setattr(state.os, "statvfs", lambda _: told)


@pytest.mark.parametrize(
    ("changes", "verdict", "words"),
    [
        ({"bavail": 1_000}, "problem", "4000 KB"),
        ({"bavail": 50_000}, "warning", "204 MB"),
        ({"favail": 12}, "problem", "inodes"),
        ({"flag": os.ST_RDONLY}, "problem", "read-only"),
        ({"files": 0, "favail": 0}, "ok", ""),
    ],
)
def test_a_disk_that_is_full(
    well: Well, monkeypatch: pytest.MonkeyPatch, changes: dict[str, int], verdict: str, words: str
) -> None:
    free(monkeypatch, **changes)
    (found,) = [finding for finding in well.look()["findings"] if finding["check"] == "disk"]
    assert found["verdict"] == verdict and words in found["what"]


@pytest.mark.parametrize(
    ("old", "new", "check", "verdict", "words"),
    [
        ("pin = 22", "pin = 27", "config", "problem", "two roles"),
        ("pin = 22", "pin = 1", "config", "problem", "HAT"),
        ("pin = 22", "pin = 40", "config", "problem", "header"),
        ("pin = 22", "pin = 14", "pins", "warning", "console"),
    ],
)
def test_a_profile_that_cannot_be_wired(
    well: Well,
    monkeypatch: pytest.MonkeyPatch,
    old: str,
    new: str,
    check: str,
    verdict: str,
    words: str,
) -> None:
    well.lines.update({1: "lg", 40: "lg", 14: "lg"})
    profile(well, monkeypatch, (old, new))
    (found,) = [f for f in well.look()["findings"] if f["check"] == check and f["verdict"] != "ok"]
    assert found["verdict"] == verdict
    assert words in found["what"] + found["fix"]


def test_a_chip_without_such_a_line(well: Well, monkeypatch: pytest.MonkeyPatch) -> None:
    well.lines.update({1: "lg"})
    other_board = ('gpiochip = "/dev/gpiochip0"', 'gpiochip = "/dev/gpiochip0"\nheader = "none"')
    profile(well, monkeypatch, other_board, ("d1 = 12", "d1 = 60"))
    (found,) = [f for f in well.look()["findings"] if f["check"] == "lines"]
    assert (found["verdict"], "no line 60" in found["what"]) == ("problem", True)


def test_a_relay_that_is_active_high_wants_a_pull_down(well: Well, monkeypatch: pytest.MonkeyPatch) -> None:
    profile(well, monkeypatch, ("active_high = false\npulse_ms", "active_high = true\npulse_ms"))
    told = {finding["check"]: finding["verdict"] for finding in well.look()["findings"]}
    assert told["pins"] == "ok", "GPIO 26 is pulled low at reset"
    assert told["relay level"] == "problem", "and its line reads high"


def test_what_a_plain_card_cannot_tell_is_unknown_and_no_reason_to_fail(well: Well) -> None:
    well.write("/sys/block/mmcblk0/device/type", "SD\n")
    body = well.look()
    (found,) = [finding for finding in body["findings"] if finding["check"] == "card wear"]
    assert (found["verdict"], found["fails"]) == ("unknown", False)
    assert body["ok"] is True


def test_an_energised_relay_reads_as_the_daemon_says(well: Well) -> None:
    well.status("door", relay=True)
    well.program("pinctrl", "echo 'GPIO 26: level=0 func=OUTPUT'")
    assert well.look()["ok"] is True


def test_a_machine_that_is_no_pi_is_asked_less(well: Well) -> None:
    for place in ("/proc/device-tree/model", "/boot/firmware/config.txt"):
        well.at(place).unlink()
    for name in ("vcgencmd", "pinctrl"):
        well.program(name, None)
    told = {finding["check"]: (finding["verdict"], finding["fails"]) for finding in well.look()["findings"]}
    assert told["power"] == told["relay level"] == ("unknown", False)
    assert told["clock source"] == ("ok", False)


def test_readers_count_numbers_and_what_was_none() -> None:
    """What `readers` judges by: the real reader, fed the pulses of a frame with D0 and D1 the wrong way round."""
    from gatevault.devices.readers.port import Refusal
    from gatevault.devices.readers.wiegand import WiegandDecoder

    bits = [0, *([0] * 15), *([1] * 9), 0]
    bits[0] = sum(bits[1:13]) % 2
    bits[25] = 1 - sum(bits[13:25]) % 2
    for swapped in (False, True):
        decoder = WiegandDecoder()
        for number, bit in enumerate(bits):
            decoder.feed(bit ^ swapped, number * 2_000_000)
        (told,) = decoder.flush(10**9)
        assert (told is Refusal.PARITY) is swapped


def test_a_program_that_hangs_holds_nothing_up(well: Well, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probing, "RUN_S", 0.2)
    monkeypatch.setenv("PATH", f"{well.programs}:/usr/bin:/bin")
    well.program("timedatectl", "exec sleep 60")
    body = well.look()
    (found,) = [finding for finding in body["findings"] if finding["check"] == "clock source"]
    assert found["verdict"] == "unknown" and "does not answer" in found["what"]
    assert body["seconds"] < 20


def test_the_formats_of_a_camera_are_asked_as_the_kernel_expects(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """struct v4l2_fmtdesc, 64 bytes; the kernel says EINVAL after the last one."""
    monkeypatch.undo()
    offered = [b"YUYV", b"MJPG", b"Y16\xa0"]

    def kernel(handle: int, request: int, asked: Any) -> int:
        assert request == 0xC0405602 and len(asked) == 64
        index, kind = struct.unpack_from("=II", asked)
        assert kind == 1
        if index >= len(offered):
            raise OSError(errno.EINVAL, "Invalid argument")
        asked[44:48] = offered[index]
        return 0

    monkeypatch.setattr(fcntl, "ioctl", kernel)
    (tmp_path / "video0").touch()
    assert camera.formats(tmp_path / "video0") == ["YUYV", "MJPG", "Y16"], "a big-endian format has the highest bit"
