"""An anti-spoofing network that an installer may add, by file and SHA-256. It can only veto."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from gatevault.core.models import FileName, Sha256


class VetoModel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A classifier of one square crop of the face: blue, green, red from 0 to 255, float32, (1, 3, side, side).

    The figures are those of MiniFASNetV2 (Silent-Face-Anti-Spoofing), whose classes are print, live, screen.
    """

    file: FileName
    sha256: Sha256
    side: Annotated[int, Meta(ge=32, le=512)] = 80
    reach: Annotated[float, Meta(ge=1.0, le=6.0)] = 2.7
    """Side of the crop, of the face's width."""
    live: Annotated[int, Meta(ge=0, le=15)] = 1
    """Which of its outputs is a living face's."""
