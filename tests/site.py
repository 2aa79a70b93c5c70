"""Both records of a place, as an admin makes them."""

from __future__ import annotations

from gatevault.core import control
from gatevault.core.site import SiteKind

ASSESSMENT = control.SiteRecord(SiteKind.ASSESSMENT, "2026-11-20", by="Consultant Li", document="ab" * 32)
SIGN = control.SiteRecord(SiteKind.SIGN, "2026-11-21", text="Face recognition. A card always opens.", where="post")
RECORDS = (ASSESSMENT, SIGN)
