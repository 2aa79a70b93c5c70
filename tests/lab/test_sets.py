"""Sets of embeddings: what is refused, and how a model's vectors are made of the networks'."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from gatevault.core.errors import UsageError
from gatevault.core.models import DLIB_SHARE
from gatevault.lab.sets import MODELS, Set, embeddings, joined, mean_rows, read_set, units
from tests.lab.people import people, write

FEW = 10


@pytest.fixture
def few() -> Set:
    return {name: rows[:FEW] for name, rows in people().items()}


def test_a_set_is_read_as_it_was_written(few: Set, tmp_path: Path) -> None:
    read = read_set(write(tmp_path / "set.npz", {**few, "something_else": np.zeros(3)}), "identity")
    assert set(read) == {"identity", "dlib", "dlib_mirrored", "mobilefacenet"}
    assert all(np.array_equal(read[name], few[name]) for name in few)


@pytest.mark.parametrize("content", [b"", b"no archive at all", b"PK\x03\x04 cut off"])
def test_what_is_no_archive_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "set.npz"
    path.write_bytes(content)
    with pytest.raises(UsageError, match="does not read as a set"):
        read_set(path, "identity")


def test_no_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.npz", tmp_path):
        with pytest.raises(UsageError, match="does not read as a set"):
            read_set(path, "identity")


def test_a_damaged_archive_is_refused(few: Set, tmp_path: Path) -> None:
    path = write(tmp_path / "set.npz", few)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 40] = bytes(40)
    path.write_bytes(data)
    with pytest.raises(UsageError, match="does not read as a set"):
        read_set(path, "identity")


def test_pickled_objects_are_never_loaded(few: Set, tmp_path: Path) -> None:
    path = tmp_path / "set.npz"
    np.savez(path, **{**few, "identity": np.array([print] * FEW, dtype=object)}, allow_pickle=True)
    with pytest.raises(UsageError, match="plain arrays"):
        read_set(path, "identity")


@pytest.mark.parametrize("left", [("dlib",), ("identity",), ()])
def test_a_key_and_an_array_are_needed(left: tuple[str, ...], few: Set, tmp_path: Path) -> None:
    path = write(tmp_path / "set.npz", {name: few[name] for name in left})
    with pytest.raises(UsageError, match="no identity with embeddings"):
        read_set(path, "identity")


def test_people_are_no_groups(few: Set, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no group with embeddings"):
        read_set(write(tmp_path / "set.npz", few), "group")


def _with(rows: np.ndarray, value: float) -> np.ndarray:
    rows = rows.copy()
    rows[3, 5] = value
    return rows


def _without_one(rows: np.ndarray) -> np.ndarray:
    return np.where(np.arange(len(rows))[:, None] == 3, 0.0, rows)


SPOILT: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "not a number": lambda rows: _with(rows, np.nan),
    "infinite": lambda rows: _with(rows, np.inf),
    "a row of zeros": _without_one,
    "a row too few": lambda rows: rows[:-1],
    "a row too many": lambda rows: np.vstack([rows, rows[:1]]),
    "whole numbers": lambda rows: (100 * rows).astype(np.int32),
    "complex": lambda rows: rows.astype(np.complex64),
    "text": lambda rows: rows.astype(str),
    "one axis": lambda rows: rows[:, 0],
    "three axes": lambda rows: rows[:, :, None],
}


@pytest.mark.parametrize("array", ["dlib", "dlib_mirrored", "mobilefacenet"])
@pytest.mark.parametrize("how", SPOILT)
def test_what_are_no_vectors_is_refused(how: str, array: str, few: Set, tmp_path: Path) -> None:
    path = write(tmp_path / "set.npz", {**few, array: SPOILT[how](few[array])})
    with pytest.raises(UsageError, match=f"{array} is not one finite, non-zero vector"):
        read_set(path, "identity")


def test_another_networks_width_is_refused(few: Set) -> None:
    with pytest.raises(UsageError, match="dlib has not 128 values"):
        embeddings({**few, "dlib": few["dlib"][:, :64], "dlib_mirrored": few["dlib"][:, :64]}, "dlib")


@pytest.mark.parametrize("model", ["dlib", "mobilefacenet"])
def test_one_network_makes_unit_vectors(model: str, few: Set) -> None:
    rows = embeddings(few, model)
    assert (rows.shape, rows.dtype) == ((FEW, 128), np.float32)
    assert np.linalg.norm(rows, axis=1) == pytest.approx(1.0, abs=1e-6)


def test_fused_blocks_are_as_long_as_the_root_of_their_share(few: Set) -> None:
    rows = embeddings(few, "fused")
    assert rows.shape == (FEW, 256)
    assert np.linalg.norm(rows[:, :128], axis=1) == pytest.approx(DLIB_SHARE**0.5, abs=1e-6)
    assert np.linalg.norm(rows[:, 128:], axis=1) == pytest.approx((1 - DLIB_SHARE) ** 0.5, abs=1e-6)


def test_a_fused_cosine_is_the_shares_of_both(few: Set) -> None:
    fused, dlib, mobile = (embeddings(few, name) for name in ("fused", "dlib", "mobilefacenet"))
    expected = DLIB_SHARE * dlib @ dlib.T + (1 - DLIB_SHARE) * mobile @ mobile.T
    assert fused @ fused.T == pytest.approx(expected, abs=1e-5)


def test_both_ways_round_count_alike(few: Set) -> None:
    """However long the network's own vectors are."""
    both = {**few, "dlib_mirrored": 7.0 * few["dlib_mirrored"]}
    expected = units(units(few["dlib"]) + units(few["dlib_mirrored"]))
    assert embeddings(both, "dlib") == pytest.approx(expected, abs=1e-6)


def test_without_mirrored_ones_the_plain_vectors_serve(few: Set) -> None:
    plain = {name: rows for name, rows in few.items() if name != "dlib_mirrored"}
    assert embeddings(plain, "dlib") == pytest.approx(units(few["dlib"]), abs=1e-6)


@pytest.mark.parametrize(("lacking", "model"), [("dlib", "dlib"), ("dlib", "fused"), ("mobilefacenet", "fused")])
def test_a_network_that_the_set_lacks_is_named(lacking: str, model: str, few: Set) -> None:
    with pytest.raises(UsageError, match=f"no embeddings of {lacking}: choose another --model"):
        embeddings({name: rows for name, rows in few.items() if name != lacking}, model)


def test_means_are_taken_network_by_network(few: Set) -> None:
    """A network whose photographs differ more has a shorter mean; it counts by its share all the same."""
    layouts = MODELS["fused"]
    rows = embeddings(few, "fused")
    mean = mean_rows(rows, layouts)
    assert np.linalg.norm(mean[:128]) == pytest.approx(DLIB_SHARE**0.5, abs=1e-6)
    blocks = [units(rows[:, block].sum(axis=0, keepdims=True)) for block in (slice(128), slice(128, None))]
    assert mean == pytest.approx(joined(blocks, layouts)[0], abs=1e-6)


def test_the_mean_of_one_is_that_one(few: Set) -> None:
    rows = embeddings(few, "fused")
    assert mean_rows(rows[:1], MODELS["fused"]) == pytest.approx(rows[0], abs=1e-6)


def test_a_single_array_is_no_set(tmp_path: Path) -> None:
    np.save(tmp_path / "set.npy", np.zeros((3, 128), np.float32))
    with pytest.raises(UsageError, match="does not read as a set"):
        read_set(tmp_path / "set.npy", "identity")


@pytest.mark.parametrize("identity", [np.array(1), np.zeros((FEW, 1), int), np.array(["a"] * FEW), np.zeros(FEW)])
def test_identities_are_one_whole_number_a_row(identity: np.ndarray, few: Set, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="identity is not one whole number a row"):
        read_set(write(tmp_path / "set.npz", {**few, "identity": identity}), "identity")


def test_a_set_of_nobody_is_refused(few: Set, tmp_path: Path) -> None:
    nobody = {name: rows[:0] for name, rows in few.items()}
    with pytest.raises(UsageError, match="identity is not one"):
        read_set(write(tmp_path / "set.npz", nobody), "identity")


def test_mirrored_rows_have_the_width_of_the_plain_ones_and_do_not_cancel_them(few: Set) -> None:
    with pytest.raises(UsageError, match="has not 128 values"):
        embeddings({**few, "dlib_mirrored": few["dlib_mirrored"][:, :64]}, "dlib")
    with pytest.raises(UsageError, match="cancel out"):
        embeddings({**few, "dlib_mirrored": -few["dlib"]}, "dlib")
