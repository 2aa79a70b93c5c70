"""The wizard from top to bottom. It may be ended anywhere and run again: before the state is made nothing is kept,
after it what is there is whole, and the wizard goes on with what is left.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from gatevault.core import control
from gatevault.core.board import Board
from gatevault.core.errors import ConfigError, DeviceError, GateVaultError, UsageError
from gatevault.core.provisioning.header import drawn, told
from gatevault.core.provisioning.questions import Question, questions
from gatevault.core.provisioning.words import word
from gatevault.core.site import SiteKind
from gatevault.service.client import ask
from gatevault.service.config import load_board, load_settings
from gatevault.service.provision import running, sheet
from gatevault.service.provision.making import (
    check_camera,
    check_place,
    is_made,
    make,
    note,
    noted,
    now_stamp,
    usable_boards,
)
from gatevault.service.provision.parts import pins_held, try_parts
from gatevault.service.provision.talk import Talk
from gatevault.service.state import StateLock, StatePaths, read_device

_STEPS: Final = ("board", "parts", "settings", "keys", "start", "aim", "records", "sheet")

_SETTINGS: Final = (
    *("gate.name", "gate.camera", "consent.controller", "consent.contact", "schedule.hours"),
    *("matching.fpir", "liveness.tier", "liveness.rgb_alone"),
)

NETWORKS_S: Final = 15.0

Passphrase = Callable[[str], memoryview | None]
"""Gives a new passphrase where the provider so named asks for one. UsageError."""

Hashed = Callable[[str], str]
"""A document's reference, or the SHA-256 of the file that it names. UsageError."""


@dataclass(slots=True)
class Wizard:
    """One run. `only_file`: answers come from a file, so that what fails is not asked again."""

    root: Path
    talk: Talk
    bench: bool
    passphrase: Passphrase
    hashed: Hashed
    only_file: bool = False
    report: dict[str, Any] = field(default_factory=dict)
    known: Mapping[str, Question] = field(default_factory=dict)
    _typed: memoryview | None = field(default=None, repr=False)
    """The passphrase of a state that was just made, for its first unlocking."""

    def run(self) -> dict[str, Any]:
        """All steps; what was done, as `--json` tells it. GateVaultError: nothing is half done."""
        made = is_made(self.root)
        if made:
            self.bench = read_device(StatePaths(self.root)).bench
        else:
            check_place(self.root)
        good, bad = usable_boards(self.bench)
        self.known = questions(good, bench=self.bench)
        self.talk.say("title")
        if self.bench:
            self.talk.say("bench")
        for name, why in bad.items():
            self.talk.say("board-bad", name=name, why=why)
        self._again() if made else self._first()
        with running.gate_running(self.root, self.talk, bench=self.bench) as up:
            self.report["running"] = up
            if up:
                self._through_the_gate()
        return {"state": str(self.root), "bench": self.bench, **self.report}

    # --- before the state --------------------------------------------------------------------

    def _first(self) -> None:
        answers: dict[str, Any] = {}
        if self.only_file:  # before a relay clicks
            self._ask("gate.camera")
        self._step("board")
        answers["gate.board"] = self._ask("gate.board")
        board = load_board(answers["gate.board"])
        self.talk.show([*drawn(board, self.talk.language, self.talk.width), ""])
        if not self.only_file:
            self.talk.say("wires")
        self.talk.show(told(board, self.talk.language, self.talk.width))
        answers["readers.wedge"] = self._ask("readers.wedge")
        self._step("parts")
        tested = self._try(board, answers["readers.wedge"])
        self._step("settings")
        for key in _SETTINGS:
            answers[key] = self._ask(key)
        self._step("keys")
        answers |= self._keys()
        passphrase = self.passphrase(answers["keys.provider"])
        if not self.only_file and not self.talk.wants("make", "make", root=self.root):
            raise ConfigError(word("not-made", self.talk.language))
        device = make(self.root, answers, passphrase, bench=self.bench)
        self._typed = passphrase
        key_path = StatePaths(self.root).installer_key
        self.talk.say("made", device=device.device, key=key_path)
        note(self.root, tested=tested, tested_at=now_stamp() if _any(tested) else None)
        self.report |= {"device": device.device, "made": True, "tested": tested, "installer_key": str(key_path)}

    def _keys(self) -> dict[str, Any]:
        for name in () if self.only_file else self.known["keys.provider"].options:
            self.talk.say(f"worth-{name}")
        provider = self._ask("keys.provider")
        answers = {"keys.provider": provider, "keys.pcrs": "", "keys.tpm_index": True, "keys.tcti": ""}
        if provider == "tpm2":
            answers |= {key: self._ask(key) for key in ("keys.tcti", "keys.pcrs", "keys.tpm_index")}
        return answers

    def _ask(self, key: str) -> Any:
        question = self.known[key]
        check = None
        if key == "gate.camera":
            check = lambda uri: check_camera(uri, self.bench)  # noqa: E731
        try:
            return self.talk.ask(question, check)
        except ValueError as error:
            raise ConfigError(f"{key}: {error}; allowed: {question.allowed}. Nothing was done.") from None

    def _try(self, board: Board, wedge: tuple[str, ...]) -> dict[str, str]:
        if not self.only_file and not self.talk.wants("parts", "parts-now"):
            return {}
        try:
            return try_parts(board, wedge, self.talk, bench=self.bench)
        except DeviceError as error:
            if self.only_file:
                raise DeviceError(f"{pins_held(error)}. Nothing was changed.") from None
            self.talk.say("parts-off", why=pins_held(error))
            if not self.talk.wants("parts-left", "parts-left"):
                raise
            return {}

    # --- a state that is there ---------------------------------------------------------------

    def _again(self) -> None:
        """Parts may be tested once more while no daemon has them; settings and keys are not touched."""
        self.talk.say("resume", root=self.root)
        self.talk.say("settings-kept")
        self.report["made"] = False
        paths = StatePaths(self.root)
        settings = load_settings(paths.config)
        if running.answers(self.root):
            return
        self._step("parts")
        lock = StateLock(paths)
        try:
            tested = self._try(load_board(settings.gate.board), settings.readers.wedge)
        finally:
            lock.release()
        if _any(tested):
            before = noted(self.root).tested
            tested = {**tested, **before, **{part: how for part, how in tested.items() if how != "skip"}}
            note(self.root, tested=tested, tested_at=now_stamp())
            self.report["tested"] = tested

    # --- through the running gate ------------------------------------------------------------

    def _through_the_gate(self) -> None:
        self._step("start")
        self.talk.say("started")
        if self._typed is not None:
            running.unlock(self.root, self._typed, self.talk)
        self._step("aim")
        if self.talk.wants("aim.seconds", "aim-now"):
            seconds = self._ask("aim.seconds") if self.only_file else 60
            camera = self._ask("aim.camera") if self.bench else ""
            seen = running.aim(self.root, self.talk, seconds, camera or None)
            self.report["aim"] = seen
            if seen is not None:
                note(self.root, aim=seen, aimed_at=now_stamp())
        self._step("records")
        self._records()
        self._step("sheet")
        running.seeing(self.root, NETWORKS_S)  # the sheet tells which networks look
        self.report |= sheet.make_sheet(self.root, self._ask("sheet.out"), self.talk)
        self.talk.say("done")

    def _records(self) -> None:
        site = ask(self.root, control.SiteShow(), lambda text: None)
        self.talk.say("records-why")
        for kind in SiteKind:
            if site[kind] is None and not self.talk.wants(f"{kind}.date", f"{kind}-now"):
                self.talk.say("record-later", kind=kind.value)
            elif site[kind] is None:
                self._record(kind)
        faces = str(ask(self.root, control.SiteShow(), lambda text: None)["faces"])
        self.talk.say("faces-on" if faces == "on" else "faces-wait")
        self.report["faces"] = faces

    def _record(self, kind: SiteKind) -> None:
        keys = [key for key in self.known if key.startswith(f"{kind}.")]
        fields = {
            key.partition(".")[2]: self._document() if key.endswith(".document") else self._ask(key) for key in keys
        }
        running.record(self.root, kind, fields)
        self.talk.say("record-kept")

    def _document(self) -> str:
        """The assessment's document; asked again where a file that is named cannot be read."""
        while True:
            try:
                return self.hashed(self._ask("assessment.document"))
            except UsageError as error:
                if self.only_file:
                    raise
                self.talk.say("again", why=error)

    def _step(self, name: str) -> None:
        what = word(f"step-{name}", self.talk.language)
        self.talk.show([""])
        self.talk.say("step", n=_STEPS.index(name) + 1, of=len(_STEPS), what=what)


def handover(root: Path, talk: Talk) -> dict[str, Any]:
    """End the installer: their key is destroyed on the device, and its end is in the ledger. Then the sheet, which
    tells it. GateVaultError."""
    ended = ask(root, control.InstallerEnd(), lambda text: None)
    talk.say("handed-over", at=ended["at"])
    return ended | sheet.make_sheet(root, "", talk)


def left_behind(root: Path) -> str:
    """The word for what a wizard that was ended has left."""
    try:
        return "left-state" if is_made(root) else "left-nothing"
    except GateVaultError:
        return "left-nothing"


def _any(tested: Mapping[str, str]) -> bool:
    return any(verdict != "skip" for verdict in tested.values())
