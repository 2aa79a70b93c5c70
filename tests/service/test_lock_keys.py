"""A vault that stays locked: killed meanwhile, its key away or another, a file of another day put back."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from gatevault.core import control
from gatevault.core.errors import KeyAwayError, VaultLockedError
from gatevault.service.keykeeper import KeyKeeper
from tests.bench import Bench
from tests.service.inside import Inside, inside, now
from tests.service.peer import Peer, Script, shows
from tests.service.steps import certificates, is_locked, unlocked

Seeing = Callable[[Bench, Script], Peer]


@pytest.fixture
def one(quick: Bench, peer: Peer) -> str:
    """Resident One, person 1, with card 11."""
    return quick.enrolled("One", "11", None)


@pytest.fixture
def two(quick: Bench, peer: Peer, one: str) -> str:
    """Resident Two, person 2, with card 22."""
    peer.script = shows(2)
    who = quick.enrolled("Two", "22", None)
    peer.script = shows(1)
    return who


def test_killed_while_locked_what_is_owed_is_done_at_the_next_start(
    quick: Bench, peer: Peer, one: str, two: str, seeing: Seeing
) -> None:
    quick.ask(control.VaultLock())
    quick.ask(control.ConsentWithdraw(one))
    quick.ask(control.ResidentRemove(two))
    assert quick.todos() == 2
    quick.kill9()
    quick.start(vision=False)
    seeing(quick, shows(1))
    assert quick.todos() == 0
    (certificate,) = certificates(quick, one)
    assert certificate["keys_rotated"] is True
    assert (quick.count("consent-withdrawn"), quick.count("resident-removed")) == (1, 1)
    assert quick.ask(control.LedgerVerify())["ok"] is True
    assert quick.status()["health"] == "ok"
    assert quick.walk_up()["reason"] == "no-consent"


def test_killed_while_locked_and_without_its_key_it_stays_owed(
    quick: Bench, peer: Peer, one: str, seeing: Seeing
) -> None:
    quick.ask(control.VaultLock())
    quick.ask(control.ConsentWithdraw(one))
    quick.kill9()
    key = quick.vault_key.read_bytes()
    quick.vault_key.unlink()
    quick.start(vision=False)
    is_locked(quick, seeing(quick, shows(1)))
    assert quick.todos() == 1 and certificates(quick, one) == []
    assert quick.count("consent-withdrawn") == 1
    quick.vault_key.write_bytes(key)
    quick.vault_key.chmod(0o600)
    unlocked(quick, 0)
    assert quick.todos() == 0 and len(certificates(quick, one)) == 1


@contextmanager
def _away(path: Path) -> Iterator[None]:
    aside = path.with_name("aside")
    path.rename(aside)
    try:
        yield
    finally:
        aside.rename(path)


@contextmanager
def _other_key(bench: Bench) -> Iterator[None]:
    path = bench.vault_key
    text = path.read_bytes()
    path.write_bytes(text.split()[0] + b" " + os.urandom(32).hex().encode() + b"\n")
    try:
        yield
    finally:
        path.write_bytes(text)


@pytest.mark.parametrize(
    ("harm", "code", "words"),
    [
        (lambda bench: _away(bench.vault_key), "vault-locked", "is not there"),
        (_other_key, "wrong-key", "does not open with the vault key"),
        (lambda bench: _away(bench.paths.ring), "vault-locked", "keys/vault.ring is not there"),
    ],
    ids=["no key", "another key", "no ring"],
)
def test_an_unlock_that_fails_says_why_and_leaves_it_locked(
    quick: Bench, peer: Peer, one: str, harm: Callable[[Bench], Any], code: str, words: str
) -> None:
    quick.ask(control.VaultLock())
    with ExitStack() as harmed:
        harmed.enter_context(harm(quick))
        error = quick.refused(control.VaultUnlock())
        assert (error.code, words in str(error)) == (code, True), error
        is_locked(quick, peer)
        assert words in quick.status()["vault"]["reason"]
        assert quick.count("vault-unlocked") == 0
    unlocked(quick, 1)
    assert quick.walk_up()["resident"] == one


def test_a_key_that_was_only_silent_is_asked_for_again(quick: Bench, peer: Peer, one: str) -> None:
    assert quick.stop() == 0

    async def work(rooms: Inside) -> None:
        stores, keeper = rooms.stores, KeyKeeper(rooms.house, lambda: None)
        stores.need_open_vault().lock()
        for fault, opens in ((VaultLockedError("locked"), False), (KeyAwayError("a slow TPM"), True)):
            stores.faults["vault"] = fault
            await keeper.ask_again()
            assert stores.unlocked is opens
        keeper.shut("admin")
        await keeper.ask_again()
        assert not stores.unlocked, "whoever locked it meant it"

    inside(quick, now(), work)


@pytest.mark.parametrize("old", ["vault.db", "keys/vault.ring", "keys/vault.key"])
def test_one_old_file_put_back_opens_nothing(
    quick: Bench, peer: Peer, one: str, two: str, tmp_path: Path, seeing: Seeing, old: str
) -> None:
    """An earlier copy of the database, of the ring or of the key, beside today's others."""
    assert quick.stop() == 0
    copy = tmp_path / "copy"
    shutil.copy(quick.root / old, copy)
    quick.start(vision=False)
    again = seeing(quick, shows(1))
    quick.ask(control.Purge(two))
    assert quick.stop() == 0
    shutil.copy(copy, quick.root / old)
    quick.start(vision=False)
    again = seeing(quick, shows(2))
    is_locked(quick, again)
    reason = quick.status()["vault"]["reason"]
    assert "older copy" in reason or "does not open with the vault key" in reason
    assert quick.refused(control.VaultUnlock()).code == "wrong-key"
