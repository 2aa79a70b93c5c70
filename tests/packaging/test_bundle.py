"""What a bundle is made of: hashes of the lock, tags that fit, and the same bytes each time."""

from __future__ import annotations

import importlib
import os
import tarfile
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path

import archive
import bundle
import pytest
from bundle import BundleError, Target, read_requirements
from packaging.utils import parse_wheel_filename

ROOT = Path(__file__).parents[2]
EPOCH = 1_700_000_000
MODELS_SHA256 = "b0ca3624783c6c900e0e8acea7bafea1a22771ea69e0dabba3d7d2102fa1578f"


@pytest.mark.parametrize("arch", bundle.ARCHES)
@pytest.mark.parametrize("python", bundle.PYTHONS)
def test_every_locked_requirement_has_a_wheel_for_every_target(arch: str, python: str) -> None:
    """By the names in uv.lock, without a network; the bundle itself is made and looked at nightly."""
    target = Target(arch, python)
    lock = tomllib.loads((ROOT / "uv.lock").read_text(encoding="utf-8"))
    wheels = {
        (package["name"], package["version"]): [
            wheel for wheel in package.get("wheels", []) if _fits(wheel["url"].rpartition("/")[2], target)
        ]
        for package in lock["package"]
    }
    wanted = [item for item in bundle.locked() if item.holds(target)]
    assert len(wanted) > 25
    for item in wanted:
        found = wheels[item.requirement.name, item.version]
        assert {wheel["hash"].removeprefix("sha256:") for wheel in found} & set(item.hashes), item.requirement
    names = {item.requirement.name for item in wanted}
    assert names.isdisjoint({"dlib", "face-recognition", "face-recognition-models", "pillow", "pytest"})
    assert "dlib-bin" in names
    assert ("lgpio" in names) is ((arch, python) == ("aarch64", "3.11"))


def _fits(name: str, target: Target) -> bool:
    return bool({str(tag) for tag in parse_wheel_filename(name)[3]} & target.tags)


def test_markers_are_those_of_the_target_and_not_of_this_machine() -> None:
    text = (
        "one==1.0 ; python_full_version < '3.12' \\\n    --hash=sha256:aa\n"
        "two==2.0 ; python_full_version >= '3.12' and platform_machine == 'aarch64' \\\n    --hash=sha256:bb \\\n"
        "    --hash=sha256:cc\n# a note\n"
    )
    items = list(read_requirements(text))
    assert [item.hashes for item in items] == [("aa",), ("bb", "cc")]
    held = {
        target: [item.requirement.name for item in items if item.holds(target)]
        for target in (Target("x86_64", "3.11"), Target("x86_64", "3.13"), Target("aarch64", "3.13"))
    }
    assert list(held.values()) == [["one"], [], ["two"]]


def test_a_requirement_without_a_hash_is_refused() -> None:
    with pytest.raises(BundleError, match="no hash"):
        list(read_requirements("one==1.0\n"))


def test_a_wheel_with_another_hash_than_the_locks_is_refused(tmp_path: Path) -> None:
    (item,) = read_requirements("one==1.0 --hash=sha256:aa")
    with pytest.raises(BundleError, match="no wheel of one"):
        bundle._chosen(item, Target("aarch64", "3.11"), tmp_path)
    archive.wheel_of("one", "1.0", "none", {"one.py": b""}, tmp_path)
    with pytest.raises(BundleError, match="not the file that uv"):
        bundle._chosen(item, Target("aarch64", "3.11"), tmp_path)


def test_a_wheel_for_another_machine_is_not_taken(tmp_path: Path) -> None:
    (item,) = read_requirements("one==1.0 --hash=sha256:aa")
    for tag in (
        "cp313-cp313-manylinux_2_28_aarch64",
        "cp311-cp311-manylinux_2_39_aarch64",
        "cp311-cp311-linux_armv7l",
    ):
        (tmp_path / f"one-1.0-{tag}.whl").touch()
    with pytest.raises(BundleError, match="no wheel of one"):
        bundle._chosen(item, Target("aarch64", "3.11"), tmp_path)


def test_the_wheel_of_the_models_holds_the_two_cc0_files_and_is_pinned(tmp_path: Path) -> None:
    wheel = bundle.build_models(tmp_path)
    with zipfile.ZipFile(wheel) as content:
        assert {Path(name).name for name in content.namelist() if "/models/" in name} == set(bundle.MODEL_FILES)
        told = Parser().parsestr(
            content.read("face_recognition_models-0.3.0+gatevault.dist-info/METADATA").decode()
        )
    assert told["License"] == "CC0-1.0"
    assert bundle.sha256_of(wheel) == MODELS_SHA256


def test_our_wheel_is_the_same_bytes_at_each_build(tmp_path: Path) -> None:
    first, second = tmp_path / "one", tmp_path / "two"
    for folder in (first, second):
        folder.mkdir()
    old = os.umask(0o077)
    try:
        one = bundle.build_project(first, EPOCH)
    finally:
        os.umask(old)
    assert bundle.sha256_of(one) == bundle.sha256_of(bundle.build_project(second, EPOCH))


def test_an_archive_depends_on_its_content_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "file"
    source.write_bytes(b"text" * 1000)
    made = []
    for number, mode in enumerate((0o600, 0o755)):
        source.chmod(mode)
        os.utime(source, (number, number))
        content = {"b/c": source, "a": b"bytes"} if number else {"a": b"bytes", "b/c": source}
        made.append(archive.write_archive(tmp_path / f"{number}.tar.gz", "top", content, {"a"}, EPOCH).read_bytes())
    assert made[0] == made[1]
    with tarfile.open(tmp_path / "0.tar.gz") as tar:
        told = [(m.name, m.mode, m.mtime, m.uid, m.uname) for m in tar.getmembers()]
    assert told == [
        ("top", 0o755, EPOCH, 0, "root"),
        ("top/b", 0o755, EPOCH, 0, "root"),
        ("top/a", 0o755, EPOCH, 0, "root"),
        ("top/b/c", 0o644, EPOCH, 0, "root"),
    ]


def test_the_installer_imports_the_standard_library_alone() -> None:
    import ast
    import sys

    for file in (ROOT / "packaging" / "gatevault_setup").glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                top = name.split(".")[0]
                assert top == "gatevault_setup" or top in sys.stdlib_module_names, f"{file.name}: {name}"
                assert top not in ("socket", "http", "urllib", "ssl", "ftplib"), f"{file.name}: {name}"
    assert importlib.util.find_spec("gatevault_setup") is not None
