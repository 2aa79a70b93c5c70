"""Commands about the ledger: verify it, export it, and keep its checkpoint outside."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import segno
import typer

from gatevault.cli.output import DEFAULT, Json, State, answer, plain_errors, say
from gatevault.core import control
from gatevault.core.bundle import FORMAT, single_entry
from gatevault.core.checkpoint import read_key, read_note
from gatevault.core.errors import StateError, UsageError
from gatevault.core.jcs import MAX_INTEGER
from gatevault.service.audit import verify_stopped
from gatevault.service.client import ask
from gatevault.vault.audit import audit_bundle
from gatevault.vault.files import replace

ledger = typer.Typer(no_args_is_help=True, help="The record of what happened.")

Out = Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write it to this file.")]


@ledger.command("verify")
def ledger_verify(
    anchor: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A checkpoint that was kept: must lead to today's.")
    ] = None,
    bundle: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="What was exported, the ledger or an entry: needs no daemon."),
    ] = None,
    key: Annotated[
        str | None, typer.Option(metavar="VKEY", help="The key that was pinned; a bundle needs it.")
    ] = None,
    offline: Annotated[
        bool, typer.Option("--offline", help="Read the ledger itself: for a gate whose daemon is stopped.")
    ] = False,
    state: State = DEFAULT,
    as_json: Json = False,
) -> None:
    """Check every entry, the tree and the signature. Exit 0 only where all is well."""
    with plain_errors(as_json):
        kept = None if anchor is None else _read_anchor(anchor)
        if bundle is not None:
            if key is None:
                raise UsageError("An exported ledger is checked with the key that was pinned: give --key VKEY.")
            body = audit_bundle(_read(bundle), key, kept).body()
        else:
            body = verify_stopped(state, kept) if offline else ask(state, control.LedgerVerify(kept), say)
            if key is not None and body["key"] != read_key(key).text():
                found = {"entry": None, "problem": "the device's key is not the pinned one"}
                body |= {"ok": False, "problems": [found, *body["problems"]]}
    answer(body, as_json)
    if not body["ok"]:
        raise typer.Exit(1)


@ledger.command("export")
def ledger_export(
    out: Out = None,
    entry: Annotated[
        int | None, typer.Option(metavar="I", min=0, help="This entry alone, with its path to the checkpoint.")
    ] = None,
    anchor: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="With --entry: to this checkpoint, which was kept."),
    ] = None,
    state: State = DEFAULT,
    as_json: Json = False,
) -> None:
    """The whole ledger as one JSON bundle, or one entry of it, which `verify --bundle` checks anywhere."""
    with plain_errors(as_json):
        if anchor is not None and entry is None:
            raise UsageError("--anchor is for one entry: give --entry I as well.")
        bundle = fetch_bundle(state)
        if entry is not None:
            note = bundle["checkpoint"] if anchor is None else _read_anchor(anchor)
            bundle = single_entry(bundle, entry, note, read_note(note).checkpoint)
        text = json.dumps(bundle, ensure_ascii=False, separators=(",", ":")) + "\n"
        if out is not None:
            _write(out, text)
    if out is None:
        sys.stdout.write(text)
    else:
        answer({"file": str(out), "entries": len(bundle.get("entries", "1")), "key": bundle["key"]}, as_json)


@ledger.command("anchor")
def ledger_anchor(out: Out = None, state: State = DEFAULT, as_json: Json = False) -> None:
    """Print the signed checkpoint, also as a QR code: keep it outside, and `verify --anchor` with it later."""
    with plain_errors(as_json):
        page = ask(state, control.LedgerExport(MAX_INTEGER), say)
        note = page["checkpoint"]
        if out is not None:
            _write(out, note)
    if as_json:
        answer({"checkpoint": note, "key": page["key"], "receipts_key": page.get("receipts_key")}, as_json)
        return
    sys.stdout.write(f"{note}\nkey: {page['key']}\n\n")
    segno.make_qr(note).terminal(out=sys.stdout, compact=True)
    say(f"key of receipts and certificates: {page.get('receipts_key', 'unknown')}")


def fetch_bundle(state: Path) -> dict[str, Any]:
    """Fetch the ledger page by page. The last page's checkpoint is of exactly the entries up to its end."""
    entries: list[dict[str, Any]] = []
    while True:
        page = ask(state, control.LedgerExport(len(entries)), say)
        entries += page["entries"]
        if len(entries) >= page["size"] or not page["entries"]:
            break
    return {"format": FORMAT, "key": page["key"], "checkpoint": page["checkpoint"], "entries": entries}


def _read_anchor(path: Path) -> str:
    """A kept checkpoint; what scanners do to line ends is undone. CheckpointError, StateError."""
    text = "\n".join(_read(path).decode("utf-8", "replace").strip().splitlines()) + "\n"
    read_note(text)
    return text


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise StateError(f"{path} cannot be read ({error.strerror}): name the file that was kept.") from None


def _write(path: Path, text: str) -> None:
    """Readable by its owner alone: a ledger tells when pseudonyms came and went."""
    try:
        replace(path, text.encode())
    except OSError as error:
        raise StateError(f"{path} cannot be written ({error.strerror}): name another place.") from None
