"""Answers as the text of `config.toml`: every value that was chosen, and no other."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from gatevault.core.settings import Settings

_HEAD: Final = """\
# GateVault's settings, as `gatevault provision` wrote them; each other one has its default.
# All of them, with units and ranges: docs/configuration.md
"""


def config_text(answers: Mapping[str, Any], *, bench: bool) -> str:
    """The whole file. ValueError where it would not be read as it was meant."""
    settings: dict[str, dict[str, Any]] = {
        "gate": {"name": answers["gate.name"], "board": answers["gate.board"], "camera": answers["gate.camera"]},
        "consent": {"controller": answers["consent.controller"], "contact": answers["consent.contact"]},
        "schedule": {"hours": list(answers["schedule.hours"])},
        "matching": {"fpir": answers["matching.fpir"]},
        "liveness": {"rgb_alone": answers["liveness.rgb_alone"]},
    }
    settings["gate"]["start_vision"] = bench  # on a gate systemd runs it, as a user of its own
    if answers["liveness.tier"] != "best":
        settings["liveness"]["tier"] = answers["liveness.tier"]
    if answers["readers.wedge"]:
        settings["readers"] = {"wedge": list(answers["readers.wedge"])}
    if answers["keys.provider"] == "tpm2":
        settings["keys"] = {"tcti": answers["keys.tcti"]}
    if bench:
        settings["enrolment"] = {"min_captures": 1}
        settings["site"] = {"on_bench": True}
    text = _HEAD + "".join(_table(name, values) for name, values in settings.items())
    try:
        msgspec.convert(tomllib.loads(text), Settings)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ValueError(str(error)) from None
    return text


def _table(name: str, values: Mapping[str, Any]) -> str:
    # A TOML basic string escapes as JSON does.
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in values.items()]
    return "\n".join(["", f"[{name}]", *lines, ""])
