"""The header's table, against what is known of it from elsewhere."""

from __future__ import annotations

from gpiozero.pins.mock import MockFactory

from gatevault.core.header import HEADER, Supply, physical, pulled_up_at_reset


def test_every_gpio_of_the_header_is_there_once() -> None:
    gpios = [what for what in HEADER if not isinstance(what, Supply)]
    assert sorted(gpios) == list(range(2, 28))
    assert len(HEADER) == 40


def test_well_known_pins() -> None:
    """As `gpiozero.pi_info()` and every Pi's silk screen tell."""
    assert {bcm: physical(bcm) for bcm in (2, 14, 17, 18, 26, 21)} == {2: 3, 14: 8, 17: 11, 18: 12, 26: 37, 21: 40}
    assert [n for n, what in enumerate(HEADER, 1) if what is Supply.GROUND] == [6, 9, 14, 20, 25, 30, 34, 39]
    assert [n for n, what in enumerate(HEADER, 1) if what is Supply.V5] == [2, 4]
    assert physical(0) is None and physical(40) is None


def test_it_is_the_header_that_gpiozero_knows() -> None:
    known = MockFactory(revision="d04170").board_info.headers["J8"].pins
    for number, what in enumerate(HEADER, start=1):
        name = (
            "GPIO0 GPIO1" if what is Supply.ID_EEPROM else what.value if isinstance(what, Supply) else f"GPIO{what}"
        )
        assert known[number].name in name.split(), number


def test_the_pull_at_reset() -> None:
    assert pulled_up_at_reset(5) and not pulled_up_at_reset(17)
