"""`python -m gatevault.vision --socket PATH --models DIR`: the vision process, started by systemd or the daemon.

Exit status: 0 the daemon hung up, 2 wrong usage, 3 daemon and vision are of different releases,
4 a model file is unfit, 5 the daemon sent nonsense, 6 no daemon.
"""

from __future__ import annotations

import argparse
import ctypes
import resource
import signal
import sys
from pathlib import Path
from typing import Final

import cv2

from gatevault.core.errors import GateVaultError, ModelError, ProtocolError
from gatevault.core.wire import Hello
from gatevault.vision import models
from gatevault.vision.engine import FaceEngine
from gatevault.vision.liveness.veto import Veto
from gatevault.vision.worker import HungUpError, Link, Loaded, VersionError, Worker, connect

EXIT_VERSION: Final = 3
EXIT_MODEL: Final = 4
EXIT_PROTOCOL: Final = 5
EXIT_NO_DAEMON: Final = 6

# linux/prctl.h and glibc's malloc.h.
_PR_SET_DUMPABLE: Final = 4
_PR_SET_NO_NEW_PRIVS: Final = 38
_M_PERTURB: Final = -6
_FREED: Final = 0xA5


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m gatevault.vision", description="GateVault's vision process.")
    parser.add_argument("--socket", required=True, metavar="PATH", help="the daemon's vision socket")
    parser.add_argument("--models", required=True, metavar="DIR", type=Path, help="the state's models folder")
    given = parser.parse_args(arguments)

    def load(hello: Hello) -> Loaded:
        loaded = models.load(hello.models, given.models)
        veto = None if hello.veto is None else Veto(hello.veto, given.models)
        return Loaded(FaceEngine(loaded), loaded.model, loaded.dimension, veto)

    try:
        harden()
        cv2.setNumThreads(1)  # one look at a time: threads would only hold more copies of a picture
        with connect(given.socket) as connection:
            Worker(Link(connection), load).serve()
    except HungUpError:
        return 0
    except GateVaultError as error:
        sys.stderr.write(f"gatevault vision: {error}\n")
        return _status(error)
    return 0


def _status(error: GateVaultError) -> int:
    if isinstance(error, VersionError):
        return EXIT_VERSION
    if isinstance(error, ModelError):
        return EXIT_MODEL
    return EXIT_PROTOCOL if isinstance(error, ProtocolError) else EXIT_NO_DAEMON


def harden() -> None:
    """Keep pixels out of core dumps, debuggers and freed memory, and never gain a privilege.

    Native libraries free their working copies without overwriting them; glibc's M_PERTURB makes free() do so, for
    blocks of up to 1 KiB where its per-thread cache is off: whoever starts us sets GLIBC_TUNABLES for that.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C on a bench ends it without a traceback
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4
    libc.prctl.restype = ctypes.c_int
    for option, value in ((_PR_SET_DUMPABLE, 0), (_PR_SET_NO_NEW_PRIVS, 1)):
        if libc.prctl(option, value, 0, 0, 0) != 0:
            raise GateVaultError(f"the kernel refused to harden this process (prctl {option}): not starting.")
    if hasattr(libc, "mallopt"):  # glibc only
        libc.mallopt.argtypes = [ctypes.c_int, ctypes.c_int]
        libc.mallopt.restype = ctypes.c_int
        libc.mallopt(_M_PERTURB, _FREED)


if __name__ == "__main__":
    sys.exit(main())
