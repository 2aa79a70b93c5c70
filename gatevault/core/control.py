"""What the CLI may ask of the daemon, and the answers: one struct a command.

No command and no answer carries a vector, a picture or a key (tested over all of them). Framing is
that of `wire`.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, get_args

import msgspec
from msgspec import Meta

from gatevault.core.checkpoint import MAX_NOTE
from gatevault.core.consent import KeyMode
from gatevault.core.jcs import MAX_INTEGER
from gatevault.core.liveness import Tier
from gatevault.core.passphrase import MAX_BYTES
from gatevault.core.site import Day, Line, SiteKind
from gatevault.core.wire import Message

Name = Annotated[str, Meta(min_length=1, max_length=120)]
ResidentId = Annotated[str, Meta(pattern=r"^r-[0-9a-f]{16}\Z")]
CardText = Annotated[str, Meta(min_length=1, max_length=128)]
Language = Annotated[str, Meta(pattern=r"^(zh|en)\Z")]
Passphrase = Annotated[memoryview, Meta(min_length=1, max_length=MAX_BYTES)]
"""As `core.passphrase.typed` gives it; where a command is received, it lies in the connection's own buffer."""
Uri = Annotated[str, Meta(min_length=1, max_length=4096)]


class _Private(Message, frozen=True):
    """Holds a name, a card number or what an admin asked to see: shows none of it, in a log say."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"


class Status(Message, frozen=True, tag="status"):
    pass


class ResidentAdd(_Private, frozen=True, tag="resident-add"):
    name: Name
    born: Annotated[str, Meta(pattern=r"^(19|20)[0-9]{2}-(0[1-9]|1[0-2])\Z")] | None = None


class ResidentShow(Message, frozen=True, tag="resident-show"):
    resident: ResidentId


class ResidentExport(Message, frozen=True, tag="resident-export"):
    resident: ResidentId


class ResidentRemove(Message, frozen=True, tag="resident-remove"):
    resident: ResidentId


class CardAdd(_Private, frozen=True, tag="card-add"):
    resident: ResidentId
    number: CardText


class CardRemove(_Private, frozen=True, tag="card-remove"):
    number: CardText


class Notice(Message, frozen=True, tag="notice"):
    language: Language


class ConsentGive(_Private, frozen=True, tag="consent-give"):
    """`sha256` names the notice text that was shown; `tap` stands for the card on a bench."""

    resident: ResidentId
    language: Language
    sha256: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
    tap: CardText | None = None
    mode: KeyMode = KeyMode.DEVICE


class ConsentWithdraw(Message, frozen=True, tag="consent-withdraw"):
    resident: ResidentId


class ConsentShow(Message, frozen=True, tag="consent-show"):
    resident: ResidentId


class Enrol(_Private, frozen=True, tag="enrol"):
    """`tap` stands, on a bench, for the card of a resident whose template opens with it. `another`: an admin saw
    that this is another person than the resident whom they resemble."""

    resident: ResidentId
    camera: Uri | None = None
    tap: CardText | None = None
    another: bool = False


class Purge(Message, frozen=True, tag="purge"):
    resident: ResidentId


class DoorUnlock(Message, frozen=True, tag="door-unlock"):
    pass


class DoorLock(Message, frozen=True, tag="door-lock"):
    pass


class VaultLock(Message, frozen=True, tag="vault-lock"):
    pass


class VaultUnlock(_Private, frozen=True, tag="vault-unlock"):
    """The passphrase is given where the key provider asks for one."""

    passphrase: Passphrase | None = None


class VaultCheck(Message, frozen=True, tag="vault-check"):
    pass


class KeyShow(Message, frozen=True, tag="key-show"):
    pass


class KeyRotate(Message, frozen=True, tag="key-rotate"):
    pass


class KeyMove(_Private, frozen=True, tag="key-move"):
    """To another key provider, or to the same one with another passphrase or policy."""

    to: Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,40}\Z")]
    passphrase: Passphrase | None = None
    pcrs: Annotated[str, Meta(max_length=80)] | None = None
    tpm_index: bool = True


class BackupMake(Message, frozen=True, tag="backup-make"):
    """For the holder of the recovery key whose public half this is; None for the one in config.toml."""

    recipient: Annotated[str, Meta(pattern=r"^gvr1-[0-9a-f]{64}\Z")] | None = None


class BackupPage(Message, frozen=True, tag="backup-page"):
    """Bytes from `start` of the backup that was made last; `sha256` says which that was."""

    sha256: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
    start: Annotated[int, Meta(ge=0, le=MAX_INTEGER)]


class LedgerVerify(Message, frozen=True, tag="ledger-verify"):
    """`anchor`: a signed checkpoint that was kept from earlier."""

    anchor: Annotated[str, Meta(min_length=1, max_length=MAX_NOTE)] | None = None


class LedgerExport(Message, frozen=True, tag="ledger-export"):
    """Entries from index `start`, as many as fit a page, with the checkpoint and key of that moment."""

    start: Annotated[int, Meta(ge=0, le=MAX_INTEGER)] = 0


class ClockSet(Message, frozen=True, tag="clock-set"):
    """What time it is, UTC. `far`: the admin saw that this is long after the last time known."""

    time: Annotated[str, Meta(pattern=r"^20[0-9]{2}(-[0-9]{2}){2}T[0-9]{2}(:[0-9]{2}){2}Z\Z")]
    far: bool = False


class _Installers(_Private, frozen=True, kw_only=True):
    """What an installer may ask; signed by their key (`service.installer_key`), at CLOCK_MONOTONIC `mono_ms`.

    A signature and not the key travels. Without one it is an admin who asks, who may not ask for everything.
    """

    mono_ms: Annotated[int, Meta(ge=0, le=MAX_INTEGER)] = 0
    signature: Annotated[str, Meta(pattern=r"^([0-9a-f]{128})?\Z")] = ""


class SiteShow(Message, frozen=True, tag="site-show"):
    """What is recorded of this place, and whether an installer is admitted."""


class SiteRecord(_Installers, frozen=True, tag="site-record"):
    """Either record of `core.site`: `by` and `document` belong to an assessment, `text` and `where` to a sign."""

    kind: SiteKind
    date: Day
    by: Line | None = None
    document: Line | None = None
    text: Line | None = None
    where: Line | None = None


class SiteRevoke(Message, frozen=True, tag="site-revoke"):
    """Faces are off from now on."""

    kind: SiteKind


class InstallerAdmit(Message, frozen=True, tag="installer-admit"):
    """By an admin: this public key is the installer's from now on, in place of any other."""

    public: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]


class InstallerEnd(Message, frozen=True, tag="installer-end"):
    """The handover: no installer's key counts from now on."""


class Aim(_Installers, frozen=True, tag="aim"):
    """Look for at most so many seconds; each progress is a `core.aiming.Sighting` in JSON. `camera`: bench only."""

    seconds: Annotated[int, Meta(ge=1, le=60)] = 60
    camera: Uri | None = None


class PartTest(_Installers, frozen=True, tag="part-test"):
    """One pulse of the relay, or each light in turn, of the running gate."""

    part: Annotated[str, Meta(pattern=r"^(relay|lights)\Z")]


class WalkUp(Message, frozen=True, tag="walk-up"):
    """Bench only: the presence sensor. `tier` in place of the configured one."""

    camera: Uri | None = None
    tier: Tier | None = None


class Tap(_Private, frozen=True, tag="tap"):
    """Bench only: a card at the reader."""

    number: CardText


Command = (
    Status
    | ResidentAdd
    | ResidentShow
    | ResidentExport
    | ResidentRemove
    | CardAdd
    | CardRemove
    | Notice
    | ConsentGive
    | ConsentWithdraw
    | ConsentShow
    | Enrol
    | Purge
    | DoorUnlock
    | DoorLock
    | VaultLock
    | VaultUnlock
    | VaultCheck
    | KeyShow
    | KeyRotate
    | KeyMove
    | BackupMake
    | BackupPage
    | LedgerVerify
    | LedgerExport
    | ClockSet
    | SiteShow
    | SiteRecord
    | SiteRevoke
    | InstallerAdmit
    | InstallerEnd
    | Aim
    | PartTest
    | WalkUp
    | Tap
)


class Progress(Message, frozen=True, tag="progress"):
    """Something for the person at the terminal while the command runs."""

    text: Annotated[str, Meta(max_length=500)]


class Answer(_Private, frozen=True, tag="answer"):
    body: dict[str, Any]


class Failure(Message, frozen=True, tag="failure"):
    """A refusal or error: its stable code, and one line of what happened and what to do."""

    code: str
    text: Annotated[str, Meta(max_length=1000)]


Reply = Progress | Answer | Failure

COMMANDS: Final = msgspec.msgpack.Decoder(Command)
REPLIES: Final = msgspec.msgpack.Decoder(Reply)
COMMAND_TYPES: Final = get_args(Command)
