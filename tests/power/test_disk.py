"""The model of a disk: what is promised is in every image, and what is not is missing from some."""

from __future__ import annotations

from pathlib import Path
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from tests.power.disk import (
    PAGE,
    SECTOR,
    Answered,
    DirectorySynced,
    Event,
    Made,
    Renamed,
    Resized,
    Synced,
    Tree,
    Unlinked,
    Written,
    after,
    read_tree,
    write_tree,
)

SEEDS = 200
A, B, C = (bytes([letter]) * SECTOR for letter in b"ABC")


def images(base: Tree, *events: Event) -> list[Tree]:
    return [after(base, events).crash(Random(seed)) for seed in range(SEEDS)]


def contents(base: Tree, *events: Event) -> set[bytes | None]:
    """Every content that `x` was left with; None where it was not there."""
    return {image.get("x") for image in images(base, *events)}


# --- content -------------------------------------------------------------------------------------


def test_what_was_synced_is_there_and_nothing_else() -> None:
    assert contents({"x": A}, Written("x", 0, B), Synced("x")) == {B}
    assert contents({"x": A}, Written("x", 0, B), Written("x", 3, b"!"), Synced("x"), Answered()) == {
        b"BBB!" + B[4:]
    }


def test_what_was_not_synced_is_there_or_not() -> None:
    assert contents({"x": A}, Written("x", 0, B)) == {A, B}
    assert contents({"x": A}, Written("x", 0, B), Synced("x"), Written("x", 0, C)) == {B, C}


def test_a_write_of_several_sectors_tears_between_them_in_any_order() -> None:
    assert contents({"x": A + A}, Written("x", 0, B + B)) == {A + A, A + B, B + A, B + B}


def test_a_sector_is_never_torn_and_keeps_its_neighbours() -> None:
    """A write of the middle of a sector leaves what stood before and behind it."""
    assert contents({"x": A}, Written("x", 100, B[:10])) == {A, A[:100] + B[:10] + A[110:]}


def test_later_writes_may_arrive_before_earlier_ones_but_not_within_a_sector() -> None:
    found = contents({"x": A + A}, Written("x", 0, B), Written("x", SECTOR, C))
    assert found == {A + A, B + A, A + C, B + C}
    assert contents({"x": A}, Written("x", 0, B[:1]), Written("x", 1, C[:1])) == {A, b"B" + A[1:], b"BC" + A[2:]}


def test_a_file_that_grew_is_short_or_reads_as_zeros_where_nothing_arrived() -> None:
    zeros = bytes(SECTOR)
    found = contents({"x": A}, Written("x", SECTOR, B))
    assert found == {A, A + B, A + zeros}
    assert contents({"x": b""}, Resized("x", 10)) == {b"", bytes(10)}


def test_a_file_that_was_cut_is_whole_or_cut_and_never_in_part() -> None:
    assert contents({"x": (A + B) * 8}, Resized("x", 0)) == {(A + B) * 8, b""}
    assert contents({"x": (A + B) * 8}, Resized("x", PAGE)) == {(A + B) * 8, (A + B) * 4}
    assert contents({"x": A + B}, Resized("x", 3), Synced("x")) == {A[:3]}


def test_zeros_may_follow_the_new_end_of_a_file_whose_cut_was_lost() -> None:
    """The kernel clears the rest of the last page, and may write that page before the size."""
    found = contents({"x": A + B}, Resized("x", 3))
    assert found >= {A + B, A[:3], A[:3] + bytes(2 * SECTOR - 3)}


def test_what_a_cut_took_away_does_not_come_back_when_the_file_grows_again() -> None:
    """Either the cut was lost, with its old end, or the end is zeros or new."""
    old, end = (A + B) * 4, (A + B) * 4
    found = contents({"x": old + end}, Resized("x", PAGE), Resized("x", 2 * PAGE))
    assert found == {old + end, old, old + bytes(PAGE)}
    again = contents({"x": A + B}, Resized("x", 0), Written("x", 0, C[:8]))
    assert {A + B, b"", C[:8], bytes(8)} <= again
    assert all(content in (b"", C[:8], bytes(8)) or len(content or b"") == 2 * SECTOR for content in again)


# --- names ---------------------------------------------------------------------------------------


def test_a_new_name_is_there_once_its_directory_was_synced() -> None:
    new = (Made("x", "1"), Written("1", 0, A), Synced("1"))
    assert contents({}, *new) == {None, A}, "a synced file may lose its name"
    assert contents({}, *new, DirectorySynced(".")) == {A}
    assert None in contents({}, *new, DirectorySynced("keys")), "another directory"
    assert contents({}, Made("x", "1"), Written("1", 0, A), DirectorySynced(".")) == {b"", A, bytes(SECTOR)}


def test_a_rename_is_one_step_and_the_old_or_the_new_file_is_there() -> None:
    made = (Made("x.new", "1"), Written("1", 0, B), Synced("1"), Renamed("x.new", "x"))
    left = images({"x": A}, *made)
    assert {(image["x"], "x.new" in image) for image in left} == {(A, False), (A, True), (B, False)}
    assert contents({"x": A}, *made, DirectorySynced(".")) == {B}


def test_a_rename_that_was_not_preceded_by_a_sync_leaves_a_torn_file() -> None:
    made = (Made("x.new", "1"), Written("1", 0, B), Renamed("x.new", "x"), DirectorySynced("."))
    assert contents({"x": A}, *made) == {b"", B, bytes(SECTOR)}


def test_an_unlinked_file_may_come_back_until_the_directory_is_synced() -> None:
    assert contents({"x": A}, Unlinked("x")) == {A, None}
    assert contents({"x": A}, Unlinked("x"), DirectorySynced(".")) == {None}
    again = contents({"x": A}, Unlinked("x"), Made("x", "2"), Written("2", 0, B), Synced("2"))
    assert again == {A, None, B}


def test_changes_of_different_names_happen_in_any_order() -> None:
    left = images({}, Made("x", "1"), Made("y", "2"))
    assert {tuple(image) for image in left} == {(), ("x",), ("y",), ("x", "y")}


# --- any course of events ------------------------------------------------------------------------

SIZES = st.integers(0, 3 * SECTOR)
EVENTS = st.lists(
    st.one_of(
        st.builds(lambda at, data: Written("x", at, data), SIZES, st.binary(max_size=2 * SECTOR)),
        st.builds(lambda size: Resized("x", size), SIZES),
        st.just(Synced("x")),
    ),
    max_size=12,
)


@given(EVENTS, st.integers(0, 10**6))
def test_each_sector_is_one_of_its_versions_and_the_size_one_that_was(events: list[Event], seed: int) -> None:
    disk = after({"x": A}, events)
    versions = disk.files["x"].versions
    left = disk.crash(Random(seed))["x"]
    assert len(left) in {len(version) for version in versions}
    for start in range(0, len(left), SECTOR):
        end = min(start + SECTOR, len(left))
        possible = {version.ljust(len(left), b"\0")[start:end] for version in versions}
        assert left[start:end] in possible
    if not events or events[-1] == Synced("x"):
        assert left == versions[-1]


@given(EVENTS, st.integers(0, 10**6))
def test_the_running_system_sees_what_it_wrote_and_an_image_can_be_made_again(
    events: list[Event], seed: int
) -> None:
    plain = bytearray(A)
    for event in events:
        if isinstance(event, Written):
            plain.extend(bytes(max(0, event.offset - len(plain))))
            plain[event.offset : event.offset + len(event.data)] = event.data
        elif isinstance(event, Resized):
            plain[event.size :] = bytes(max(0, event.size - len(plain)))
    assert after({"x": A}, events).now() == {"x": bytes(plain)}
    assert after({"x": A}, events).crash(Random(seed)) == after({"x": A}, events).crash(Random(seed))


def test_a_tree_is_written_and_read_back_without_what_is_no_part_of_the_state(tmp_path: Path) -> None:
    tree = {"vault.db": A, "keys/vault.key": B}
    root = write_tree(tree, tmp_path / "state")
    for stray in ("vault.db-shm", "run/control.sock", "bench/pins.jsonl"):
        (root / stray).write_bytes(C)
    assert read_tree(root) == tree
