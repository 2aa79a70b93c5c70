"""Every key of a state, as somebody who has all that opens it would make them: needles for a dump of memory."""

from __future__ import annotations

import hashlib

from gatevault.service.state import KeyOptions, key_provider, open_vault, read_device
from gatevault.vault import record
from gatevault.vault.keys import Epoch
from gatevault.vault.providers import records
from gatevault.vault.providers.tpm2_seal import Kept, open_sealed
from gatevault.vault.providers.tpm2_tools import Conversation
from gatevault.vault.ring import Ring
from tests.bench import Bench

SUBKEYS = ("registry", "card", "link", "journal", "ledger", "receipts")


def keys_of(bench: Bench, options: KeyOptions | None = None, tcti: str = "") -> dict[str, bytes]:
    """By name: the house key and what comes of it, the provider's secret, the epochs', and each record's own."""
    paths, device = bench.paths, read_device(bench.paths)
    found = _of_the_house(bench)
    ring = Ring(paths.ring, device.device, lambda name: key_provider(paths, name, options or KeyOptions()))
    epochs = ring.open()
    provider = key_provider(paths, ring.provider.name, options or KeyOptions())
    secret = provider.load().reveal()
    found |= {"the provider's secret": secret, "its digits": secret.hex().encode()}
    found |= {f"epoch {epoch.number}": epoch.key.reveal() for epoch in epochs}
    if provider.name == "tpm2":
        found |= _in_the_tpm(bench, tcti)
    return found | _of_records(bench, epochs[-1])


def _of_the_house(bench: Bench) -> dict[str, bytes]:
    digits = bench.paths.house_key.read_bytes().split()[1]
    root = bytes.fromhex(digits.decode())
    found = {"the house key": root, "its digits": digits}
    for name in SUBKEYS:
        found[f"{name}'s key"] = hashlib.blake2b(
            b"", digest_size=32, key=root, person=f"gv/{name}/v1".encode()
        ).digest()
    return found


def _in_the_tpm(bench: Bench, tcti: str) -> dict[str, bytes]:
    with Conversation(tcti, 20) as talk:
        opened = open_sealed(talk, records.read(bench.paths.keys / "vault.tpm2", Kept))
        authorisation = opened.authorisation(talk).read()
    assert opened.value is not None
    return {"root": opened.root.reveal(), "index": opened.value.reveal(), "authorisation": authorisation}


def _of_records(bench: Bench, epoch: Epoch) -> dict[str, bytes]:
    vault = open_vault(bench.paths, read_device(bench.paths), KeyOptions)
    try:
        found = {}
        for number, row in enumerate(vault.rows()):
            inner = record._unwrap(epoch, vault.place(row.record, row.model), row.template.wrapped)
            if inner[0] == 0:  # else the card's own key is around it
                found[f"record key {number}"] = bytes(inner[1:33])
        return found
    finally:
        vault.close()
