"""The units are the promise: what they forbid, and how systemd itself scores them."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest

UNITS = Path(__file__).parents[2] / "systemd"
VISION, DAEMON, KEY = "gatevault-vision.service", "gatevault.service", "gatevault-key.service"

EXPOSURE = {VISION: 0.5, DAEMON: 0.8, KEY: 0.8}
"""At most, of 10."""


def settings(unit: str) -> dict[str, list[str]]:
    """Each directive with all values that it is given, in order; drop-ins are not looked at."""
    found: dict[str, list[str]] = defaultdict(list)
    for line in (UNITS / unit).read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            name, _, value = line.partition("=")
            found[name] += value.split() if name != "ExecStart" else [value]
    return found


@pytest.fixture
def analyze() -> str:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not installed")
    return program


@pytest.mark.parametrize("unit", EXPOSURE)
def test_the_score_is_kept(unit: str, analyze: str) -> None:
    command = [analyze, "security", "--offline=true", str(UNITS / unit)]
    said = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    score = re.search(r"Overall exposure level for \S+: ([\d.]+)", said.stdout)
    if score is None:
        pytest.skip(f"this systemd scores no file offline: {said.stderr.strip()[:200]}")
    assert float(score[1]) <= EXPOSURE[unit], said.stdout


def complaints(analyze: str, unit: str, folder: Path, more: str = "") -> list[str]:
    """What systemd says of a unit with `more` at its end; programs are put where ours would be."""
    for name in ("python", "gatevault"):
        (folder / name).symlink_to(shutil.which("true") or "/bin/true")
    for file in (*UNITS.glob("*.service"), *UNITS.glob("*.target")):
        (folder / file.name).write_text(file.read_text().replace("/opt/gatevault/bin/", f"{folder}/"))
    with (folder / unit).open("a") as file:
        file.write(more)
    command = [analyze, "verify", str(folder / unit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return [line for line in done.stderr.splitlines() if unit in line]


@pytest.mark.parametrize("unit", sorted(path.name for path in UNITS.glob("*.service")))
def test_systemd_understands_every_line(unit: str, analyze: str, tmp_path: Path) -> None:
    assert complaints(analyze, unit, tmp_path) == []


def test_a_misspelt_directive_is_found(analyze: str, tmp_path: Path) -> None:
    assert complaints(analyze, VISION, tmp_path, "[Service]\nPrivateNetworks=yes\n")


@pytest.mark.parametrize("unit", EXPOSURE)
def test_no_network_no_core_no_privilege(unit: str) -> None:
    told = settings(unit)
    for name, value in {
        "PrivateNetwork": "yes",
        "IPAddressDeny": "any",
        "RestrictAddressFamilies": "none" if unit == KEY else "AF_UNIX",
        "LimitCORE": "0",
        "MemorySwapMax": "0",
        "NoNewPrivileges": "yes",
        "ProtectSystem": "strict",
        "DevicePolicy": "closed",
        "MemoryDenyWriteExecute": "yes",
        "UMask": "0077",
    }.items():
        assert told[name] == [value], name
    assert told["CapabilityBoundingSet"] == told["AmbientCapabilities"] == []
    assert {"@aio", "@privileged", "@keyring"} <= {name.removeprefix("~") for name in told["SystemCallFilter"]}


def test_the_units_of_a_gate_come_back_and_need_not_each_other() -> None:
    for unit in (VISION, DAEMON):
        told = settings(unit)
        assert (told["Restart"], told["StartLimitIntervalSec"]) == (["always"], ["0"])
        assert told["MemoryMax"] and told["TasksMax"] and told["CPUWeight"]
        assert not {"Requires", "BindsTo", "Requisite"} & set(told)
        assert VISION not in told["After"] + told["Before"]
    daemon = settings(DAEMON)
    assert daemon["Wants"] == [VISION]
    assert (daemon["Type"], daemon["NotifyAccess"]) == (["notify"], ["main"]) and daemon["WatchdogSec"]


def test_a_stop_releases_the_relay() -> None:
    """By the daemon; and by a second program, which no minus sign lets fail unseen."""
    assert settings(DAEMON)["ExecStopPost"][1:4] == ["-P", "-m", "gatevault.service.release"]
    assert "KillMode" not in settings(DAEMON), "the guard, of the same unit, ends with it"


def test_vision_sees_its_camera_its_models_and_its_socket() -> None:
    told = settings(VISION)
    assert told["DeviceAllow"] == ["char-video4linux", "rw"]
    assert not {"StateDirectory", "ReadWritePaths", "BindPaths", "LoadCredential"} & set(told)
    assert {"-/var/lib/gatevault", "-/etc/gatevault", "/tmp", "/var/tmp", "-/dev/shm"} <= set(
        told["InaccessiblePaths"]
    )
    assert told["TemporaryFileSystem"] == ["/run:ro"]
    assert told["BindReadOnlyPaths"] == [
        *("-/run/gatevault", "-/run/udev", "-/var/lib/gatevault/models:/run/gatevault-models")
    ]
    assert told["PrivateUsers"] == ["yes"]
    assert "--bench" not in told["ExecStart"][0] and " -P -m gatevault.vision " in told["ExecStart"][0]


def test_the_daemon_has_no_camera_and_hears_its_peers_names() -> None:
    told = settings(DAEMON)
    assert told["DeviceAllow"] == ["char-gpiochip", "rw", "char-input", "rw"]
    assert "PrivateUsers" not in told
    assert told["TemporaryFileSystem"] == ["/run:ro"]
    assert told["BindPaths"] == ["/run/gatevault"]
    assert told["BindReadOnlyPaths"] == ["/run/systemd/notify"]


@pytest.mark.parametrize("unit", [VISION, DAEMON])
def test_a_process_may_confine_itself_further(unit: str) -> None:
    """systemd 252 has these calls in no group."""
    needed = {"seccomp", "landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self"}
    assert needed <= set(settings(unit)["SystemCallFilter"])
