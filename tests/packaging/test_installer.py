"""The installer on images: what it puts where, what it refuses, and that a refusal changes nothing."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest
from gatevault_setup.bundle import Manifest, verify
from gatevault_setup.errors import Refused
from gatevault_setup.flow import Setup
from gatevault_setup.machine import Machine
from gatevault_setup.main import main
from gatevault_setup.releases import unpack_wheel
from gatevault_setup.removal import uninstall
from gatevault_setup.state import Health, State, well
from gatevault_setup.system import DROP_INS, System

from tests.packaging.conftest import FOREIGN, Bundled, Image
from tests.packaging.variants import rewrite

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("systemd-sysusers") is None, reason="needs root, and systemd's tools"
)


def files(root: Path) -> dict[str, str]:
    """Everything in a tree, by what it is."""
    return {
        str(path.relative_to(root)): f"-> {path.readlink()}"
        if path.is_symlink()
        else f"{stat.S_IMODE(path.stat().st_mode):o}"
        for path in root.rglob("*")
    }


def with_state(root: Path, *, keys: str = "file", form: int = 2) -> Path:
    """As much of a state as an installer reads by itself."""
    state = root / "var/lib/gatevault"
    (state / "keys").mkdir(parents=True)
    (state / "device.json").write_text(json.dumps({"format": form, "device": "gv-1", "bench": False}))
    (state / "keys/vault.ring").write_text(json.dumps({"format": 1, "provider": keys, "boxes": [""]}))
    return state


def test_an_image_gets_release_units_users_and_links(bundled: Bundled, image: Image) -> None:
    bundle, root = bundled(), image()
    assert main(bundle, ["--root", str(root)]) == 0
    name = (root / "opt/gatevault/current").readlink().name
    assert name.startswith("1.0-") and name.endswith("-py311")
    release = root / "opt/gatevault/releases" / name
    there = files(root)
    assert there["opt/gatevault/bin"] == "-> current/bin"
    assert there["usr/local/bin/gatevault"] == "-> /opt/gatevault/bin/gatevault"
    assert there[f"opt/gatevault/releases/{name}/bin/python3.11"] == "-> /usr/bin/python3.11"
    first = (release / "bin/gatevault").read_text().splitlines()[0]
    assert first == f"#!/opt/gatevault/releases/{name}/bin/python3.11 -P"
    site = release / "lib/python3.11/site-packages"
    assert (site / "gatevault/cli/app.py").read_text() == "VERSION = '1.0'\n"
    assert not list(release.rglob("left-out"))
    for name in ("lgpio.py", f"_lgpio.cpython-311-{FOREIGN}-linux-gnu.so", "evdev"):
        assert (site / name).readlink() == Path("/usr/lib/python3/dist-packages") / name
    units = root / "usr/local/lib/systemd/system"
    for unit in ("gatevault.service", "gatevault-vision.service", "gatevault-key.service", "gatevault.target"):
        assert (units / unit).is_file()
    assert (units / "gatevault.service.d/state.conf").is_file()
    assert "gatevault:" in (root / "etc/passwd").read_text() and "gpio:" in (root / "etc/group").read_text()
    assert there["var/lib/gatevault"] == "700" and there["run/gatevault"] == "1771"
    assert (root / "etc/systemd/system/multi-user.target.wants/gatevault.target").is_symlink()
    assert not [path for path in release.rglob("*") if not path.is_symlink() and path.stat().st_mode & 0o022]


def test_the_units_name_programs_that_a_release_has(bundled: Bundled, image: Image) -> None:
    root = image()
    Setup(root).install(bundled())
    for unit in (root / "usr/local/lib/systemd/system").glob("*.service"):
        for line in unit.read_text().splitlines():
            if line.startswith("Exec") and "/opt/" in line:
                program = line.partition("=")[2].lstrip("-").split()[0]
                inside = root / program.replace("/opt/gatevault/bin", "opt/gatevault/current/bin").lstrip("/")
                assert inside.is_file() and inside.stat().st_mode & 0o111, line


def test_again_is_harmless_and_mends_what_is_missing(bundled: Bundled, image: Image) -> None:
    bundle, root = bundled(), image()
    Setup(root).install(bundle)
    before = files(root)
    (root / "usr/local/lib/systemd/system/gatevault.service").unlink()
    Setup(root).install(bundle)
    assert files(root) == before


def test_an_upgrade_keeps_one_release_to_go_back_to(bundled: Bundled, image: Image) -> None:
    root = image()
    for version in ("1.0", "1.1", "1.2"):
        Setup(root).install(bundled(version=version))
    releases = {path.name.partition("-")[0] for path in (root / "opt/gatevault/releases").iterdir()}
    assert releases == {"1.1", "1.2"}
    Setup(root).roll_back()
    assert (root / "opt/gatevault/current").readlink().name.startswith("1.1-")
    assert (root / "opt/gatevault/previous").readlink().name.startswith("1.2-")


@pytest.mark.parametrize("provider", ["file", "tpm2", "systemd-credential"])
def test_the_drop_ins_are_the_key_providers(bundled: Bundled, image: Image, provider: str) -> None:
    root = image()
    Setup(root).install(bundled())
    with_state(root, keys=provider)
    Setup(root).start()
    folder = root / "usr/local/lib/systemd/system/gatevault.service.d"
    assert {file.name for file in folder.iterdir()} == {"state.conf"} | ({DROP_INS.get(provider)} - {None})


def test_debians_packages_are_seen_where_asked_and_at_upgrades_as_before(bundled: Bundled, image: Image) -> None:
    root = image()

    def seen() -> bool:
        return "include-system-site-packages = true" in (root / "opt/gatevault/current/pyvenv.cfg").read_text()

    for version, asked, expected in (
        ("1.0", None, False),
        ("1.1", True, True),
        ("1.2", None, True),
        ("1.3", False, False),
    ):
        Setup(root).install(bundled(version=version), debian=asked)
        assert seen() is expected


# --- refusals ------------------------------------------------------------------------------------


def refused(root: Path, bundle: Path, match: str) -> None:
    before = files(root)
    with pytest.raises(Refused, match=match):
        Setup(root).install(bundle)
    assert files(root) == before, "a refusal changes nothing"


def test_another_architecture_is_refused(bundled: Bundled, image: Image) -> None:
    refused(image("arm"), bundled(), r"32 bit.*flash the 64-bit image")


def test_another_python_is_refused(bundled: Bundled, image: Image) -> None:
    refused(image(python="3.12"), bundled(), r"for Python 3\.11 and 3\.13, and the machine has 3\.12")


def test_too_little_room_is_refused(bundled: Bundled, image: Image) -> None:
    listed = {"wheels": ["gatevault-1.0-py3-none-any.whl"], "unpacked": 1 << 50}
    refused(image(), bundled(pythons={"3.11": listed}), "MiB free")


@pytest.mark.parametrize("harm", ["altered", "added", "removed", "link"])
def test_a_bundle_that_is_not_as_built_is_refused(bundled: Bundled, image: Image, harm: str) -> None:
    bundle, root = bundled(), image()
    victim = bundle / "system/systemd/gatevault.service"
    if harm == "altered":
        victim.write_text(victim.read_text() + "\n")
    elif harm == "added":
        (bundle / "system/systemd/gatevault-more.service").touch()
    else:
        victim.rename(bundle.parent / "elsewhere")
        if harm == "link":
            victim.symlink_to(bundle.parent / "elsewhere")
    refused(root, bundle, r"gatevault(-more)?\.service (is not|is no)")


def test_a_manifest_that_is_none_is_refused(bundled: Bundled) -> None:
    bundle = bundled()
    for text in ("{", "[]", '{"format": 9}', '{"format": 1}'):
        (bundle / "MANIFEST.json").write_text(text)
        with pytest.raises(Refused):
            Manifest.read(bundle)


@pytest.mark.parametrize("form", [1, 3])
def test_a_state_of_another_format_is_refused(bundled: Bundled, image: Image, form: int) -> None:
    root = image()
    with_state(root, form=form)
    refused(root, bundled(), "step back" if form == 3 else "in between")


def test_a_damaged_device_file_is_refused(bundled: Bundled, image: Image) -> None:
    root = image()
    (with_state(root) / "device.json").write_text("{}")
    refused(root, bundled(), "damaged")


def test_a_path_that_leaves_the_folder_is_refused(bundled: Bundled, tmp_path: Path) -> None:
    bundle = bundled()
    (wheel,) = bundle.glob("wheels/*")
    for bad in ("../../../etc/cron.d/x", "/etc/cron.d/x", "a\\..\\b"):
        rewrite(wheel, {bad: b""})
        with pytest.raises(Refused, match="none of ours"):
            unpack_wheel(wheel, tmp_path / "site")
        shutil.rmtree(tmp_path / "site")


def test_two_installers_do_not_meet(bundled: Bundled, image: Image) -> None:
    root = image()
    one = Setup(root)
    with one.alone(), pytest.raises(Refused, match="Another installer"):
        Setup(root).install(bundled())


def test_a_release_that_was_cut_short_is_made_anew(bundled: Bundled, image: Image) -> None:
    bundle, root = bundled(), image()
    Setup(root).install(bundle)
    name = (root / "opt/gatevault/current").readlink().name
    (root / "opt/gatevault/releases" / name / ".complete").unlink()
    (root / "opt/gatevault/releases" / name / "bin/gatevault").unlink()
    Setup(root).install(bundle)
    assert (root / "opt/gatevault/bin/gatevault").is_file()


def test_nothing_to_roll_back_to_is_said(bundled: Bundled, image: Image) -> None:
    root = image()
    Setup(root).install(bundled())
    with pytest.raises(Refused, match="no release before"):
        Setup(root).roll_back()


def test_a_release_alone_installs_nothing(bundled: Bundled, image: Image) -> None:
    root = image()
    Setup(root).install(bundled())
    ended = subprocess.run(
        [root / "opt/gatevault/current/install"], capture_output=True, text=True, check=False, timeout=60
    )
    assert ended.returncode == 2 and "say what to do" in ended.stderr


@pytest.mark.parametrize("harm", [KeyboardInterrupt(), OSError(28, "No space left on device"), Refused("no")])
def test_whatever_stops_it_while_files_change_the_release_before_is_put_back(
    bundled: Bundled, image: Image, monkeypatch: pytest.MonkeyPatch, harm: BaseException
) -> None:
    root = image()
    Setup(root).install(bundled())
    before = files(root)
    place, calls = System.place, []

    def fails_once(self: System, release: Path, providers: Iterable[str]) -> None:
        calls.append(release.name)
        if len(calls) == 1:
            (root / "usr/local/lib/systemd/system/gatevault.service").unlink()
            raise harm
        place(self, release, providers)

    monkeypatch.setattr(System, "place", fails_once)
    with pytest.raises(Refused, match=r"was not well.*is in place again"):
        Setup(root).install(bundled(version="1.1"))
    assert [name.partition("-")[0] for name in calls] == ["1.1", "1.0"]
    assert files(root) == before


# --- uninstall -----------------------------------------------------------------------------------


def test_uninstall_takes_the_program_and_leaves_the_state(
    bundled: Bundled, image: Image, capsys: pytest.CaptureFixture[str]
) -> None:
    root = image()
    own = root / "etc/udev/rules.d/61-gatevault-site.rules"
    own.parent.mkdir(parents=True)
    own.touch()
    before = {name for name in files(root) if not name.startswith(("etc", "var", "run"))}
    Setup(root).install(bundled())
    with_state_there = root / "var/lib/gatevault"
    (with_state_there / "ledger.db").write_bytes(b"x" * 2048)
    uninstall(Setup(root), destroy=False, confirmed=None)
    after = {name for name in files(root) if not name.startswith(("etc", "var", "run"))}
    assert {name for name in after - before if not (root / name).is_dir()} == set()
    assert own.exists(), "what a site wrote is the site's"
    assert (with_state_there / "ledger.db").exists()
    told = capsys.readouterr().out
    assert "It leaves /var/lib/gatevault" in told and "names, consents, cards, the ledger" in told
    assert "users gatevault and gatevault-vision" in told
    with pytest.raises(Refused, match="not installed"):
        uninstall(Setup(root), destroy=False, confirmed=None)


@pytest.mark.parametrize("given", [None, "gv-2", ""])
def test_the_vault_is_not_destroyed_without_its_name(bundled: Bundled, image: Image, given: str | None) -> None:
    root = image()
    Setup(root).install(bundled())
    with_state(root)
    before = files(root)
    with pytest.raises(Refused, match="not destroyed"):
        uninstall(Setup(root), destroy=True, confirmed=given)
    assert files(root) == before


# --- how well it is ------------------------------------------------------------------------------


def test_what_counts_as_well() -> None:
    status = {
        "health": "degraded",
        "gate": "x",
        "vision": {"state": "down"},
        "vault": {"state": "unlocked"},
        "ledger": {"state": "ok"},
        "clock": {"state": "ok"},
    }
    assert well(status) == {"vault", "ledger"}
    assert well({"error": "daemon-down"}) is None


class Dying(System):
    """A service manager whose daemon ends at each start; systemd starts it again every second."""

    def __init__(self) -> None:
        self.seconds = 0

    def active(self) -> bool:
        return False

    def restarts(self) -> int:
        return self.seconds


def test_a_daemon_that_ends_at_each_start_is_given_up_before_the_patience_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    system = Dying()

    def passes(seconds: float) -> None:
        system.seconds += round(seconds)

    monkeypatch.setattr("gatevault_setup.state.time.sleep", passes)
    health = Health(State(Machine(Path("/nowhere"))), system, frozenset())
    assert health.wait("gatevault", 90.0) == "the daemon ended 3 times and more"
    assert system.seconds == 3


def test_the_bundle_of_a_verified_manifest_is_taken(bundled: Bundled) -> None:
    bundle = bundled()
    (bundle / "setup/gatevault_setup/__pycache__").mkdir()
    (bundle / "setup/gatevault_setup/__pycache__/x.pyc").touch()
    verify(bundle, Manifest.read(bundle))
