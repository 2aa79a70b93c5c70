"""What a check says: what was seen, why it matters, and the fix."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Verdict(StrEnum):
    """In the order in which they concern somebody, least first."""

    OK = "ok"
    ADVICE = "advice"
    """It works as it should, and could be safer."""
    UNKNOWN = "unknown"
    """Nobody could look, and why."""
    WARNING = "warning"
    """It works now, and will not for long, or not in every case."""
    PROBLEM = "problem"
    """Something does not work, or a promise is not kept."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One answer of one check. Names of checks are stable; sentences are not."""

    check: str
    verdict: Verdict
    what: str = ""
    why: str = ""
    fix: str = ""
    fails: bool = True
    """Whether `doctor` may not end with 0 because of it; only asked where it is neither ok nor advice."""

    @property
    def well(self) -> bool:
        return self.verdict in (Verdict.OK, Verdict.ADVICE) or not self.fails

    def body(self) -> dict[str, Any]:
        return {
            "check": self.check,
            "verdict": self.verdict.value,
            "fails": not self.well,
            "text": "; ".join(part for part in (self.what, self.fix) if part),
            "what": self.what,
            "why": self.why,
            "fix": self.fix,
        }


def ok(check: str, what: str = "") -> Finding:
    return Finding(check, Verdict.OK, what)


def advice(check: str, what: str, why: str, fix: str) -> Finding:
    return Finding(check, Verdict.ADVICE, what, why, fix)


def warning(check: str, what: str, why: str, fix: str) -> Finding:
    return Finding(check, Verdict.WARNING, what, why, fix)


def problem(check: str, what: str, why: str, fix: str) -> Finding:
    return Finding(check, Verdict.PROBLEM, what, why, fix)


def unknown(check: str, what: str, fix: str, why: str = "What nobody looked at may be wrong.") -> Finding:
    """It can be looked at, and was not: as another user, or with a tool that is missing."""
    return Finding(check, Verdict.UNKNOWN, what, why, fix)


def untold(check: str, what: str, why: str = "", fix: str = "") -> Finding:
    """This hardware tells nobody: no reason to end with 1 for ever."""
    return Finding(check, Verdict.UNKNOWN, what, why, fix, fails=False)
