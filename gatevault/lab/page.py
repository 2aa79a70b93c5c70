"""An evaluation as a page for people: a DET plot (PNG) and the figures as HTML, in one folder."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from pathlib import Path
from statistics import NormalDist
from typing import Any, Final

from gatevault.core.errors import GateVaultError

Body = dict[str, Any]

PLOT: Final = "det.png"
PAGE: Final = "evaluation.html"

_TICKS: Final = (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.2, 0.4)
_STYLE: Final = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 48rem; padding: 0 1rem; color: #1a1a1a }
table { border-collapse: collapse; margin: 1rem 0 } th, td { padding: .25rem .75rem; text-align: right }
th { border-bottom: 2px solid #444 } td { border-bottom: 1px solid #ddd } td:first-child { text-align: left }
img { max-width: 100% } .small { color: #555; font-size: .9rem }
"""


def write(body: Body, folder: Path) -> None:
    """Write the page, and the plot where there is a curve. GateVaultError where the folder cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if "det" in body:
            plot(body, folder / PLOT)
        (folder / PAGE).write_text("\n".join(_page(body)) + "\n", encoding="utf-8")
    except OSError as error:
        raise GateVaultError(f"{folder} cannot be written ({error.strerror}): name another folder.") from None


def plot(body: Body, path: Path) -> None:
    """The detection error trade-off: FNIR over FPIR, both on normal deviates (ISO/IEC 19795-1)."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise GateVaultError("The plot needs matplotlib, which is not installed: pip install matplotlib.") from None
    scale = NormalDist().inv_cdf
    curve = [(fpir, fnir) for fpir, fnir in body["det"] if 0.0 < fnir < 1.0]
    figure = Figure(figsize=(7, 6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.plot([scale(f) for f, _ in curve], [scale(m) for _, m in curve], linewidth=2, label=body["model"])
    told = body["shipped"]
    if 0.0 < told["fpir"] < 1.0 and 0.0 < told["fnir"] < 1.0:
        axes.plot([scale(told["fpir"])], [scale(told["fnir"])], "o", markersize=8, label="shipped threshold")
    elif told["fnir"] > 0.0:
        axes.axhline(scale(told["fnir"]), linestyle=":", color="0.4", label="shipped threshold: no stranger let in")
    marks, names = [scale(t) for t in _TICKS], [f"{t:.2%}".rstrip("0%").rstrip(".") + " %" for t in _TICKS]
    axes.set_xticks(marks, names, rotation=45)
    axes.set_yticks(marks, names)
    axes.set_xlim(scale(0.0003), scale(0.5))
    axes.set_ylim(scale(0.0005), scale(0.6))
    axes.set_xlabel("FPIR: strangers let in")
    axes.set_ylabel("FNIR: residents missed")
    axes.set_title(f"{body['residents']} residents, {body['frames']} photograph(s) a search, {body['draws']} draws")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=120)


def _page(body: Body) -> Iterator[str]:
    yield f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>{escape(_title(body))}</title>'
    yield f"<style>{_STYLE}</style>"
    yield f"<h1>{escape(_title(body))}</h1>"
    yield from _groups(body) if "groups" in body else _people(body)
    yield "</html>"


def _title(body: Body) -> str:
    what = "within groups of people" if "groups" in body else f"among {body['residents']} residents"
    return f"How often {body['model']} is wrong {what}"


def _people(body: Body) -> Iterator[str]:
    yield (
        f"<p>{body['people']} people, whom the shipped figures have never seen ({body['left_out']} photographs "
        f"left out for that). {body['draws']} draws of {body['residents']} residents, enrolled from "
        f"{body['enrolled_from']} photographs; {body['residents_searching']} of them search with {body['frames']} "
        f"more, about {body['strangers']} strangers. In brackets: 95 % intervals, which count people.</p>"
    )
    yield f'<p><img src="{PLOT}" alt="DET plot: residents missed over strangers let in"></p>'
    yield "<h2>At the threshold that gives an FPIR on these very people</h2>"
    yield from _table(
        ("FPIR", "threshold", "FNIR"),
        [
            (_share(at["fpir"]), f"{at['threshold']:.4f}", _interval(at["fnir"], at["fnir_interval"]))
            for at in body["operating_points"]
        ],
    )
    yield "<h2>At a calibration's own threshold</h2>"
    yield from _table(
        ("figures", "FPIR asked", "threshold", "FPIR", "FNIR"),
        [
            (
                name,
                _share(body[name]["fpir_asked"]),
                f"{body[name]['threshold']:.4f}",
                _interval(body[name]["fpir"], body[name]["fpir_interval"]),
                _interval(body[name]["fnir"], body[name]["fnir_interval"]),
            )
            for name in ("shipped", "fitted")
            if name in body
        ],
    )
    yield "<h2>Other numbers of residents</h2>"
    yield '<p class="small">Extrapolated from single comparisons, but for the number that was drawn.</p>'
    yield from _table(
        ("residents", "threshold", "FPIR", "FNIR"),
        [
            (n, f"{at['threshold']:.4f}", _share(at["fpir"]), _share(at["fnir"]))
            for n, at in body["at_residents"].items()
        ],
    )
    told = body["verification"]
    yield (
        f"<p>One photograph against one other, FMR {_share(told['fmr_asked'])} asked: FMR {_share(told['fmr'])}, "
        f"FNMR {_share(told['fnmr'])}.</p>"
    )


def _groups(body: Body) -> Iterator[str]:
    estate = body["estate"]
    yield (
        f"<p>False matches of one photograph with one other of the same group, at the threshold for "
        f"{_share(body['fmr_asked'])} in the reference population; and strangers let in where all "
        f"{estate['residents']} residents and the strangers are of that group, at the threshold for "
        f"{_share(estate['fpir_asked'])}. Sets repeat some people: upper bounds.</p>"
    )
    head = ("group", "FMR", "of that asked", "FPIR of the estate", "tutorials' 0.6: FMR")
    yield from _table(
        head,
        [
            (
                name,
                _share(each["fmr"]),
                f"{each['fmr'] / body['fmr_asked']:.1f} ×",
                _interval(each["estate"]["share"], each["estate"]["interval"]),
                _share(each["fmr_tutorial"]) if "fmr_tutorial" in each else "–",
            )
            for name, each in body["groups"].items()
        ],
    )


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> Iterator[str]:
    yield "<table><tr>" + "".join(f"<th>{escape(cell)}</th>" for cell in head) + "</tr>"
    for row in rows:
        yield "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>"
    yield "</table>"


def _share(share: float) -> str:
    return f"{share:.2%}" if share >= 0.001 or share == 0.0 else f"{share:.2e}"


def _interval(share: float, interval: list[float]) -> str:
    return f"{_share(share)} ({interval[0]:.2%}–{interval[1]:.2%})"
