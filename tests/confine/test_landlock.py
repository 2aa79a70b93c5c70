"""Files that were given up: read, written, run or made only where it was said."""

from __future__ import annotations

from pathlib import Path

import pytest

from gatevault.confine import landlock
from tests.confine.children import need_landlock, tried

_START = """
import shutil, subprocess
from gatevault.confine import landlock
from gatevault.confine.landlock import Files
root = Path(sys.argv[1])
system = tuple(map(Path, ("/usr", "/bin", "/lib", "/lib64", "/etc", "/proc")))
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    need_landlock()
    for name in ("kept", "read", "run", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("x")
    return tmp_path


def test_each_path_is_for_what_it_was_said(root: Path) -> None:
    told = tried(
        _START
        + """
shutil.copy("/bin/true", root / "run" / "true"); shutil.copy("/bin/true", root / "kept" / "true")
assert landlock.restrict(Files(
    read=(*system, root / "read", root / "nowhere"), run=(*system, root / "run"), write=(root / "kept",),
    devices=(Path("/dev/null"),)))
attempt("reads", lambda: (root / "read" / "file").read_text())
attempt("reads what it keeps", lambda: (root / "kept" / "file").read_text())
attempt("reads other", lambda: (root / "other" / "file").read_text())
attempt("lists other", lambda: os.listdir(root / "other"))
attempt("writes", lambda: (root / "kept" / "new").write_text("y"))
attempt("makes a directory", lambda: (root / "kept" / "sub").mkdir())
attempt("moves into it", lambda: (root / "kept" / "new").rename(root / "kept" / "sub" / "new"))
attempt("removes", lambda: (root / "kept" / "sub" / "new").unlink())
attempt("binds", lambda: socket.socket(socket.AF_UNIX).bind(str(root / "kept" / "s")))
attempt("writes what it reads", lambda: (root / "read" / "file").write_text("y"))
attempt("empties what it reads", lambda: os.truncate(root / "read" / "file", 0))
attempt("makes a file beside", lambda: (root / "read" / "new").write_text("y"))
attempt("moves out", lambda: (root / "kept" / "file").rename(root / "other" / "moved"))
attempt("links out", lambda: os.link(root / "kept" / "file", root / "other" / "linked"))
attempt("binds elsewhere", lambda: socket.socket(socket.AF_UNIX).bind(str(root / "other" / "s")))
attempt("temporary file", lambda: Path("/tmp/gatevault-never").write_text("y"))
attempt("shared memory", lambda: Path("/dev/shm/gatevault-never").write_text("y"))
attempt("runs", lambda: subprocess.run([root / "run" / "true"], check=True))
attempt("runs what it may write", lambda: subprocess.run([root / "kept" / "true"], check=True))
attempt("null", lambda: Path("/dev/null").write_text("y"))
""",
        root,
    )
    allowed = {
        *("reads", "reads what it keeps", "writes", "makes a directory", "removes", "binds", "runs", "null"),
        "moves into it",
    }
    if landlock.version() < 2:
        allowed -= {"moves into it"}
    assert {name for name, outcome in told.items() if outcome == "done"} == allowed, told
    assert {told[name] for name in told.keys() - allowed} <= {"EACCES", "EXDEV", "EPERM"}, told


def test_children_are_bound_too(root: Path) -> None:
    code = "open(r'{}/other/child', 'w')"
    told = tried(
        _START
        + f"""
landlock.restrict(Files(read=(Path("/"),), run=(Path("/"),)))
child = subprocess.run([sys.executable, "-c", {code!r}.format(root)], stderr=-1)
attempt("child", lambda: None if child.returncode else 1 / 0)
""",
        root,
    )
    assert told == {"child": "done"}
    assert not (root / "other" / "child").exists()


def test_processes_and_abstract_sockets_outside_are_out_of_reach(root: Path) -> None:
    if landlock.version() < 6:
        pytest.skip("this kernel's Landlock knows no scopes (Linux 6.12 does)")
    told = tried(
        _START
        + """
import signal
server = socket.socket(socket.AF_UNIX); server.bind("\\0gatevault-test-%d" % os.getpid()); server.listen()
abstract = server.getsockname()
child = os.fork()
if child == 0:
    landlock.restrict(Files(read=(Path("/"),)))
    attempt("signal", lambda: os.kill(os.getppid(), 0))
    attempt("abstract", lambda: socket.socket(socket.AF_UNIX).connect(abstract))
    attempt("tcp", lambda: socket.create_connection(("127.0.0.1", 9)))
    print(json.dumps(told), flush=True); os._exit(0)
os.waitpid(child, 0); sys.exit(0)
""",
        root,
    )
    assert told == {"signal": "EPERM", "abstract": "EPERM", "tcp": "EACCES"}


def test_a_kernel_without_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landlock, "version", lambda: 0)
    assert landlock.restrict(landlock.Files()) == 0
