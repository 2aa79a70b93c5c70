"""The privacy light is on for as long as a vision process may have the camera open."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from gatevault.core import wire
from gatevault.core.confined import NOT_CONFINED
from gatevault.core.errors import VisionDownError
from gatevault.core.liveness import Tier
from gatevault.core.settings import LookSettings
from gatevault.service import eyes as looking
from gatevault.service.challenge import Lights
from gatevault.service.eyes import Eyes


class _NoLights:
    """No challenge is put here."""

    def __getattr__(self, name: str) -> object:
        raise AssertionError(name)


async def _hung(home: Path) -> list[str]:
    """What happens, in its order, where vision goes on with a frame after its look's time."""
    told: list[str] = []
    settings = LookSettings(limit_ms=500)
    eyes = Eyes(
        wire.Hello(wire.VERSION, True, "v4l2:/dev/video0", settings),
        lights=_no_lights(),
        on_ready=lambda _: None,
        on_unfit=told.append,
        on_camera=lambda on: told.append(f"light {'on' if on else 'off'}"),
        on_hung=lambda: told.append("hung"),
    )
    await eyes.listen(home / "vision.sock")
    reader, writer = await asyncio.open_unix_connection(home / "vision.sock")
    ready = wire.Ready(wire.VERSION, os.getpid(), "0" * 64, 4, NOT_CONFINED)
    writer.write(wire.pack(ready))
    await eyes.arrived()
    with pytest.raises(VisionDownError):
        async with eyes.look(wire.Purpose.ACCESS, 1, None, Tier.OFF) as events:
            async for _ in events:
                pass
    while await reader.read(65536):  # all that was said, and then that the daemon hung up
        pass
    told.append("told to end")
    assert eyes.looking and eyes.ready is None
    writer.close()
    await writer.wait_closed()
    async with asyncio.timeout(10):
        while eyes.looking:
            await asyncio.sleep(0.01)
    await eyes.close()
    return told


def _no_lights() -> Lights:
    return _NoLights()  # type: ignore[return-value]


def test_the_light_stays_on_until_a_hung_vision_has_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looking, "GRACE_MS", 0)
    assert asyncio.run(_hung(tmp_path)) == ["light on", "hung", "told to end", "light off"]
