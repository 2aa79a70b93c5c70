"""What lies in `hardware/` is what the profiles make: drawings and schema cannot differ from them."""

from __future__ import annotations

from pathlib import Path

import pytest

from gatevault.lab.drawings import HARDWARE, main, texts

MADE = dict(texts(HARDWARE))


@pytest.mark.parametrize("path", MADE, ids=lambda path: path.name)
def test_the_file_is_as_the_profiles_make_it(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == MADE[path], "run `make drawings`"


def test_no_drawing_is_left_of_a_profile_that_is_gone() -> None:
    assert set((HARDWARE / "drawings").iterdir()) == {path for path in MADE if path.suffix == ".svg"}


def test_writing_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    boards = tmp_path / "boards"
    boards.mkdir()
    for name in ("pi-transistor", "bench"):
        (boards / f"{name}.toml").write_text((HARDWARE / "boards" / f"{name}.toml").read_text(encoding="utf-8"))
    assert main([str(tmp_path)]) == 0
    assert {path.name for path in (tmp_path / "drawings").iterdir()} == {
        "pi-transistor.en.svg",
        "pi-transistor.zh.svg",
    }
    assert len(capsys.readouterr().out.splitlines()) == 3
