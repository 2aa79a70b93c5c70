"""Deletion certificates: they say what was done; an image that was taken before shows whether it is so."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gatevault.core import control
from gatevault.core.consent import KeyMode
from gatevault.core.jcs import MAX_INTEGER
from gatevault.core.passphrase import typed
from gatevault.vault.signed import verify
from tests.bench import QUICK, Bench, configure, copied, gatevault
from tests.service.peer import Peer, Script, shows
from tests.service.steps import LONG
from tests.softtpm import SoftTpm

Seeing = Callable[[Bench, Script], Peer]

PASSPHRASE = "four words drawn by dice"
FIELDS = {
    *("v", "id", "device", "resident", "receipt", "event", "time", "template_was_there", "keys_rotated"),
    *("key_provider", "image_of_medium_opens", "method", "does_not_prove"),
}
ENDS: dict[str, tuple[type[control.Purge | control.ConsentWithdraw | control.ResidentRemove], str]] = {
    "purge": (control.Purge, "purged"),
    "withdraw": (control.ConsentWithdraw, "consent-withdrawn"),
    "remove": (control.ResidentRemove, "resident-removed"),
}


def checked(bench: Bench, signed: dict[str, Any]) -> dict[str, Any]:
    """A certificate's body, its signature checked as its resident's heirs would."""
    body: dict[str, Any] = signed["certificate"]
    key = bench.ask(control.LedgerExport(MAX_INTEGER))["receipts_key"]
    assert [each["ok"] for each in verify(json.dumps(signed).encode(), key)] == [True]
    assert set(body) == FIELDS
    return body


@pytest.mark.parametrize("mode", KeyMode)
@pytest.mark.parametrize("end", ENDS)
def test_what_a_certificate_says(quick: Bench, peer: Peer, end: str, mode: KeyMode) -> None:
    who = quick.enrolled("One", LONG, None, mode)
    receipt = quick.ask(control.ConsentShow(who))["receipt"]["receipt_id"]
    command, event = ENDS[end]
    signed = quick.ask(command(who))["certificate"]
    body = checked(quick, signed)
    assert (body["resident"], body["receipt"], body["event"]) == (who, receipt, event)
    assert (body["v"], body["device"]) == ("gatevault-deletion/2", quick.status()["device"])
    assert (body["template_was_there"], body["keys_rotated"], body["key_provider"]) == (True, True, "file")
    assert body["image_of_medium_opens"] is True
    for words in ("secure_delete", "wrapped anew under a fresh random epoch key"):
        assert words in body["method"]
    for words in ("no copy of the template was made elsewhere", "An image of the whole medium", "opens again"):
        assert words in body["does_not_prove"]
    assert "One" not in str(body) and LONG not in str(body)
    if end != "remove":
        assert quick.ask(control.ResidentExport(who))["certificates"] == [signed]


@pytest.mark.parametrize("end", ["withdraw", "remove"])
def test_without_a_template_nothing_was_erased_and_it_says_so(quick: Bench, peer: Peer, end: str) -> None:
    who = quick.add("One", "11")
    quick.ask(quick.consent(who, "11"))
    epoch = quick.ask(control.KeyShow())["epoch"]
    command, event = ENDS[end]
    body = checked(quick, quick.ask(command(who))["certificate"])
    assert (body["event"], body["template_was_there"], body["keys_rotated"]) == (event, False, False)
    assert (body["key_provider"], body["image_of_medium_opens"]) == (None, False)
    assert "There was no template" in body["method"] and "secure_delete" not in body["method"]
    assert "no copy of the template was made elsewhere" in body["does_not_prove"]
    assert "image" not in body["does_not_prove"]
    assert quick.ask(control.KeyShow())["epoch"] == epoch, "no key was rotated"


def test_one_who_never_consented_has_a_certificate_without_a_receipt(quick: Bench, peer: Peer) -> None:
    who = quick.add("One", "11")
    body = checked(quick, quick.ask(control.ResidentRemove(who))["certificate"])
    assert (body["receipt"], body["template_was_there"], body["keys_rotated"]) == (None, False, False)


# --- an image of the whole medium, taken before --------------------------------------------------


@pytest.fixture
def tpm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SoftTpm]:
    tpm = SoftTpm(tmp_path_factory.mktemp("tpm"))
    yield tpm
    tpm.kill()


def _made(root: Path, keys: str, *more: str) -> Bench:
    made = gatevault(
        *("init", "--bench", "--keys", keys, "--state", root, *more),
        *(["--passphrase-stdin"] if keys == "passphrase" else []),
        input=PASSPHRASE + "\n",
    )
    assert made.returncode == 0, made.stderr
    tcti = [line for line in (root / "config.toml").read_text().splitlines() if line.startswith("tcti")]
    configure(root, QUICK + "".join(f"\n[keys]\n{line}\n" for line in tcti))
    return Bench(root)


def _image_opens(bench: Bench, seeing: Seeing, passphrase: str | None) -> bool:
    """Take an image, purge, and start the image: what its certificate said, and whether the face opens there."""
    bench.start(vision=False)
    if passphrase is not None:
        bench.ask(control.VaultUnlock(typed(passphrase)))
    seeing(bench, shows(1))
    one = bench.enrolled("One", "11", None)
    assert bench.walk_up()["resident"] == one
    assert bench.stop() == 0
    image = Bench(copied(bench.root, bench.root.with_name("image")))
    bench.start(vision=False)
    if passphrase is not None:
        bench.ask(control.VaultUnlock(typed(passphrase)))
    body = checked(bench, bench.ask(control.Purge(one))["certificate"])
    assert (body["keys_rotated"], body["key_provider"]) == (True, bench.json("key", "show")["provider"])
    dead = "does not open again, even with this device's TPM" in body["does_not_prove"]
    assert dead is not body["image_of_medium_opens"]
    assert bench.stop() == 0
    try:
        image.start(vision=False)
        if passphrase is not None:
            image.ask(control.VaultUnlock(typed(passphrase)))
        seeing(image, shows(1))
        opened = image.walk_up()["reason"] == "matched"
        assert opened is (image.status()["vault"]["state"] == "unlocked")
        assert image.tap("11")["relay"] is True
    finally:
        image.close()
    assert opened is body["image_of_medium_opens"], "the certificate says which case holds"
    return opened


@pytest.mark.parametrize(("keys", "passphrase"), [("file", None), ("passphrase", PASSPHRASE)])
def test_an_image_of_the_medium_opens_where_all_lies_on_it(
    tmp_path: Path, seeing: Seeing, keys: str, passphrase: str | None
) -> None:
    bench = _made(tmp_path / "state", keys)
    try:
        assert _image_opens(bench, seeing, passphrase)
    finally:
        bench.close()


@pytest.mark.parametrize("index", [True, False], ids=["index", "plain"])
def test_an_image_of_the_medium_is_dead_once_the_tpms_index_was_written(
    tmp_path: Path, seeing: Seeing, tpm: SoftTpm, index: bool
) -> None:
    more = ("--tcti", tpm.tcti, *(() if index else ("--tpm-plain",)))
    bench = _made(tmp_path / "state", "tpm2", *more)
    try:
        assert _image_opens(bench, seeing, None) is not index
    finally:
        bench.close()


@pytest.mark.parametrize("by_way_of", [None, "passphrase"])
def test_an_image_from_before_the_key_was_moved_into_the_tpm_opens_and_the_certificate_says_so(
    tmp_path: Path, seeing: Seeing, tpm: SoftTpm, by_way_of: str | None
) -> None:
    bench = _made(tmp_path / "state", "file")
    configure(bench.root, QUICK + f'\n[keys]\ntcti = "{tpm.tcti}"\n')
    image = None
    try:
        bench.start(vision=False)
        seeing(bench, shows(1))
        one = bench.enrolled("One", "11", None)
        assert bench.stop() == 0
        image = Bench(copied(bench.root, bench.root.with_name("image")))
        bench.start(vision=False)
        if by_way_of is not None:
            bench.ask(control.KeyMove(by_way_of, typed(PASSPHRASE)))
        bench.ask(control.KeyMove("tpm2"))
        shown = bench.json("key", "show")
        assert (shown["image_of_medium_opens"], shown["image_from_before_opens"]) == (False, True)
        body = checked(bench, bench.ask(control.Purge(one))["certificate"])
        assert (body["key_provider"], body["image_of_medium_opens"]) == ("tpm2", True)
        assert "The key was with another provider before" in body["does_not_prove"]
        assert bench.stop() == 0
        image.start(vision=False)
        seeing(image, shows(1))
        assert image.walk_up()["reason"] == "matched"
    finally:
        bench.close()
        if image is not None:
            image.close()


def test_with_the_tpm_away_cards_open_and_a_withdrawal_is_certified_later(
    tmp_path: Path, seeing: Seeing, tpm: SoftTpm
) -> None:
    bench = _made(tmp_path / "state", "tpm2", "--tcti", tpm.tcti)
    try:
        bench.start(vision=False)
        seeing(bench, shows(1))
        one = bench.enrolled("One", "11", None)
        tpm.kill()
        answer = bench.ask(control.ConsentWithdraw(one))
        assert answer["certificate"] is None, "the row is gone; what the TPM must do is owed"
        assert bench.rows("vault.db", "SELECT count(*) FROM templates") == [(0,)]
        assert bench.stop() == 0
        bench.start(vision=False)
        assert bench.status()["vault"]["state"] == "locked"
        assert bench.tap("11")["relay"] is True
        assert bench.todos() == 1
        tpm.start()
        assert bench.ask(control.VaultUnlock())["finished"] == 1
        (signed,) = bench.ask(control.ResidentExport(one))["certificates"]
        body = checked(bench, signed)
        assert (body["keys_rotated"], body["image_of_medium_opens"]) == (True, False)
        assert bench.count("consent-withdrawn") == 1
    finally:
        bench.close()
