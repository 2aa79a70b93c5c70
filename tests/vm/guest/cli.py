"""In the machine: runs `gatevault` commands out of one process that has imported it, for imports take long there.

`cli.py SOCKET`, run by the installed gate's own Python, takes connections, each with one JSON list of words, runs
the program's own entry point with them in a fork as root in /, and answers {"code", "out", "err"}.
"""

import contextlib
import json
import os
import socket
import sys
import tempfile
from pathlib import Path


def run(words: list[str]) -> dict:
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = os.fork()
        if child == 0:
            os.dup2(out.fileno(), 1)
            os.dup2(err.fileno(), 2)
            sys.argv = ["gatevault", *words]
            from gatevault.cli.app import main

            main()  # leaves by SystemExit
        _, status = os.waitpid(child, 0)
        out.seek(0)
        err.seek(0)
        return {"code": os.waitstatus_to_exitcode(status), "out": out.read().decode(), "err": err.read().decode()}


def main() -> None:
    import gatevault.cli.app  # noqa: F401  (what takes long)

    path = Path(sys.argv[1])
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        while True:
            caller, _ = server.accept()
            if os.fork() == 0:
                with caller, caller.makefile("rb") as asked:
                    caller.sendall(json.dumps(run(json.loads(asked.readline()))).encode())
                os._exit(0)
            caller.close()
            with contextlib.suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass


if __name__ == "__main__":
    main()
