"""`make bundle`: one archive an architecture, from which a gate is installed without a network.

    gatevault-VERSION-ARCH.tar.gz
      install               what the installer runs: packaging/install
      setup/                its parts, packaging/gatevault_setup: the standard library alone
      wheels/*.whl          what uv.lock names for this architecture, its hashes checked, ours, and the face models
      system/               units, drop-ins, sysusers.d, tmpfiles.d, udev
      MANIFEST.json         version, commit, which wheels for which Python, SHA-256 of every file

Two builds of one commit are the same bytes: times are the commit's, names are sorted, everything belongs to root,
and what builds our wheel is pinned (build-requirements.txt). Two machines agree on the bytes if their zlibs do.

The lock also names `face_recognition`, with which the lab compares: it is not for a gate and left out, with what it
alone needs. Of `face_recognition_models` only the two files under CC0 are taken, so that its landmark file of 68
points (100 MB, not for commercial products) reaches no gate.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from archive import wheel_of, write_archive
from packaging.requirements import Requirement
from packaging.tags import compatible_tags, cpython_tags
from packaging.utils import canonicalize_name, parse_wheel_filename

from gatevault.service.state import FORMAT
from gatevault.vision import weights

ROOT: Final = Path(__file__).resolve().parents[1]
ARCHES: Final = ("aarch64", "x86_64")
PYTHONS: Final = ("3.11", "3.13")
"""Bookworm's and Trixie's."""

GLIBC: Final = 36
"""Bookworm's glibc is 2.36; Trixie's is newer."""

NOT_FOR_A_GATE: Final = "face-recognition"
MODELS: Final = "face-recognition-models"
MODEL_FILES: Final = {
    weights.LANDMARKS: weights.LANDMARKS_SHA256,
    weights.EMBEDDER: weights.EMBEDDER_SHA256,
}
SYSTEM: Final = {
    "systemd": ROOT / "systemd",
    "drop-ins": ROOT / "systemd" / "drop-ins",
    "sysusers.d": ROOT / "systemd" / "sysusers.d",
    "tmpfiles.d": ROOT / "systemd" / "tmpfiles.d",
    "udev": ROOT / "hardware" / "udev",
}


class BundleError(Exception):
    """A bundle cannot be made as it should be."""


@dataclass(frozen=True, slots=True)
class Target:
    """A machine that wheels are for."""

    arch: str
    python: str

    @property
    def version(self) -> tuple[int, int]:
        major, minor = self.python.split(".")
        return int(major), int(minor)

    @property
    def platforms(self) -> list[str]:
        """Platform tags that it takes, the best first."""
        newest = [f"manylinux_2_{minor}_{self.arch}" for minor in range(GLIBC, 16, -1)]
        return [*newest, f"manylinux2014_{self.arch}"]

    @property
    def tags(self) -> set[str]:
        """Every tag of a wheel that it takes."""
        interpreter = f"cp{self.python.replace('.', '')}"
        own = cpython_tags(self.version, [interpreter], self.platforms)
        return {str(tag) for tag in (*own, *compatible_tags(self.version, interpreter, self.platforms))}

    @property
    def environment(self) -> dict[str, str]:
        """What markers of requirements are asked about."""
        return {
            "python_version": self.python,
            "python_full_version": f"{self.python}.0",
            "platform_machine": self.arch,
            "sys_platform": "linux",
            "platform_system": "Linux",
            "os_name": "posix",
            "implementation_name": "cpython",
            "platform_python_implementation": "CPython",
        }


@dataclass(frozen=True, slots=True)
class Locked:
    """One requirement of uv.lock: its line, and the hashes that it may have."""

    requirement: Requirement
    hashes: tuple[str, ...]

    @property
    def version(self) -> str:
        (pin,) = self.requirement.specifier
        return pin.version

    def holds(self, target: Target) -> bool:
        marker = self.requirement.marker
        return marker is None or marker.evaluate(dict(target.environment))


def locked() -> list[Locked]:
    """What a gate needs, from uv.lock as it is (uv fails where pyproject.toml says otherwise by now)."""
    command = [_tool("uv"), "export", "--locked", "--quiet", "--no-header", "--no-annotate", "--no-dev"]
    command += ["--no-emit-project", "--prune", NOT_FOR_A_GATE, "--no-emit-package", MODELS]
    return list(read_requirements(_run(command)))


def read_requirements(text: str) -> Iterator[Locked]:
    """The lines of a requirements file with hashes."""
    for line in text.replace("\\\n", " ").splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            head, *hashes = line.split(" --hash=sha256:")
            if not hashes:
                raise BundleError(f"{head.strip()} has no hash in uv.lock: it is not from a registry.")
            yield Locked(Requirement(head.strip()), tuple(value.strip() for value in hashes))


def fetch(target: Target, wanted: list[Locked], folder: Path) -> list[Path]:
    """The wheels of this target: one for each requirement, with a hash of the lock."""
    folder.mkdir(parents=True, exist_ok=True)
    asked = folder / "requirements.txt"
    lines = (
        f"{item.requirement.name}=={item.version} " + " ".join(f"--hash=sha256:{value}" for value in item.hashes)
        for item in wanted
    )
    asked.write_text("\n".join(lines) + "\n", encoding="utf-8")
    short = target.python.replace(".", "")
    abis = [f"cp{short}", "abi3", "none"]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
    command += ["--only-binary", ":all:", "--implementation", "cp", "--python-version", short]
    command += [word for abi in abis for word in ("--abi", abi)]
    command += [word for platform in target.platforms for word in ("--platform", platform)]
    _run([*command, "--dest", str(folder), "--requirement", str(asked)])
    return [_chosen(item, target, folder) for item in wanted]


def _chosen(item: Locked, target: Target, folder: Path) -> Path:
    """The wheel of a requirement; BundleError unless there is one, it fits, and its hash is the lock's."""
    name = canonicalize_name(item.requirement.name)
    for file in sorted(folder.glob("*.whl")):
        of, version, _, tags = parse_wheel_filename(file.name)
        if of == name and str(version) == item.version and {str(tag) for tag in tags} & target.tags:
            if sha256_of(file) not in item.hashes:
                raise BundleError(f"{file.name} is not the file that uv.lock names.")
            return file
    raise BundleError(f"There is no wheel of {name} {item.version} for {target.arch}, Python {target.python}.")


def build_project(folder: Path, epoch: int) -> Path:
    """Our own wheel, by pinned tools."""
    for left in folder.glob("gatevault-*.whl"):
        left.unlink()
    pinned = ROOT / "packaging" / "build-requirements.txt"
    command = [_tool("uv"), "build", "--quiet", "--wheel", "--build-constraints", str(pinned), "--require-hashes"]
    _run([*command, "--out-dir", str(folder), str(ROOT)], SOURCE_DATE_EPOCH=str(epoch))
    return next(folder.glob("gatevault-*.whl"))


def build_models(folder: Path) -> Path:
    """The two CC0 files of face_recognition_models, in a wheel of their name and the same bytes everywhere."""
    version = _locked_version(MODELS)
    source = weights.package_folder()
    files = {
        f"face_recognition_models/models/{name}": weights.checked(
            weights.read_file(source / name), name, expected, weights.INSTALL_AGAIN
        )
        for name, expected in MODEL_FILES.items()
    }
    files["face_recognition_models/__init__.py"] = (
        b'"""Two model files of face_recognition_models, both CC0; GateVault looks up their folder alone."""\n'
    )
    return wheel_of("face_recognition_models", f"{version}+gatevault", "CC0-1.0", files, folder)


def make(arch: str, pythons: list[str], out: Path, work: Path) -> Path:
    """One bundle. BundleError."""
    commit, epoch, clean = _commit()
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    requirements, ours = locked(), [build_project(work, epoch), build_models(work)]
    wheels: dict[str, list[Path]] = {}
    for python in pythons:
        target = Target(arch, python)
        wanted = [item for item in requirements if item.holds(target)]
        wheels[python] = sorted([*fetch(target, wanted, work / f"{arch}-{python}"), *ours], key=lambda f: f.name)
    content: dict[str, Path | bytes] = dict(_scaffold())
    for chosen in wheels.values():
        content |= {f"wheels/{file.name}": file for file in chosen}
    manifest: dict[str, Any] = {
        "format": 1,
        "version": version,
        "commit": commit,
        "clean": clean,
        "arch": arch,
        "state_formats": [FORMAT],
        "pythons": {
            python: {"wheels": [file.name for file in chosen], "unpacked": sum(map(_unpacked, chosen))}
            for python, chosen in wheels.items()
        },
        "files": {name: sha256_of(content[name]) for name in sorted(content)},
    }
    content["MANIFEST.json"] = (json.dumps(manifest, indent=1, sort_keys=True) + "\n").encode()
    top = f"gatevault-{version}-{arch}"
    if pythons != list(PYTHONS):
        top += "-py" + "-".join(python.replace(".", "") for python in pythons)
    out.mkdir(parents=True, exist_ok=True)
    return write_archive(out / f"{top}.tar.gz", top, content, {"install"}, epoch)


def _scaffold() -> Iterator[tuple[str, Path]]:
    """Everything but wheels and manifest."""
    here = ROOT / "packaging"
    yield "LICENSE", ROOT / "LICENSE"
    yield "README.txt", here / "README.txt"
    yield "install", here / "install"
    for file in sorted((here / "gatevault_setup").glob("*.py")):
        yield f"setup/gatevault_setup/{file.name}", file
    for name, folder in SYSTEM.items():
        for file in sorted(folder.iterdir()):
            if file.is_file():
                yield f"system/{name}/{file.name}", file


def sha256_of(content: Path | bytes) -> str:
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    with content.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _unpacked(wheel: Path) -> int:
    with zipfile.ZipFile(wheel) as archive:
        return sum(item.file_size for item in archive.infolist())


def _locked_version(name: str) -> str:
    lock = tomllib.loads((ROOT / "uv.lock").read_text(encoding="utf-8"))
    return str(next(package["version"] for package in lock["package"] if package["name"] == name))


def _commit() -> tuple[str, int, bool]:
    """The commit, its time, and whether the files are the commit's."""
    commit, epoch = _run(["git", "log", "-1", "--format=%H %ct"]).split()
    return commit, int(epoch), not _run(["git", "status", "--porcelain", "--untracked-files=no"]).strip()


def _tool(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


def _run(command: list[str], **environment: str) -> str:
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | environment, stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        raise BundleError(f"{' '.join(command[:4])} … failed: what it said stands above.")
    return done.stdout


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--arch", choices=ARCHES, action="append", help="default: both")
    parser.add_argument("--python", choices=PYTHONS, action="append", help="default: both in one bundle")
    parser.add_argument("--out", type=Path, default=ROOT / "dist")
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "bundle", help="where wheels are kept")
    given = parser.parse_args()
    try:
        for arch in given.arch or ARCHES:
            bundle = make(arch, sorted(given.python or PYTHONS), given.out, given.work)
            digest = sha256_of(bundle)
            bundle.with_name(bundle.name + ".sha256").write_text(f"{digest}  {bundle.name}\n", encoding="utf-8")
            sys.stdout.write(f"{digest}  {bundle} ({bundle.stat().st_size >> 20} MiB)\n")
        if not _commit()[2]:
            sys.stderr.write(
                "bundle: files differ from the commit: MANIFEST.json says so. Commit before you ship.\n"
            )
    except BundleError as error:
        sys.stderr.write(f"bundle: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
