"""Checkpoints to the letter: the standard's own example of a key, ours of a note, and what is no note."""

from __future__ import annotations

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatevault.core.checkpoint import (
    MAX_NOTE,
    Checkpoint,
    VerifierKey,
    origin_of,
    read_key,
    read_note,
    write_note,
)
from gatevault.core.errors import CheckpointError
from gatevault.core.jcs import MAX_INTEGER

PETER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
"""The verifier key of the example in C2SP signed-note."""

ORIGIN = origin_of("gv-0011223344556677")
ROOT = bytes(range(32))
KEY = VerifierKey(ORIGIN, bytes(range(32, 64)))
CHECKPOINT = Checkpoint(ORIGIN, 4711, ROOT)
NOTE = write_note(CHECKPOINT, KEY, b"\x5a" * 64)


def test_a_key_of_the_standard_is_read_and_written() -> None:
    assert read_key(PETER).name == "PeterNeumann"
    assert read_key(PETER).key_id.hex() == "c74f20a3"
    assert read_key(f" {PETER}\n").text() == PETER


def test_a_note_is_what_the_standard_says() -> None:
    key_id = hashlib.sha256(ORIGIN.encode() + b"\n\x01" + KEY.public).digest()[:4]
    blob = base64.b64encode(key_id + b"\x5a" * 64).decode()
    assert (
        "gatevault.local/gv-0011223344556677\n4711\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n\n"
        f"— gatevault.local/gv-0011223344556677 {blob}\n"
    ) == NOTE
    assert CHECKPOINT.text() == NOTE.split("\n\n")[0] + "\n"


@given(st.integers(0, MAX_INTEGER), st.binary(min_size=32, max_size=32), st.binary(min_size=64, max_size=64))
def test_what_is_written_is_read(size: int, tree: bytes, signature: bytes) -> None:
    checkpoint = Checkpoint(ORIGIN, size, tree)
    note = read_note(write_note(checkpoint, KEY, signature))
    assert note.checkpoint == checkpoint
    assert note.by(KEY) == [signature]


def test_witnesses_may_sign_as_well_and_are_kept_out() -> None:
    witness = VerifierKey("witness.example", bytes(32))
    signed = write_note(CHECKPOINT, witness, b"\x11" * 72).rpartition("\n\n")[2]
    note = read_note(NOTE + signed)
    assert note.checkpoint == CHECKPOINT
    assert (note.by(KEY), note.by(witness)) == ([b"\x5a" * 64], [b"\x11" * 72])
    assert note.by(VerifierKey(ORIGIN, bytes(32))) == [], "of that name, and another key"


BODY, SIGNED = NOTE.split("\n\n")
ORIGIN_LINE, SIZE_LINE, ROOT_LINE = BODY.split("\n")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n",
        BODY + "\n",
        BODY + "\n\n",
        BODY + "\n\n\n" + SIGNED,
        NOTE[:-1],
        NOTE + "\n",
        NOTE + "more\n",
        NOTE.replace("\n", "\r\n"),
        NOTE.replace("— ", "- "),
        NOTE.replace("— ", "—"),
        f"{BODY}\nextension\n\n{SIGNED}",
        NOTE.replace("\n4711\n", "\n04711\n"),
        NOTE.replace("\n4711\n", "\n+4711\n"),
        NOTE.replace("\n4711\n", "\n-1\n"),
        NOTE.replace("\n4711\n", "\n٤٧\n"),
        NOTE.replace("\n4711\n", f"\n{MAX_INTEGER + 1}\n"),
        NOTE.replace("\n4711\n", "\n"),
        NOTE.replace(ROOT_LINE, ROOT_LINE[:-1]),
        NOTE.replace(ROOT_LINE, ROOT_LINE.replace("8=", "9=")),
        NOTE.replace(ROOT_LINE, base64.b64encode(bytes(31)).decode()),
        NOTE.replace(ROOT_LINE, "?" + ROOT_LINE[1:]),
        NOTE.replace(ORIGIN_LINE + "\n", "two words\n", 1),
        NOTE.replace(ORIGIN_LINE + "\n", "a+b\n", 1),
        NOTE.replace(ORIGIN_LINE + "\n", "nul\0\n", 1),
        f"{BODY}\n\n— {ORIGIN} AAAA\n",
        f"{BODY}\n\n— {ORIGIN}\n",
        f"{BODY}\n\n" + (SIGNED * 17),
        f"{BODY}\n\n— {ORIGIN} {'A' * MAX_NOTE}\n",
    ],
)
def test_what_is_no_note_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(CheckpointError) as caught:
        read_note(text)
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "text",
    ["", "PeterNeumann", PETER[:-1], PETER.replace("c74f20a3", "c74f20a4"), PETER.replace("c74f", "C74F"),
     PETER.replace("Peter", "Poter"), PETER.replace("+AR", "+Ah"), PETER.replace("+AR", "+AS"), "a b" + PETER],
)  # fmt: skip
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(CheckpointError):
        read_key(text)


@given(st.integers(0, 8 * len(NOTE.encode()) - 1))
def test_a_flipped_bit_never_reads_as_the_same(bit: int) -> None:
    raw = bytearray(NOTE.encode())
    raw[bit // 8] ^= 1 << bit % 8
    try:
        note = read_note(raw.decode())
    except (CheckpointError, UnicodeDecodeError):
        return
    assert (note.checkpoint, note.by(KEY)) != (CHECKPOINT, [b"\x5a" * 64])
