"""What a process says of its own sandbox."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta


class Confined(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`files`: what keeps it from files (`landlock 7`, `read-only mounts`, `nothing`). `lacks`: what it could not
    give up and nobody took from it, in words for people; empty where the sandbox is whole."""

    files: Annotated[str, Meta(max_length=40)]
    lacks: tuple[Annotated[str, Meta(max_length=200)], ...] = ()


NOT_CONFINED: Final = Confined("nothing", ("it has given up nothing",))
