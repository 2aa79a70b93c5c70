"""Commands that measure or show: never in the gate's path, loaded only when asked for."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from gatevault.cli.output import Json, answer, plain_errors, say
from gatevault.core.errors import UsageError


class Model(StrEnum):
    """Models whose errors can be told."""

    DLIB = "dlib"
    MOBILEFACENET = "mobilefacenet"
    FUSED = "fused"


class PadTier(StrEnum):
    """Tiers that presentations are made for."""

    RGB = "rgb"
    LED = "rgb+led"
    IR = "rgb+ir"


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
        path: Annotated[
            Path | None,
            typer.Argument(
                help="An .npz of embeddings, or a folder of people's photographs (for --pad: portraits)."
            ),
        ] = None,
        model: Annotated[Model, typer.Option(help="Whose errors.")] = Model.DLIB,
        residents: Annotated[int | None, typer.Option(min=1, help="How many residents there are.")] = None,
        fpir: Annotated[
            float, typer.Option(min=1e-6, max=0.5, help="Share of strangers let in, as asked.")
        ] = 0.001,
        frames: Annotated[int, typer.Option(min=1, max=30, help="Photographs fused into one search.")] = 1,
        draws: Annotated[int, typer.Option(min=1, max=1000, help="Draws of residents.")] = 10,
        fit: Annotated[
            bool, typer.Option("--fit", help="Calibrate on half the people, search the others.")
        ] = False,
        calibration: Annotated[
            Path | None, typer.Option(help="With --fit: write a calibration fitted on all of them here (.cal).")
        ] = None,
        by_group: Annotated[
            bool, typer.Option("--by-group", help="False matches within groups of people.")
        ] = False,
        fmr: Annotated[float, typer.Option(min=1e-6, max=0.5, help="False-match rate of one comparison.")] = 1e-4,
        strangers: Annotated[
            Path | None, typer.Option(help="An .npz by group, whose people walk up as strangers too.")
        ] = None,
        networks: Annotated[
            Path | None, typer.Option(help="For photographs: the folder of the networks' files.")
        ] = None,
        page: Annotated[
            Path | None, typer.Option(help="Write a DET plot and an HTML page into this folder.")
        ] = None,
        walk_up: Annotated[
            bool, typer.Option("--walk-up", help="Walk the photographs up to a real bench daemon, end to end.")
        ] = False,
        pad: Annotated[
            bool, typer.Option("--pad", help="Rendered prints, screens and relays before the gate's liveness.")
        ] = False,
        tier: Annotated[PadTier, typer.Option(help="With --pad: what is checked.")] = PadTier.LED,
        species: Annotated[str, typer.Option(help="With --pad: names, parted by commas; else all.")] = "",
        n: Annotated[int, typer.Option(min=1, max=100_000, help="With --pad: presentations a species.")] = 600,
        split: Annotated[str, typer.Option(help="With --pad: tune or test.")] = "test",
        rate: Annotated[float | None, typer.Option(help="With --pad: frames a second.")] = None,
        jobs: Annotated[int, typer.Option(min=1, max=16, help="With --pad: processes.")] = 1,
        mesh: Annotated[Path | None, typer.Option(help="With --pad: folder of the morphable head.")] = None,
        yunet: Annotated[Path | None, typer.Option(help="With --pad: YuNet's file.")] = None,
        kept: Annotated[
            Path | None,
            typer.Option(help="With --pad: a file that keeps outcomes; a run goes on from it."),
        ] = None,
        real: Annotated[Path | None, typer.Option(help="With --pad: folder of real clips and pictures.")] = None,
        as_json: Json = False,
    ) -> None:
        """How often it is wrong: FPIR, FNIR, thresholds, rates by group; with --pad APCER and BPCER."""
        with plain_errors(as_json):
            if pad:
                _pad(_PadOptions(path, tier, species, n, split, rate, jobs, mesh, yunet, kept, real), page, as_json)
                return
            if path is None:
                raise UsageError(
                    "What is to be evaluated? Name an .npz of embeddings, a folder of photographs, or --pad."
                )
            from gatevault.lab import evaluate as lab

            request = lab.Request(model.value, residents, fpir, fmr, frames, draws, fit)
            if walk_up:
                from gatevault.lab.end_to_end import end_to_end

                body = end_to_end(path, residents, say=say)
            elif by_group:
                body = lab.evaluate_groups(path, request)
            else:
                body, figures = lab.evaluate_people(path, request, strangers, networks, say)
                lab.keep(calibration, figures)
            if page is not None and not walk_up:
                from gatevault.lab.page import write

                write(body, page)
                body["page"] = str(page)
            answer(body if as_json else {k: v for k, v in body.items() if k != "det"}, as_json)

    @app.command()
    def bench(
        yunet: Annotated[Path | None, typer.Option(help="YuNet's file, to be timed as well.")] = None,
        as_json: Json = False,
    ) -> None:
        """Time a frame and a walk-up here, beside face_recognition, and a search among residents."""
        from gatevault.lab.bench import bench as measure

        with plain_errors(as_json):
            answer(measure(yunet=yunet), as_json)


class _PadOptions(NamedTuple):
    """What `evaluate --pad` was given."""

    portraits: Path | None
    tier: PadTier
    species: str
    n: int
    split: str
    rate: float | None
    jobs: int
    mesh: Path | None
    yunet: Path | None
    kept: Path | None
    real: Path | None


def _pad(given: _PadOptions, page: Path | None, as_json: bool) -> None:
    """Liveness, attack by attack. UsageError, GateVaultError."""
    from gatevault.lab import pad_page
    from gatevault.lab.pad import evaluate_pad
    from gatevault.lab.pad_bench import PadRequest
    from gatevault.lab.presentations.species import SPECIES

    request = PadRequest(
        tier=given.tier.name.lower(),
        species=tuple(given.species.split(",")) if given.species else tuple(SPECIES),
        n=given.n,
        split=given.split,
        jobs=given.jobs,
        rate=given.rate,
        portraits=given.portraits,
        mesh=given.mesh,
        yunet=given.yunet,
        real=given.real,
        kept=given.kept,
    )
    body = evaluate_pad(request, say)
    if page is not None:
        pad_page.write(body, page)
        body["page"] = str(page)
    if as_json:
        answer(body, as_json)
    else:
        pad_page.show(body)
