"""`gatevault vault check`: every record opened, both stores compared, free pages looked through."""

from __future__ import annotations

from typing import Any

from gatevault.service.stores import Stores


def vault_check(stores: Stores) -> dict[str, Any]:
    """What is wrong with the stores; on the storage thread. StoreError family."""
    raise NotImplementedError
