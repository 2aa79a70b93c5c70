"""The installer's key: an Ed25519 key made at provisioning, whose end is the handover.

    file         "gatevault-installer-v1 " ‖ seed as 64 hexadecimal digits ‖ newline, mode 0600
    signature    Ed25519 over "gv/installer/v1\\0" ‖ MessagePack of the command with an empty signature

The device keeps the public half, and forgets it at the handover: no copy of the file counts after that.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Final

from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

from gatevault.core.errors import StateError, UsageError
from gatevault.vault.files import sync_directory, write_new
from gatevault.vault.keys import Secret, hex_digits
from gatevault.vault.signing import Signer

_LABEL: Final = b"gatevault-installer-v1 "
_PREFIX: Final = b"gv/installer/v1\0"


def make_installer_key(path: Path) -> str:
    """Draw a key into a new file; its public half, 64 hexadecimal digits. StateError where there is a file."""
    secret = Secret.random()
    digits = hex_digits(secret.buffer)
    line = bytearray(_LABEL + digits + b"\n")
    try:
        write_new(path, line)
        return Signer(secret.buffer).verify_key.encode().hex()
    except FileExistsError:
        raise StateError(f"{path} is there already: name another file for the installer's key.") from None
    except OSError as error:
        raise StateError(f"The installer's key cannot be written to {path} ({error.strerror}).") from None
    finally:
        digits[:] = bytes(len(digits))
        line[:] = bytes(len(line))
        secret.wipe()


def load_installer_key(path: Path) -> Signer:
    """The key of a file. UsageError where there is none, or something else."""
    try:
        line = bytearray(path.read_bytes())
    except OSError as error:
        raise UsageError(
            f"The installer's key {path} cannot be read ({error.strerror}): it ends at the handover; an admin "
            "admits an installer with `gatevault installer admit`."
        ) from None
    seed = None
    try:
        if not line.startswith(_LABEL) or not line.endswith(b"\n"):
            raise ValueError
        seed = Secret.from_hex(line[len(_LABEL) : -1])
        return Signer(seed.buffer)
    except ValueError:
        raise UsageError(f"{path} is no installer's key.") from None
    finally:
        line[:] = bytes(len(line))
        if seed is not None:
            seed.wipe()


def destroy_installer_key(path: Path) -> bool:
    """Overwrite and remove the file; whether there was one. Flash may keep the page: the key is worth nothing."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise StateError(f"{path} cannot be destroyed ({error.strerror}): remove it by hand.") from None
    with contextlib.suppress(OSError):
        os.write(handle, bytes(os.fstat(handle).st_size))
        os.fsync(handle)
    os.close(handle)
    try:
        path.unlink()
        sync_directory(path.parent)
    except OSError as error:
        raise StateError(f"{path} cannot be destroyed ({error.strerror}): remove it by hand.") from None
    return True


def sign_command(encoded: bytes, key: Signer) -> str:
    """The signature of a command that was encoded without one."""
    return key.sign(_PREFIX + encoded).hex()


def is_installers(encoded: bytes, signature: str, public: str) -> bool:
    """Whether the holder of this public key signed this command."""
    try:
        VerifyKey(bytes.fromhex(public)).verify(_PREFIX + encoded, bytes.fromhex(signature))
    except (BadSignatureError, ValueError):
        return False
    return True
