"""One machine for all scenarios, made, installed and provisioned once; and the page that tells how they went."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.vm.gate import BUTTON, CONFIG, Gate, device_of
from tests.vm.image import Image, install, make_bundle
from tests.vm.machine import Machine
from tests.vm.report import Report
from tests.vm.root import Root, missing
from tests.vm.wizard import provision, write_answers

HERE = Path(__file__).parent
ORDER = ("test_provision", "test_units", "test_readers", "test_camera", "test_upgrade", "test_power")

report = Report()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The power is cut last."""
    ours = [item for item in items if HERE in item.path.parents]
    ours.sort(key=lambda item: ORDER.index(item.path.stem))
    places = [index for index, item in enumerate(items) if HERE in item.path.parents]
    for place, item in zip(places, ours, strict=True):
        items[place] = item


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    outcome = yield
    if HERE in item.path.parents:
        report.add(item, outcome.get_result())  # type: ignore[attr-defined]


def pytest_sessionfinish() -> None:
    page = os.environ.get("GATEVAULT_VM_PAGE")
    if page and report.ran:
        report.write(Path(page))


@pytest.fixture
def note(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """What a scenario tells the page beside its outcome."""
    return lambda text: report.note(request.node.nodeid, text)


@pytest.fixture(scope="session")
def machine() -> Iterator[Machine]:
    """A machine with GateVault installed, switched on."""
    if lacking := missing():
        pytest.skip(f"needs {', '.join(lacking)}")
    root = Root()
    with report.timed("Debian's root, kernel and chip (kept afterwards)"):
        root.build()
    work = Path(tempfile.mkdtemp(prefix="gatevault-vm-"))
    logs = Path(os.environ.get("GATEVAULT_VM_LOGS") or work / "logs")
    logs.mkdir(parents=True, exist_ok=True)
    made = os.environ.get("GATEVAULT_VM_DISK")  # one made before, to try a scenario again quickly
    if made:
        disk = work / "disk.img"
        shutil.copy(made, disk)
    else:
        with report.timed("`make bundle`"):
            bundle = make_bundle()
        image = Image(root, work)
        with report.timed("`./install --root`"):
            report.installer = install(image, bundle, work)
        with report.timed("the disk"):
            disk = image.make()
    computer = Machine(root.kernel, root.initrd, disk, logs)
    try:
        with report.timed("first boot"):
            computer.boot()
        report.versions(computer)
        yield computer
        computer.shut_down()
    finally:
        computer.close()
        shutil.rmtree(work, ignore_errors=True)


@pytest.fixture(scope="session")
def gate(machine: Machine) -> Gate:
    """A gate that the wizard made, its key in the TPM, one resident with a card, started."""
    gate = Gate(machine)
    gate.pull(BUTTON, "up")
    write_answers(gate)
    with report.timed("`gatevault provision`: parts tested, the state made, its key in the TPM"):
        gate.wizard.append(provision(gate))
    machine.sh(f"cat >> /var/lib/gatevault/config.toml <<'E'\n{CONFIG}\nE")
    gate.started = gate.now()
    with report.timed("`gatevault-setup --start`, until the gate is well"):
        machine.sh("gatevault-setup --start --patience 600", 700)
    assert gate.command("status")["site"]["faces"] == "off", "until both are recorded"
    with report.timed("`gatevault provision` again: records and sheet"):
        gate.wizard.append(provision(gate))
    gate.resident = device_of(str(gate.command("resident", "add", "Grace")))
    gate.command("card", "add", gate.resident, str(gate.card))
    return gate
