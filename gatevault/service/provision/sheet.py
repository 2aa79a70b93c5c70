"""The handover sheet: one page for the operator's folder, with a card to cut out for the residents' notice."""

from __future__ import annotations

import os
import platform
import shutil
import string
import subprocess
import tempfile
from collections.abc import Callable
from html import escape
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from gatevault.core import control
from gatevault.core.board import Board, Input, Output
from gatevault.core.errors import StoreError
from gatevault.core.header import physical
from gatevault.core.provisioning.header import part_name
from gatevault.core.provisioning.words import Language, both
from gatevault.service.client import ask
from gatevault.service.config import load_board, load_settings
from gatevault.service.provision.making import Provisioned, noted, now_stamp
from gatevault.service.provision.talk import Talk
from gatevault.service.state import StatePaths
from gatevault.vault.files import replace

CONVERT_S: Final = 60.0

LONGEST: Final = 80
"""Characters of a record's text on the sheet."""

CONVERTERS: Final[dict[str, Callable[[Path, Path], list[str]]]] = {
    "weasyprint": lambda page, pdf: [str(page), str(pdf)],
    "chromium": lambda page, pdf: _chromium(page, pdf),
    "chromium-browser": lambda page, pdf: _chromium(page, pdf),
    "google-chrome": lambda page, pdf: _chromium(page, pdf),
    "wkhtmltopdf": lambda page, pdf: ["--page-size", "A4", "--quiet", str(page), str(pdf)],
}
"""Programs that make a PDF of a page, the best first, and their arguments."""


def make_sheet(root: Path, out: str, talk: Talk) -> dict[str, Any]:
    """Write the sheet, and a PDF where a converter is there. StoreError."""
    page = Path(out) if out else Path(f"gatevault-{_plain(load_settings(StatePaths(root).config).gate.name)}.html")
    if page.suffix != ".html":
        page = page.with_name(page.name + ".html")
    try:
        replace(page.absolute(), page_of(root).encode(), 0o644)
    except OSError as error:
        raise StoreError(f"{page} cannot be written ({error.strerror}): name another place by sheet.out.") from None
    talk.say("sheet-made", path=page)
    pdf = convert(page)
    talk.say("pdf-made", path=pdf) if pdf is not None else talk.say("pdf-none")
    return {"sheet": str(page), "pdf": None if pdf is None else str(pdf)}


def page_of(root: Path) -> str:
    """The sheet's HTML, of what this gate says of itself. GateVaultError."""
    paths = StatePaths(root)
    settings = load_settings(paths.config)
    board, seen = load_board(settings.gate.board), noted(root)
    status = ask(root, control.Status(), _silent)
    site = ask(root, control.SiteShow(), _silent)
    key = ask(root, control.KeyShow(), _silent)
    worth = both(f"worth-{key['provider']}")
    words = {
        "gate": settings.gate.name,
        "device": status["device"],
        "made": f"{now_stamp()[:10]}{' · bench 试验台' if status['bench'] else ''}",
        "board": board.name,
        "tested_at": seen.tested_at or "never 无",
        "aim": _aim(seen),
        "faces": _faces(site, status),
        "assessment": _record(site["assessment"], "by", "document"),
        "sign": _record(site["sign"], "text", "where"),
        "fpir": f"{settings.matching.fpir:g}",
        "tier": _tier(status["liveness"]),
        "hours": "; ".join(settings.schedule.hours),
        "provider": key["provider"],
        "worth_en": worth[0].partition(": ")[2],
        "worth_zh": worth[1].partition("：")[2],
        "installer": site["installer"],
        "ledger_key": site["ledger_key"],
        "receipts_key": site["receipts_key"],
        "controller": settings.consent.controller,
        "contact": settings.consent.contact,
        "tested": _parts(seen, "works", "broken") or "nothing 无",
        "untested": _parts(seen, "skip") if seen.tested else "everything 全部",
    }
    made = {name: escape(str(text)) for name, text in words.items()}
    made |= {"wiring": _wiring(board, seen), "versions": _versions(status)}
    template = files("gatevault.service.provision").joinpath("sheet.html").read_text(encoding="utf-8")
    return string.Template(template).substitute(made)


def _silent(_: str) -> None:
    return None


def _wiring(board: Board, seen: Provisioned) -> str:
    rows = []
    for role, gpio in board.pins():
        part = getattr(board, role, None)
        level = "5 V → 3.3 V"
        if isinstance(part, Output):
            level = "high 高" if part.active_high else "low 低"
        elif isinstance(part, Input):
            level = "GND" if part.pull_up else "3.3 V"
        reader = role.endswith((".d0", ".d1"))
        verdict = seen.tested.get("reader" if reader else role, "skip")
        mark = {"works": "✓", "broken": '<span class="bad">no 否</span>'}.get(verdict, "–")
        name = f"{part_name(role, Language.EN)} {part_name(role, Language.ZH)}"
        pin = physical(gpio) or "–"
        rows.append(
            f'<tr><td>{escape(name)}</td><td class="n">{pin}</td><td class="n">{gpio}</td><td>{level}</td>'
            f"<td>{mark}</td></tr>"
        )
    return "\n".join(rows)


def _parts(seen: Provisioned, *verdicts: str) -> str:
    told = []
    for part, verdict in seen.tested.items():
        if verdict in verdicts:
            name = both(f"part-{part}")[0].replace("{name}", "").strip()
            told.append(f"{name} DOES NOT WORK 不正常" if verdict == "broken" else name)
    return ", ".join(told)


def _aim(seen: Provisioned) -> str:
    if seen.aim is None:
        return "not done 未做"
    last = seen.aim.get("last") or {}
    told = f"{seen.aim['good']} of {seen.aim['frames']} frames good 良好, {seen.aimed_at}"
    return told + (f"; face 脸宽 {last['width']} px, light 亮度 {last['light']} %" if last else "")


def _record(record: dict[str, str] | None, *names: str) -> str:
    if record is None:
        return "not recorded 未登记"
    return "; ".join([record["date"], *(_short(record[name]) for name in names)])


def _short(text: str) -> str:
    """So that the sheet stays one page; `gatevault site show` has all of it."""
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _faces(site: dict[str, Any], status: dict[str, Any]) -> str:
    if site["faces"] != "on":
        return f"{site['faces']}. Cards work. 人脸关闭（未登记齐全），刷卡不受影响。"
    if status["liveness"]["faces"] != "on":
        return f"faces off: {status['liveness'].get('reason', '')} 人脸关闭，刷卡不受影响。"
    return "on 开启"


def _tier(liveness: dict[str, Any]) -> str:
    reason = liveness.get("reason", "")
    return f"{liveness['tier']}{'. ' if reason else ''}{reason}"


def _versions(status: dict[str, Any]) -> str:
    told = {
        "GateVault": version("gatevault"),
        "system 系统": _system(),
        "Python": platform.python_version(),
        "networks 网络": f"{status['vision']['detector']}, {status['vision']['embedders']} "
        f"({status['vision'].get('model', 'not loaded 未加载')})",
    }
    return "".join(f"<dt>{escape(name)}</dt><dd>{escape(str(text))}</dd>" for name, text in told.items())


def _system() -> str:
    try:
        name = platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
    except OSError:
        name = "Linux"
    try:
        model = Path("/proc/device-tree/model").read_text(encoding="utf-8", errors="replace").strip("\0\n ")
    except OSError:
        model = platform.machine()
    return f"{name}, {platform.release()}, {model}"


def convert(page: Path) -> Path | None:
    """A PDF beside the page; None where no converter is there, or none of those does it."""
    pdf = page.with_suffix(".pdf")
    for name, arguments in CONVERTERS.items():
        program = shutil.which(name)
        if program is None:
            continue
        with tempfile.TemporaryDirectory(prefix="gatevault-sheet-") as home:
            draft = Path(home) / "sheet.pdf"
            command = [program, *arguments(page.absolute(), draft)]
            environment = {"PATH": os.environ.get("PATH", ""), "HOME": home, "LANG": "C.UTF-8"}
            try:
                done = subprocess.run(
                    command, capture_output=True, check=False, timeout=CONVERT_S, env=environment, cwd=home
                )
                if done.returncode == 0 and draft.is_file() and draft.read_bytes().startswith(b"%PDF"):
                    replace(pdf.absolute(), draft.read_bytes(), 0o644)
                    return pdf
            except (OSError, subprocess.TimeoutExpired):
                continue
    return None


def _chromium(page: Path, pdf: Path) -> list[str]:
    options = ["--headless", "--disable-gpu", "--no-pdf-header-footer", f"--print-to-pdf={pdf}"]
    if os.geteuid() == 0:
        options.append("--no-sandbox")  # it refuses root otherwise; the page is ours and has no script
    return [*options, page.as_uri()]


def _plain(name: str) -> str:
    """A gate's name as a part of a file's."""
    return "".join(character if character.isalnum() else "-" for character in name).strip("-") or "gate"
