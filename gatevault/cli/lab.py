"""Commands that measure or show: never in the gate's path, loaded only when asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gatevault.cli.output import Json, answer, plain_errors


def register(app: typer.Typer) -> None:
    """Add the laboratory's commands."""

    @app.command()
    def demo(as_json: Json = False) -> None:
        """The story from end to end, on a bench of its own."""
        from gatevault.lab.demo import play

        with plain_errors(as_json):
            play(as_json)

    @app.command()
    def evaluate(
        path: Annotated[Path, typer.Argument(help="A folder of resident_NN/ and strangers/ photographs.")],
        as_json: Json = False,
    ) -> None:
        """Walk people up to a real bench daemon and count right and wrong."""
        from gatevault.lab.evaluate import evaluate as measure

        with plain_errors(as_json):
            answer(measure(path), as_json)
