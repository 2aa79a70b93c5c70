"""The deletion certificate: what was erased, how, and what it does not prove."""

from __future__ import annotations

from typing import Any

from gatevault.vault.registry import Todo

METHOD = (
    "The record's own random key and the sealed template were deleted from vault.db with SQLite's secure_delete "
    "(overwritten with zeros), the write-ahead log was emptied, and the row in the running gallery was overwritten."
)
DOES_NOT_PROVE = (
    "That no copy was made elsewhere before: a backup, an image of the medium, or an old flash page that the "
    "medium itself keeps, still opens with the vault key, which this deletion left as it was."
)


def deletion_certificate(todo: Todo, device: str) -> dict[str, Any]:
    """The certificate's body; the same for the same operation, however often it is carried out."""
    return {
        "v": "gatevault-deletion/1",
        "id": todo.op,
        "device": device,
        "resident": todo.resident,
        "receipt": todo.detail.get("receipt") or None,
        "event": todo.entry.value,
        "time": todo.detail["time"],
        "template_was_there": todo.detail["template"] == "yes",
        "method": METHOD,
        "does_not_prove": DOES_NOT_PROVE,
    }
