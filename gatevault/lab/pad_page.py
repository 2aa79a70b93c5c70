"""What `lab.pad` measured, for people: a table in the terminal, a page with a plot. Both say *synthetic*."""

from __future__ import annotations

import math
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from gatevault.core.errors import GateVaultError

Body = dict[str, Any]

PAGE: Final = "pad.html"

SYNTHETIC: Final = "SYNTHETIC presentations, rendered: they tell what the rules do, not how real attackers fare."

_STYLE: Final = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; color: #1a1a1a }
table { border-collapse: collapse; margin: 1rem 0 } th, td { padding: .25rem .6rem; text-align: right }
th { border-bottom: 2px solid #444 } td { border-bottom: 1px solid #ddd } td:first-child { text-align: left }
.warn { background: #fff3cd; padding: .5rem 1rem } .small { color: #555; font-size: .9rem }
text { font: 13px system-ui, sans-serif }
"""

_LEAST: Final = 0.0005
"""Left end of the plot's axis: below it 600 presentations tell nothing."""

_WIDE: Final = 420
_ROW: Final = 26

_HEAD: Final = ("species (synthetic)", "n", "APCER", "goal", "IAPAR", "nod", "movement > 1.5 px", "most refused as")


def show(body: Body) -> None:
    """Print the tables."""
    console = Console(highlight=False)
    console.print(f"\nLiveness, tier {body['tier']}, split {body['split']}. {SYNTHETIC}", style="bold")
    console.print(f"In brackets: {body['confidence']} upper bounds. nod, movement: two peers' rules.\n")
    _print(console, _HEAD, list(_attack_rows(body)))
    if "worst" in body:
        worst = body["attacks"][body["worst"]]["apcer"]
        console.print(f"Worst species: {body['worst']}, APCER {rate(worst)}\n", style="bold")
    if "bona_fide" in body:
        _print(console, _RESIDENT_HEAD, list(_resident_rows(body)))
    if "real" in body:
        console.print(f"\nReal pictures, n = {len(body['real'])}: never counted above.", style="bold")
        _print(console, _REAL_HEAD, list(_real_rows(body)))


_RESIDENT_HEAD: Final = (
    "residents (synthetic)", "n", "BPCER one try", "BPCER two tries", "of one try: no verdict", "not matched",
    "nod", "movement > 1.5 px", "most refused as",
)  # fmt: skip
_REAL_HEAD: Final = ("real picture", "what it is", "taken for", "because", "nod", "movement > 1.5 px")


def _attack_rows(body: Body) -> Iterator[tuple[str, ...]]:
    for name, each in body["attacks"].items():
        goal = "–" if each["goal"] is None else f"≤ {each['goal']:.1%}"
        yield (
            name,
            str(each["apcer"]["of"]),
            rate(each["apcer"]),
            goal,
            rate(each["iapar"]),
            rate(each["peers"]["nod"]),
            rate(each["peers"]["movement"]),
            _most(each["refusals"]),
        )


def _resident_rows(body: Body) -> Iterator[tuple[str, ...]]:
    told = body["bona_fide"]
    yield (
        "bona-fide",
        str(told["bpcer_one_try"]["of"]),
        rate(told["bpcer_one_try"]),
        rate(told["bpcer_two_tries"]),
        rate(told["bpnrr"]),
        rate(told["not_matched"]),
        rate(told["peers"]["nod"]),
        rate(told["peers"]["movement"]),
        _most(told["refusals"]),
    )


def _real_rows(body: Body) -> Iterator[tuple[str, ...]]:
    for each in body["real"]:
        yield (
            each["name"],
            each["what"],
            "alive" if each["live"] else "not alive",
            each["refusal"] or "–",
            "passes" if each["nod"] else "refuses",
            "passes" if each["movement"] else "refuses",
        )


def rate(counted: dict[str, Any]) -> str:
    """A share with its upper bound."""
    return f"{counted['share']:.2%} (≤ {counted['upper']:.2%})"


def _most(refusals: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in list(refusals.items())[:3]) or "–"


def _print(console: Console, head: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    table = Table(*head, show_edge=False, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    console.print(table)


def write(body: Body, folder: Path) -> None:
    """Write the page. GateVaultError where the folder cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / PAGE).write_text("\n".join(_page(body)) + "\n", encoding="utf-8")
    except OSError as error:
        raise GateVaultError(f"{folder} cannot be written ({error.strerror}): name another folder.") from None


def _page(body: Body) -> Iterator[str]:
    title = f"Which attacks pass for alive: tier {body['tier']}"
    yield f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
    yield f"<style>{_STYLE}</style><h1>{escape(title)}</h1>"
    yield f'<p class="warn">{escape(SYNTHETIC)}</p>'
    yield (
        f"<p>Split {escape(body['split'])}: people, cameras, printers and screens on which no limit was fixed. In "
        f"brackets and as bars: {escape(body['confidence'])} upper bounds.</p>"
    )
    yield from _plot(body)
    yield "<h2>Attacks</h2>"
    yield from _table(_HEAD, list(_attack_rows(body)))
    if "worst" in body:
        worst = body["attacks"][body["worst"]]["apcer"]
        yield f"<p>Worst species: {escape(body['worst'])}, APCER {rate(worst)}.</p>"
    if "bona_fide" in body:
        yield "<h2>Residents</h2>"
        yield from _table(_RESIDENT_HEAD, list(_resident_rows(body)))
    if "real" in body:
        yield f"<h2>Real pictures (n = {len(body['real'])})</h2>"
        yield from _table(_REAL_HEAD, list(_real_rows(body)))
    yield (
        '<p class="small">nod: the nose moves up and down by 6 % of the eyes\' distance; movement: landmarks move '
        "by more than 1.5 pixels on the mean between two frames. Two rules of peers on the same presentations.</p>"
    )
    yield "</html>"


def _plot(body: Body) -> Iterator[str]:
    """APCER of each species as a dot with its bound, on a logarithmic axis, goals as ticks; SVG."""
    rows = list(body["attacks"].items())
    tall = _ROW * len(rows) + 40
    yield f'<svg width="{_WIDE + 280}" height="{tall}" role="img" aria-label="APCER per species, synthetic">'
    for mark in (0.001, 0.01, 0.1, 1.0):
        x = 150 + _across(mark)
        yield f'<line x1="{x:.1f}" y1="10" x2="{x:.1f}" y2="{tall - 24}" stroke="#ddd"/>'
        yield f'<text x="{x:.1f}" y="{tall - 6}" text-anchor="middle">{mark:.1%}</text>'
    for number, (name, each) in enumerate(rows):
        y = 24 + _ROW * number
        share, upper = 150 + _across(each["apcer"]["share"]), 150 + _across(each["apcer"]["upper"])
        yield f'<text x="140" y="{y + 4}" text-anchor="end">{escape(name)}</text>'
        yield f'<line x1="{share:.1f}" y1="{y}" x2="{upper:.1f}" y2="{y}" stroke="#06c" stroke-width="3"/>'
        yield f'<circle cx="{share:.1f}" cy="{y}" r="5" fill="#06c"/>'
        if each["goal"] is not None:
            x = 150 + _across(each["goal"])
            yield f'<line x1="{x:.1f}" y1="{y - 9}" x2="{x:.1f}" y2="{y + 9}" stroke="#c30" stroke-width="2"/>'
    yield f'<text x="{150 + _WIDE + 8}" y="20">APCER (synthetic)</text>'
    yield "</svg>"


def _across(share: float) -> float:
    low = math.log10(_LEAST)
    return _WIDE * (math.log10(max(share, _LEAST)) - low) / -low


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> Iterator[str]:
    yield "<table><tr>" + "".join(f"<th>{escape(cell)}</th>" for cell in head) + "</tr>"
    for row in rows:
        yield "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>"
    yield "</table>"
