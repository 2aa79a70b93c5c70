"""Nightly: from the bundle to `doctor` in a clean Debian 12, offline, by two commands; and upgrades gone wrong."""

from __future__ import annotations

import json
import platform
import re
import shutil
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import bundle as builder
import pytest

from tests.packaging import variants
from tests.packaging.clean_root import CleanRoot

pytestmark = [
    pytest.mark.nightly,
    pytest.mark.skipif(platform.machine() != "x86_64", reason="the root is amd64"),
]

LIMIT_S = 300
"""Issue 6: install and doctor within five minutes of machine time."""


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of this commit for x86-64, Bookworm's Python alone."""
    work = tmp_path_factory.mktemp("work")
    return builder.make("x86_64", ["3.11"], work / "dist", work)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CleanRoot]:
    root = CleanRoot(tmp_path_factory.mktemp("clean"), "bookworm")
    yield root
    root.close()


@pytest.fixture(scope="module")
def installed(root: CleanRoot, archive: Path) -> CleanRoot:
    """Installed by the two commands, timed."""
    shutil.copy(archive, root.path / "root")
    top = archive.name.removesuffix(".tar.gz")
    began = time.monotonic()
    root.done(f"cd /root && tar xzf {archive.name}")
    told = root.done(f"cd /root && ./{top}/install")
    doctor = root.enter("gatevault doctor --json")
    took = time.monotonic() - began
    assert doctor.returncode == 1, "there is no gate yet, and it says so"
    assert {"check", "verdict", "text"} <= json.loads(doctor.stdout)["findings"][0].keys()
    assert "provision" in told
    sys.stderr.write(f"\nclean root: unpacked, installed and examined in {took:.1f} s\n")
    assert took < LIMIT_S
    return root


@pytest.fixture(scope="module")
def gate(installed: CleanRoot) -> CleanRoot:
    """A bench state of the gate's user, and its daemon as the stand-in of systemd starts it."""
    installed.boot()
    installed.done("gatevault init --bench --state /var/lib/gatevault")
    told = installed.done("gatevault-setup --start --patience 60")
    assert "runs" in told
    installed.done('until gatevault status --json | grep -q \'"health": "ok"\'; do sleep 0.5; done', limit_s=60)
    return installed


def test_on_trixie_with_its_python_it_installs_and_a_bench_runs(tmp_path: Path) -> None:
    made = builder.make("x86_64", ["3.13"], tmp_path / "dist", tmp_path)
    root = CleanRoot(tmp_path, "trixie")
    try:
        shutil.copy(made, root.path / "root")
        root.done(f"cd /root && tar xzf {made.name} && ./{made.name.removesuffix('.tar.gz')}/install")
        root.boot()
        root.done("gatevault init --bench --state /var/lib/gatevault && gatevault-setup --start --patience 60")
        root.done('until gatevault status --json | grep -q \'"health": "ok"\'; do sleep 0.5; done', limit_s=120)
    finally:
        root.close()


def test_nothing_of_the_network_or_of_debian_was_needed(installed: CleanRoot) -> None:
    assert installed.enter("ip link 2>/dev/null; cat /proc/net/dev").stdout.count(":") == 1, "the loopback alone"
    assert installed.enter("python3 -c 'import pip'").returncode != 0
    assert (
        installed.enter(
            "test -e /opt/gatevault/bin/python && /opt/gatevault/bin/python -c 'import gatevault'"
        ).returncode
        == 0
    )


def test_byte_code_is_there_since_no_unit_may_write_it(installed: CleanRoot) -> None:
    package = next((installed.path / "opt/gatevault/releases").glob("*/lib/python3.11/site-packages/gatevault"))
    made = {path.parent.parent / (path.name.partition(".")[0] + ".py") for path in package.rglob("*.pyc")}
    assert made == set(package.rglob("*.py"))


def test_each_user_may_run_it_and_only_root_may_change_it(installed: CleanRoot) -> None:
    for user in ("gatevault", "gatevault-vision"):
        script = (
            f"setpriv --reuid={user} --regid=gatevault --clear-groups /opt/gatevault/bin/python -m gatevault --help"
        )
        installed.done(script)
    assert installed.done("find /opt/gatevault ! -type l \\( ! -user root -o -perm /022 \\) | head") == ""


def test_a_face_network_is_exported_offline(gate: CleanRoot) -> None:
    assert (gate.path / "var/lib/gatevault/models/dlib-resnet-v1.onnx").stat().st_size > 20_000_000


def variant(root: CleanRoot, archive: Path, name: str, changes: dict[str, bytes], **manifest: object) -> str:
    """Another release: the bundle with changes in our wheel. Its folder inside the root."""
    made = variants.variant(root.path / "root" / archive.name.removesuffix(".tar.gz"), name, changes, **manifest)
    return f"/root/{made.name}"


def current(root: CleanRoot) -> str:
    return (root.path / "opt/gatevault/current").readlink().name


def pid(root: CleanRoot) -> str:
    return root.done("systemctl show --property=MainPID --value gatevault.service").strip()


def entries(root: CleanRoot) -> int:
    return int(json.loads(root.done("gatevault ledger verify --json"))["entries"])


def test_an_upgrade_keeps_the_state_and_goes_over(gate: CleanRoot, archive: Path) -> None:
    device = json.loads(gate.done("gatevault status --json"))["device"]
    before, count = current(gate), entries(gate)
    folder = variant(gate, archive, "0.2.0", {"gatevault/more.py": b""})
    told = gate.done(f"{folder}/install --patience 60")
    assert "the ledger verifies" in told and "the gate runs" in told
    assert current(gate).startswith("0.2.0-") and current(gate) != before
    assert json.loads(gate.done("gatevault status --json"))["device"] == device
    assert entries(gate) > count
    assert Path((gate.path / "opt/gatevault/previous").readlink()).name == before


def test_a_release_that_does_not_start_is_rolled_back(gate: CleanRoot, archive: Path) -> None:
    before, count, process = current(gate), entries(gate), pid(gate)
    sick = b"def run(root):\n    raise SystemExit(1)\n"
    folder = variant(gate, archive, "0.3.0", {"gatevault/service/daemon.py": sick})
    ended = gate.enter(f"{folder}/install --patience 5")
    assert ended.returncode == 1
    assert "was not well" in ended.stderr and "is in place again" in ended.stderr
    assert current(gate) == before and pid(gate) != process
    assert entries(gate) > count, "the ledger goes on where it was: nothing was put back"
    assert not list((gate.path / "opt/gatevault/releases").glob("0.3.0-*"))


def test_a_release_under_which_a_part_is_worse_is_rolled_back(gate: CleanRoot, archive: Path) -> None:
    before = current(gate)
    source = (Path(builder.ROOT) / "gatevault/service/status.py").read_text(encoding="utf-8")
    worse = re.sub(r'"ledger": _ledger\(gate\)', '"ledger": {"state": "fault"}', source)
    assert worse != source
    folder = variant(gate, archive, "0.3.1", {"gatevault/service/status.py": worse.encode()})
    ended = gate.enter(f"{folder}/install --patience 10")
    assert ended.returncode == 1 and "worse than before: ledger" in ended.stderr
    assert current(gate) == before


def test_a_release_that_cannot_even_be_run_changes_nothing(gate: CleanRoot, archive: Path) -> None:
    before, process = current(gate), pid(gate)
    folder = variant(gate, archive, "0.3.2", {"gatevault/cli/app.py": b"raise RuntimeError('no')\n"})
    ended = gate.enter(f"{folder}/install")
    assert ended.returncode == 1 and "does not run on this machine" in ended.stderr
    assert (current(gate), pid(gate)) == (before, process), "the daemon was not even restarted"


def test_a_release_of_an_older_format_is_refused(gate: CleanRoot, archive: Path) -> None:
    before, process = current(gate), pid(gate)
    folder = variant(gate, archive, "0.0.9", {}, state_formats=[1])
    ended = gate.enter(f"{folder}/install")
    assert ended.returncode == 1 and "step back" in ended.stderr
    assert (current(gate), pid(gate)) == (before, process)


def test_by_hand_it_goes_back_as_well(gate: CleanRoot) -> None:
    before, count = current(gate), entries(gate)
    gate.done("gatevault-setup --rollback --patience 60")
    assert current(gate) != before and entries(gate) > count


@pytest.mark.parametrize("running", [True, False], ids=["running", "stopped"])
def test_an_upgrade_over_a_broken_ledger_is_refused(gate: CleanRoot, archive: Path, running: bool) -> None:
    gate.done("systemctl stop gatevault.service")
    ledger = gate.path / "var/lib/gatevault/ledger.db"
    kept = ledger.read_bytes()
    with closing(sqlite3.connect(ledger)) as open_ledger, open_ledger:
        open_ledger.execute("UPDATE entries SET header = (SELECT header FROM entries WHERE i = 0) WHERE i = 1")
    if running:
        gate.done("systemctl start gatevault.service; until gatevault status --json; do sleep 0.2; done")
    before, process = current(gate), pid(gate)
    folder = variant(gate, archive, f"0.4.{int(running)}", {"gatevault/more.py": b""})
    ended = gate.enter(f"{folder}/install")
    assert ended.returncode == 1 and "does not verify" in ended.stderr
    assert (current(gate), pid(gate)) == (before, process)
    gate.done("systemctl stop gatevault.service")
    for end in ("-wal", "-shm"):
        ledger.with_name(ledger.name + end).unlink(missing_ok=True)
    ledger.write_bytes(kept)
    gate.done("systemctl start gatevault.service; until gatevault status --json; do sleep 0.2; done")
    assert json.loads(gate.done("gatevault ledger verify --json"))["ok"] is True


def test_uninstall_destroys_the_vault_and_says_what_stays(gate: CleanRoot) -> None:
    device = json.loads(gate.done("gatevault status --json"))["device"]
    assert "not destroyed" in gate.enter("gatevault-setup --uninstall --destroy-vault").stderr
    assert pid(gate) != "0", "asked without its name, the gate runs on"
    told = gate.done(f"gatevault-setup --uninstall --destroy-vault --confirm {device}")
    assert "does_not_prove" in told and "It leaves /var/lib/gatevault" in told
    statement = json.loads((gate.path / f"root/gatevault-destroyed-{device}.json").read_text())
    assert statement["destruction"]["key_provider"] == "file"
    state = gate.path / "var/lib/gatevault"
    assert not (state / "vault.db").exists() and not list((state / "keys").glob("vault.*"))
    assert (state / "ledger.db").exists()
    assert not (gate.path / "opt/gatevault").exists()
    left = gate.done("find /usr/local /etc/systemd -name '*gatevault*'").split()
    assert left == []
