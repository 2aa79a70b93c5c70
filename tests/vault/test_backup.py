"""The container of a backup: it opens whole with its own recovery key, or not at all."""

from __future__ import annotations

import stat
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl.public import PrivateKey, PublicKey, SealedBox

from gatevault.core.errors import BackupError, StateError
from gatevault.vault.backup import Contents, new_recovery_key, pack, unpack

CONTENTS = Contents(
    format=1,
    device="gv-0011223344556677",
    bench=True,
    made="2026-11-24T00:00:00Z",
    house_key=memoryview(bytes(range(32, 64))),
    config='[gate]\nname = "北门"\n',
    registry=b"registry",
    ledger=b"ledger",
)
PRIVATE = bytes(range(32))
PUBLIC = f"gvr1-{bytes(PrivateKey(PRIVATE).public_key).hex()}"

OLD = bytes.fromhex(
    "676174657661756c742d6261636b75702d76310a19977ba29cccf248d9a441e960344554eeabc3ed51b18685645aa38e"
    "7a91cd579824ca1e6c68015e56cab477cd4f8574b3c9868c48d7aded7c297009e7e739fdab78b35a02ab0aa84e0ecbd1"
    "4d01417b2af73bfc19e016bfc7c570c3e01e53cf2a1dbaf716c31fe0e500e4e75c97410e47cb791c39f19e90f0a82044"
    "07e711345a9919b8889bfd97d56ec357c82c48f6cc0448b9506ea74bb73afab50d9a28be074fd409522edd4d9dd01357"
    "ea286bbc18fcea05bdfeb52af925b7908fa08b24b3b9dbbd2580cdbb3d5d198896ed514a7c72efa2357a21ebc0cb5f83"
    "e0af27d53e68"
)
"""CONTENTS for PUBLIC, as `pack` of the first version made it."""


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """PRIVATE in its file."""
    path = tmp_path / "recovery.key"
    path.write_bytes(b"gatevault-recovery-v1 " + PRIVATE.hex().encode() + b"\n")
    return path


def test_what_was_packed_is_unpacked(key: Path) -> None:
    raw = pack(CONTENTS, PUBLIC)
    assert raw.startswith(b"gatevault-backup-v1\n")
    assert msgspec.structs.asdict(unpack(raw, key)) == msgspec.structs.asdict(CONTENTS)
    assert pack(CONTENTS, PUBLIC) != raw, "two backups of the same do not look alike"


def test_a_backup_of_the_first_version_opens(key: Path) -> None:
    assert PUBLIC == "gvr1-8f40c5adb68f25624ae5b214ea767a6ec94d829d3d7b5e1ad1ba6f3e2138285f"
    assert msgspec.structs.asdict(unpack(OLD, key)) == msgspec.structs.asdict(CONTENTS)


def test_every_bit_counts(key: Path) -> None:
    for position in range(8 * len(OLD)):
        altered = bytearray(OLD)
        altered[position // 8] ^= 1 << position % 8
        with pytest.raises(BackupError, match=r"[Nn]othing was restored"):
            unpack(bytes(altered), key)


def test_cut_or_extended_it_does_not_open(key: Path) -> None:
    for length in range(len(OLD)):
        with pytest.raises(BackupError, match=r"[Nn]othing was restored"):
            unpack(OLD[:length], key)
    for more in (b"\0", b"\n", OLD):
        with pytest.raises(BackupError):
            unpack(OLD + more, key)


def test_for_another_recovery_key_it_does_not_open(tmp_path: Path) -> None:
    new_recovery_key(tmp_path / "other.key")
    with pytest.raises(BackupError, match="for another recovery key"):
        unpack(OLD, tmp_path / "other.key")


GARBAGE = {
    "empty": b"",
    "its public half": PUBLIC.encode(),
    "a house key": b"gatevault-key-v1 " + PRIVATE.hex().encode() + b"\n",
    "cut": b"gatevault-recovery-v1 " + PRIVATE.hex().encode()[:-2],
    "long": b"gatevault-recovery-v1 " + PRIVATE.hex().encode() + b"00\n",
    "no digits": b"gatevault-recovery-v1 " + b"x" * 64 + b"\n",
    "no text": b"gatevault-recovery-v1 " + bytes(range(128, 192)),
}


@pytest.mark.parametrize("garbage", GARBAGE)
def test_a_file_that_is_no_recovery_key_is_named_as_such(key: Path, garbage: str) -> None:
    key.write_bytes(GARBAGE[garbage])
    with pytest.raises(BackupError, match="is no recovery key") as caught:
        unpack(OLD, key)
    assert PRIVATE.hex()[:16] not in str(caught.value)


def test_a_recovery_key_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="cannot be read"):
        unpack(OLD, tmp_path / "none.key")


@pytest.mark.parametrize("recipient", ["", "gvr1-", PUBLIC[:-2], PUBLIC + "00", "gvr1-" + "z" * 64])
def test_what_is_no_public_half_is_refused(recipient: str) -> None:
    with pytest.raises(BackupError, match="That is no recovery key"):
        pack(CONTENTS, recipient)


def test_a_new_key_opens_what_is_packed_for_it_and_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "new.key"
    public = new_recovery_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert unpack(pack(CONTENTS, public), path).ledger == b"ledger"
    assert public.removeprefix("gvr1-").encode() not in path.read_bytes()


def test_a_recovery_key_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "new.key"
    new_recovery_key(path)
    before = path.read_bytes()
    with pytest.raises(StateError, match="never overwritten"):
        new_recovery_key(path)
    assert path.read_bytes() == before
    with pytest.raises(StateError, match="cannot be written"):
        new_recovery_key(tmp_path / "no folder" / "new.key")


def test_contents_show_nothing_of_themselves() -> None:
    assert repr(CONTENTS) == str(CONTENTS) == "Contents(…)"


def sealed(plain: bytes) -> bytes:
    """A backup whose content is not what `pack` makes."""
    box = SealedBox(PublicKey(bytes.fromhex(PUBLIC.removeprefix("gvr1-"))))
    return b"gatevault-backup-v1\n" + box.encrypt(plain)


FIELDS = msgspec.structs.asdict(CONTENTS)


@pytest.mark.parametrize(
    "changed",
    [{"format": 2}, {"format": "1"}, {"house_key": bytes(31)}, {"templates": b""}, {"config": b"\xff\xfe"}],
    ids=str,
)
def test_content_of_another_form_is_refused(key: Path, changed: dict[str, object]) -> None:
    with pytest.raises(BackupError, match="of another version"):
        unpack(sealed(msgspec.msgpack.encode(FIELDS | changed)), key)


@given(plain=st.binary(max_size=200))
def test_content_that_is_garbage_is_refused(tmp_path_factory: pytest.TempPathFactory, plain: bytes) -> None:
    path = tmp_path_factory.mktemp("garbage") / "recovery.key"
    path.write_bytes(b"gatevault-recovery-v1 " + PRIVATE.hex().encode() + b"\n")
    with pytest.raises(BackupError):
        unpack(sealed(plain), path)
