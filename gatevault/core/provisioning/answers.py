"""An answer file as values: every key known, every value as its question wants it, or nothing is done."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, Final

from gatevault.core.errors import ConfigError
from gatevault.core.provisioning.questions import NEEDED, Question

GROUPS: Final = ("assessment", "sign")
"""Tables that may be left out as a whole, to be recorded later, but not in part."""


def read_answers(table: Mapping[str, Any], known: Mapping[str, Question], *, made: bool = False) -> dict[str, Any]:
    """An answer file's values by key, defaults filled in. `made`: the state is there, its settings are not asked.

    ConfigError names the first key that is unknown, missing or wrong, and what is allowed.
    """
    given = dict(_flat(table))
    for key in given:
        if key not in known:
            raise ConfigError(_unknown(key, known))
    answers: dict[str, Any] = {}
    for key, question in known.items():
        group = key.partition(".")[0]
        if key in given:
            answers[key] = _read(question, given[key])
        elif group in GROUPS and not any(each.startswith(f"{group}.") for each in given):
            continue
        elif question.default is not NEEDED:
            answers[key] = question.default
        elif group in GROUPS or not made:
            raise ConfigError(f"{key} is missing in the answers; allowed: {question.allowed}. Nothing was done.")
    _check_keys(given, answers)
    return answers


def _read(question: Question, value: object) -> Any:
    try:
        return question.read(value)
    except ValueError as error:
        raise ConfigError(f"{question.key}: {error}; allowed: {question.allowed}. Nothing was done.") from None


def _check_keys(given: Mapping[str, Any], answers: Mapping[str, Any]) -> None:
    if answers.get("keys.provider") not in (None, "tpm2"):
        for key in ("keys.pcrs", "keys.tcti", "keys.tpm_index"):
            if key in given:
                raise ConfigError(f'{key} belongs to keys.provider = "tpm2". Nothing was done.')


def _unknown(key: str, known: Mapping[str, Question]) -> str:
    if "pass" in key and key.startswith("keys."):
        return (
            f"{key}: a passphrase is not taken from a file: type it, or give it with --passphrase-stdin. "
            "Nothing was done."
        )
    near = difflib.get_close_matches(key, known, 1)
    hint = (
        f"did you mean {near[0]}?"
        if near
        else f"tables: {', '.join(dict.fromkeys(k.split('.')[0] for k in known))}"
    )
    return f"{key} is no key of the answers: {hint} Nothing was done."


def _flat(table: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, value in table.items():
        if isinstance(value, Mapping):
            found += _flat(value, f"{prefix}{name}.")
        else:
            found.append((prefix + name, value))
    return found
