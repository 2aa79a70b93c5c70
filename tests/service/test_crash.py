"""`kill -9` of the daemon at injected writes and syncs: afterwards all is before or after, never between.

What a process that dies leaves is in the kernel's hands; power cuts, which it cannot save, are played in
`tests/power`. docs/testing.md counts the kills, and has the last nightly run's.
"""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gatevault.core import control
from gatevault.core.errors import DaemonDownError
from tests.bench import QUICK, Bench, configure, eventually, running
from tests.operations import (
    CARD,
    ENTRIES,
    OPERATIONS,
    RECOVERY_KEY,
    TPM_OPERATIONS,
    WHOLE,
    Facts,
    Scene,
    enrolled,
    person,
    whole,
)
from tests.service.kills import (
    KILLED,
    SYSCALLS,
    changed,
    count_killed,
    dies_at_start,
    kill_at,
    measure,
    run_to_die,
    spread,
    started_under,
)
from tests.service.tracing import attached, calls, killing
from tests.softtpm import SoftTpm


@pytest.fixture
def scene(bench: Bench, tmp_path: Path) -> Iterator[Scene]:
    configure(bench.root, QUICK)
    scene = Scene(bench, tmp_path)
    scene.live()
    yield scene
    scene.dead()


@pytest.fixture
def tpm_scene(bench: Bench, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """A scene with a TPM beside it, which lives on when the daemon dies."""
    tpm = SoftTpm(tmp_path_factory.mktemp("t"))
    configure(bench.root, QUICK + f'\n[keys]\ntcti = "{tpm.tcti}"\n')
    scene = Scene(bench, tmp_path)
    scene.live()
    yield scene
    scene.dead()
    tpm.kill()


def killed_anywhere(scene: Scene, name: str, count: int) -> None:
    points, change = measure(scene, name)
    assert {"pwrite64", "fdatasync"} <= {call for call, _ in points}
    took_place = []
    for call, number in spread(points, count):
        took_place.append(kill_at(scene, name, (call, number), change))
        if scene.done[-1].endswith("nobody"):  # there were fewer such calls this time
            took_place.append(kill_at(scene, name, (call, -(-2 * number // 3)), change))
    assert True in took_place and False in took_place, "the kills all fell on one side"
    assert count_killed(scene) == count, scene.done


# 7 + 6 + 6 + 6 + 7 + 4 + 4: forty in `make test`.
@pytest.mark.timeout(170)
@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("enrol", 7),
        ("purge", 6),
        ("withdraw", 6),
        ("key-rotate", 6),
        ("key-move", 7),
        ("backup", 4),
        ("door-held", 4),
    ],
)
def test_killed_anywhere_an_operation_took_place_or_did_not(scene: Scene, name: str, count: int) -> None:
    killed_anywhere(scene, name, count)


# 5 + 3: eight more.
@pytest.mark.timeout(170)
@pytest.mark.parametrize(("name", "count"), [("key-move-tpm2", 5), ("key-move-from-tpm2", 3)])
def test_killed_anywhere_a_key_is_in_the_tpm_or_is_not(tpm_scene: Scene, name: str, count: int) -> None:
    killed_anywhere(tpm_scene, name, count)


def every_point(scene: Scene, name: str) -> None:
    points, change = measure(scene, name)
    for point in points:
        kill_at(scene, name, point, change)
    assert len(scene.done) == len(points)
    print(f"real kills: {name} {count_killed(scene)} of {len(points)} points")  # noqa: T201 - told by `-s`


@pytest.mark.nightly
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("name", [*WHOLE, *ENTRIES])
def test_killed_at_every_write_and_sync(scene: Scene, name: str) -> None:
    every_point(scene, name)


@pytest.mark.nightly
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("name", list(TPM_OPERATIONS))
def test_killed_at_every_write_and_sync_about_a_tpm(tpm_scene: Scene, name: str) -> None:
    """The daemon, or one of the tools by which it speaks to the TPM."""
    every_point(tpm_scene, name)


@pytest.mark.parametrize("name", ["enrol", "withdraw"])
def test_what_was_answered_survives_a_kill_at_once(scene: Scene, name: str) -> None:
    operation = OPERATIONS[name]
    operation.prepare(scene)
    before = scene.facts()
    scene.bench.ask(operation.command(scene))
    scene.bench.kill9()
    scene.dead()
    scene.live()
    scene.settled()
    kind = {"enrol": "enrolled", "withdraw": "consent-withdrawn"}[name]
    after = scene.facts()
    assert after[kind] == before[kind] + 1
    assert after["template"] == {"enrol": "active", "withdraw": "none"}[name]
    whole(scene, "killed after the answer")


# --- killed again while it finishes what a kill left ---------------------------------------------


def half_done(scene: Scene, name: str) -> tuple[Facts, Path]:
    """Kill the daemon once an operation is committed and not ended: what must come of it, and a copy of the state.

    The vault has forgotten the template, or has another epoch; the ledger does not know yet.
    """
    _, change = measure(scene, name)
    OPERATIONS[name].prepare(scene)
    before, command = OPERATIONS[name].facts(scene), OPERATIONS[name].command(scene)
    with attached(scene.bench.pid, killing("ftruncate", 2), scene.folder / "killed.txt"):
        with pytest.raises(DaemonDownError):
            scene.bench.ask(command)
        scene.bench.ended()
    scene.dead()
    assert scene.bench.todos() == 1
    kept = scene.folder / "half"
    shutil.copytree(scene.bench.root, kept, ignore=shutil.ignore_patterns("*.sock"))
    return changed(before, change), kept


def put_back(scene: Scene, kept: Path) -> None:
    shutil.rmtree(scene.bench.root)
    shutil.copytree(kept, scene.bench.root)


def ends_well(scene: Scene, expected: Facts) -> None:
    scene.live()
    scene.settled()
    assert scene.facts() == expected
    whole(scene, f"killed twice, {scene.done[-1:]}")
    scene.dead()


@pytest.mark.parametrize("again", [1, 3, 6])
def test_killed_again_while_it_finishes_what_a_kill_left(scene: Scene, again: int) -> None:
    expected, _ = half_done(scene, "withdraw")
    assert dies_at_start(scene, ("fdatasync", again))
    ends_well(scene, expected)


@pytest.mark.nightly
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("name", ["withdraw", "purge", "remove", "key-rotate"])
def test_killed_again_at_every_call_of_the_start_that_finishes(scene: Scene, name: str) -> None:
    expected, kept = half_done(scene, name)
    assert started_under(scene, "-e", f"trace={','.join(SYSCALLS)}") == 0
    counted = calls(scene.folder / "start.txt")
    points = [(call, n) for call, count in sorted(counted.items()) for n in range(1, count + 1)]
    died = 0
    for point in points:
        put_back(scene, kept)
        died += dies_at_start(scene, point)
        scene.done.append(f"{name} finished at {point}")
        ends_well(scene, expected)
    assert died > len(points) // 2
    print(f"real kills: {name} finished {died} of {len(points)} points")  # noqa: T201 - told by `-s`


# --- the file of a backup ------------------------------------------------------------------------


@pytest.mark.parametrize("point", [("fchmod", 1), ("fsync", 1), ("rename", 1), ("fsync", 2)])
def test_killed_as_the_command_writes_a_backup_its_file_is_whole_or_not_there(
    scene: Scene, point: tuple[str, int]
) -> None:
    """The command, and not the daemon. Its file appears by a rename; what is left of a shorter one says `.new`."""
    enrolled(scene)
    out = scene.folder / "out.gvb"
    arguments = ("backup", "make", str(out), "--to", RECOVERY_KEY)
    assert run_to_die(point, *arguments, "--state", str(scene.bench.root)) in KILLED
    assert out.exists() is (point == ("fsync", 2)), "a name before the content is durable, or none after it"
    whole_size = out.stat().st_size if out.exists() else 0
    out.unlink(missing_ok=True)
    made = scene.bench.cli(*arguments)
    assert made.returncode == 0, made.stderr
    assert whole_size in (0, out.stat().st_size)
    assert not out.with_name(out.name + ".new").exists()
    whole(scene, "the command was killed")


# --- the relay -----------------------------------------------------------------------------------


def test_killed_while_the_gate_is_open_the_guard_closes_it(scene: Scene) -> None:
    """Within 2 s (allowed to be 4 s on a loaded machine) another process than the dead one releases."""
    bench = scene.bench
    person(scene)
    guards = _children(bench.pid)
    bench.tap(CARD)
    opened = bench.edges("relay")[-1]
    assert (opened.value, opened.pid) == (1, bench.pid)
    killed = time.monotonic_ns()
    bench.kill9()
    released = eventually(lambda: [e for e in bench.edges("relay") if e.ns >= opened.ns and e.value == 0])[0]
    assert released.pid != opened.pid
    assert released.pid in guards
    assert released.ns - killed < 2 * 2_000_000_000
    eventually(lambda: not any(running(guard) for guard in guards))
    scene.dead()
    scene.live()
    assert bench.values("relay")[-1] == 0, "a restart does not open the gate"
    assert bench.status()["door"]["door"] == "locked"
    whole(scene, "killed while the gate was open")


def test_killed_while_an_admin_holds_the_door_the_guard_closes_it(scene: Scene) -> None:
    assert scene.bench.ask(control.DoorUnlock())["relay"] is True
    os.kill(scene.bench.pid, signal.SIGKILL)
    eventually(lambda: scene.bench.values("relay")[-1] == 0, 4.0)
    scene.dead()
    scene.live()
    assert scene.bench.status()["door"]["door"] == "locked"


def test_a_stop_releases_by_itself_and_needs_no_guard(scene: Scene) -> None:
    """SIGTERM during a pulse: released at once by the daemon, and no edge of another process."""
    bench = scene.bench
    person(scene)
    bench.tap(CARD)
    daemon = bench.pid
    assert bench.stop() == 0
    edges = bench.edges("relay")
    assert [e.value for e in edges][-2:] == [1, 0]
    assert {e.pid for e in edges} == {daemon}
    assert edges[-1].ns - edges[-2].ns < 2_500_000_000, "not the pulse's own end"
    assert "Traceback" not in bench.log()
    last = {role: bench.values(role)[-1:] for role in ("relay", "privacy_led", "granted_led", "buzzer")}
    assert all(value in ([], [0]) for value in last.values()), last


def _children(pid: int) -> set[int]:
    return {
        int(child)
        for task in Path(f"/proc/{pid}/task").iterdir()
        for child in (task / "children").read_text().split()
    }
