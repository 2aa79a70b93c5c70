"""The model files that we know (`models.toml`), and adding one of them, or another, to a state."""

from __future__ import annotations

import hashlib
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import msgspec

from gatevault.core.calibration import unpack
from gatevault.core.errors import CalibrationError, ConfigError, ModelError, UsageError
from gatevault.core.models import (
    MAX_EMBEDDERS,
    CalibrationFile,
    Detector,
    DetectorKind,
    Embedder,
    EmbedderKind,
    ModelSettings,
    kinds,
    model_name,
)
from gatevault.service import models
from gatevault.service.config import load_settings, with_models
from gatevault.service.state import StatePaths, read_device
from gatevault.vault.files import replace
from gatevault.vault.templates import count_by_model

CALIBRATION: Final = ".cal"
"""How the names of calibrations end."""

KINDS: Final = (DetectorKind.YUNET.value, *(kind.value for kind in EmbedderKind))


class Known(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One entry of the list. `measured`: by this project; else `lfw` is a claim."""

    name: str
    kind: str
    licence: str
    lfw: str
    measured: bool
    note: str
    file: str | None = None
    sha256: str | None = None
    source_sha256: str | None = None
    size: int | None = None
    memory_mb: int | None = None


class _List(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    model: tuple[Known, ...]


def known_models() -> tuple[Known, ...]:
    """The list in the repository."""
    text = (files("gatevault.service") / "models.toml").read_text(encoding="utf-8")
    return msgspec.convert(tomllib.loads(text), _List).model


def listing(paths: StatePaths) -> dict[str, Any]:
    """`models`: each known one with `present` and `in_use`; `others`: files of the folder that nobody knows.

    StateError, ConfigError.
    """
    read_device(paths)
    used = {sha256 for _, sha256 in load_settings(paths.config).models.files()}
    there = {path.name: models.sha256_of(path) for path in sorted(paths.models.glob("*.onnx"))}
    entries = []
    for known in known_models():
        present = known.sha256 is not None and known.sha256 in there.values()
        entries.append(
            {**msgspec.to_builtins(known), "present": present, "in_use": present and known.sha256 in used}
        )
    hashes = {known.sha256 for known in known_models()}
    others = [
        {"file": name, "sha256": sha256, "in_use": sha256 in used}
        for name, sha256 in there.items()
        if sha256 not in hashes
    ]
    return {"models": entries, "others": others}


def add(paths: StatePaths, file: Path, kind: str | None, use: bool, fuse: bool) -> dict[str, Any]:
    """Add a file to the models folder, and name it in config.toml where asked.

    UsageError for a file that nobody knows and no `kind`; ModelError where it is none of that kind; StateError,
    ConfigError, ConflictError. Answers name, kind, file, sha256, whether it was measured, the lines for
    config.toml, and with `use` or `fuse` how many residents must enrol again.
    """
    read_device(paths)
    settings = load_settings(paths.config).models
    data = models.read(file)
    sha256 = hashlib.sha256(data).hexdigest()
    if file.suffix == CALIBRATION:
        return _add_calibration(paths, file, data, settings, use)
    known = next((k for k in known_models() if sha256 in (k.sha256, k.source_sha256)), None)
    chosen = known.kind if known else kind
    if chosen is None:
        raise UsageError(
            f"{file.name} is not in our list (SHA-256 {sha256}): name its kind with --kind to add it all the "
            "same; it was not measured by us."
        )
    if kind is not None and kind != chosen:
        raise UsageError(f"{file.name} is of the kind {chosen}, not {kind}: nothing was added.")
    name = known.file if known and known.file else models.stored_name(file, chosen)
    if chosen == EmbedderKind.DLIB.value and file.suffix != ".onnx":
        data = models.export(str(file.absolute()))
    stored = hashlib.sha256(data).hexdigest()
    wanted = _wanted(settings, chosen, name, stored, fuse)
    models.make_folder(paths.models)
    models.put(paths.models, name, data, known.sha256 if known and known.sha256 else stored)
    try:
        tried = models.trial(chosen, paths.models / name)
    except ModelError:
        if known is None:
            (paths.models / name).unlink(missing_ok=True)
        raise
    body: dict[str, Any] = {
        "added": known.name if known else file.name,
        "kind": chosen,
        "file": name,
        "sha256": stored,
        "dimension": tried.dimension,
        "memory_mb": tried.memory_mb,
        "lfw": _claim(known),
        "config": config_lines(wanted),
    }
    return body | (_use(paths, wanted) if use or fuse else {"used": False})


def _add_calibration(
    paths: StatePaths, file: Path, data: bytes, settings: ModelSettings, use: bool
) -> dict[str, Any]:
    """The site's own figures. CalibrationError where they are none, or of other networks than are configured."""
    found = unpack(data)
    if not found.fits(settings.chosen_embedders):
        raise CalibrationError(
            f"{file.name} is the calibration of other networks than {kinds(settings.chosen_embedders)}: nothing "
            "was added. Add the networks first."
        )
    sha256, name = hashlib.sha256(data).hexdigest(), models.plain_name(file) + CALIBRATION
    wanted = msgspec.structs.replace(settings, calibration=CalibrationFile(name, sha256))
    models.make_folder(paths.models)
    models.put(paths.models, name, data, sha256)
    body: dict[str, Any] = {
        "added": file.name,
        "kind": "calibration",
        "file": name,
        "sha256": sha256,
        "groups": list(found.figures.tails) or ["the population that it was fitted on"],
        "config": config_lines(wanted),
    }
    return body | (_use(paths, wanted) if use else {"used": False})


def _claim(known: Known | None) -> str:
    if known is None:
        return "not measured by us"
    return f"{known.lfw or 'a detector'} ({'measured by us' if known.measured else 'read, not measured by us'})"


def _wanted(settings: ModelSettings, kind: str, name: str, sha256: str, fuse: bool) -> ModelSettings:
    """The settings with this file in use: in place of its like, or fused with the network there is."""
    if kind == DetectorKind.YUNET.value:
        if fuse:
            raise UsageError("A detector is not fused: use --use.")
        return msgspec.structs.replace(settings, detector=Detector(DetectorKind.YUNET, name, sha256))
    fresh = Embedder(EmbedderKind(kind), name, sha256)
    settings = msgspec.structs.replace(settings, calibration=None)  # it was of the networks before
    if not fuse:
        return msgspec.structs.replace(settings, embedders=(fresh,))
    others = tuple(e for e in settings.chosen_embedders if e.sha256 != sha256)
    if len(others) >= MAX_EMBEDDERS:
        raise UsageError("Two networks are fused already: put one in their place with --use first.")
    return msgspec.structs.replace(settings, embedders=(*others, fresh))


def _use(paths: StatePaths, wanted: ModelSettings) -> dict[str, Any]:
    text = paths.config.read_text(encoding="utf-8") if paths.config.exists() else ""
    changed = with_models(text, config_lines(wanted), paths.config)
    try:
        before = paths.config.stat() if paths.config.exists() else paths.root.stat()
        replace(paths.config, changed.encode(), 0o640)
        models.give(paths.config, before)
    except OSError as error:
        raise ConfigError(
            f"{paths.config} cannot be written ({error.strerror}): write the lines yourself."
        ) from None
    again = sum(n for model, n in count_by_model(paths.vault).items() if model.hex() != model_name(wanted))
    return {
        "used": True,
        "enrol_again": again,
        "next": "Restart the daemon and its vision; until they enrol again, those residents use their cards.",
    }


def config_lines(settings: ModelSettings) -> list[str]:
    """The table for config.toml, line by line."""
    lines = ["[models]"]
    if settings.detector is not None:
        lines.append(f"detector = {_table(settings.detector)}")
    if settings.embedders:
        lines.append(f"embedders = [{', '.join(map(_table, settings.embedders))}]")
    if settings.calibration is not None:
        chosen = settings.calibration
        lines.append(f'calibration = {{ file = "{chosen.file}", sha256 = "{chosen.sha256}" }}')
    return lines


def _table(model: Detector | Embedder) -> str:
    parts = [f'kind = "{model.kind.value}"']
    if model.file is not None:
        parts += [f'file = "{model.file}"', f'sha256 = "{model.sha256}"']
    return f"{{ {', '.join(parts)} }}"
