"""`gatevault key show|rotate|move` and a vault whose key is a passphrase, as an admin types them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from nacl import pwhash

from gatevault.core import control
from tests.bench import QUICK, Bench, configure, eventually, gatevault
from tests.service.peer import Peer, Script, shows

Seeing = Callable[[Bench, Script], Peer]

PASSPHRASE = "vier Wörter, gewürfelt: 鹤立鸡群"
WRONG = "four other words, drawn by dice"


@pytest.fixture
def one(quick: Bench, peer: Peer) -> str:
    """Resident One, person 1, with card 11."""
    return quick.enrolled("One", "11", None)


def typed(bench: Bench, text: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command that reads a passphrase from standard input."""
    return gatevault(*arguments, "--passphrase-stdin", "--state", bench.root, "--json", input=text + "\n")


def told(ended: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert ended.returncode == 0, ended.stderr
    body: dict[str, Any] = json.loads(ended.stdout)
    return body


def key_files(bench: Bench) -> set[str]:
    return {path.name for path in bench.paths.keys.iterdir()}


def restarted(bench: Bench, seeing: Seeing) -> Peer:
    assert bench.stop() == 0
    bench.start(vision=False)
    return seeing(bench, shows(1))


def is_locked(bench: Bench, peer: Peer) -> None:
    looks = len(peer.looks)
    assert bench.walk_up()["reason"] == "vault-locked"
    assert len(peer.looks) == looks
    assert bench.tap("11")["relay"] is True
    assert bench.status()["vault"]["state"] == "locked"


def boxes(bench: Bench) -> list[tuple[Any, ...]]:
    return bench.rows("vault.db", "SELECT wrapped, sealed FROM templates JOIN keys USING (record)")


# --- show and rotate -----------------------------------------------------------------------------


def test_show_tells_where_the_key_is_and_not_the_key(quick: Bench, peer: Peer, one: str) -> None:
    shown = quick.json("key", "show")
    assert (shown["provider"], shown["vault"], shown["rolls"]) == ("file", "unlocked", True)
    assert (shown["image_of_medium_opens"], shown["epoch"]) == (True, 1)
    assert shown["where"] == str(quick.vault_key)
    assert shown["thief"]
    secret = quick.vault_key.read_text().split()[1]
    plain = quick.cli("key", "show")
    assert plain.returncode == 0
    for text in (plain.stdout, plain.stderr, json.dumps(shown)):
        assert secret not in text and secret[:16] not in text


def test_rotate_wraps_every_record_anew_and_faces_go_on(quick: Bench, peer: Peer, one: str, seeing: Seeing) -> None:
    ((wrapped, sealed),), key, ring = boxes(quick), quick.vault_key.read_bytes(), quick.paths.ring.read_bytes()
    assert quick.json("key", "rotate") == {"provider": "file", "epoch": 2}
    ((wrapped_now, sealed_now),) = boxes(quick)
    assert wrapped_now != wrapped and sealed_now == sealed
    assert quick.vault_key.read_bytes() != key and quick.paths.ring.read_bytes() != ring
    assert quick.walk_up()["resident"] == one
    assert quick.count("keys-rotated") == 1
    assert quick.todos() == 0
    restarted(quick, seeing)
    assert quick.walk_up()["resident"] == one
    assert quick.json("key", "show")["epoch"] == 2
    held = b"".join(path.read_bytes() for path in quick.root.rglob("*") if path.is_file())
    assert sealed[:64] in held and wrapped not in held, "what the old key opens is in no file"


# --- move ----------------------------------------------------------------------------------------


def test_from_a_file_to_a_passphrase_and_back(quick: Bench, peer: Peer, one: str, seeing: Seeing) -> None:
    moved = told(typed(quick, PASSPHRASE, "key", "move", "--to", "passphrase"))
    assert moved == {"provider": "passphrase", "epoch": 2}
    assert key_files(quick) == {"house.key", "vault.ring", "vault.passphrase"}
    assert quick.walk_up()["resident"] == one, "what is in RAM stays"
    shown = quick.json("key", "show")
    assert (shown["provider"], shown["rolls"], shown["vault"]) == ("passphrase", False, "unlocked")

    again = restarted(quick, seeing)
    is_locked(quick, again)
    assert "waits for its passphrase" in quick.status()["vault"]["reason"]
    wrong = typed(quick, WRONG, "vault", "unlock")
    assert (wrong.returncode, json.loads(wrong.stdout)["error"]) == (1, "wrong-key")
    is_locked(quick, again)
    assert told(typed(quick, PASSPHRASE, "vault", "unlock")) == {"vault": "unlocked", "finished": 0}
    eventually(lambda: quick.status()["vault"]["templates"] == 1)
    assert quick.walk_up()["resident"] == one

    assert quick.json("key", "move", "--to", "file") == {"provider": "file", "epoch": 3}
    assert key_files(quick) == {"house.key", "vault.ring", "vault.key"}
    restarted(quick, seeing)
    assert quick.walk_up()["resident"] == one, "a key in a file opens by itself"
    moves = [entry["payload"]["provider"] for entry in quick.entries() if entry["type"] == "keys-moved"]
    assert moves == ["passphrase", "file"]
    assert quick.todos() == 0 and quick.ask(control.LedgerVerify())["ok"] is True


def test_a_state_made_with_a_passphrase(tmp_path: Path, seeing: Seeing) -> None:
    root = tmp_path / "state"
    init = ("init", "--bench", "--keys", "passphrase", "--state", root, "--json", "--passphrase-stdin")
    weak = gatevault(*init, input="1234\n")
    assert (weak.returncode, json.loads(weak.stdout)["error"]) == (1, "not-allowed")
    assert not root.exists(), "nothing half-made is left"
    told(gatevault(*init, input=PASSPHRASE + "\n"))
    configure(root, QUICK)
    bench = Bench(root)
    try:
        bench.start(vision=False)
        who = bench.add("One", "11")
        is_locked(bench, seeing(bench, shows(1)))
        bench.ask(bench.consent(who, "11"))
        told(typed(bench, PASSPHRASE, "vault", "unlock"))
        bench.ask(control.Enrol(who))
        assert bench.walk_up()["resident"] == who
    finally:
        bench.close()


def test_the_passphrase_and_its_key_are_nowhere(quick: Bench, peer: Peer, one: str, seeing: Seeing) -> None:
    told(typed(quick, PASSPHRASE, "key", "move", "--to", "passphrase"))
    restarted(quick, seeing)
    typed(quick, WRONG, "vault", "unlock")
    told(typed(quick, PASSPHRASE, "vault", "unlock"))
    kept = msgspec.json.decode((quick.paths.keys / "vault.passphrase").read_bytes())
    salt = msgspec.convert(kept["salt"], bytes)
    secret = pwhash.argon2id.kdf(32, PASSPHRASE.encode(), salt, kept["ops"], kept["memory"])
    needles = [PASSPHRASE.encode(), WRONG.encode(), secret, secret.hex().encode(), "Wörter".encode()]
    process = Path(f"/proc/{quick.pid}")
    places = {name: (process / name).read_bytes() for name in ("cmdline", "environ")}
    places["entries"] = json.dumps(quick.entries(), ensure_ascii=False).encode()
    places["log"] = quick.log().encode()
    places |= {str(path): path.read_bytes() for path in quick.root.rglob("*") if path.is_file()}
    assert not [(name, needle) for name, text in places.items() for needle in needles if needle in text]


# --- what is refused changes nothing -------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "arguments", "status", "code"),
    [
        ("short", ("key", "move", "--to", "passphrase"), 1, "not-allowed"),
        ("aaaaaaaaaaaaaaaaaaaa", ("key", "move", "--to", "passphrase"), 1, "not-allowed"),
        ("with a \x07 bell in the words", ("key", "move", "--to", "passphrase"), 2, "usage"),
        ("", ("key", "move", "--to", "passphrase"), 2, "usage"),
        (PASSPHRASE, ("key", "move", "--to", "file"), 2, "usage"),
        (PASSPHRASE, ("vault", "unlock"), 1, "conflict"),
    ],
    ids=["short", "one letter", "a control character", "nothing", "where it is", "unlock"],
)
def test_a_refused_command_changes_nothing(
    quick: Bench, peer: Peer, one: str, text: str, arguments: tuple[str, ...], status: int, code: str
) -> None:
    before = key_files(quick), quick.vault_key.read_bytes(), quick.paths.ring.read_bytes(), boxes(quick)
    ended = typed(quick, text, *arguments)
    assert (ended.returncode, json.loads(ended.stdout)["error"]) == (status, code), ended.stderr
    assert "Traceback" not in ended.stderr
    assert (key_files(quick), quick.vault_key.read_bytes(), quick.paths.ring.read_bytes(), boxes(quick)) == before
    assert quick.todos() == 0
    assert quick.walk_up()["resident"] == one


def test_without_a_terminal_a_passphrase_is_not_asked_for(quick: Bench, peer: Peer, one: str) -> None:
    ended = gatevault("key", "move", "--to", "passphrase", "--state", quick.root, stdin=subprocess.DEVNULL)
    assert ended.returncode == 2
    assert "--passphrase-stdin" in ended.stderr
    assert quick.json("key", "show")["provider"] == "file"


def test_a_provider_that_holds_something_is_not_overwritten(quick: Bench, peer: Peer, one: str) -> None:
    """A salt that somebody left, of a passphrase that may seal something elsewhere."""
    left = quick.paths.keys / "vault.passphrase"
    left.write_bytes(b"of another day")
    ended = typed(quick, PASSPHRASE, "key", "move", "--to", "passphrase")
    assert (ended.returncode, json.loads(ended.stdout)["error"]) == (1, "state")
    assert left.read_bytes() == b"of another day"
    assert quick.json("key", "show")["provider"] == "file"
    assert quick.todos() == 0
    assert quick.json("key", "rotate")["epoch"] == 2
    assert left.read_bytes() == b"of another day"


# --- what cannot be ended at once ----------------------------------------------------------------


def test_a_secret_that_cannot_go_holds_up_no_card_and_goes_later(
    quick: Bench, peer: Peer, one: str, seeing: Seeing
) -> None:
    """The provider before cannot forget its secret now, as a TPM that is away or a file of root's cannot."""
    quick.vault_key.unlink()
    quick.vault_key.mkdir()
    moved = told(typed(quick, PASSPHRASE, "key", "move", "--to", "passphrase"))
    assert moved["provider"] == "passphrase" and "could not forget" in moved["left"]
    assert quick.todos() == 1
    again = restarted(quick, seeing)
    is_locked(quick, again)
    two = quick.add("Two", "22")
    assert quick.tap("22")["resident"] == two, "administration goes on"
    assert told(typed(quick, PASSPHRASE, "vault", "unlock"))["vault"] == "unlocked"
    eventually(lambda: quick.status()["vault"]["templates"] == 1)
    assert quick.walk_up()["resident"] == one
    assert quick.todos() == 1
    quick.vault_key.rmdir()
    quick.ask(control.VaultLock())
    told(typed(quick, PASSPHRASE, "vault", "unlock"))
    assert quick.todos() == 0
    assert quick.count("keys-moved") == 1, "entered once"


def test_a_key_file_that_cannot_be_replaced_leaves_the_purge_owed(
    quick: Bench, peer: Peer, one: str, seeing: Seeing
) -> None:
    """The row is gone and the epoch another; that the old secret goes as well is tried until it does."""
    peer.script = shows(2)
    two = quick.enrolled("Two", "22", None)
    peer.script = shows(1)
    obstacle = quick.paths.keys / "vault.key.new"
    obstacle.mkdir()
    assert quick.refused(control.Purge(two)).code in ("store", "disk-full")
    assert quick.rows("vault.db", "SELECT count(*) FROM templates") == [(1,)]
    assert quick.walk_up()["resident"] == one
    assert quick.todos() == 1
    obstacle.rmdir()
    epoch = quick.ask(control.KeyShow())["epoch"]
    assert quick.json("key", "rotate")["epoch"] == epoch + 1, "without a restart"
    quick.ask(control.VaultLock())
    assert quick.ask(control.VaultUnlock())["finished"] == 1
    assert quick.todos() == 0
    (signed,) = quick.ask(control.ResidentExport(two))["certificates"]
    assert signed["certificate"]["keys_rotated"] is True
    restarted(quick, seeing)
    assert quick.walk_up()["resident"] == one
