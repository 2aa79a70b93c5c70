"""The story from end to end, on a bench of its own: consent, face, stranger, card, withdrawal.

Each step asks the running system and checks its answer and the trace of its pins against the story;
a step that went otherwise ends the demo with an error.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from gatevault.core.errors import GateVaultError
from gatevault.core.liveness import Tier
from gatevault.core.types import Reason
from gatevault.lab.bench_daemon import Bench, RefusedError
from gatevault.lab.demo_faces import write_cameras
from gatevault.lab.timeline import DONE, FAILED, OPENED, REFUSED, Timeline

CARD: Final = "1234567"

RELEASE_S: Final = 15.0
"""Longest wait for the relay to be released: five times the bench's pulse."""

ABOUT: Final = (
    "Two faces: the portraits of an astronaut (NASA) and a rear admiral (US Navy), both in the public domain. Who "
    "walks up is RENDERED: a head that wears the portrait, or a print of it in a hand, before a camera with a lamp "
    "that flickers. The daemon, its vision process, the stores and the ledger are the real ones; the pins are mock "
    "pins that record their edges.",
    "● the gate opens   ■ it stays shut   ✓ done   │ what the pins did",
)


class StoryError(GateVaultError):
    """A step did not do what the story says."""

    code = "demo"


Told = tuple[str, dict[str, Any]]
"""Why it ended as it did, and the facts that this was computed from."""


def play(as_json: bool) -> dict[str, Any]:
    """Play the story; the answer is `{"ok": …, "steps": […], "edges": […]}`.

    For people the timeline is printed as it happens. GateVaultError where the portraits are absent.
    """
    console = None if as_json else Console(highlight=False)
    _print(console, "GateVault, the whole path on a bench", ABOUT)
    timeline = Timeline(console)
    body: dict[str, Any] = {"ok": False, "about": list(ABOUT), "steps": timeline.steps, "edges": timeline.edges}
    with tempfile.TemporaryDirectory(prefix="gatevault-demo-") as home:
        cameras = write_cameras(Path(home))
        try:
            with Bench() as bench:
                Story(bench, timeline, cameras).tell()
        except GateVaultError as error:
            body["error"] = str(error)
            timeline.step(time.monotonic_ns(), "The story broke", FAILED, str(error), {})
        else:
            body["ok"] = True
            openings = sum(edge["part"] == "relay" and edge["on"] for edge in timeline.edges)
            _print(console, "", (f"All {len(timeline.steps)} steps as told; the relay opened {openings} times.",))
    return body


def _print(console: Console | None, title: str, lines: tuple[str, ...]) -> None:
    if console is None:
        return
    console.print()
    if title:
        console.print(Text(title, "bold"))
    for line in lines:
        console.print(Padding(Text(line, "bright_black" if title else "bold green"), (0, 0, 1, 0)))


class Story:
    """The steps, in order."""

    def __init__(self, bench: Bench, timeline: Timeline, cameras: dict[str, str]) -> None:
        self._bench = bench
        self._timeline = timeline
        self._cameras = cameras
        self._resident = ""
        self._began = 0

    def tell(self) -> None:
        """All of it. StoryError, or what the running system refused with."""
        self._step("Gate started", self._started, DONE)
        self._step("A resident and a card are added", self._added, DONE)
        self._step("Enrolment without consent", self._too_early, REFUSED)
        self._step("Notice shown, own card tapped", self._consent, OPENED)
        self._step("The resident is enrolled", self._enrol, DONE)
        self._step("The resident walks up", self._face, OPENED)
        self._step("A print of the same face", self._print, REFUSED)
        self._step("A stranger walks up", self._stranger, REFUSED)
        self._step("The resident taps the card", self._card, OPENED)
        self._step("Consent is withdrawn", self._withdraw, DONE)
        self._step("The same face walks up again", self._forgotten, REFUSED)
        self._step("The card still opens", self._card, OPENED)
        self._settle()
        self._step("The ledger is verified", self._ledger, DONE)

    def _step(self, what: str, act: Callable[[], Told], how: str) -> None:
        if how is OPENED:
            self._settle()  # an opening into an open gate would be no edge
        self._began = time.monotonic_ns()
        why, facts = act()
        ended = time.monotonic_ns()
        trace = self._bench.edges()
        openings = self._timeline.rises("relay", self._began, trace)
        if openings != (how is OPENED):
            raise StoryError(f"{what}: the relay opened {openings} times, the story says {int(how is OPENED)}.")
        self._timeline.pins(trace, self._began)
        facts = {**facts, "took_ms": (ended - self._began) // 1_000_000}
        self._timeline.step(self._began, what, how, why, facts)
        self._timeline.pins(trace, ended)

    def _settle(self) -> None:
        """Wait until the relay is released, as its trace says."""
        deadline = time.monotonic() + RELEASE_S
        while True:
            self._timeline.pins(self._bench.edges(), time.monotonic_ns())
            if not self._timeline.is_on("relay"):
                return
            if time.monotonic() > deadline:
                raise StoryError(f"The relay was not released within {RELEASE_S:.0f} s of an opening.")
            time.sleep(0.05)

    # --- what happens ------------------------------------------------------------------------

    def _started(self) -> Told:
        status = self._bench.call("status")
        _expect(status["health"] == "ok" and status["bench"], f"the gate is {status['health']}")
        _expect(status["vault"]["templates"] == 0, "a new vault has no templates")
        vision, vault = status["vision"], status["vault"]
        ready = self._timeline.seconds(self._began)
        why = (
            f"{status['device']}, ready after {ready:.1f} s; vision is process {vision['pid']}, "
            f"templates in the vault: {vault['templates']}"
        )
        return why, {"status": status, "ready_s": round(ready, 2)}

    def _added(self) -> Told:
        self._resident = self._bench.call("resident", "add", "Astronaut")["resident"]
        card = self._bench.call("card", "add", self._resident, CARD)
        return f"known to the vault as {self._resident}, card {card['card']}", {"resident": self._resident}

    def _too_early(self) -> Told:
        try:
            answer = self._bench.call("enrol", self._resident, "--camera", self._cameras["enrol"])
        except RefusedError as error:
            _expect(error.code == "no-consent", f"enrolment was refused for another reason: {error}")
            return f"{error.code}: {error}", {"reason": error.code}
        raise StoryError(f"Enrolment without consent took {answer['captures']} captures.")

    def _consent(self) -> Told:
        given = self._bench.call("consent", "give", self._resident, "--notice", "en", "--tap", CARD)
        shown = self._bench.call("consent", "show", self._resident)
        notice = shown["receipt"]["notice"]
        _expect(shown["standing"] == "live", f"the consent is {shown['standing']}")
        _expect(shown["receipt"]["receipt_id"] == given["receipt"], "the receipt shown is another one")
        why = (
            f"notice {notice['language']} version {notice['version']}, SHA-256 {notice['sha256'][:16]}…; "
            f"receipt {given['receipt']}, until {given['expires'][:10]}"
        )
        return why, {"receipt": given["receipt"], "expires": given["expires"], "notice": notice}

    def _enrol(self) -> Told:
        answer = self._bench.call("enrol", self._resident, "--camera", self._cameras["enrol"])
        templates = self._templates()
        _expect(templates == 1, f"the vault has {templates} templates")
        why = f"{answer['captures']} captures, their mean sealed; templates in the vault: {templates}"
        return why, {**answer, "templates": templates}

    def _face(self) -> Told:
        answer = self._walk_up("resident")
        _expect(answer["decision"] == "grant" and answer["relay"], f"the resident was refused: {answer['reason']}")
        _expect(answer["resident"] == self._resident, "somebody else was matched")
        return _passage(answer), answer

    def _print(self) -> Told:
        answer = self._walk_up("print")
        _expect(answer["decision"] == "deny" and not answer["relay"], "a print was let in")
        _expect(answer["reason"] == Reason.NOT_LIVE, f"refused for another reason: {answer['reason']}")
        return f"{_passage(answer)}: {answer['detail']}", answer

    def _stranger(self) -> Told:
        before = self._bench.call("status")["ledger"]["entries"]
        answer = self._walk_up("stranger")
        after = self._bench.call("status")
        _expect(answer["decision"] == "deny" and not answer["relay"], "the stranger was let in")
        _expect(answer["reason"] == Reason.NO_MATCH, f"refused for another reason: {answer['reason']}")
        _expect(answer["resident"] is None, "a refused face was named")
        kept = after["ledger"]["entries"] - before + after["vault"]["templates"] - 1
        _expect(kept == 0, "something of the stranger was kept")
        return f"{_passage(answer)}; new entries and templates: {kept}", {**answer, "kept": kept}

    def _card(self) -> Told:
        answer = self._bench.call("tap", CARD)
        _expect(answer["decision"] == "grant" and answer["relay"], f"the card was refused: {answer['reason']}")
        _expect(answer["resident"] == self._resident, "the card is somebody else's")
        return _passage(answer), answer

    def _withdraw(self) -> Told:
        answer = self._bench.call("consent", "withdraw", self._resident)
        certificate, templates = answer["certificate"]["certificate"], self._templates()
        shown = self._bench.call("resident", "show", self._resident)
        _expect(certificate["template_was_there"], "there was no template to destroy")
        _expect(templates == 0 and shown["template"] == "none", f"{templates} templates are left")
        _expect(shown["consent"] == "withdrawn", f"the consent is {shown['consent']}")
        why = f"deletion certificate {certificate['id']}; templates in the vault: {templates}"
        return why, {"certificate": certificate["id"], "templates": templates, "consent": shown["consent"]}

    def _forgotten(self) -> Told:
        answer = self._walk_up("resident")
        _expect(answer["decision"] == "deny" and not answer["relay"], "a withdrawn face was let in")
        _expect(answer["reason"] == Reason.NO_CONSENT, f"refused for another reason: {answer['reason']}")
        looks = self._timeline.rises("privacy_led", self._began, self._bench.edges())
        _expect(looks == 0, "the camera was opened although nobody is enrolled")
        return f"{_passage(answer)}; the camera was opened {looks} times", {**answer, "looks": looks}

    def _ledger(self) -> Told:
        answer = self._bench.call("ledger", "verify")
        _expect(answer["ok"] is True, "the ledger does not verify")
        root = answer["checkpoint"].splitlines()[2]
        return f"{answer['entries']} entries, the tree over them and the signature; root {root[:16]}…", answer

    def _walk_up(self, who: str) -> dict[str, Any]:
        return self._bench.call("walk-up", "--tier", Tier.LED.value, "--camera", self._cameras[who])

    def _templates(self) -> int:
        return int(self._bench.call("status")["vault"]["templates"])


def _passage(answer: dict[str, Any]) -> str:
    frames = f" over {answer['frames']} frames" if answer["frames"] else ""
    return f"{answer['decision']}: {answer['reason']}{frames}, {answer['latency_ms']} ms after the trigger"


def _expect(true: bool, otherwise: str) -> None:
    """StoryError unless the running system did what the story says."""
    if not true:
        raise StoryError(f"The demo is not as the story says: {otherwise}.")
