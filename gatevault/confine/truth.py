"""What the kernel says of a process's restrictions: for `status` and `doctor`, which do not ask the process."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Truth:
    """`filters`: seccomp filters in force, systemd's and its own; `capabilities`: the effective ones, as bits.

    Landlock is not here: the kernel tells nobody who is bound by it.
    """

    no_new_privileges: bool
    filters: int
    capabilities: int

    def lacks(self) -> tuple[str, ...]:
        """What is missing, in words for people; empty where all is as a gate needs it."""
        wrong = (
            (not self.no_new_privileges, "new privileges can be gained"),
            (self.filters == 0, "no system call is filtered"),
            (self.capabilities != 0, "it runs with privileges of root"),
        )
        return tuple(sentence for it_is, sentence in wrong if it_is)


def truth_of(pid: int | str = "self") -> Truth | None:
    """What /proc tells of a process; None where there is none, or where it is hidden (ProtectProc=invisible)."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return None
    said = {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
    filtered = said.get("Seccomp") == "2"
    return Truth(
        no_new_privileges=said.get("NoNewPrivs") == "1",
        filters=int(said.get("Seccomp_filters", "1")) if filtered else 0,  # counted from Linux 5.9 on
        capabilities=int(said.get("CapEff", "0"), 16),
    )
