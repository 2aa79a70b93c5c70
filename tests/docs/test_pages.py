"""The pages say what the program does: settings, links, tests that guarantees name, commands that examples use."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import click
import msgspec
import pytest
import typer.main

from gatevault.cli.app import app
from gatevault.core.settings import Settings

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("hardware/*.md")])


def flat(section: object, prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in msgspec.structs.asdict(section).items():  # type: ignore[arg-type]
        if isinstance(value, msgspec.Struct):
            found |= flat(value, f"{prefix}{name}.")
        else:
            found[prefix + name] = value
    return found


def documented() -> dict[str, str]:
    """Setting to default, as docs/configuration.md tells them; two in one row share the section."""
    found: dict[str, str] = {}
    for line in (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        names = re.findall(r"`([a-z_0-9.]+)`", cells[0]) if line.startswith("| `") else []
        defaults = re.findall(r"`([^`]+)`", cells[1]) if names else []
        section = names[0].partition(".")[0] if names else ""
        for index, name in enumerate(names):
            full = name if "." in name else f"{section}.{name}"
            found[full] = defaults[index] if index < len(defaults) else ""
    return found


def test_every_setting_is_documented_and_no_other() -> None:
    assert set(documented()) == set(flat(Settings()))


@pytest.mark.parametrize(("name", "shown"), [(n, s) for n, s in documented().items() if s])
def test_documented_defaults_are_the_real_ones(name: str, shown: str) -> None:
    real = flat(Settings())[name]
    assert msgspec.json.decode(shown) == (list(real) if isinstance(real, tuple) else real)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_tests_that_guarantees_name_exist() -> None:
    text = (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8")
    named = re.findall(r"`(tests/[a-z_/.]+)`", text)
    assert named
    for place in named:
        assert (ROOT / place).exists(), place


def examples() -> list[str]:
    """The commands of every indented or fenced block that begin with `gatevault`."""
    lines = [line.strip() for page in PAGES for line in page.read_text(encoding="utf-8").splitlines()]
    commands = [part.strip() for line in lines if line.startswith("gatevault ") for part in line.split(";")]
    return [command.split("#")[0].strip(" &").replace("r-…", "r-0123456789abcdef") for command in commands]


@pytest.mark.parametrize("example", examples())
def test_examples_are_commands_that_exist(example: str) -> None:
    words = shlex.split(example)[1:]
    command: click.Command = typer.main.get_command(app)
    context = click.Context(command)
    while isinstance(command, click.Group):
        name = words.pop(0)
        child = command.get_command(context, name)
        assert child is not None, f"{example}: there is no {name}"
        command = child
        context = click.Context(command, parent=context)
    command.parse_args(context, words)
