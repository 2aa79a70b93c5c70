"""In the machine: does what the tests outside say, over a virtio port. One JSON object a line, each way.

{"id": n, "sh": "text for sh", "limit": seconds}    ->  {"id": n, "code": …, "out": …, "err": …}
"""

import json
import os
import socket
import subprocess
import time

PORT = "/dev/virtio-ports/gatevault.vm"
COMMANDS = "/run/vm-cli"


def answer(asked: dict) -> dict:
    if "gatevault" in asked:
        return {"id": asked["id"], **command(asked["gatevault"], asked["limit"])}
    try:
        done = subprocess.run(
            ["/bin/sh", "-c", asked["sh"]],
            stdin=subprocess.DEVNULL, capture_output=True, timeout=asked["limit"],
        )  # fmt: skip
    except subprocess.TimeoutExpired as late:
        return {"id": asked["id"], "code": 124, "out": _text(late.stdout), "err": _text(late.stderr)}
    return {"id": asked["id"], "code": done.returncode, "out": _text(done.stdout), "err": _text(done.stderr)}


def command(words: list[str], limit: float) -> dict:
    """Run a `gatevault` command; its server takes a while to import it after a boot."""
    until = time.monotonic() + limit
    with socket.socket(socket.AF_UNIX) as caller:
        while caller.connect_ex(COMMANDS):
            if time.monotonic() > until:
                return {"code": 124, "out": "", "err": "no server of commands"}
            time.sleep(0.2)
        caller.settimeout(limit)
        try:
            caller.sendall(json.dumps(words).encode() + b"\n")
            return json.loads(b"".join(iter(lambda: caller.recv(65536), b"")))
        except (TimeoutError, ValueError) as error:
            return {"code": 124, "out": "", "err": repr(error)}


def _text(data: bytes | None) -> str:
    return (data or b"").decode(errors="replace")


def main() -> None:
    port = os.open(PORT, os.O_RDWR)
    heard = b""
    while True:
        data = os.read(port, 65536)
        if not data:  # nobody at the other end
            time.sleep(0.1)
            continue
        heard += data
        while b"\n" in heard:
            line, heard = heard.split(b"\n", 1)
            try:
                asked = json.loads(line)
            except ValueError:  # the end of something said before we listened
                continue
            said = json.dumps(answer(asked)).encode() + b"\n"
            while said:
                said = said[os.write(port, said) :]


if __name__ == "__main__":
    main()
