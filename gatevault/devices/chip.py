"""gpiozero's lgpio pins, with the two habits that a gate cannot have taken out.

Imported only by `open_pins` in production: lgpio opens a FIFO and a thread when it is imported.
"""

from __future__ import annotations

import lgpio
from gpiozero.pins.lgpio import LGPIOFactory, LGPIOPin

from gatevault.devices.pins import HEADER_REVISION


class ChipPin(LGPIOPin):  # type: ignore[misc]  # gpiozero has no types
    """One line of the chip, as gpiozero drives it but for how it begins and ends as an output."""

    def output_with_state(self, state: bool) -> None:
        """Claim the line as an output at `state` in one step.

        gpiozero claims it low and then sets it: an active-low relay would get a pulse, or stay
        energised if the process is killed between the two.
        """
        lgpio.gpio_claim_output(self.factory._handle, self._number, int(bool(state)))

    def close(self) -> None:
        """Leave an output driven at its last level, which its owner has made the released one.

        gpiozero turns it into an input without a pull: a relay's input would float.
        """
        if self.factory._handle is not None and self.function == "input":
            super().close()


class ChipFactory(LGPIOFactory):  # type: ignore[misc]
    """The pins of /dev/gpiochip{chip}."""

    def __init__(self, chip: int) -> None:
        super().__init__(chip=chip)
        self.pin_class = ChipPin

    def _get_revision(self) -> int:
        """The 40-pin header's, whatever machine this is: profiles give line numbers of a named chip.

        gpiozero uses the revision for pin names and the fixed pull-ups of GPIO 2 and 3, alike on every
        40-pin Pi, and reads it from files of /proc that the daemon's sandbox hides.
        """
        return int(HEADER_REVISION, base=16)
