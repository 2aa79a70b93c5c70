"""What `status` tells of the sandbox: the kernel's word beside the process's own."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any, cast

import pytest

from gatevault.confine.truth import Truth, truth_of
from gatevault.core.confined import NOT_CONFINED, Confined
from gatevault.service import sandbox as part
from gatevault.service.gate import Gate

WHOLE = Confined("landlock 7")


def gate(bench: bool, daemon: Confined, vision: Confined | None) -> Gate:
    ready = None if vision is None else SimpleNamespace(pid=2**22 + 1, confined=vision)
    parts: dict[str, Any] = {
        "confined": daemon,
        "eyes": SimpleNamespace(ready=ready),
        "stores": SimpleNamespace(device=SimpleNamespace(bench=bench)),
    }
    return cast(Gate, SimpleNamespace(**parts))


def test_whole_where_both_say_so_and_the_kernel_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """Vision's word alone counts where its /proc is hidden, as at a gate."""
    real = truth_of
    monkeypatch.setattr(part, "truth_of", lambda pid: Truth(True, 2, 0) if pid == os.getpid() else real(pid))
    told = part.sandbox(gate(False, WHOLE, WHOLE))
    assert told == {
        "state": "ok",
        "daemon": {
            "files": "landlock 7",
            "no_new_privileges": True,
            "call_filters": 2,
            "capabilities": "none",
        },
        "vision": {"files": "landlock 7"},
    }
    assert "vision" not in part.sandbox(gate(False, WHOLE, None))


@pytest.mark.parametrize(("bench", "state"), [(True, "partial"), (False, "fault")])
def test_what_is_missing_is_named(bench: bool, state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(part, "truth_of", lambda pid: Truth(True, 0, 0x200000))
    told = part.sandbox(gate(bench, WHOLE, NOT_CONFINED))
    assert told["state"] == state
    assert told["daemon"]["capabilities"] == "200000"
    for said in ("daemon: no system call is filtered", "daemon: it runs with", "vision: it has given up nothing"):
        assert said in told["reason"]
