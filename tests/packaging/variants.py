"""Other releases, for upgrades: a bundle with changes in our wheel, listed as whoever builds one lists it."""

from __future__ import annotations

import json
import os
import shutil
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2] / "packaging"))

import archive as archive
import bundle as bundle


def variant(unpacked: Path, version: str, changes: Mapping[str, bytes], **manifest: Any) -> Path:
    """The bundle in the folder `unpacked` as another version, in a folder beside it; files alike are shared."""
    folder = unpacked.with_name(version)
    shutil.copytree(unpacked, folder, copy_function=os.link)
    rewrite(next(folder.glob("wheels/gatevault-*.whl")), changes)
    sign(folder, json.loads((folder / "MANIFEST.json").read_text()) | {"version": version} | manifest)
    return folder


def rewrite(wheel: Path, changes: Mapping[str, bytes]) -> None:
    """Replace files within a wheel."""
    with zipfile.ZipFile(wheel) as old:
        content = {item.filename: old.read(item) for item in old.infolist()}
    wheel.unlink()  # it may be shared
    with zipfile.ZipFile(wheel, "w") as new:
        for name, data in (content | dict(changes)).items():
            new.writestr(name, data)


def sign(folder: Path, manifest: Mapping[str, Any] | None = None) -> None:
    """Write MANIFEST.json of the files that are there, as whoever builds a bundle would."""
    path = folder / "MANIFEST.json"
    body = dict(manifest or json.loads(path.read_text()))
    names = sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file() and file != path)
    body["files"] = {name: bundle.sha256_of(folder / name) for name in names}
    path.unlink(missing_ok=True)  # it may be shared
    path.write_text(json.dumps(body))
