"""Makes `vectors.json`: what GateVault writes under fixed keys and nonces, with libsodium and hashlib alone.

    python -m tests.vault.make_vectors > tests/vault/vectors.json

Nothing of the package is used, so that the vectors are a second reading of docs/formats.md and not a mirror of
the code. All values are in hexadecimal but for text and numbers.
"""

from __future__ import annotations

import hashlib
import json
import struct
import sys
from typing import Any, Final

from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_encrypt as encrypt

DEVICE: Final = "gv-0011223344556677"
RESIDENT: Final = "r-0123456789abcdef"
CARD: Final = "7001234567"
LONG_CARD: Final = "00112233445566778899AABBCCDDEEFF"
HOUSE: Final = bytes(range(32))
PROVIDER: Final = bytes(range(32, 64))
EPOCH: Final = bytes(range(64, 96))
NEXT_EPOCH: Final = bytes(range(96, 128))
RECORD_KEY: Final = bytes(range(128, 160))
MODEL: Final = bytes([0xCC]) * 32
RECEIPT: Final = bytes([0xBB]) * 32
NUMBER: Final = 7
TEMPLATE: Final = [[1.0, 0.0], [0.6, 0.8]]
SLOTS: Final = 3


def derived(context: str) -> bytes:
    return hashlib.blake2b(b"", digest_size=32, key=HOUSE, person=context.encode()).digest()


def parts(*listed: bytes) -> bytes:
    return b"".join(len(part).to_bytes(4, "big") + part for part in listed)


def box(key: bytes, plain: bytes, data: bytes, nonce: int) -> bytes:
    return bytes([nonce]) * 24 + encrypt(plain, data, bytes([nonce]) * 24, key)


def vectors() -> dict[str, Any]:
    link, card = derived("gv/link/v1"), derived("gv/card/v1")
    record = hashlib.blake2b(RESIDENT.encode(), digest_size=16, key=link, person=b"gv/record/v1").digest()
    holder = hashlib.blake2b(LONG_CARD.encode(), digest_size=32, salt=record, person=b"gv/holder-key/v1").digest()
    place = (b"\0\2", DEVICE.encode(), b"gate", record, MODEL)
    epoch = struct.pack(">I", NUMBER)
    plain = struct.pack("<BBH6f", 2, 2, 2, *TEMPLATE[0], *TEMPLATE[1], 0.0, 0.0)
    held = box(holder, RECORD_KEY, parts(b"gv/holder-key", *place), 5)
    wrap = parts(b"gv/record-key", *place, epoch)
    epochs = epoch + EPOCH + struct.pack(">I", NUMBER + 1) + NEXT_EPOCH
    ring = parts(b"gv/ring", DEVICE.encode(), b"file")
    return {
        "device": DEVICE,
        "box": {
            "key": PROVIDER.hex(),
            "plain": b"plain text".hex(),
            "purpose": "x",
            "parts": [b"".hex(), b"part".hex()],
            "associated": parts(b"gv/x", b"", b"part").hex(),
            "box": box(PROVIDER, b"plain text", parts(b"gv/x", b"", b"part"), 1).hex(),
        },
        "ids": {
            "house": HOUSE.hex(),
            "card": CARD,
            "card_hash": hashlib.blake2b(
                CARD.encode(), digest_size=32, key=card, person=b"gv/card-no/v1"
            ).hexdigest(),
            "resident": RESIDENT,
            "record": record.hex(),
            "holder_card": LONG_CARD,
            "holder_key": holder.hex(),
        },
        "ring": {
            "secret": PROVIDER.hex(),
            "epochs": [[NUMBER, EPOCH.hex()], [NUMBER + 1, NEXT_EPOCH.hex()]],
            "file": {"format": 1, "provider": "file", "boxes": [box(PROVIDER, epochs, ring, 2).hex()]},
        },
        "record": {
            "epoch": [NUMBER, EPOCH.hex()],
            "bench": False,
            "record": record.hex(),
            "model": MODEL.hex(),
            "receipt": RECEIPT.hex(),
            "slots": SLOTS,
            "template": TEMPLATE,
            "plain": plain.hex(),
            "record_key": RECORD_KEY.hex(),
            "sealed": box(RECORD_KEY, plain, parts(b"gv/template", *place, RECEIPT), 3).hex(),
            "wrapped_device_key": box(EPOCH, b"\0" + RECORD_KEY + bytes(40), wrap, 4).hex(),
            "wrapped_holder_key": box(EPOCH, b"\1" + held, wrap, 4).hex(),
        },
    }


if __name__ == "__main__":
    json.dump(vectors(), sys.stdout, indent=1)
    sys.stdout.write("\n")
