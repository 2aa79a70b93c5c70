"""The family of errors that people may see.

Each says what happened, to whom it matters where that is not plain, and what to do next, in one
line. Adapters wrap what their libraries raise into one of these; nothing else crosses a room.
A message never holds a name, a card number, a vector or a key.
"""

from __future__ import annotations


class GateVaultError(Exception):
    """Base of the family.

    `code` is stable and goes over the wire; `exit_status` is what the CLI exits with.
    """

    code = "failed"
    exit_status = 1


class UsageError(GateVaultError):
    """A command was typed wrongly."""

    code = "usage"
    exit_status = 2


class ConfigError(GateVaultError):
    """A configuration file or board profile cannot be used."""

    code = "config"


class StateError(GateVaultError):
    """The state directory is absent, half made, of another kind, or in use."""

    code = "state"


class SandboxError(GateVaultError):
    """A process cannot give up what it must not have."""

    code = "sandbox"


class BenchOnlyError(GateVaultError):
    """Something that belongs to the bench was asked of a production state, or the reverse."""

    code = "bench-only"


class CalibrationError(GateVaultError):
    """There are no usable figures for the networks in use: no face can be decided on."""

    code = "calibration"


class VaultLockedError(GateVaultError):
    """The key of the templates is not there: faces are off, cards work."""

    code = "vault-locked"


class KeyAwayError(VaultLockedError):
    """What holds the key gave no answer: the daemon asks again by itself."""


class WrongKeyError(GateVaultError):
    """A key is there but is not the one that this state was sealed under."""

    code = "wrong-key"


class RecordRefusedError(GateVaultError):
    """One sealed record does not open: altered, swapped, or bound to another consent or device."""

    code = "record-refused"


class HolderKeyNeededError(GateVaultError):
    """A record opens with the secret on its holder's card alone, and that card was not read."""

    code = "holder-key"


class StoreError(GateVaultError):
    """A database or file of the state cannot be read or written."""

    code = "store"


class StoreFullError(StoreError):
    """The disk that holds the state is full."""

    code = "disk-full"


class StoreCorruptError(StoreError):
    """A database page does not hold what was written there."""

    code = "store-corrupt"


class LedgerBrokenError(StoreError):
    """The ledger does not verify: an entry was altered, removed or forged."""

    code = "ledger-broken"


class CheckpointError(GateVaultError):
    """A checkpoint, verifier key or exported ledger cannot be read."""

    code = "checkpoint"


class BackupError(GateVaultError):
    """A backup or recovery key is not what it should be, or nothing tells what came after it."""

    code = "backup"


class ConsentError(GateVaultError):
    """There is no live consent for what was asked, or it cannot be given this way."""

    code = "no-consent"


class NotRecordedError(GateVaultError):
    """Faces are off: the impact assessment or the sign at the gate is not recorded."""

    code = "not-recorded"


class NotFoundError(GateVaultError):
    """No such resident, card or record."""

    code = "not-found"


class ConflictError(GateVaultError):
    """What was asked collides with what is there (a card of another resident, a look under way)."""

    code = "conflict"


class EnrolmentError(GateVaultError):
    """The captures do not make a template."""

    code = "enrolment"


class DuplicateError(GateVaultError):
    """The captures may be of a resident who is enrolled already, under another name."""

    code = "duplicate"


class CameraError(GateVaultError):
    """The camera cannot be opened, or gives no usable frames."""

    code = "camera"


class ModelError(GateVaultError):
    """A model file is absent or is not what its hash says."""

    code = "model"


class DeviceError(GateVaultError):
    """A pin, relay or reader cannot be used."""

    code = "device"


class VisionDownError(GateVaultError):
    """The vision process is not there or died during a look."""

    code = "vision-down"


class ProtocolError(GateVaultError):
    """A peer sent something that is not a message; its connection is closed."""

    code = "protocol"


class NotAllowedError(GateVaultError):
    """The peer of the control socket may not command this device."""

    code = "not-allowed"


class DaemonDownError(GateVaultError):
    """No daemon answers on the control socket."""

    code = "daemon-down"
