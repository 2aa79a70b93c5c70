"""Each check of `gatevault doctor` finds the fault that is planted for it, and nothing on a gate that is well."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from pathlib import Path
from typing import Any

import pytest

from gatevault.service.doctor import CHECKS, camera
from gatevault.service.doctor import probe as probing
from gatevault.service.making import make_state
from tests.bench import copied
from tests.service_units.patients import Well
from tests.service_units.planted import FAULTS, profile


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
