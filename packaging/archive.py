"""Archives whose bytes depend on nothing but their content: wheels without a builder, and the bundle's tar."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

_EARLIEST: Final = (1980, 1, 1, 0, 0, 0)
"""Zip knows no earlier time."""


def wheel_of(name: str, version: str, licence: str, files: Mapping[str, bytes], folder: Path) -> Path:
    """A wheel of plain files, stored and not compressed (PEP 427)."""
    info = f"{name}-{version}.dist-info"
    content = dict(files) | {
        f"{info}/METADATA": (
            f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: {version}\nLicense: {licence}\n"
        ).encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: gatevault\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = [f"{path},sha256={_urlsafe(data)},{len(data)}" for path, data in sorted(content.items())]
    content[f"{info}/RECORD"] = ("\n".join([*rows, f"{info}/RECORD,,"]) + "\n").encode()
    target = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for path, data in sorted(content.items()):
            entry = zipfile.ZipInfo(path, _EARLIEST)
            entry.create_system, entry.external_attr = 3, 0o100644 << 16
            archive.writestr(entry, data)
    return target


def write_archive(
    target: Path, top: str, content: Mapping[str, Path | bytes], programs: set[str], epoch: int
) -> Path:
    """A tar.gz of `content` under the folder `top`: sorted, of one time, root's, `programs` executable."""
    fresh = target.with_name(target.name + ".new")
    with (
        fresh.open("wb") as file,
        gzip.GzipFile("", "wb", 6, file, mtime=epoch) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for name in sorted({parent for path in content for parent in _parents(f"{top}/{path}")}):
            archive.addfile(_entry(name, epoch, 0o755, tarfile.DIRTYPE))
        for path, source in sorted(content.items()):
            data = source if isinstance(source, bytes) else source.read_bytes()
            entry = _entry(f"{top}/{path}", epoch, 0o755 if path in programs else 0o644, tarfile.REGTYPE)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return fresh.replace(target)


def _entry(name: str, epoch: int, mode: int, kind: bytes) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.mtime, entry.mode, entry.type = epoch, mode, kind
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    return entry


def _parents(path: str) -> list[str]:
    return [str(parent) for parent in Path(path).parents if str(parent) != "."]


def _urlsafe(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
