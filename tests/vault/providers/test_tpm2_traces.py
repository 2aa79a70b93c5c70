"""What the TPM provider shows to others: arguments, environment, files, the bus; and a plug pulled at each step."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gatevault.core.errors import VaultLockedError
from gatevault.vault.providers import records, tpm2_tools
from gatevault.vault.providers.tpm2 import Tpm2KeyProvider
from gatevault.vault.providers.tpm2_seal import Kept, open_sealed
from gatevault.vault.providers.tpm2_tools import Conversation
from tests.core.samples import shows
from tests.service.tracing import need_strace
from tests.softtpm import SoftTpm


@pytest.fixture
def tpm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SoftTpm]:
    soft = SoftTpm(tmp_path_factory.mktemp("t"))
    yield soft
    soft.kill()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "vault.tpm2"


def _stand_in(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another `tpm2` before the real one, which the script calls as `"$REAL" "$@"`."""
    folder.mkdir()
    program = folder / "tpm2"
    program.write_text(f"#!/bin/sh\nREAL={shutil.which('tpm2')}\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setattr(tpm2_tools, "SEARCH", f"{folder}:{tpm2_tools.SEARCH}")


def _secrets(tpm: SoftTpm, path: Path) -> list[bytes]:
    """All that is secret at this moment: root, index value, its authorisation, and what comes of them."""
    with Conversation(tpm.tcti, 20) as talk:
        opened = open_sealed(talk, records.read(path, Kept))
        authorisation = opened.authorisation(talk).read()
    assert opened.value is not None
    return [opened.root.reveal(), opened.value.reveal(), authorisation, opened.secret().reveal()]


@pytest.mark.parametrize("pcrs", [None, "sha256:0,2,7"])
def test_no_secret_is_in_an_argument_or_the_environment(
    tpm: SoftTpm, path: Path, tmp_path: Path, pcrs: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "log"
    _stand_in(tmp_path / "bin", f'echo "$@" >>{log}\nenv >>{log}\nexec "$REAL" "$@"', monkeypatch)
    provider = Tpm2KeyProvider(path, tcti=tpm.tcti, pcrs=pcrs)
    provider.create()
    secrets = _secrets(tpm, path)
    secrets.append(provider.propose().reveal())
    provider.roll()
    secrets += _secrets(tpm, path)
    provider.destroy()
    said = log.read_text()
    for tool in ("create ", "unseal ", "nvdefine ", "nvread ", "nvwrite ", "nvundefine "):
        assert f"\n{tool}" in said
    assert not any(shows(said, secret) or secret.decode("latin-1") in said for secret in secrets)


@pytest.mark.parametrize("pcrs", [None, "sha256:0,2,7"])
def test_no_secret_crosses_the_bus_in_the_clear(tpm: SoftTpm, path: Path, pcrs: str | None) -> None:
    provider = Tpm2KeyProvider(path, tcti=tpm.tcti, pcrs=pcrs)
    provider.create()
    secrets = _secrets(tpm, path)
    provider.propose()
    provider.roll()
    provider.load()
    secrets += _secrets(tpm, path)
    assert len(set(secrets)) == 6  # the root and its authorisation stay
    bus = tpm.bus()
    assert [secret.hex() in bus for secret in secrets] == [False] * len(secrets)
    # The recording would show them: here is one read without an encrypting session.
    plain = os.urandom(32)
    tpm.tool("nvdefine", "0x01800001", "-C", "o", "-s", "32")
    tpm.tool("nvwrite", "0x01800001", "-C", "o", "-i", "-", stdin=plain)
    assert plain.hex() in tpm.bus()


def test_no_file_is_written_but_the_record(tpm: SoftTpm, path: Path, tmp_path: Path) -> None:
    output = tmp_path / "strace.txt"
    code = (
        "import sys; from pathlib import Path; from gatevault.vault.providers.tpm2 import Tpm2KeyProvider as P; "
        "p = P(Path(sys.argv[1]), tcti=sys.argv[2], pcrs='sha256:7'); p.create(); p.propose(); p.roll(); p.load()"
    )
    calls = "trace=open,openat,creat,mkdir,mkdirat"
    traced = [need_strace(), "-f", "-qq", "-e", calls, "-o", str(output), sys.executable, "-B", "-c", code]
    done = subprocess.run([*traced, str(path), tpm.tcti], capture_output=True, check=False)
    if done.returncode != 0 and b"ptrace" in done.stderr.lower():
        pytest.skip("strace may not trace here")
    assert done.returncode == 0, done.stderr.decode()
    writing = [
        line
        for line in output.read_text().splitlines()
        if "O_CREAT" in line or "O_WRONLY" in line or "mkdir" in line
    ]
    others = [line for line in writing if '"/dev/fd/' not in line and '"/dev/null"' not in line]
    assert len(others) < len(writing)
    assert [str(path) in line for line in others] == [True]


@pytest.mark.parametrize("when", ["before", "after", "unanswered"])
@pytest.mark.parametrize("step", range(1, 9))
def test_a_plug_pulled_at_any_step_of_a_roll_leaves_the_one_or_the_other(
    tpm: SoftTpm, path: Path, tmp_path: Path, step: int, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = Tpm2KeyProvider(path, tcti=tpm.tcti)
    present = provider.create().reveal()
    proposed = provider.propose().reveal()
    assert tpm.process is not None
    count, cut = tmp_path / "count", f"kill -KILL {tpm.process.pid}"
    script = f"""echo >>{count}
    [ $(wc -l <{count}) = {step} ] || exec "$REAL" "$@"
    {cut if when == "before" else ""}
    "$REAL" "$@"; rc=$?
    {cut if when != "before" else ""}
    exit {1 if when == "unanswered" else "$rc"}"""
    with monkeypatch.context() as patch:  # "unanswered": carried out, and the answer is lost with the power
        _stand_in(tmp_path / "bin", script, patch)
        failed = False
        try:
            provider.roll()
        except VaultLockedError:
            failed = True
    assert len(count.read_text()) >= step, "there are fewer steps than the test takes"
    tpm.kill()
    tpm.start()
    found = Tpm2KeyProvider(path, tcti=tpm.tcti).load().reveal()
    assert found in (present, proposed)
    assert failed or found == proposed
    # The same daemon goes on: it learns which it is, and the next roll is another's.
    assert provider.load().reveal() == found
    following = provider.propose().reveal()
    assert following == proposed if found == present else following not in (present, proposed)
    provider.roll()
    assert Tpm2KeyProvider(path, tcti=tpm.tcti).load().reveal() == following
