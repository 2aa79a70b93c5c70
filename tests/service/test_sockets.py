"""Whoever may connect may also send nonsense: each gets a clear word or a closed door, nobody else notices."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gatevault.core import control, wire
from gatevault.core.settings import LookSettings
from gatevault.core.wire import Hello, Look, LookDone, LookEnd, Purpose, Ready, Stop
from gatevault.service.control import MAX_CLIENTS
from gatevault.service.sockets import connected_socket
from tests.bench import QUICK, Bench, configure, copied, eventually, gatevault
from tests.service.peer import CONFINED, MODEL, Peer, shows

NONCE = "0" * 32


@pytest.fixture(scope="module")
def shared(blank: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """A running bench with a made-up vision; One, with cards 11 to 40, is enrolled."""
    root = copied(blank, tmp_path_factory.mktemp("sockets") / "state")
    configure(root, QUICK)
    bench = Bench(root).start(vision=False)
    peer = Peer(root / "run", shows(1))
    bench.see()
    resident = bench.enrolled("One", "11", None)
    for card in range(12, 41):
        bench.ask(control.CardAdd(resident, str(card)))
    yield bench
    peer.close()
    bench.close()


@pytest.fixture
def card(request: pytest.FixtureRequest) -> str:
    """A card of One that no other test taps: five taps would withdraw."""
    _used.append(request.node.name)
    return str(11 + len(_used) % 29)


_used: list[str] = []


def lives(bench: Bench, card: str) -> None:
    """Daemon and vision are as before, and a card opens within a second (two on a loaded machine)."""
    began = time.monotonic()
    tapped = bench.tap(card)
    assert time.monotonic() - began < 2.0
    assert tapped["relay"] is True
    assert bench.process is not None and bench.process.poll() is None
    assert "Traceback" not in bench.log(), bench.log()


def talk(bench: Bench, name: str, data: bytes, *, close: bool = True) -> bytes:
    """Send bytes, optionally end our side, and take all that comes until the daemon hangs up."""
    with connected_socket(bench.root / "run" / name, 30) as client:
        answer = b""
        try:
            client.sendall(data)
            if close:
                client.shutdown(socket.SHUT_WR)
            while chunk := client.recv(65_536):
                answer += chunk
        except (BrokenPipeError, ConnectionResetError):
            pass
        return answer


def failure(answer: bytes) -> control.Failure:
    (size,) = (int.from_bytes(answer[:4], "big"),)
    assert len(answer) == 4 + size
    reply = wire.unpack(control.REPLIES, memoryview(answer)[4:])
    assert isinstance(reply, control.Failure)
    assert "\n" not in reply.text
    return reply


WHOLE = bytes(wire.pack(control.Tap("11")))
BAD = {
    "nothing": b"",
    "zeros": bytes(100),
    "random": os.urandom(4_096),
    "http": b"GET / HTTP/1.1\r\nHost: gate\r\n\r\n",
    "half a length": WHOLE[:2],
    "half a message": WHOLE[:-3],
    "an empty frame": bytes(4),
    "a huge length": b"\xff\xff\xff\xff" + bytes(64),
    "a length just too long": (wire.MAX_FRAME + 1).to_bytes(4, "big") + bytes(64),
    "messagepack of no message": b"\x00\x00\x00\x02\xc1\xc1",
    "deep nesting": (5_000).to_bytes(4, "big") + b"\x91" * 5_000,
    "a look": bytes(wire.pack(Look(NONCE, Purpose.ACCESS, 0, 3_000))),
    "a hello": bytes(wire.pack(Hello(wire.VERSION, True, "", LookSettings()))),
    "a stop": bytes(wire.pack(Stop(NONCE))),
    "an answer": bytes(wire.pack(control.Answer({"decision": "grant"}))),
    "a decision of vision": bytes(wire.pack(LookDone(NONCE, LookEnd.LIMIT, 1, 0, 1))),
}


@pytest.mark.parametrize("name", BAD)
def test_nonsense_on_the_control_socket_gets_a_word_and_a_closed_door(shared: Bench, card: str, name: str) -> None:
    relay = len(shared.edges("relay"))
    assert failure(talk(shared, "control.sock", BAD[name])).code == "protocol"
    assert len(shared.edges("relay")) == relay
    lives(shared, card)


@pytest.mark.parametrize("name", [name for name in BAD if name != "nothing"])
def test_nonsense_on_visions_socket_closes_it(shared: Bench, card: str, name: str) -> None:
    talk(shared, "vision.sock", BAD[name])
    lives(shared, card)
    eventually(lambda: shared.walk_up()["reason"] == "matched")


def test_a_second_command_on_one_connection_is_not_carried_out(shared: Bench, card: str) -> None:
    opened = shared.values("relay").count(1)
    entries = shared.status()["ledger"]["entries"]
    talk(shared, "control.sock", bytes(wire.pack(control.Status())) + bytes(wire.pack(control.Tap("11"))))
    assert shared.values("relay").count(1) == opened
    assert shared.status()["ledger"]["entries"] == entries
    lives(shared, card)


def test_every_field_of_a_command_is_checked(shared: Bench, card: str) -> None:
    def said(**fields: object) -> bytes:
        import msgspec

        body = msgspec.msgpack.encode(fields)
        return len(body).to_bytes(4, "big") + body

    for fields in (
        {"t": "tap"},
        {"t": "tap", "number": 11},
        {"t": "tap", "number": "1" * 129},
        {"t": "tap", "number": "11", "force": True},
        {"t": "purge", "resident": "r-1"},
        {"t": "purge", "resident": "*"},
        {"t": "resident-add", "name": ""},
        {"t": "resident-add", "name": "x" * 121},
        {"t": "resident-add", "name": "x", "born": "2026-13"},
        {"t": "ledger-export", "start": -1},
        {"t": "ledger-export", "start": 2**64 - 1},
        {"t": "sudo"},
        {},
    ):
        assert failure(talk(shared, "control.sock", said(**fields))).code == "protocol", fields
    shared.refused(control.ResidentShow("r-0000000000000000"))
    lives(shared, card)


def test_half_a_message_and_silence_is_ended_after_ten_seconds(shared: Bench, card: str) -> None:
    """Many at once, and the gate goes on meanwhile."""
    clients = [connected_socket(shared.root / "run" / "control.sock", 30) for _ in range(MAX_CLIENTS - 4)]
    try:
        for client in clients:
            client.sendall(WHOLE[:7])
        lives(shared, card)
        for client in clients:
            answer = b""
            while chunk := client.recv(4_096):
                answer += chunk
            assert "ten seconds" in failure(answer).text
    finally:
        for client in clients:
            client.close()
    lives(shared, card)


def test_a_hundred_connections_are_bounded_and_end(shared: Bench, card: str) -> None:
    clients = [connected_socket(shared.root / "run" / "control.sock", 30) for _ in range(100)]
    refused = 0
    for client in clients:
        client.setblocking(False)

    def refusals() -> bool:
        nonlocal refused
        for client in clients:
            with contextlib.suppress(BlockingIOError):
                refused += b"Too many commands" in client.recv(4_096)
        return refused >= 100 - MAX_CLIENTS

    eventually(refusals)
    for client in clients:
        client.close()
    eventually(lambda: shared.up())
    lives(shared, card)
    assert shared.status()["health"] == "ok"


def test_a_hundred_connections_to_vision_leave_the_real_one_in_place(shared: Bench, card: str) -> None:
    clients = [connected_socket(shared.root / "run" / "vision.sock", 30) for _ in range(100)]
    assert shared.walk_up()["reason"] == "matched"
    for client in clients:
        client.close()
    assert shared.walk_up()["reason"] == "matched"
    lives(shared, card)


def test_a_client_that_does_not_read_its_answer_harms_nobody(shared: Bench, card: str) -> None:
    clients = []
    for _ in range(5):
        client = connected_socket(shared.root / "run" / "control.sock", 30)
        client.sendall(wire.pack(control.LedgerExport()))
        clients.append(client)
    lives(shared, card)
    for client in clients:
        client.close()
    lives(shared, card)


def test_a_client_that_leaves_before_its_answer_has_its_command_carried_out(shared: Bench, card: str) -> None:
    entries = shared.count("resident-added")
    with connected_socket(shared.root / "run" / "control.sock", 30) as client:
        client.sendall(wire.pack(control.ResidentAdd("Gone already")))
    eventually(lambda: shared.count("resident-added") == entries + 1)
    lives(shared, card)


def test_the_sockets_are_closed_to_others(shared: Bench) -> None:
    for name in ("control.sock", "vision.sock"):
        assert stat.S_IMODE((shared.root / "run" / name).stat().st_mode) & 0o007 == 0
    assert stat.S_IMODE((shared.root / "run").stat().st_mode) & 0o007 == 0


Dropping = Callable[[Path, Callable[[], bytes]], bytes]


def test_another_user_may_not_command(shared: Bench, drop: Dropping) -> None:
    """Even where the file's mode let them in: the kernel says who they are."""
    path = shared.root / "run"
    modes = {name: stat.S_IMODE((path / name).stat().st_mode) for name in (".", "control.sock", "vision.sock")}
    try:
        for name in modes:
            (path / name).chmod(0o777)

        def intrude(name: str, message: bytes) -> Callable[[], bytes]:
            def work() -> bytes:
                with socket.socket(socket.AF_UNIX) as client:
                    client.settimeout(10)
                    client.connect(name)
                    try:
                        client.sendall(message)
                        return client.recv(4_096)
                    except (ConnectionResetError, BrokenPipeError):
                        return b""

            return work

        answer = drop(path, intrude("control.sock", bytes(wire.pack(control.Tap("11")))))
        assert failure(answer).code == "not-allowed"
        ready = bytes(wire.pack(Ready(wire.VERSION, os.getpid(), MODEL, 128, CONFINED)))
        assert drop(path, intrude("vision.sock", ready)) == b"", "not even a Hello"
        assert shared.walk_up()["reason"] == "matched", "vision was not replaced"
    finally:
        for name, mode in modes.items():
            (path / name).chmod(mode)


@pytest.fixture
def drop() -> Dropping:
    """Run something in a folder as the user nobody, in a child, and give its answer."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")

    def run(folder: Path, work: Callable[[], bytes]) -> bytes:
        ours, theirs = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.chdir(folder)
                os.setgroups([])
                os.setgid(65_534)
                os.setuid(65_534)
                os.write(theirs, work())
            finally:
                os._exit(0)
        os.close(theirs)
        os.waitpid(child, 0)
        answer = os.read(ours, 65_536)
        os.close(ours)
        return answer

    return run


def test_no_daemon_and_a_stale_socket_are_told_plainly(bench: Bench) -> None:
    for _ in range(2):
        told = bench.cli("status")
        assert told.returncode == 1
        assert "No daemon runs" in told.stderr and told.stderr.count("\n") == 1
        bench.start(vision=False)
        bench.kill9()
    assert gatevault("status", "--state", bench.root / "none").returncode == 1
