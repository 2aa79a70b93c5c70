"""How the installer ends early."""

from __future__ import annotations


class Refused(Exception):  # noqa: N818  (it is no fault of anybody's)
    """What is wrong and what to do, in a sentence. Nothing was changed, or all was put back."""
