"""What every provider of the vault's secret does: one suite. A new provider is one more line in KINDS."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from nacl.pwhash import argon2id

from gatevault.core.errors import StateError, VaultLockedError
from gatevault.core.passphrase import typed
from gatevault.vault.keys import KEY_BYTES
from gatevault.vault.providers import NAMES, build_provider
from gatevault.vault.providers.credential import CREDENTIAL, CredentialKeyProvider
from gatevault.vault.providers.file import FileKeyProvider
from gatevault.vault.providers.passphrase import PassphraseKeyProvider
from gatevault.vault.providers.port import KeyProvider
from gatevault.vault.providers.tpm2 import Tpm2KeyProvider
from tests.core.samples import shows
from tests.softtpm import SoftTpm

PASSPHRASE = "correct horse battery staple"
Kind = Callable[[Path, str], KeyProvider]


def _passphrase(place: Path, tcti: str) -> KeyProvider:
    provider = PassphraseKeyProvider(
        place / "vault.passphrase", ops=argon2id.OPSLIMIT_INTERACTIVE, memory=argon2id.MEMLIMIT_INTERACTIVE
    )
    provider.offer(typed(PASSPHRASE))
    return provider


def _credential(place: Path, tcti: str) -> KeyProvider:
    """As the daemon has it: delivered by systemd, before and after the state was made."""
    delivered = place.parent / f"{place.name}-credentials"
    if not delivered.exists():
        delivered.mkdir()
        (delivered / CREDENTIAL).write_bytes(os.urandom(KEY_BYTES))
    return CredentialKeyProvider(place / "vault.credential", delivered, place / "credstore")


KINDS: dict[str, Kind] = {
    "file": lambda place, tcti: FileKeyProvider(place / "vault.key"),
    "passphrase": _passphrase,
    "systemd-credential": _credential,
    "tpm2": lambda place, tcti: Tpm2KeyProvider(place / "vault.tpm2", tcti=tcti),
    "tpm2 plain": lambda place, tcti: Tpm2KeyProvider(place / "vault.tpm2", tcti=tcti, index=False),
    "tpm2 with PCRs": lambda place, tcti: Tpm2KeyProvider(place / "vault.tpm2", tcti=tcti, pcrs="sha256:0,2,7"),
}
ROLL = {"file", "tpm2", "tpm2 with PCRs"}
IMAGES_DO_NOT_OPEN = {"tpm2", "tpm2 with PCRs"}


@pytest.fixture(scope="module")
def tpm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SoftTpm]:
    soft = SoftTpm(tmp_path_factory.mktemp("t"))
    yield soft
    soft.kill()


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def tcti(kind: str, request: pytest.FixtureRequest) -> str:
    if not kind.startswith("tpm2"):
        return ""
    soft: SoftTpm = request.getfixturevalue("tpm")
    return soft.tcti


@pytest.fixture
def place(tmp_path: Path) -> Path:
    place = tmp_path / "keys"
    place.mkdir()
    return place


@pytest.fixture
def again(kind: str, place: Path, tcti: str) -> Callable[[], KeyProvider]:
    """The provider as the next start of the daemon makes it."""
    return lambda: KINDS[kind](place, tcti)


@pytest.fixture
def provider(again: Callable[[], KeyProvider]) -> KeyProvider:
    return again()


def test_it_tells_its_name_and_what_it_can(
    kind: str, provider: KeyProvider, again: Callable[[], KeyProvider]
) -> None:
    assert provider.name == kind.partition(" ")[0]
    assert (provider.rolls, provider.image_opens) == (kind in ROLL, kind not in IMAGES_DO_NOT_OPEN)
    provider.create()
    assert (again().rolls, again().image_opens) == (kind in ROLL, kind not in IMAGES_DO_NOT_OPEN)


def test_no_key_means_a_locked_vault(provider: KeyProvider) -> None:
    with pytest.raises(VaultLockedError, match="cards work"):
        provider.load()
    with pytest.raises(VaultLockedError, match="cards work"):
        provider.propose()


def test_the_key_is_the_same_each_time_and_in_another_process(
    provider: KeyProvider, again: Callable[[], KeyProvider]
) -> None:
    key = provider.create().reveal()
    assert len(key) == KEY_BYTES
    assert key != bytes(KEY_BYTES)
    assert provider.load().reveal() == again().load().reveal() == key


def test_each_load_gives_a_secret_of_its_own_to_wipe(provider: KeyProvider) -> None:
    created = provider.create()
    key = created.reveal()
    created.wipe()
    first = provider.load()
    assert first.reveal() == key
    first.wipe()
    proposed = provider.propose()
    expected = proposed.reveal()
    proposed.wipe()
    assert provider.propose().reveal() == expected
    assert provider.load().reveal() == key


def test_a_key_is_never_replaced(provider: KeyProvider, again: Callable[[], KeyProvider], place: Path) -> None:
    key = provider.create().reveal()
    before = _files(place)
    for other in (provider, again()):
        with pytest.raises(StateError, match="Nothing was changed"):
            other.create()
    assert _files(place) == before
    assert again().load().reveal() == key


def test_every_key_is_another(kind: str, tcti: str, tmp_path: Path) -> None:
    keys = set()
    for number in range(4):
        place = tmp_path / str(number)
        place.mkdir()
        keys.add(KINDS[kind](place, tcti).create().reveal())
    assert len(keys) == 4


def test_what_lies_on_the_card_is_its_owners_alone(provider: KeyProvider, place: Path) -> None:
    provider.create()
    assert {path.stat().st_mode & 0o777 for path in place.iterdir()} == {0o600}


def test_a_roll_makes_the_proposed_secret_the_present_one(
    provider: KeyProvider, again: Callable[[], KeyProvider]
) -> None:
    seen = [provider.create().reveal()]
    for _ in range(3):
        proposed = provider.propose().reveal()
        assert provider.propose().reveal() == proposed
        assert provider.load().reveal() == again().load().reveal() == seen[-1]
        provider.roll()
        assert provider.load().reveal() == again().load().reveal() == proposed
        seen.append(proposed)
    assert len(set(seen)) == (4 if provider.rolls else 1)


def test_a_crash_between_proposal_and_roll_leaves_the_present_secret(
    provider: KeyProvider, again: Callable[[], KeyProvider]
) -> None:
    key = provider.create().reveal()
    proposed = provider.propose().reveal()
    after = again()
    if after.rolls:
        with pytest.raises(StateError, match="Nothing was changed"):
            after.roll()  # a secret that no ring is sealed under is never made the present one
        assert after.propose().reveal() not in (key, proposed)
    else:
        after.roll()
    assert after.load().reveal() == again().load().reveal() == key


def test_an_image_from_before_a_roll_opens_again_only_where_it_says_so(
    provider: KeyProvider, again: Callable[[], KeyProvider], place: Path, tmp_path: Path
) -> None:
    key = provider.create().reveal()
    shutil.copytree(place, tmp_path / "image")
    provider.propose()
    provider.roll()
    shutil.rmtree(place)
    shutil.copytree(tmp_path / "image", place)
    assert (again().load().reveal() == key) == provider.image_opens


def test_a_destroyed_key_is_gone_and_destroying_is_harmless(
    kind: str, provider: KeyProvider, again: Callable[[], KeyProvider], place: Path
) -> None:
    again().destroy()
    key = provider.create().reveal()
    provider.propose()
    for other in (provider, provider, again()):
        other.destroy()
        with pytest.raises(VaultLockedError):
            other.load()
    assert list(place.iterdir()) == []
    fresh = again().create().reveal()
    assert again().load().reveal() == fresh
    assert (fresh == key) == (kind == "systemd-credential")  # what systemd delivers is not ours to forget


def test_it_shows_no_secret(provider: KeyProvider, place: Path) -> None:
    before = provider.facts()
    secrets = [provider.create().reveal(), provider.propose().reveal()]
    with pytest.raises(StateError) as caught:
        provider.create()
    facts = provider.facts()
    for told in (before, facts):
        assert set(told) - {"warning"} == {"kind", "where", "policy", "thief"}
        assert all(isinstance(text, str) and text for text in told.values())
    for shown in (repr(provider), str(provider), str(caught.value), str(before), str(facts)):
        assert not any(shows(shown, secret) for secret in (*secrets, PASSPHRASE.encode()))


def test_names_build_their_providers(tmp_path: Path) -> None:
    assert [build_provider(name, tmp_path).name for name in NAMES] == list(NAMES)
    with pytest.raises(StateError, match="choose one of file, passphrase, systemd-credential, tpm2"):
        build_provider("floppy", tmp_path)


def _files(place: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in place.iterdir()}
