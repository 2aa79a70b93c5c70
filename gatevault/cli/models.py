"""Commands about the networks: which are known and there, and adding one. They work on the state's own files."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from gatevault.cli.output import DEFAULT, Json, State, answer, plain_errors
from gatevault.core.errors import UsageError
from gatevault.service import catalogue
from gatevault.service.state import StatePaths

models = typer.Typer(no_args_is_help=True, help="The networks that look at faces: which are there, adding one.")

Kind = StrEnum("Kind", {name.upper(): name for name in catalogue.KINDS})  # type: ignore[misc]


@models.command("list")
def models_list(state: State = DEFAULT, as_json: Json = False) -> None:
    """The files that we know: licence, hash, what they were measured to do; which are here and in use."""
    with plain_errors(as_json):
        body = catalogue.listing(StatePaths(state))
    if as_json:
        answer(body, as_json)
        return
    for model in body["models"]:
        sys.stdout.write("\n".join(_lines(model)) + "\n")
    for other in body["others"]:
        use = "in use" if other["in_use"] else "present"
        sys.stdout.write(
            f"{other['file']}  not in our list, not measured by us  {use}\n  SHA-256 {other['sha256']}\n"
        )


def _lines(model: dict[str, Any]) -> list[str]:
    use = "in use" if model["in_use"] else "present" if model["present"] else "not here"
    lfw = "detector"
    if model["lfw"]:
        lfw = f"LFW {model['lfw']}, {'measured by us' if model['measured'] else 'read, not measured by us'}"
    size = f"{model['size'] / 1e6:.1f} MB" if model["size"] else "size unknown"
    memory = f", {model['memory_mb']} MB of memory alone" if model["memory_mb"] else ""
    return [
        f"{model['name']:26} {model['kind']:14} {use:9} {model['licence']}",
        f"  {lfw}; {size}{memory}",
        f"  SHA-256 {model['sha256'] or 'not pinned'}",
        f"  {model['note']}",
    ]


@models.command("add")
def models_add(
    file: Annotated[
        Path, typer.Argument(help="An ONNX file, or a .dat of dlib's architecture, which is converted.")
    ],
    use: Annotated[bool, typer.Option("--use", help="Name it in config.toml, in place of its like.")] = False,
    fuse: Annotated[
        bool, typer.Option("--fuse", help="Name it in config.toml beside the network there is.")
    ] = False,
    kind: Annotated[Kind | None, typer.Option(help="What it is, where it is not in our list.")] = None,
    state: State = DEFAULT,
    as_json: Json = False,
) -> None:
    """Check a model file, copy it into the state, and tell what config.toml needs to use it."""
    with plain_errors(as_json):
        if use and fuse:
            raise UsageError("Give --use, to put it in place of its like, or --fuse, to add it: not both.")
        answer(catalogue.add(StatePaths(state), file, kind.value if kind else None, use, fuse), as_json)
