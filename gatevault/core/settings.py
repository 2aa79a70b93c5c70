"""Configuration as values: what `config.toml` may say, each figure with its range and unit.

Read from the file by `service.config`; the part that vision needs goes to it in its `Hello`.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from gatevault.core.liveness import Site, Tier
from gatevault.core.liveness.veto import VetoModel
from gatevault.core.models import ModelSettings

Share = Annotated[float, Meta(ge=0.0, le=1.0)]


class _Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A table of the file: an unknown key is an error, for a misspelt limit must not be ignored."""


class GateSettings(_Section, frozen=True):
    """Where this gate is, and which board drives it."""

    name: Annotated[str, Meta(min_length=1, max_length=80)] = "gate"
    board: Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,40}\Z")] = "pi-relay-hat"
    camera: Annotated[str, Meta(max_length=4096)] = "v4l2:/dev/video0"
    start_vision: bool = True
    """Start the vision process from the daemon; false where systemd runs it."""


class LookSettings(_Section, frozen=True):
    """One look of the camera. Times in milliseconds, sizes in pixels."""

    limit_ms: Annotated[int, Meta(ge=500, le=8_000)] = 3_000
    enrol_limit_ms: Annotated[int, Meta(ge=1_000, le=60_000)] = 60_000
    max_frame_age_ms: Annotated[int, Meta(ge=50, le=2_000)] = 300
    zone: tuple[Share, Share, Share, Share] = (0.0, 0.0, 1.0, 1.0)
    """Left, top, right, bottom as shares of the frame; a face counts if its centre lies inside."""
    min_score: Annotated[float, Meta(ge=0.0, le=5.0)] | None = None
    """Least detector score, in the detector's own scale; None: the detector's usual one (HOG 0.4, YuNet 0.7)."""
    min_size: Annotated[int, Meta(ge=20, le=1_000)] = 60
    """Narrowest face that embeds well; smaller is told to come closer."""
    min_exposure: Share = 0.12
    max_exposure: Share = 0.95
    min_sharpness: Annotated[float, Meta(ge=0.0, le=10_000.0)] = 8.0
    rival_share: Annotated[float, Meta(gt=0.0, le=1.0)] = 0.8
    """A second face at least this share of the nearest one's width ends the look."""

    def __post_init__(self) -> None:
        left, top, right, bottom = self.zone
        if left >= right or top >= bottom:
            raise ValueError("look.zone must be left, top, right, bottom with left < right and top < bottom")


class LivenessSettings(_Section, frozen=True):
    """Whether a photograph opens the gate, and what is asked of residents against that."""

    tier: Tier | None = None
    """What is checked; None: the best that the board has the parts for. `off` belongs to a bench."""
    rgb_alone: bool = False
    """Switches faces on where a colour camera is all there is, and some pictures pass; else cards alone open."""
    infrared_camera: Annotated[str, Meta(max_length=4096)] = ""
    """The near-infrared camera of the tier rgb+ir, which sees what the other sees; a URI as for gate.camera."""
    failures: Annotated[int, Meta(ge=1, le=20)] = 3
    """So many looks in a row at something that does not live turn faces off for a while."""
    pause_s: Annotated[int, Meta(ge=1, le=3_600)] = 60
    site: Site = Site()
    """What the installer measured of camera and lamp."""
    veto: VetoModel | None = None
    """A network of the models folder that may refuse a face which else is found alive."""


class MatchSettings(_Section, frozen=True):
    """The decision over a look. The threshold follows from `fpir`, the number of residents and the frames fused."""

    fpir: Annotated[float, Meta(ge=1e-6, le=0.1)] = 0.001
    """False-positive identification rate: the share of strangers' walk-ups that may be let in at most, where all
    residents and the stranger are of the group that the network tells apart worst."""
    margin: Annotated[float, Meta(ge=0.0, le=5.0)] = 0.5
    """Least lead over the second resident, in deviations of strangers' scores (`Calibration.spread`)."""
    min_frames: Annotated[int, Meta(ge=2, le=30)] = 3


class EnrolmentSettings(_Section, frozen=True):
    """Captures that make a template."""

    min_captures: Annotated[int, Meta(ge=1, le=16)] = 3
    max_captures: Annotated[int, Meta(ge=1, le=16)] = 8
    min_quality: Share = 0.3
    """Least `core.matching.weight` of a capture: stricter than what will do at the gate."""

    def __post_init__(self) -> None:
        if self.max_captures < self.min_captures:
            raise ValueError("enrolment.max_captures must not be below enrolment.min_captures")


class ConsentSettings(_Section, frozen=True):
    """What the notice tells, beside its fixed text."""

    controller: Annotated[str, Meta(min_length=1, max_length=120)] = "the operator of this gate"
    contact: Annotated[str, Meta(min_length=1, max_length=120)] = "see the sign at the gate"
    months: Annotated[int, Meta(ge=1, le=12)] = 12


class ScheduleSettings(_Section, frozen=True):
    """Hours in which residents may enter, the same for card and face: `Mon-Sun 00:00-24:00`."""

    hours: tuple[Annotated[str, Meta(max_length=40)], ...] = ("Mon-Sun 00:00-24:00",)


class ReaderSettings(_Section, frozen=True):
    """Readers beside those on the board's own pins."""

    wedge: tuple[Annotated[str, Meta(max_length=4096)], ...] = ()
    """Input devices of USB keyboard-wedge readers, such as /dev/input/by-id/…-event-kbd."""


class KeySettings(_Section, frozen=True):
    """Where the vault's key is looked for; which provider has it, the ring says."""

    tcti: Annotated[str, Meta(min_length=1, max_length=200)] = "device:/dev/tpmrm0"
    """How a TPM is reached, as the tpm2-tools write it."""


class RetentionSettings(_Section, frozen=True):
    """How many days the ledger keeps payloads; headers stay for ever."""

    gate_days: Annotated[int, Meta(ge=1, le=3_650)] = 90
    """Passages, refusals, sensors, the door, starts and faults."""
    admin_days: Annotated[int, Meta(ge=1, le=3_650)] = 1_095
    """All else: residents, cards, consents, enrolments, erasures, look-ups."""


class BackupSettings(_Section, frozen=True):
    """Who can open this device's backups."""

    recovery_key: Annotated[str, Meta(pattern=r"^(gvr1-[0-9a-f]{64})?\Z")] = ""
    """Public half of a recovery key: backups are for it alone. Empty: each command names one."""


class SiteSettings(_Section, frozen=True):
    """What must be recorded of this place before faces count."""

    on_bench: bool = False
    """A bench asks for impact assessment and sign as a gate does. A gate asks always, whatever this says."""


class Settings(_Section, frozen=True):
    """The whole `config.toml`."""

    gate: GateSettings = GateSettings()
    look: LookSettings = LookSettings()
    models: ModelSettings = ModelSettings()
    liveness: LivenessSettings = LivenessSettings()
    matching: MatchSettings = MatchSettings()
    enrolment: EnrolmentSettings = EnrolmentSettings()
    consent: ConsentSettings = ConsentSettings()
    schedule: ScheduleSettings = ScheduleSettings()
    readers: ReaderSettings = ReaderSettings()
    retention: RetentionSettings = RetentionSettings()
    keys: KeySettings = KeySettings()
    backup: BackupSettings = BackupSettings()
    site: SiteSettings = SiteSettings()
