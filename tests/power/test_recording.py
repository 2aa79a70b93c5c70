"""The recorder against what is truly there, and the whole apparatus against stores that are known to be weak."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from tests.power.disk import Event, Made, Renamed, Synced, Tree, Unlinked, after, read_tree, write_tree
from tests.power.recording import UnknownCallError, read, recorder

IMAGES = 60


def played(script: str, root: Path) -> tuple[Tree, list[Event]]:
    """Run a program on a directory: what was there before, and what it did."""
    root.mkdir(exist_ok=True)
    base, output = read_tree(root), root.with_name(f"{root.name}.trace")
    done = subprocess.run(
        [*recorder(output), sys.executable, "-c", script, str(root)], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    events = [timed.event for timed in read(output, root, base)]
    assert after(base, events).now() == read_tree(root), "what was recorded is not what was done"
    return base, events


def test_each_kind_of_call_is_played(tmp_path: Path) -> None:
    root = tmp_path / "state"
    (root / "keys").mkdir(parents=True)
    (root / "kept").write_bytes(b"kept")
    (root / "gone").write_bytes(b"gone")
    (root / "short").write_bytes(b"0123456789")
    script = """if True:
        import os, sys
        from pathlib import Path
        os.chdir(sys.argv[1])
        here = Path.cwd()
        with open("long", "wb", buffering=0) as file:
            file.write(b"a" * 700); file.write(bytes(range(256))); file.seek(10); file.write(b"back")
        with open("keys/new", "xb") as file:
            file.write(b"<\\"\\n>"); file.flush(); os.fsync(file.fileno())
        os.replace(here / "keys/new", here / "keys/ring")
        os.rename("keys/ring", "keys/ring.old", src_dir_fd=os.open(".", 0), dst_dir_fd=os.open(".", 0))
        handle = os.open("keys", os.O_RDONLY); os.fsync(handle)
        os.unlink(here / "gone")
        handle = os.open("short", os.O_RDWR); os.ftruncate(handle, 4); os.pwrite(handle, b"xyz", 8)
        with open("kept", "wb") as file: file.write(b"anew")
        os.mkdir(here / "run"); open("run/outside", "w").write("no part of the state")
    """
    base, events = played(script, root)
    whole = after(base, events).now()
    assert whole["short"] == b"0123\0\0\0\0xyz"
    assert whole["long"][:16] == b"a" * 10 + b"back" + b"aa"
    kinds = [type(event) for event in events]
    assert kinds.count(Made) == 2
    assert {Renamed, Unlinked, Synced} <= set(kinds)


@pytest.mark.parametrize(
    "line",
    [
        "os.link(K, N)",
        "os.symlink(K, N)",
        "os.mkdir(N)",
        "os.writev(os.open(K, os.O_WRONLY), [b'a', b'b'])",
        "open(K, 'ab').write(b'more')",
        "os.posix_fallocate(os.open(K, os.O_RDWR), 0, 100)",
        "mmap.mmap(os.open(K, os.O_RDWR), 4)[:1] = b'K'",
        "os.rename(K, sys.argv[1] + '-elsewhere')",
        "h = os.open(K, os.O_RDWR); os.unlink(K); os.pwrite(h, b'ghost', 0)",
        "os.truncate(K, 1)",
        "os.sync()",
        "os.chdir(sys.argv[1]); os.unlink('kept')",
    ],
)
def test_what_the_recorder_does_not_know_is_an_error(tmp_path: Path, line: str) -> None:
    root = tmp_path / "state"
    root.mkdir()
    (root / "kept").write_bytes(b"kept")
    with pytest.raises(UnknownCallError):
        played(f"import mmap, os, sys; K, N = (f'{{sys.argv[1]}}/{{n}}' for n in ('kept', 'new')); {line}", root)


_SQLITE = """if True:
    import sqlite3, sys
    base = sqlite3.connect(sys.argv[1] + "/x.db", isolation_level=None)
    base.execute("PRAGMA journal_mode = WAL"); base.execute("PRAGMA synchronous = LEVEL")
    base.execute("CREATE TABLE IF NOT EXISTS t (n)")
    for n in range(3): base.execute("INSERT INTO t VALUES (?)", (n,))
    import os; os._exit(0)
"""


@pytest.mark.parametrize(("level", "lost"), [("FULL", False), ("OFF", True), ("NORMAL", True)])
def test_a_database_that_does_not_sync_is_found_out(tmp_path: Path, level: str, lost: bool) -> None:
    root = tmp_path / "state"
    root.mkdir()
    sqlite3.connect(root / "x.db", isolation_level=None).execute("PRAGMA journal_mode = WAL").connection.close()
    base, events = played(_SQLITE.replace("LEVEL", level), root)
    found = []
    for seed in range(IMAGES):
        image = write_tree(after(base, events).crash(Random(seed)), tmp_path / f"image-{seed}")
        try:
            with sqlite3.connect(image / "x.db") as connection:
                found.append(len(connection.execute("SELECT n FROM t").fetchall()))
        except sqlite3.DatabaseError:
            found.append(-1)
        connection.close()
    assert (set(found) != {3}) == lost, found


_FILES = """if True:
    import os, sys
    from pathlib import Path
    from gatevault.vault import files
    SABOTAGE
    files.replace(Path(sys.argv[1]) / "cards.snapshot", b"new" * 1000)
"""


@pytest.mark.parametrize(
    ("sabotage", "seen"),
    [
        ("", {"new"}),
        ("files.os.fsync = lambda handle: None", {"old", "new", "torn"}),
        ("files.sync_directory = lambda path: None", {"old", "new"}),
    ],
)
def test_a_file_that_is_replaced_without_a_sync_is_found_out(tmp_path: Path, sabotage: str, seen: set[str]) -> None:
    root = tmp_path / "state"
    root.mkdir()
    (root / "cards.snapshot").write_bytes(b"old" * 1000)
    base, events = played(_FILES.replace("SABOTAGE", sabotage), root)
    images = [after(base, events).crash(Random(seed))["cards.snapshot"] for seed in range(IMAGES)]
    names = {b"old" * 1000: "old", b"new" * 1000: "new"}
    assert {names.get(image, "torn") for image in images} == seen
