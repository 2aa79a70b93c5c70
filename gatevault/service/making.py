"""Making a state directory: whole or not at all, by `init` and by `restore`."""

from __future__ import annotations

import glob
import os
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from gatevault.core.consent import stamp
from gatevault.core.entries import EntryType
from gatevault.core.errors import StateError
from gatevault.core.site import InstallerRow
from gatevault.service.clock import TrustedClock
from gatevault.service.models import make_folder
from gatevault.service.state import FORMAT, NO_OPTIONS, Device, KeyOptions, StateLock, StatePaths, open_vault
from gatevault.vault.files import sync_directory, write_new
from gatevault.vault.installer import make_installer_key
from gatevault.vault.keys import HouseKeys
from gatevault.vault.ledger import Ledger
from gatevault.vault.providers.file import FileKeyProvider
from gatevault.vault.registry import Registry

_CONFIG: Final = """\
# GateVault's settings; each has a default, and an unknown name is an error.
# All of them, with units and ranges: docs/configuration.md

[gate]
name = "{name}"
board = "{board}"
{gate}
[consent]
controller = "the operator of this gate"
contact = "see the sign at the gate"
{enrolment}"""

_REAL_GATE: Final = """\
camera = "v4l2:/dev/video0"
start_vision = false  # systemd runs it, as a user of its own
"""

_BENCH_ENROLMENT: Final = """
[liveness]
# LIVENESS IS OFF: a photograph opens this bench by face. A real gate cannot be set so.
tier = "off"

[enrolment]
# A bench may enrol from one photograph; a real gate takes several captures.
min_captures = 1
"""


_TPM: Final = """
[keys]
tcti = "{tcti}"
"""


def make_state(
    root: Path,
    *,
    bench: bool,
    keys: str,
    name: str,
    board: str | None,
    options: KeyOptions = NO_OPTIONS,
    tcti: str | None = None,
    config: str | None = None,
    installer: bool = False,
) -> Device:
    """Make a state in `root`, which must be absent or empty; `keys` names the key provider.

    `config`: the whole of `config.toml`, in place of what `name`, `board` and `tcti` make. `installer`: draw the
    installer's key, and admit them (`core.site`).

    Raises StateError where something is there already; nothing half-made is left behind.
    """
    device = Device(FORMAT, f"gv-{secrets.token_hex(8)}", bench)

    def fill(paths: StatePaths) -> None:
        text = _CONFIG.format(
            name=_plain(name),
            board=board or ("bench" if bench else "pi-relay-hat"),
            gate="" if bench else _REAL_GATE,
            enrolment=_BENCH_ENROLMENT if bench else "",
        )
        text += _TPM.format(tcti=_plain(tcti)) if tcti else ""
        write_new(paths.config, (config or text).encode(), 0o640)
        house_key = FileKeyProvider(paths.house_key)
        house_key.create()
        house = HouseKeys.derive(house_key.load())
        registry = Registry(paths.registry, device.device, house)
        registry.set_check()
        ledger = Ledger(paths.ledger, device.device, house)
        clock = TrustedClock(None)
        now = stamp(clock.now())
        first = {"time": now, "device": device.device, "bench": bench, "keys": keys}
        ledger.append(clock.moment(), EntryType.STATE_MADE, first)
        if installer:
            row = InstallerRow(make_installer_key(paths.installer_key), now)
            registry.set_installer(msgspec.to_builtins(row))
            ledger.append(clock.moment(), EntryType.INSTALLER_ADMITTED, {"time": now})
        registry.close()
        ledger.close()

    build_aside(root, device, fill, keys, options)
    return device


def build_aside(
    root: Path, device: Device, fill: Callable[[StatePaths], None], keys: str, options: KeyOptions
) -> None:
    """Make a state beside `root`, with what `fill` puts there and an empty vault; move it in whole. StateError."""
    root = root.absolute()
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise StateError(f"{root} is not empty: choose another directory. Nothing was changed.")
    umask = os.umask(0o077)
    _sweep(root)
    draft = root.with_name(f".{root.name}.{secrets.token_hex(4)}.new")
    paths = StatePaths(draft)
    lock = None
    try:
        draft.mkdir(parents=True, mode=0o700)
        lock = StateLock(paths)
        for folder in ("keys", "run", "bench") if device.bench else ("keys",):
            (draft / folder).mkdir(mode=0o700)
        fill(paths)
        write_new(paths.device, msgspec.json.encode(device))
        make_folder(paths.models)
        vault = open_vault(paths, device, lambda: options)
        vault.make(keys)  # last, since a provider may keep something elsewhere
        vault.close()
        if root.exists() and os.geteuid() == 0:
            _give(draft, root.stat())  # the installer, as root, makes the state of the gate's user
        sync_directory(draft)
        draft.replace(root)
        sync_directory(root.parent)
    except OSError as error:
        raise StateError(
            f"The state cannot be made in {root} ({error.strerror}): nothing was left behind."
        ) from None
    finally:
        shutil.rmtree(draft, ignore_errors=True)
        if lock is not None:
            lock.release()
        os.umask(umask)


def _sweep(root: Path) -> None:
    """Take away drafts of this state whose making was killed: keys may be in them, and nobody else would."""
    for left in root.parent.glob(f".{glob.escape(root.name)}.{'[0-9a-f]' * 8}.new"):
        try:
            lock = StateLock(StatePaths(left))
        except (OSError, StateError):  # one that is being made, or is not ours to take
            continue
        shutil.rmtree(left, ignore_errors=True)
        lock.release()


def _plain(text: str) -> str:
    """What may stand between the quotes of a TOML string."""
    return text.replace("\\", "").replace('"', "")


def _give(tree: Path, owner: os.stat_result) -> None:
    for path in (tree, *tree.rglob("*")):
        os.chown(path, owner.st_uid, owner.st_gid)
