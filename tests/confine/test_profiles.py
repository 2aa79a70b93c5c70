"""What vision and the daemon are left with; and that whatever cannot be given up is said."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from gatevault.confine import calls, landlock, process, profiles
from gatevault.confine.truth import Truth, truth_of
from gatevault.core import wire
from gatevault.core.confined import NOT_CONFINED, Confined
from gatevault.core.errors import SandboxError
from gatevault.core.settings import LookSettings
from gatevault.core.wire import Hello, Look, LookDone, LookEnd, Purpose, Ready, Unfit
from gatevault.vision.worker import HungUpError, Link, Loaded, Worker
from tests.confine.children import need_landlock, need_seccomp, tried
from tests.vision.fakes import NONCE, FakeEngine

WHOLE = Confined("landlock 7")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    need_landlock()
    need_seccomp()
    for name in ("models", "state", "run", "home"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("x")
    return tmp_path


_VISION = """
from gatevault.confine import profiles
from gatevault.confine.truth import truth_of
root = Path(sys.argv[1])
confined = profiles.confine_vision(root / "models", bench=sys.argv[2] == "bench")
assert confined.lacks == (), confined
assert truth_of().lacks() == (), truth_of()
attempt("models", lambda: (root / "models" / "file").read_text())
attempt("state", lambda: (root / "state" / "file").read_text())
attempt("passwords", lambda: Path("/etc/passwd").read_text())
attempt("write", lambda: (root / "models" / "new").write_text("y"))
attempt("home", lambda: (root / "home" / "new").write_text("y"))
attempt("program", lambda: os.execv("/bin/true", ["true"]))
attempt("core", lambda: Path("/proc/self/coredump_filter").write_text("0"))
import cv2, dlib, onnxruntime, numpy  # they load, confined
"""


def test_a_gates_vision_reads_its_models_and_writes_nothing(root: Path) -> None:
    told = tried(_VISION, root, "gate")
    assert told.pop("models") == "done"
    assert set(told.values()) == {"EACCES"}, told


def test_a_benchs_vision_reads_pictures_anywhere_and_writes_nothing(root: Path) -> None:
    told = tried(_VISION, root, "bench")
    assert {name for name, outcome in told.items() if outcome == "done"} == {"models", "state", "passwords"}


@pytest.mark.parametrize("starts_vision", [False, True])
def test_the_daemon_writes_its_state_and_opens_no_camera(root: Path, starts_vision: bool) -> None:
    told = tried(
        """
import subprocess
from gatevault.confine import profiles
root = Path(sys.argv[1])
confined = profiles.confine_daemon(root / "state", root / "run", starts_vision=sys.argv[2] == "True")
assert confined.lacks == (), confined
attempt("state", lambda: (root / "state" / "new").write_text("y"))
attempt("socket", lambda: socket.socket(socket.AF_UNIX).bind(str(root / "run" / "s")))
attempt("elsewhere", lambda: (root / "home" / "new").write_text("y"))
attempt("program", lambda: subprocess.run(["true"], check=True))
attempt("own program", lambda: subprocess.run([sys.executable, "-c", ""], check=True))
attempt("null", lambda: open("/dev/null", "r+b").close())
attempt("shared memory", lambda: Path("/dev/shm").iterdir().__next__())
""",
        root,
        starts_vision,
    )
    assert {name for name, outcome in told.items() if outcome != "done"} == {"elsewhere", "shared memory"}, told


# --- what cannot be given up is said -------------------------------------------------------------


@pytest.fixture
def tame(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is given up by this process; each part answers as where all is well."""
    monkeypatch.setattr(process, "harden", lambda: None)
    monkeypatch.setattr(process, "deny_write_execute", lambda: True)
    monkeypatch.setattr(calls, "give_up", lambda: None)
    monkeypatch.setattr(landlock, "restrict", lambda files: 7)
    monkeypatch.setattr(profiles, "_read_only", lambda: False)


def daemon() -> Confined:
    return profiles.confine_daemon(Path("/nowhere"), Path("/nowhere"), starts_vision=False)


@pytest.mark.usefixtures("tame")
def test_without_libseccomp_or_landlock_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    assert daemon() == WHOLE

    def missing() -> None:
        raise calls.CallsError("libseccomp is not there (apt install libseccomp2)")

    monkeypatch.setattr(calls, "give_up", missing)
    assert daemon().lacks == ("system calls are not filtered: libseccomp is not there (apt install libseccomp2)",)
    monkeypatch.setattr(landlock, "restrict", lambda files: 0)
    assert daemon().files == "nothing" and "no Landlock" in daemon().lacks[1]
    monkeypatch.setattr(profiles, "_read_only", lambda: True)
    assert daemon().files == "read-only mounts" and len(daemon().lacks) == 1
    monkeypatch.setattr(process, "deny_write_execute", lambda: False)
    assert len(daemon().lacks) == 1, "systemd refuses it in its own way"
    monkeypatch.setattr(profiles, "_read_only", lambda: False)
    assert "Linux 6.3" in daemon().lacks[0]


@pytest.mark.usefixtures("tame")
def test_rules_that_the_kernel_refuses_are_no_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(files: landlock.Files) -> int:
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr(landlock, "restrict", refuse)
    assert daemon().files == "nothing" and "Invalid argument" in daemon().lacks[0]


def test_a_library_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str) -> None:
        raise RuntimeError("Unable to find libseccomp")

    monkeypatch.setattr(calls.importlib, "import_module", fail)
    with pytest.raises(SandboxError, match="apt install libseccomp2"):
        calls.give_up()


def worker_says(bench: bool, confined: Confined, new_camera: bool | None = None) -> list[object]:
    """What a worker answers to Hello, and how it ended; `new_camera`: after a look whose camera does not open."""
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    said: list[object] = []

    def asked() -> bool:
        ours.shutdown(socket.SHUT_WR)
        return bool(new_camera)

    with ours, theirs:
        ours.sendall(wire.pack(Hello(wire.VERSION, bench, "v4l2:/dev/none", LookSettings())))
        if new_camera is None:
            ours.shutdown(socket.SHUT_WR)
        else:
            ours.sendall(wire.pack(Look(NONCE, Purpose.ENROL, 0, 100)))
        worker = Worker(Link(theirs), lambda hello: Loaded(FakeEngine(), "5a" * 32, 128), confined, asked)
        try:
            worker.serve()
        except (HungUpError, SandboxError) as error:
            ended: object = error
        theirs.shutdown(socket.SHUT_WR)
        buffer = wire.FrameBuffer()
        while count := ours.recv_into(buffer.space()):
            buffer.filled(count)
            said += [wire.unpack(wire.FROM_VISION, payload) for payload in buffer.frames()]
    return [*said, ended]


def test_a_gate_is_not_looked_at_without_a_sandbox() -> None:
    lacking = Confined("nothing", ("files are open",))
    unfit, error = worker_says(False, lacking)
    assert (
        isinstance(unfit, Unfit) and "files are open" in unfit.reason and "gatevault-vision.service" in unfit.reason
    )
    assert isinstance(error, SandboxError)
    for bench, confined in ((True, lacking), (False, WHOLE), (True, NOT_CONFINED)):
        ready, _ = worker_says(bench, confined)
        assert isinstance(ready, Ready) and ready.confined == confined


def test_a_camera_that_was_plugged_in_later_starts_vision_anew() -> None:
    _, done, error = worker_says(True, WHOLE, new_camera=True)
    assert isinstance(done, LookDone) and done.end is LookEnd.CAMERA and isinstance(error, SandboxError)
    _, done, error = worker_says(True, WHOLE, new_camera=False)
    assert isinstance(done, LookDone) and isinstance(error, HungUpError)


def test_the_kernels_word_on_this_process_and_on_none() -> None:
    truth = truth_of(os.getpid())
    assert truth == truth_of() and truth is not None
    assert truth_of(2**22 + 1) is None
    assert Truth(True, 1, 0).lacks() == ()
    assert len(Truth(False, 0, 1).lacks()) == 3
