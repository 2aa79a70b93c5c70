"""Two devices that enrolled the same 1,000 people in the same order: without keys their files link nobody.

An attacker's statistics of every row that is one person's, in `vault.db` and `registry.db`: ids, lengths, places
in the file, page numbers, places within a page, bytes. Each is compared across the devices, across the two files
of one device, and with the order of enrolment, which the ledger's entries have. Keys and nonces are drawn anew
in each run; `linkage.LIMITS` says how often chance fails this.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tests.crowd import add, card_of, fill, house
from tests.vault.linkage import LIMITS, Numbers, links, matched, spearman

N = 1_000
Statistics = dict[str, Numbers]


@dataclass(frozen=True)
class Device:
    """What an attacker computes of one stolen device, person by person in the order of enrolment."""

    vault: Statistics
    registry: Statistics
    sizes: dict[str, int]


def number(value: bytes) -> float:
    """The first bytes of a value as a number."""
    return float(int.from_bytes(value[:6], "big"))


class Places:
    """Where values lie in a database file."""

    def __init__(self, path: Path) -> None:
        self._held = path.read_bytes()
        self._page = int.from_bytes(self._held[16:18], "big")

    def of(self, name: str, values: list[bytes], ids: list[Any]) -> Statistics:
        """Offsets in the file, page numbers, offsets within a page, and how late a cell came into its page.

        `ids` are what the rows are sorted by.
        """
        at = np.array([self._held.index(value) for value in values])
        return {
            f"{name} offset": at.astype(np.float64),
            f"{name} page": (at // self._page).astype(np.float64),
            f"{name} in page": (at % self._page).astype(np.float64),
            f"{name} came late": self._lateness(at, ids),
        }

    def _lateness(self, at: npt.NDArray[np.int64], ids: list[Any]) -> Numbers:
        """1 for cells that are out of order in their page, 0 for the others.

        SQLite lays out a page in the order of ids when it is split or written anew; what comes later is put where
        there is room.
        """
        late = np.zeros(len(at))
        for page in np.unique(at // self._page):
            cells = sorted(np.flatnonzero(at // self._page == page), key=lambda cell: int(at[cell]))
            keys = [ids[cell] for cell in cells]
            kept = max(longest_rise(keys), longest_rise(keys[::-1]), key=len)
            for cell in cells:
                late[cell] = ids[cell] not in kept
        return late


def longest_rise(keys: list[Any]) -> set[Any]:
    """The most keys that stand in rising order."""
    best: list[list[Any]] = []
    for key in keys:
        best.append([*max((rise for rise in best if rise[-1] < key), key=len, default=[]), key])
    return set(max(best, key=len))


def boxes(name: str, values: list[bytes]) -> Statistics:
    """Lengths and bytes of sealed values."""
    return {
        f"{name} length": np.array([len(value) for value in values], dtype=np.float64),
        f"{name} first bytes": np.array([number(value) for value in values]),
        f"{name} last bytes": np.array([number(value[-6:]) for value in values]),
        f"{name} mean byte": np.array([np.frombuffer(value, np.uint8).mean() for value in values]),
    }


def rows(path: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


def vault_statistics(path: Path, records: list[bytes]) -> Statistics:
    query = "SELECT record, wrapped, sealed FROM templates JOIN keys USING (record)"
    found = {record: (wrapped, sealed) for record, wrapped, sealed in rows(path, query)}
    wrapped, sealed = ([found[record][which] for record in records] for which in (0, 1))
    places = Places(path)
    return {
        "record id": np.array([number(record) for record in records]),
        **boxes("wrapped key", wrapped),
        **boxes("template", sealed),
        **places.of("wrapped key", wrapped, records),
        **places.of("template", [box[:32] for box in sealed], records),
        **places.of("template's end", [box[-32:] for box in sealed], records),
    }


def registry_statistics(path: Path, residents: list[str], cards: list[bytes]) -> Statistics:
    people = dict(rows(path, "SELECT id, sealed FROM residents"))
    owned = dict(rows(path, "SELECT card, sealed FROM cards"))
    receipts = {row[0]: row[1:] for row in rows(path, "SELECT resident, place, id, n, sealed FROM receipts")}
    sealed = [people[resident] for resident in residents]
    held = [owned[card] for card in cards]
    given = [receipts[resident] for resident in residents]
    places = Places(path)
    return {
        "pseudonym": np.array([number(bytes.fromhex(resident[2:])) for resident in residents]),
        "card hash": np.array([number(card) for card in cards]),
        "receipt id": np.array([number(bytes.fromhex(row[1][2:])) for row in given]),
        "receipt's rowid": np.array([float(row[0]) for row in given]),
        "receipt's number": np.array([float(row[2]) for row in given]),
        **boxes("resident", sealed),
        **boxes("card", held),
        **boxes("receipt", [row[3] for row in given]),
        **places.of("resident", [box[:32] for box in sealed], residents),
        **places.of("card", held, cards),
        **places.of("receipt", [row[3][:32] for row in given], [row[0] for row in given]),
    }


def device(root: Path, enrol: Callable[..., list[str]] = fill, **how: Any) -> Device:
    with house(root) as stores:
        residents = enrol(stores, range(N), **how)
        records = [stores.house.record_id(resident) for resident in residents]
        cards = [stores.house.card_hash(card_of(person)) for person in range(N)]
    return Device(
        vault_statistics(root / "vault.db", records),
        registry_statistics(root / "registry.db", residents, cards),
        {path.name: path.stat().st_size for path in root.rglob("*") if path.is_file()},
    )


@pytest.fixture(scope="module", params=[1, 8], ids=["1 slot", "8 slots"])
def devices(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Device, Device]:
    root = tmp_path_factory.mktemp("devices")
    one, other = (device(root / name, slots=request.param) for name in ("one", "other"))
    return one, other


def linked(one: Statistics, other: Statistics) -> dict[str, dict[str, float]]:
    """The statistics of the same name that link."""
    assert list(one) == list(other)
    return {name: found for name in one if (found := links(one[name], other[name]))}


def joined(one: Statistics, other: Statistics) -> Iterator[str]:
    """Any statistic of one file with any of another, against the floor's known spread for independent ranks."""
    for a, left in one.items():
        for b, right in other.items():
            if abs(spearman(left, right)) * np.sqrt(N - 1) > LIMITS["spearman"]:
                yield f"{a} – {b}: rank correlation"
            if matched(left, right) - 1.0 > LIMITS["matched"]:
                yield f"{a} – {b}: pairs of one rank"


def test_two_devices_link_nobody_by_their_templates(devices: tuple[Device, Device]) -> None:
    one, other = devices
    assert linked(one.vault, other.vault) == {}


def test_two_devices_link_nobody_by_their_registries(devices: tuple[Device, Device]) -> None:
    one, other = devices
    assert linked(one.registry, other.registry) == {}


def test_any_statistic_of_one_device_says_nothing_of_any_of_the_other(devices: tuple[Device, Device]) -> None:
    one, other = devices
    assert list(joined(one.vault, other.vault)) == []
    assert list(joined(one.registry, other.registry)) == []


def test_the_two_files_of_one_device_do_not_join(devices: tuple[Device, Device]) -> None:
    for each in devices:
        assert list(joined(each.vault, each.registry)) == []


def test_no_row_tells_when_its_person_was_enrolled(devices: tuple[Device, Device]) -> None:
    """The ledger has the order of enrolments: nothing in the other files may go by it."""
    order = {"entry in the ledger": np.arange(N, dtype=np.float64)}
    for each in devices:
        assert list(joined(order, each.vault)) == []
        assert list(joined(order, each.registry)) == []


def test_files_of_both_devices_have_the_same_sizes(devices: tuple[Device, Device]) -> None:
    """Sizes tell how many people there are, within a page or two that the ids' own order costs."""
    one, other = devices
    assert one.sizes.keys() == other.sizes.keys()
    for name, size in one.sizes.items():
        assert abs(size - other.sizes[name]) <= 4 * 4096, name
    assert one.sizes["vault.ring"] == other.sizes["vault.ring"]


# --- the statistics find what there is to find ----------------------------------------------------


def test_files_that_are_not_rebuilt_are_caught(tmp_path: Path) -> None:
    """SQLite puts a cell into its page where there is room: those out of order came last."""
    one = device(tmp_path / "one", tidy=False)
    order = {"enrolled": np.arange(N, dtype=np.float64)}
    found = {*joined(order, one.vault), *joined(order, one.registry)}
    # Keys are drawn anew each time, and either of the two is missed now and then.
    assert found & {f"enrolled – {what} came late: rank correlation" for what in ("wrapped key", "card")}


def test_cells_out_of_order_are_found() -> None:
    assert longest_rise([b"a", b"d", b"b", b"c"]) == {b"a", b"b", b"c"}
    assert longest_rise([5]) == {5}
    assert len(longest_rise([1, 2, 3, 9, 4, 5, 0])) == 5


def test_templates_that_are_not_padded_are_caught(tmp_path: Path) -> None:
    """As many captures as the person happened to give, on both devices alike: then lengths tell."""

    def enrol(stores: Any, numbers: range) -> list[str]:
        found = [add(stores, person, captures=1 + person % 7, slots=0) for person in numbers]
        stores.need_vault()._store.rebuild()
        return found

    one, other = (device(tmp_path / name, enrol) for name in ("one", "other"))
    lengths = one.vault["template length"], other.vault["template length"]
    assert set(links(*lengths)) == {"spearman", "matched", "d_sys"}


# --- bytes a record -------------------------------------------------------------------------------


def test_the_file_grows_in_proportion(tmp_path: Path) -> None:
    """One template of 128 values each, one slot: 10,000 of them are at most 10 MB."""
    each = []
    with house(tmp_path / "state") as stores:
        for start, end in pairwise((0, 500, 1_000, 2_000)):
            fill(stores, range(start, end))
            each.append(stores.paths.vault.stat().st_size / end)
    assert each[2] == pytest.approx(each[1], rel=0.1)
    assert 10_000 * max(each[1:]) <= 10e6


@pytest.mark.nightly
def test_ten_thousand_records_are_at_most_ten_megabytes(tmp_path: Path) -> None:
    sizes = {}
    with house(tmp_path / "state") as stores:
        for start, end in pairwise((0, 1_000, 10_000)):
            fill(stores, range(start, end))
            sizes[end] = stores.paths.vault.stat().st_size
    assert sizes[10_000] <= 10_000_000
    assert sizes[10_000] / 10_000 == pytest.approx(sizes[1_000] / 1_000, rel=0.1)
