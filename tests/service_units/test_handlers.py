"""Every command of the control socket has its flow, and no flow is without a command."""

from __future__ import annotations

from typing import Any
from unittest.mock import create_autospec

from gatevault.core import control
from gatevault.service.gate import Gate
from gatevault.service.handlers import handlers


def test_every_command_has_a_handler_and_no_handler_is_without_a_command() -> None:
    gate: Any = create_autospec(Gate, instance=True)
    for room in ("people", "erasure"):
        setattr(gate, room, object())
    assert set(handlers(gate)) == set(control.COMMAND_TYPES)
