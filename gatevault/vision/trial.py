"""`python -m gatevault.vision.trial KIND FILE`: load one model file as the gate would, and run it on a blank
picture.

Answers one JSON object: `sha256`, `dimension` (values a face; null for a detector) and `memory_mb`, the peak of
this process, which has the libraries of the vision process and this one network in it. Exit status: 0 it runs, 1 it
is refused, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from pathlib import Path

from gatevault.confine.profiles import confine_command
from gatevault.core.errors import GateVaultError
from gatevault.core.models import DetectorKind, EmbedderKind
from gatevault.vision.networks import build_network
from gatevault.vision.weights import read_file
from gatevault.vision.yunet import YunetDetector

_KINDS = [DetectorKind.YUNET.value, *(kind.value for kind in EmbedderKind)]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m gatevault.vision.trial", description="Try a model file.")
    parser.add_argument("kind", choices=_KINDS, metavar="KIND", help=", ".join(_KINDS))
    parser.add_argument("file", type=Path, metavar="FILE")
    given = parser.parse_args(arguments)
    if arguments is None:
        confine_command()
    try:
        data = read_file(given.file)
        dimension = _tried(given.kind, data, given.file.name)
    except GateVaultError as error:
        sys.stderr.write(f"gatevault trial: {error}\n")
        return error.exit_status
    body = {"sha256": hashlib.sha256(data).hexdigest(), "dimension": dimension, "memory_mb": peak_mb()}
    sys.stdout.write(json.dumps(body) + "\n")
    return 0


def peak_mb() -> int:
    """This process's largest resident set, in MiB. (`getrusage` would begin with that of the process it came
    from.)"""
    text = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    return int(text.partition("VmHWM:")[2].split()[0]) // 1024


def _tried(kind: str, data: bytes, name: str) -> int | None:
    if kind == DetectorKind.YUNET.value:
        YunetDetector(data).forget()
        return None
    network = build_network(EmbedderKind(kind), data, name)
    network.forget()
    return network.dimension


if __name__ == "__main__":
    sys.exit(main())
