"""The deletion certificate: what was erased, how, and what it does not prove."""

from __future__ import annotations

from typing import Any, Final

from gatevault.vault.providers.port import KeyProvider
from gatevault.vault.registry import Todo

_NOTHING: Final = "There was no template of this resident: nothing had to be erased, and no key was rotated."
_ERASED: Final = (
    "The sealed template and the record's own wrapped key were deleted from vault.db with SQLite's secure_delete "
    "(overwritten with zeros), the write-ahead log was emptied, and the row in the running gallery was overwritten."
)
_ROTATED: Final = (
    "Every other record's key was wrapped anew under a fresh random epoch key, and the epoch key that had wrapped "
    "this record's was removed from keys/vault.ring: an older copy of vault.db, of its write-ahead log or of a "
    "freed page does not open with the keys that the device has now."
)
_OWED: Final = (
    "The vault was locked: the epoch key that wraps this record's key is not rotated yet. It will be when the "
    "vault is unlocked; until then an older copy of vault.db opens with the vault's key."
)
_ELSEWHERE: Final = "That no copy of the template was made elsewhere before."
_IMAGE_OPENS: Final = (
    "An image of the whole medium taken before this deletion holds the old keys as well: with what the key "
    "provider asks for beside the medium (see key_provider), that image opens again."
)
_IMAGE_BEFORE: Final = (
    "The key was with another provider before: an image of the whole medium taken then holds the keys of then, and "
    "opens again. One taken since, and before this deletion, does not, even with this device's TPM."
)
_IMAGE_DEAD: Final = (
    "An image of the whole medium taken before this deletion does not open again, even with this device's TPM, "
    "whose index was overwritten; this rests on the TPM keeping no older value of it."
)


def deletion_certificate(todo: Todo, device: str, provider: KeyProvider | None, *, imaged: bool) -> dict[str, Any]:
    """The certificate's body. `provider` holds the rotated keys; None where the rotation is still owed.

    `imaged`: images may exist from when the key was with a provider under which they open.
    """
    limits, was_there = [_ELSEWHERE], todo.detail["template"] == "yes"
    if not was_there:
        method, provider = [_NOTHING], None
    elif provider is None:
        method = [_ERASED, _OWED]
    else:
        method = [_ERASED, _ROTATED]
        limits.append(_IMAGE_OPENS if provider.image_opens else _IMAGE_BEFORE if imaged else _IMAGE_DEAD)
    return {
        "v": "gatevault-deletion/2",
        "id": todo.op,
        "device": device,
        "resident": todo.resident,
        "receipt": todo.detail.get("receipt") or None,
        "event": todo.entry.value,
        "time": todo.detail["time"],
        "template_was_there": was_there,
        "keys_rotated": provider is not None,
        "key_provider": provider.name if provider else None,
        "image_of_medium_opens": was_there and (provider is None or provider.image_opens or imaged),
        "method": " ".join(method),
        "does_not_prove": " ".join(limits),
    }
