"""The threshold study as Markdown tables, for docs/recognition.md and the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

Body = dict[str, Any]


def markdown(body: Body) -> str:
    """Every table of a study."""
    return "\n".join(_lines(body)) + "\n"


def _lines(body: Body) -> Iterator[str]:
    shipped = body["settings"]
    if "left_out" in body:
        yield (
            f"Left out: {body['left_out']} people found in {body['photos']} photographs ({body['unknown_photos']} "
            f"of them without a face or anybody near; the farthest taken for somebody: {body['farthest']})."
        )
    yield (
        f"People: {body['people']}, of whom {body['several_photos']} have four photographs and "
        f"{body['able_residents']} can be residents. {body['draws']} draws of {body['residents']} residents, "
        f"looks of {body['look_frames']} frames, at least {shipped['min_frames']} to decide."
    )
    refused = body["enrolment_refused"]
    yield f"Enrolments refused because the captures disagree: {_rate(refused)}."
    yield ""
    yield from _thresholds(body)
    yield from _at_fpir(body)
    yield from _sizes(body)
    yield from _margins(body)
    yield from _mixtures(body)


RATES: Final = ("FPIR, 1 photo", "FPIR, 4 photos", "FNIR, 1 photo", "FNIR, 2–4 photos", "wrong, 2–4 photos")


def _rates(body: Body, residents: int, threshold: float) -> tuple[str, ...]:
    """The cells under RATES."""
    found = (
        ("fpir", "1 photo"),
        ("fpir", "4 photos"),
        ("fnir", "1 photo"),
        ("fnir", "4 photos"),
        ("wrong", "4 photos"),
    )
    return tuple(_find(body, rate, photos, residents, threshold) for rate, photos in found)


def _thresholds(body: Body) -> Iterator[str]:
    n = body["residents"]
    yield from _table(
        f"Threshold, {n} residents, margin {body['settings']['margin']}",
        ("threshold", *RATES),
        [(str(t), *_rates(body, n, t)) for t in _values(body, "fpir", 2)],
    )


def _at_fpir(body: Body) -> Iterator[str]:
    at = body["threshold_at_fpir"]
    targets = list(next(iter(at.values())))
    yield from _table(
        "Threshold that gives an FPIR on these people",
        ("strangers' looks", *(f"{float(t):.1%}" for t in targets)),
        [(kind, *(f"{at[kind][t]:.4f}" for t in targets)) for kind in at],
    )


def _sizes(body: Body) -> Iterator[str]:
    t = body["settings"]["threshold"]
    yield from _table(
        f"Number of residents, threshold {t}",
        ("residents", *RATES),
        [(str(n), *_rates(body, n, t)) for n in _values(body, "fpir", 1)],
    )


def _margins(body: Body) -> Iterator[str]:
    yield from _table(
        f"Margin to the second resident, threshold {body['settings']['threshold']}",
        ("margin", "FPIR, 4 photos", "FNIR, 1 photo", "wrong, 1 photo", "FNIR, 2–4 photos", "wrong, 2–4 photos"),
        [
            (
                str(m),
                _find(body, "margin fpir", "4 photos", m),
                _find(body, "margin fnir", "1 photo", m),
                _find(body, "margin wrong", "1 photo", m),
                _find(body, "margin fnir", "4 photos", m),
                _find(body, "margin wrong", "4 photos", m),
            )
            for m in _values(body, "margin fpir", 1)
        ],
    )


def _mixtures(body: Body) -> Iterator[str]:
    kinds = _values(body, "mixed", 0)
    yield from _table(
        f"Different strangers in one look, threshold {body['settings']['threshold']}",
        ("same person at", *(f"FPIR, {k} strangers" for k in kinds), "FNIR, 2–4 photos"),
        [
            (
                "no rule" if rule < 0 else str(rule),
                *(_find(body, "mixed", k, rule) for k in kinds),
                _find(body, "mixed fnir", rule),
            )
            for rule in _values(body, "mixed", 1)
        ],
    )


def _values(body: Body, what: str, place: int) -> list[Any]:
    return sorted({row["key"][place] for row in body[what]})


def _find(body: Body, what: str, *key: Any) -> str:
    return next((_rate(row) for row in body[what] if row["key"] == list(key)), "–")


def _rate(row: Body) -> str:
    return f"{row['share']:.2%} ({row['low']:.2%}–{row['high']:.2%})"


def _table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"**{title}**"
    yield ""
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield "| " + " | ".join(row) + " |"
    yield ""
