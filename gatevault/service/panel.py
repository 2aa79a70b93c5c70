"""Lights and sounds at the gate, whose failing must stop nothing but the camera."""

from __future__ import annotations

from collections.abc import Callable

from gatevault.core.errors import DeviceError
from gatevault.core.liveness import Lamp, Side
from gatevault.devices.indicator import Indicator


class Panel:
    """The indicator as the flows use it: a broken light becomes a fault to report, not an error."""

    def __init__(self, indicator: Indicator) -> None:
        self._indicator = indicator
        self.broken: DeviceError | None = None

    def privacy(self, on: bool) -> None:
        """The one light that must work: DeviceError where it cannot be lit. Switching off never raises."""
        if on:
            self._indicator.privacy(True)
        else:
            self._try(lambda: self._indicator.privacy(False))

    def lamp(self, lamp: Lamp, on: bool) -> None:
        """Part of a challenge, which must not go on without it: DeviceError."""
        self._indicator.lamp(lamp, on)

    def turn(self, side: Side, on: bool) -> None:
        """As `lamp`."""
        self._indicator.turn(side, on)

    def granted(self) -> None:
        self._try(self._indicator.granted)

    def refused(self) -> None:
        self._try(self._indicator.refused)

    def consent_done(self) -> None:
        self._try(self._indicator.consent_done)

    def withdrawn(self) -> None:
        self._try(self._indicator.withdrawn)

    def fault(self, on: bool) -> None:
        self._try(lambda: self._indicator.fault(on))

    def approach(self, on: bool) -> None:
        self._try(lambda: self._indicator.approach(on))

    def close(self) -> None:
        self._try(self._indicator.close)

    def _try(self, signal: Callable[[], None]) -> None:
        try:
            signal()
        except DeviceError as error:
            self.broken = error
