"""`python -m gatevault.vision --socket PATH --models DIR [--bench]`: the vision process, started by systemd or the
daemon.

It confines itself before any native library is loaded: what comes with OpenCV, dlib or onnxruntime never runs
outside the sandbox. Exit status: 0 the daemon hung up, 2 wrong usage, 3 daemon and vision are of different
releases, 4 a model file is unfit, 5 the daemon sent nonsense, 6 no daemon, 7 it may not look at this gate, or not
at a camera that was plugged in since it began.
"""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path
from typing import Final

from gatevault.confine.process import overwrite_freed
from gatevault.confine.profiles import cameras, confine_vision, cut_off
from gatevault.core.confined import Confined
from gatevault.core.errors import GateVaultError, ModelError, ProtocolError, SandboxError

EXIT_VERSION: Final = 3
EXIT_MODEL: Final = 4
EXIT_PROTOCOL: Final = 5
EXIT_NO_DAEMON: Final = 6
EXIT_SANDBOX: Final = 7


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m gatevault.vision", description="GateVault's vision process.")
    parser.add_argument("--socket", required=True, metavar="PATH", help="the daemon's vision socket")
    parser.add_argument("--models", required=True, metavar="DIR", type=Path, help="the state's models folder")
    parser.add_argument("--bench", action="store_true", help="may read pictures wherever they are")
    given = parser.parse_args(arguments)
    try:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C on a bench ends it without a traceback
        _serve(given.socket, given.models, confine_vision(given.models, bench=given.bench))
    except GateVaultError as error:
        sys.stderr.write(f"gatevault vision: {error}\n")
        return _status(error)
    return 0


def _serve(socket: str, folder: Path, confined: Confined) -> None:
    """Serve until the daemon hangs up. GateVaultError."""
    overwrite_freed()
    there = cameras()

    import cv2

    from gatevault.core.wire import Hello
    from gatevault.vision import models
    from gatevault.vision.engine import FaceEngine
    from gatevault.vision.liveness.veto import Veto
    from gatevault.vision.worker import HungUpError, Link, Loaded, Worker, connect

    def load(hello: Hello) -> Loaded:
        loaded = models.load(hello.models, folder)
        veto = None if hello.veto is None else Veto(hello.veto, folder)
        return Loaded(FaceEngine(loaded), loaded.model, loaded.dimension, veto)

    def new_camera() -> bool:
        return confined.files.startswith("landlock") and cameras() != there

    cv2.setNumThreads(1)  # one look at a time: threads would only hold more copies of a picture
    try:
        with connect(socket) as connection:
            Worker(Link(connection), load, cut_off(confined), new_camera).serve()
    except HungUpError:
        return


def _status(error: GateVaultError) -> int:
    if isinstance(error, SandboxError):
        return EXIT_SANDBOX
    if isinstance(error, ModelError):
        return EXIT_MODEL
    if isinstance(error, ProtocolError):
        return EXIT_VERSION if error.code == "version" else EXIT_PROTOCOL
    return EXIT_NO_DAEMON


if __name__ == "__main__":
    sys.exit(main())
