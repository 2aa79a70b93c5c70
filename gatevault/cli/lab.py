"""Commands that measure or show: never in the gate's path, loaded only when asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gatevault.cli.output import Json, answer, plain_errors, say


def register(app: typer.Typer) -> None:
    """Add the laboratory's commands."""

    @app.command()
    def demo(as_json: Json = False) -> None:
        """The story from end to end, on a bench of its own."""
        from gatevault.lab.demo import play

        with plain_errors(as_json):
            body = play(as_json)
        if as_json:
            answer(body, as_json)
        if not body["ok"]:
            raise typer.Exit(1)

    @app.command()
    def evaluate(
        path: Annotated[Path, typer.Argument(help="A folder of resident_NN/ and strangers/ photographs.")],
        residents: Annotated[int | None, typer.Option(min=1, help="At most so many residents.")] = None,
        strangers: Annotated[int | None, typer.Option(min=0, help="At most so many strangers.")] = None,
        as_json: Json = False,
    ) -> None:
        """Walk people up to a real bench daemon and count right and wrong."""
        from gatevault.lab.evaluate import evaluate as measure

        with plain_errors(as_json):
            answer(measure(path, residents, strangers, say), as_json)

    @app.command()
    def bench(as_json: Json = False) -> None:
        """Time a recognised frame here, beside face_recognition, and a search among residents."""
        from gatevault.lab.bench import bench as measure

        with plain_errors(as_json):
            answer(measure(), as_json)
