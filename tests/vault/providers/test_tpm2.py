"""The TPM, a real one in software: other boots, other TPMs, none, damage, and who may do what with the index."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gatevault.core.errors import ConfigError, KeyAwayError, StateError, StoreError, VaultLockedError
from gatevault.vault.providers import tpm2_tools
from gatevault.vault.providers.tpm2 import Tpm2KeyProvider
from tests.softtpm import SoftTpm

PCRS = "sha256:0,2,7"
MEASURED = "a" * 64


@pytest.fixture
def tpms(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], SoftTpm]]:
    made: list[SoftTpm] = []

    def another() -> SoftTpm:
        made.append(SoftTpm(tmp_path_factory.mktemp("t")))
        return made[-1]

    yield another
    for soft in made:
        soft.kill()


@pytest.fixture
def tpm(tpms: Callable[[], SoftTpm]) -> SoftTpm:
    return tpms()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "vault.tpm2"


def _index(path: Path) -> str:
    return hex(json.loads(path.read_bytes())["index"])


# --- PCRs ----------------------------------------------------------------------------------------


def test_another_boot_does_not_open_it(tpm: SoftTpm, path: Path) -> None:
    provider = Tpm2KeyProvider(path, tcti=tpm.tcti, pcrs=PCRS)
    key = provider.create().reveal()
    tpm.tool("pcrextend", f"3:sha256={MEASURED}")  # not one of ours
    assert provider.load().reveal() == key
    tpm.tool("pcrextend", f"7:sha256={MEASURED}")
    for act in (provider.load, provider.propose):
        with pytest.raises(VaultLockedError, match=r"faces are off, cards work.*PCRs \(sha256:0,2,7\) differ"):
            act()
    tpm.kill()
    tpm.start()  # the boot as it was at sealing
    assert provider.load().reveal() == key


def test_pcrs_that_nothing_measures_into_are_told(
    tpm: SoftTpm, path: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    provider = Tpm2KeyProvider(path, tcti=tpm.tcti, pcrs=PCRS)
    with caplog.at_level(logging.WARNING, "gatevault"):
        provider.create()
    assert "the policy enforces nothing" in caplog.text
    assert "the policy enforces nothing" in provider.facts()["warning"]
    caplog.clear()
    tpm.tool("pcrextend", f"2:sha256={MEASURED}")
    measured = Tpm2KeyProvider(tmp_path / "measured", tcti=tpm.tcti, pcrs=PCRS)
    measured.create()
    assert not caplog.text
    assert "warning" not in measured.facts()
    assert measured.facts()["policy"] == f"PCRs {PCRS}"


@pytest.mark.parametrize("pcrs", ["", "0,2", "sha256:", "sha256:24", "sha1:7", "sha256:7 -T x", "sha256:0,", "all"])
def test_pcrs_that_are_none_are_refused(path: Path, pcrs: str) -> None:
    with pytest.raises(ConfigError, match="sha256:0,2,7"):
        Tpm2KeyProvider(path, pcrs=pcrs)


# --- other TPMs and none -------------------------------------------------------------------------


@pytest.mark.parametrize("index", [True, False])
def test_another_tpm_does_not_open_it_and_keeps_its_own_indices(
    tpm: SoftTpm, tpms: Callable[[], SoftTpm], path: Path, index: bool
) -> None:
    Tpm2KeyProvider(path, tcti=tpm.tcti, index=index).create()
    other = tpms()
    elsewhere = Tpm2KeyProvider(path, tcti=other.tcti)
    with pytest.raises(VaultLockedError, match="another TPM"):
        elsewhere.load()
    if index:
        other.tool("nvdefine", _index(path), "-C", "o", "-s", "8")
        elsewhere.destroy()
        assert _handles(other) and not path.exists()


def test_a_tpm_that_is_away_locks_the_vault(tpm: SoftTpm, path: Path) -> None:
    provider = Tpm2KeyProvider(path, tcti=tpm.tcti, pcrs=PCRS)
    key = provider.create().reveal()
    tpm.kill()
    with pytest.raises(VaultLockedError, match=r"it is not there.*faces are off, cards work"):
        provider.load()
    assert "cannot be asked" in provider.facts()["warning"]
    with pytest.raises(StateError, match="nothing was removed"):
        provider.destroy()
    with pytest.raises(StateError, match="nothing was changed"):
        Tpm2KeyProvider(path.with_name("fresh"), tcti=tpm.tcti).create()
    assert not path.with_name("fresh").exists()
    tpm.start()
    assert provider.load().reveal() == key


def test_a_tpm_that_does_not_answer_is_not_waited_for(tpm: SoftTpm, path: Path) -> None:
    Tpm2KeyProvider(path, tcti=tpm.tcti).create()
    tpm.freeze()
    with pytest.raises(KeyAwayError, match=r"it does not answer.*asked again"):
        Tpm2KeyProvider(path, tcti=tpm.tcti, timeout_s=0.5).load()


def test_without_the_tools_it_says_what_to_install(
    tpm: SoftTpm, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = Tpm2KeyProvider(path, tcti=tpm.tcti)
    provider.create()
    monkeypatch.setattr(tpm2_tools, "SEARCH", str(tmp_path))
    with pytest.raises(VaultLockedError, match="apt install tpm2-tools"):
        provider.load()
    with pytest.raises(StateError, match="apt install tpm2-tools"):
        Tpm2KeyProvider(tmp_path / "fresh", tcti=tpm.tcti).create()


# --- the index -----------------------------------------------------------------------------------


def test_a_deleted_index_locks_the_vault_for_good(tpm: SoftTpm, path: Path) -> None:
    provider = Tpm2KeyProvider(path, tcti=tpm.tcti)
    provider.create()
    tpm.tool("nvundefine", _index(path), "-C", "o")
    with pytest.raises(VaultLockedError, match=r"Its index was deleted.*enrol anew"):
        provider.load()
    provider.destroy()


def test_the_index_is_neither_read_nor_written_without_the_root(tpm: SoftTpm, path: Path) -> None:
    provider = Tpm2KeyProvider(path, tcti=tpm.tcti)
    key = provider.create().reveal()
    index = _index(path)
    for who in (("-C", index), ("-C", "o"), ("-C", index, "-P", "guess")):
        assert tpm.tool("nvread", index, *who, "-s", "32", check=False).returncode != 0
        assert tpm.tool("nvwrite", index, *who, "-i", "-", stdin=bytes(32), check=False).returncode != 0
    assert provider.load().reveal() == key  # and wrong guesses lock nobody out


def test_nothing_is_left_in_the_tpm_but_the_index(tpm: SoftTpm, path: Path) -> None:
    provider = Tpm2KeyProvider(path, tcti=tpm.tcti, pcrs=PCRS)
    provider.create()
    for _ in range(3):
        provider.propose()
        provider.roll()
        provider.load()
    for kind in ("transient", "loaded-session", "saved-session", "persistent"):
        assert tpm.tool("getcap", f"handles-{kind}").stdout == b""
    assert len(_handles(tpm)) == 1
    provider.destroy()
    assert _handles(tpm) == []


@pytest.mark.parametrize("most", [62, 63, 64])  # of 64; a load needs several
def test_sessions_that_killed_programs_left_do_not_lock_the_vault(
    tpm: SoftTpm, path: Path, tmp_path: Path, most: int
) -> None:
    provider = Tpm2KeyProvider(path, tcti=tpm.tcti)
    key = provider.create().reveal()
    left = 0
    while left < most and tpm.tool("startauthsession", "-S", str(tmp_path / "left"), check=False).returncode == 0:
        left += 1
    assert left > 60
    assert provider.load().reveal() == key


def test_a_file_that_cannot_be_written_leaves_no_index(
    tpm: SoftTpm, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("gatevault.vault.providers.records.write_new", no_room)
    with pytest.raises(StateError, match="No space left"):
        Tpm2KeyProvider(path, tcti=tpm.tcti).create()
    assert _handles(tpm) == []


# --- damage --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changed",
    [
        {"format": 2},
        {"parent": ""},
        {"parent": "?"},
        {"public": None},
        {"private": base64.b64encode(bytes(1025)).decode()},
        {"pcrs": 7},
        {"pcrs": "sha256:99"},
        {"pcrs": "-Q"},
        {"index": 0},
        {"index": 0x01C00002},
        {"index": -1},
        {"index": 10**40},
        {"index": "0x01800001"},
        {"index": True},
        {"extra": 1},
    ],
)
def test_a_damaged_file_is_refused_before_the_tpm_is_asked(path: Path, changed: dict[str, Any]) -> None:
    blob = base64.b64encode(bytes(64)).decode()
    whole = {"format": 1, "parent": blob, "public": blob, "private": blob, "pcrs": None, "index": 0x01800001}
    path.touch(0o600)
    path.write_text(json.dumps(whole | changed))
    provider = Tpm2KeyProvider(path, tcti="nowhere:")
    for act in (provider.load, provider.propose, provider.roll):
        with pytest.raises(StoreError, match="damaged"):
            act()
    assert "damaged" in provider.facts()["policy"]


@pytest.mark.parametrize("cut", [0, 1, 100, -1])
def test_a_cut_file_is_refused(tpm: SoftTpm, path: Path, cut: int) -> None:
    provider = Tpm2KeyProvider(path, tcti=tpm.tcti)
    provider.create()
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(StoreError, match="damaged"):
        provider.load()
    path.write_bytes(b" " * 20_000)
    with pytest.raises(StoreError, match="too long"):
        provider.load()


@pytest.mark.parametrize("field", ["parent", "public", "private"])
def test_a_changed_blob_gives_no_key(tpm: SoftTpm, path: Path, field: str) -> None:
    provider = Tpm2KeyProvider(path, tcti=tpm.tcti)
    provider.create()
    kept = json.loads(path.read_bytes())
    blob = bytearray(base64.b64decode(kept[field]))
    blob[-1] ^= 1
    path.write_text(json.dumps(kept | {field: base64.b64encode(blob).decode()}))
    with pytest.raises(VaultLockedError, match="faces are off, cards work"):
        provider.load()


def _handles(tpm: SoftTpm) -> list[str]:
    return tpm.tool("getcap", "handles-nv-index").stdout.decode().splitlines()
