"""What the daemon says of itself: each part, readers, contacts, keys, and the ledger's audit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from gatevault.core import control
from gatevault.core.errors import DaemonDownError, GateVaultError
from gatevault.service.doctor.finding import Finding, advice, ok, problem, unknown, warning
from gatevault.service.doctor.patient import Patient

_CARDS_ONLY: Final = "Faces are off; cards open."

PARTS: Final[dict[str, tuple[str, str]]] = {
    "vision": (_CARDS_ONLY, "journalctl -u gatevault-vision; systemctl restart gatevault-vision"),
    "vault": (_CARDS_ONLY, "gatevault vault unlock; gatevault vault check"),
    "liveness": (_CARDS_ONLY, "Wire and configure what docs/liveness.md asks for, or leave the gate to cards."),
    "matching": (_CARDS_ONLY, "gatevault models list; add the figures with `gatevault models add FILE.cal`."),
    "registry": (
        "Nobody can be added, enrolled or shown; cards open as they were last known.",
        "Where `disk` is no problem: gatevault backup restore. Else make room, and restart the daemon.",
    ),
    "cards": ("No card opens.", "gatevault backup restore"),
    "ledger": (
        "Faces are off, for no passage goes unrecorded; cards open.",
        "Where `disk` is no problem: gatevault ledger verify. Else make room, and restart the daemon.",
    ),
    "door": ("The gate may not open, or not close.", "Look at the relay's wires; systemctl restart gatevault"),
    "clock": (
        "Faces are off, for ended consents could seem to live; cards open at any hour.",
        "gatevault clock set 2026-11-26T15:00 (what the time is there), or connect a time source.",
    ),
    "sandbox": (
        "The promise that nothing leaves the device is the sandbox's, not the program's good manners.",
        "Start both processes by the units as they ship; docs/sandbox.md says which layer forbids what.",
    ),
    "site": (
        "Nobody may be looked at where the assessment and the sign are not on record; cards open.",
        "gatevault site record",
    ),
}
"""For each part of `gatevault status`: why it matters, and what to do where its own reason does not say."""

_TOLD: Final = (
    "the gate runs on the time that an admin told, for the system's clock is behind",
    "The daemon forgets it when it restarts, and faces are off again.",
    "As root: gatevault clock set, or timedatectl set-time.",
)

MANY: Final = 3
"""So many bad frames are no passing disturbance."""

LONG_AUDIT: Final = "An entry that was altered or removed is found by nothing else."


def daemon(patient: Patient) -> Iterator[Finding]:
    """Whether it answers, and each of its parts."""
    if patient.status is None:
        down = patient.down or DaemonDownError("It does not answer.")
        what, _, fix = str(down).partition(": ")
        why = "Without the daemon neither card nor face opens the gate."
        if not isinstance(down, DaemonDownError):
            yield unknown("daemon", str(down), "Run it as root, or as a member of gatevault-admin.")
        else:
            yield problem("daemon", what, why, fix if patient.bench else "systemctl start gatevault.target")
        return
    yield ok("daemon")
    for name, (why, fix) in PARTS.items():
        part = patient.part(name)
        if name == "vision" and patient.bench:
            fix = "Wait some seconds, for the daemon starts it again; else see the daemon's log."
        if not part:
            continue
        if part["state"] not in ("ok", "unlocked"):
            verdict = advice if part["state"] == "partial" else problem
            yield verdict(name, str(part.get("reason", part["state"])), why, fix)
        elif name == "site" and part["faces"] == "off":
            yield advice(name, str(part["reason"]), why, fix)
        elif part.get("source") == "admin":
            yield advice(name, *_TOLD)
        else:
            yield ok(name)
    yield _enrolments(int(patient.part("vault").get("enrol_again", 0)))


def _enrolments(again: int) -> Finding:
    if not again:
        return ok("enrolments")
    what = f"the model changed: {again} residents enrol again"
    why = "A template opens under its own network alone; those residents use their cards until then."
    return problem(
        "enrolments", what, why, "gatevault enrol R, for each whom `gatevault resident show R` tells it of."
    )


def readers(patient: Patient) -> Iterator[Finding]:
    """Each reader, by what came from it since the daemon's start: swapped or cut wires show there."""
    part = patient.part("readers")
    if not part:
        return
    refused = part.get("refused", {})
    found = [
        finding
        for name, healthy in part["fitted"].items()
        for finding in _reader(patient, name, healthy, part.get("numbers", {}).get(name, 0), refused.get(name, {}))
    ]
    yield from found or [ok("readers", f"{len(part['fitted'])} fitted")]


def _reader(patient: Patient, name: str, healthy: bool, good: int, refused: dict[str, int]) -> Iterator[Finding]:
    parity, length, rest = refused.get("parity", 0), refused.get("length", 0), refused.get("glitch", 0)
    pins = {reader.name: (reader.d0, reader.d1) for reader in (patient.board.wiegand if patient.board else ())}
    wires = "GPIO {} (D0) and GPIO {} (D1)".format(*pins[name]) if name in pins else "D0 and D1"
    why = "Cards at this reader do not open the gate."
    if not healthy:
        fix = "Plug it in, check readers.wedge and udev, or the profile's pins; see `journalctl -u gatevault`."
        yield problem("readers", f"{name} cannot be read", why, fix)
    elif parity >= MANY and not good:
        what = f"all {parity} frames of {name} fail parity: its two data wires are swapped"
        yield problem("readers", what, why, f"Swap the wires at {wires}.")
    elif length + rest >= MANY and not good:
        count = length + rest + parity
        what = f"none of {count} frames of {name} is whole: one data wire is cut, or ground is missing"
        yield problem("readers", what, why, f"Check both wires at {wires}, their level shifter, and ground.")
    elif (bad := parity + length + rest) >= MANY and bad * 10 > good:
        what = f"{bad} of {bad + good} frames of {name} are disturbed"
        fix = "Shielded cable with the shield grounded at the panel, away from mains and the lock's wires."
        yield warning("readers", what, "A card must be held again, and some give up.", fix)


def contacts(patient: Patient) -> Iterator[Finding]:
    """Contacts at rest: nobody presses a button for as long as this takes, and the gate is shut."""
    told = patient.part("door").get("contacts")
    if not told or patient.bench:
        return
    try:
        again = patient.ask(control.Status())["door"].get("contacts", told)
    except GateVaultError:
        again = told
    found = list(_resting({kind: now for kind, now in told.items() if again.get(kind) == now}, patient))
    yield from found or [ok("contacts", ", ".join(kind for kind, now in told.items() if now is not None))]


def _resting(held: dict[str, Any], patient: Patient) -> Iterator[Finding]:
    for kind, button in (
        ("presence", "The camera looks, though nobody asks"),
        ("rex", "Exits are entered that were none"),
    ):
        if held.get(kind):
            what = f"{kind} reads pressed all the while"
            yield warning(
                "contacts", what, f"{button}.", "A normally closed contact, a short, or pull_up set wrongly."
            )
    if held.get("dps") is False and not patient.part("door").get("relay"):
        what = "the door contact reads open, and the relay is released"
        why = "The gate stands open, or a gate that is forced cannot be told from one that is shut."
        fix = "Shut the gate and run this again; else its wire is cut, or it is of the kind open when shut."
        yield warning("contacts", what, why, fix)
    if held.get("tamper") is False:
        fix = "Close the housing, then `gatevault vault unlock`; or mend the wire."
        yield warning("contacts", "the housing's contact reads open", _CARDS_ONLY, fix)


def key_provider(patient: Patient) -> Iterator[Finding]:
    """Where the vault's key is, and what that is worth to whom."""
    if patient.status is None:
        return
    try:
        told = patient.ask(control.KeyShow())
    except GateVaultError as error:
        yield problem("key provider", str(error), _CARDS_ONLY, "gatevault key show; gatevault vault unlock")
        return
    name, thief = told["provider"], str(told.get("thief") or "Who takes the card may open what is on it.")
    move = "gatevault key move --to tpm2 (or passphrase); then back up with a recovery key"
    if told.get("warning"):
        fix = (
            "Choose PCRs that this machine's boot measures, or count on the TPM's index and a locked housing alone."
        )
        yield warning("key provider", f"{name}: {told['warning']}", thief, fix)
    elif patient.part("vault").get("memory") == "unlocked":
        fix = "Raise LimitMEMLOCK in a drop-in of gatevault.service, and restart it."
        yield warning(
            "key provider", "keys lie in memory that may be swapped", "A swapped key is on the disk.", fix
        )
    elif told["image_of_medium_opens"] and name != "passphrase" and not patient.bench:
        yield advice("key provider", name, thief, move)
    else:
        yield ok("key provider", name)


def ledger_audit(patient: Patient) -> Iterator[Finding]:
    """The whole ledger, entry by entry: what takes longest."""
    if patient.status is None:
        return
    try:
        found = patient.ask(control.LedgerVerify())["problems"]
    except DaemonDownError:
        yield unknown("ledger audit", "it is long, and was not done in time", "gatevault ledger verify", LONG_AUDIT)
    except GateVaultError as error:
        yield problem("ledger audit", str(error), LONG_AUDIT, "Call an auditor; do not write to this disk.")
    else:
        count = f"{len(found)} findings"
        fix = "gatevault ledger verify; keep the file as it is, and call an auditor"
        yield problem("ledger audit", count, LONG_AUDIT, fix) if found else ok("ledger audit")
