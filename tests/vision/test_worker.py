"""The real process on a real Unix socket, and its link and loop on a socket pair."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from gatevault.core import wire
from gatevault.core.errors import ProtocolError, VisionDownError
from gatevault.core.models import DLIB, Detector, DetectorKind, Embedder, EmbedderKind, ModelSettings, model_name
from gatevault.core.settings import LookSettings
from gatevault.core.wire import (
    CameraOpen,
    FaceSeen,
    FrameEmpty,
    Hello,
    LookDone,
    LookEnd,
    Message,
    Purpose,
    Stop,
    Unfit,
)
from gatevault.vision import __main__ as main
from gatevault.vision import worker
from gatevault.vision.worker import HungUpError, Link, Loaded, VersionError, Worker, connect
from tests.vision.daemon import DEFAULT_MODELS, Daemon
from tests.vision.fakes import NONCE, FakeEngine

OTHER = "f" * 32


def test_a_look_from_hello_to_done_and_a_quiet_end(daemon: Daemon, picture: Path) -> None:
    ready = daemon.greet()
    assert ready.pid == daemon.process.pid
    assert (ready.version, ready.model, ready.dimension) == (wire.VERSION, model_name(ModelSettings()), 128)
    for _ in range(2):
        daemon.look(f"dir:{picture}")
        said = daemon.until(LookDone)
        assert [type(m) for m in said] == [CameraOpen, FaceSeen, LookDone]
        done = said[-1]
        assert isinstance(done, LookDone)
        assert (done.nonce, done.end, done.frames, done.stale) == (NONCE, LookEnd.END_OF_FILE, 1, 0)
        assert done.opened_ms > 0
    assert daemon.hang_up() == 0
    assert daemon.error() == ""


def test_stop_ends_a_look_and_the_next_one_works(daemon: Daemon, picture: Path) -> None:
    daemon.greet()
    daemon.look(f"dir:{picture}", Purpose.ACCESS, limit_ms=60_000)
    daemon.until(FaceSeen)
    daemon.send(Stop(OTHER))  # of an earlier look, come too late: not for this one
    daemon.until(FaceSeen)
    daemon.send(Stop(NONCE))
    assert daemon.done().end is LookEnd.STOPPED
    daemon.send(Stop(NONCE))  # too late as well
    daemon.look(f"dir:{picture}", nonce=OTHER)
    done = daemon.done()
    assert (done.nonce, done.end) == (OTHER, LookEnd.END_OF_FILE)


def test_a_second_look_ends_the_first(daemon: Daemon, picture: Path) -> None:
    daemon.greet()
    daemon.look(f"dir:{picture}", Purpose.ACCESS, limit_ms=60_000)
    daemon.until(FaceSeen)
    daemon.look(f"dir:{picture}", nonce=OTHER)
    first, second = daemon.done(), daemon.done()
    assert (first.nonce, first.end) == (NONCE, LookEnd.STOPPED)
    assert (second.nonce, second.end) == (OTHER, LookEnd.END_OF_FILE)


def test_repeated_pictures_are_told_and_the_limit_ends_them(daemon: Daemon, picture: Path) -> None:
    daemon.greet()
    daemon.look(f"dir:{picture}", Purpose.ACCESS, limit_ms=1_500)
    said = daemon.until(LookDone)
    faces = [m for m in said if isinstance(m, FaceSeen)]
    assert [m.distinct for m in faces] == [True] + [False] * (len(faces) - 1)
    done = said[-1]
    assert isinstance(done, LookDone)
    assert (done.end, done.frames) == (LookEnd.LIMIT, len(faces))


def test_a_broken_camera_ends_the_look_with_a_sentence_and_not_the_process(daemon: Daemon, picture: Path) -> None:
    daemon.greet(camera=f"dir:{picture}/none")
    daemon.look()
    done = daemon.done()
    assert done.end is LookEnd.CAMERA
    assert "cannot be read" in done.error
    daemon.look("nonsense")
    assert "names no camera" in daemon.done().error
    daemon.look(f"dir:{picture}")
    assert daemon.done().end is LookEnd.END_OF_FILE


def test_a_production_state_refuses_bench_cameras(daemon: Daemon, picture: Path) -> None:
    daemon.greet(bench=False, camera=f"dir:{picture}")
    for camera in (None, f"dir:{picture}", "v4l2:/dev/null"):
        daemon.look(camera)
        said = daemon.until(LookDone)
        assert len(said) == 1, "the camera was never open"
        done = said[0]
        assert isinstance(done, LookDone)
        assert (done.end, done.frames) == (LookEnd.CAMERA, 0)
        assert "bench" in done.error


def test_a_daemon_of_another_version_is_told_so(daemon: Daemon) -> None:
    daemon.accept(Hello(wire.VERSION + 1, True, "", LookSettings()))
    assert daemon.take() is None
    assert daemon.process.wait(60) == main.EXIT_VERSION
    assert re.fullmatch(r"gatevault vision: .*one release.*\n", daemon.error())


def test_the_hello_of_the_release_before_is_told_apart_from_nonsense() -> None:
    """It named no models: read far enough to see its version."""
    old = {"t": "hello", "version": 1, "bench": True, "camera": "", "look": msgspec.to_builtins(LookSettings())}
    body = msgspec.msgpack.encode(old)
    assert isinstance(serve_with(len(body).to_bytes(4, "big") + body), VersionError)


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x00\x00\x00\x00",
        b"\xff\xff\xff\xff",
        b"\x00\x00\x00\x02\xc1\xc1",
        b"GET / HTTP/1.1\r\n\r\n",
        bytes(wire.pack(LookDone(NONCE, LookEnd.LIMIT, 0, 0, 0))),
        bytes(wire.pack(Hello(wire.VERSION, True, "", LookSettings()))),
    ],
)
def test_garbage_closes_the_connection(garbage: bytes) -> None:
    error = serve_with(bytes(wire.pack(Hello(wire.VERSION, True, "", LookSettings()))) + garbage)
    assert isinstance(error, ProtocolError)


def test_garbage_in_the_middle_of_a_look_ends_the_process_in_one_line(daemon: Daemon, picture: Path) -> None:
    daemon.greet()
    daemon.look(f"dir:{picture}", Purpose.ACCESS, limit_ms=60_000)
    daemon.until(FaceSeen)
    daemon.raw(b"\x00\x00\x00\x02\xc1\xc1")
    while daemon.take() is not None:
        pass
    assert daemon.process.wait(60) == main.EXIT_PROTOCOL
    assert re.fullmatch(r"gatevault vision: .+\n", daemon.error())


def test_a_daemon_that_hangs_up_in_the_middle_of_a_look_ends_it(daemon: Daemon, picture: Path) -> None:
    daemon.greet()
    daemon.look(f"dir:{picture}", Purpose.ACCESS, limit_ms=60_000)
    daemon.until(FaceSeen)
    assert daemon.hang_up() == 0
    assert daemon.error() == ""


def test_killed_it_is_simply_gone(daemon: Daemon, picture: Path) -> None:
    daemon.greet()
    daemon.look(f"dir:{picture}", Purpose.ACCESS, limit_ms=60_000)
    daemon.until(FaceSeen)
    daemon.process.send_signal(signal.SIGKILL)
    while daemon.take() is not None:
        pass
    assert daemon.process.wait(60) == -signal.SIGKILL


def test_it_waits_for_the_daemons_socket(tmp_path: Path, folder: Path) -> None:
    ours = Daemon(tmp_path, folder, listen=False)
    try:
        with pytest.raises(subprocess.TimeoutExpired):
            ours.process.wait(0.5)
        ours.listen()
        assert ours.greet().pid == ours.process.pid
    finally:
        ours.close()


def test_no_daemon_is_told(tmp_path: Path) -> None:
    with pytest.raises(VisionDownError, match="gatevault run"):
        connect(str(tmp_path / "none.sock"), patience_s=0.0)
    with pytest.raises(VisionDownError, match="--socket"):
        connect("x" * 300)
    dead = tmp_path / "dead.sock"
    socket.socket(socket.AF_UNIX).bind(str(dead))
    with pytest.raises(VisionDownError):
        connect(str(dead), patience_s=0.0)


def unfit(daemon: Daemon, models: ModelSettings = DEFAULT_MODELS) -> str:
    """Why vision cannot look with these models, as it tells the daemon before it ends."""
    daemon.accept(Hello(wire.VERSION, True, "", LookSettings(), models))
    said = daemon.take()
    assert isinstance(said, Unfit)
    assert daemon.take() is None
    assert daemon.process.wait(60) == main.EXIT_MODEL
    assert daemon.error() == f"gatevault vision: {said.reason}\n"
    return said.reason


def test_a_model_that_is_not_there_or_another_is_told_and_ends_it(tmp_path: Path) -> None:
    for content, says in ((None, "cannot be read"), (b"another", "not the one that was chosen")):
        if content:
            (tmp_path / DLIB.file).write_bytes(content)
        daemon = Daemon(tmp_path, tmp_path)
        try:
            assert says in unfit(daemon)
        finally:
            daemon.close()
        (tmp_path / "vision.sock").unlink()


@pytest.mark.parametrize(
    "models",
    [
        ModelSettings(Detector(DetectorKind.YUNET, DLIB.file, DLIB.sha256)),
        ModelSettings(embedders=(Embedder(EmbedderKind.SFACE, DLIB.file, DLIB.sha256),)),
        ModelSettings(embedders=(Embedder(EmbedderKind.MOBILEFACENET, DLIB.file, DLIB.sha256),)),
        ModelSettings(embedders=(DLIB, Embedder(EmbedderKind.MOBILEFACENET, "none.onnx", "0" * 64))),
    ],
    ids=["dlib's as a detector", "dlib's as SFace", "dlib's as a MobileFaceNet", "the second is not there"],
)
def test_a_file_of_another_kind_is_refused_and_nothing_takes_its_place(
    daemon: Daemon, models: ModelSettings
) -> None:
    assert unfit(daemon, models)


def test_wrong_usage() -> None:
    command = [sys.executable, "-m", "gatevault.vision"]
    assert subprocess.run(command, capture_output=True, check=False, timeout=60).returncode == 2


def test_the_process_is_hardened(daemon: Daemon) -> None:
    daemon.greet()
    status = Path(f"/proc/{daemon.process.pid}/status").read_text()
    assert "NoNewPrivs:\t1" in status
    limits = Path(f"/proc/{daemon.process.pid}/limits").read_text()
    assert re.search(r"Max core file size\s+0\s+0", limits)
    # A process that may not be dumped belongs to root in /proc, whoever runs it.
    assert Path(f"/proc/{daemon.process.pid}/maps").stat().st_uid == 0
    if os.geteuid() != 0:
        with pytest.raises(PermissionError):
            Path(f"/proc/{daemon.process.pid}/mem").read_bytes()


# --- the link and the loop, in this process ------------------------------------------------------


def serve_with(data: bytes, hang_up: bool = True) -> Exception | None:
    """What a worker says to a daemon that sends `data` and hangs up."""
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs:
        ours.sendall(data)
        if hang_up:
            ours.shutdown(socket.SHUT_WR)
        try:
            Worker(Link(theirs), lambda models: Loaded(FakeEngine(), "5a" * 32, 128)).serve()
        except (HungUpError, ProtocolError) as error:
            return error
    return None


def test_a_daemon_that_says_nothing_and_leaves_is_no_fault() -> None:
    assert isinstance(serve_with(b""), HungUpError)


def test_half_a_message_is_a_fault() -> None:
    whole = bytes(wire.pack(Hello(wire.VERSION, True, "", LookSettings())))
    assert isinstance(serve_with(whole[:-3]), ProtocolError)
    assert isinstance(serve_with(whole + b"\x00\x00"), ProtocolError)


def test_the_first_word_is_hello() -> None:
    assert isinstance(serve_with(bytes(wire.pack(Stop(NONCE)))), ProtocolError)


def test_too_many_looks_at_once_are_a_fault(picture: Path) -> None:
    hello = bytes(wire.pack(Hello(wire.VERSION, True, f"dir:{picture}", LookSettings())))
    look = bytes(wire.pack(wire.Look(NONCE, Purpose.ACCESS, 0, 60_000)))
    assert isinstance(serve_with(hello + look * 50, hang_up=False), ProtocolError)
    stops = bytes(wire.pack(Stop(OTHER))) * 500
    assert isinstance(serve_with(hello + look + stops, hang_up=False), ProtocolError)


def test_messages_in_pieces_are_put_together(picture: Path) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs:
        link = Link(theirs)
        data = bytes(wire.pack(Stop(NONCE)) + wire.pack(Stop(OTHER)))
        for byte in data[:-1]:
            ours.sendall(bytes([byte]))
            got = link.poll()
            assert got in ([], [Stop(NONCE)])
        ours.sendall(data[-1:])
        assert link.take() == Stop(OTHER)


def test_what_was_sent_is_overwritten(monkeypatch: pytest.MonkeyPatch) -> None:
    packed: list[bytearray] = []
    pack = wire.pack

    def keeping(message: Message) -> bytearray:
        packed.append(pack(message))
        return packed[-1]

    monkeypatch.setattr(worker.wire, "pack", keeping)
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs:
        link = Link(theirs)
        link.send(FrameEmpty(NONCE, 1, wire.Hint.NO_FACE))
        assert ours.recv(4096)
        ours.close()
        with pytest.raises(HungUpError):
            link.send(Stop(NONCE))
    assert len(packed) == 2
    assert not any(any(frame) for frame in packed)


def test_a_daemon_that_reads_nothing_does_not_hold_the_camera_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "SEND_S", 1)
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs:
        link = Link(theirs)
        with pytest.raises(ProtocolError, match="took no message"):
            for _ in range(100_000):
                link.send(Stop(NONCE))
