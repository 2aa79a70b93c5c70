"""A conversation with a TPM through Debian's tpm2-tools, tried with 5.4.

What must not be seen goes through files in memory (`scratch`): no argument holds a secret, and no
context, session key or blob touches a disk. The parameters that are secret cross the bus encrypted, in
a session salted by the primary key.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from types import TracebackType
from typing import Final

from gatevault.vault.providers.scratch import Scratch

SEARCH: Final = "/usr/local/bin:/usr/bin:/bin"
"""Where the tools are looked for; not `$PATH`, which is the caller's."""

_CODE: Final = re.compile(r"\(0x([0-9A-Fa-f]{1,8})\)")
_MANY_SESSIONS: Final = 24
"""A TPM keeps some 64 for all programs, and none of ours outlives its conversation unless it is killed."""


class TpmError(Exception):
    """A tool did not do what was asked. Never leaves the provider.

    `code` is the TPM's own answer (TPM 2.0 part 2, 6.6), None where it gave none: no tools, no TPM,
    no time.
    """

    def __init__(self, reason: str, code: int | None = None) -> None:
        super().__init__(reason)
        self.code = code


class Conversation:
    """One load, roll or making of a key; a context manager that leaves nothing in the TPM."""

    def __init__(self, tcti: str, timeout_s: float) -> None:
        self._tcti = tcti
        self._until = time.monotonic() + timeout_s
        # Without the kernel's resource manager, what a tool loads stays loaded and fills the TPM.
        self._flushes = not tcti.startswith("device:/dev/tpmrm")
        self._scratches: list[Scratch] = []
        self._sessions: list[Scratch] = []
        self.parent = self.scratch()
        """The context of the primary key."""

    def __enter__(self) -> Conversation:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._until = max(self._until, time.monotonic() + 1)  # however late it is, the TPM is left tidy
        try:
            for session in self._sessions:
                self.tool("flushcontext", session.path)
        except TpmError:
            pass  # a TPM that went away has forgotten its sessions
        finally:
            for scratch in self._scratches:
                scratch.close()

    def scratch(self, content: bytes | bytearray | memoryview = b"") -> Scratch:
        """A file in memory for the length of this conversation."""
        scratch = Scratch(content)
        self._scratches.append(scratch)
        return scratch

    def tool(self, name: str, *arguments: str) -> bytes:
        """Run `tpm2 name …`; what it wrote. TpmError where it failed. Neither arguments nor that may be secret."""
        out = self._run(name, arguments)
        if self._flushes and name in ("createprimary", "create", "load", "unseal", "startauthsession"):
            self._run("flushcontext", ("-t",))
        return out

    def primary(self) -> bytes:
        """Make the primary key (ECC P-256, from the owner's seed, the same each time); its TPM2B_PUBLIC."""
        if self.tool("getcap", "handles-saved-session").count(b"0x") > _MANY_SESSIONS:
            self.tool("flushcontext", "--saved-session")
        public = self.scratch()
        self.tool(
            "createprimary", "-Q", "-C", "o", "-G", "ecc", "-c", self.parent.path, "-f", "tss", "-o", public.path
        )
        return public.read()

    def session(self, kind: str = "--hmac-session") -> Scratch:
        """A session salted by the primary key that encrypts the first parameter in both directions."""
        session = self.scratch()
        self.tool("startauthsession", kind, "--tpmkey-context", self.parent.path, "-S", session.path)
        self._sessions.append(session)
        self.tool("sessionconfig", "--enable-encrypt", "--enable-decrypt", "--enable-continuesession", session.path)
        return session

    def _run(self, name: str, arguments: tuple[str, ...]) -> bytes:
        program = shutil.which("tpm2", path=SEARCH)
        if program is None:
            raise TpmError("the tools are missing: apt install tpm2-tools")
        try:
            done = subprocess.run(
                [program, name, "-T", self._tcti, *arguments],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
                timeout=max(self._until - time.monotonic(), 0.01),
                pass_fds=[scratch.handle for scratch in self._scratches],
                env={"PATH": SEARCH, "LC_ALL": "C", "TSS2_LOG": "all+NONE"},
                cwd="/",
            )
        except subprocess.TimeoutExpired:
            raise TpmError("it does not answer") from None
        except OSError as error:
            raise TpmError(f"the tools cannot be run ({error.strerror})") from None
        if done.returncode == 0:
            return done.stdout
        raise _failure(name, done.stderr.decode("utf-8", "replace"))


def _failure(name: str, said: str) -> TpmError:
    """The last code below 0x10000 is the TPM's; higher ones are of the software between."""
    codes = [int(text, 16) for text in _CODE.findall(said)]
    answers = [code for code in codes if code < 0x10000]
    if answers:
        return TpmError(f"it refused {name} (0x{answers[0]:x})", answers[0])
    if "Could not load tcti" in said:
        return TpmError("it is not there, or not ours to open")
    return TpmError(f"tpm2 {name} failed")
