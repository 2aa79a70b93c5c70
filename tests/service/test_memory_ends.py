"""When the vault is locked and when the daemon ends, what lay in the locked pages is overwritten.

From outside nobody sees those pages: that is what they are for. So the daemon of this test is given pages that are
mapped from files, which stay when it is gone, and are read.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from gatevault.core import control
from gatevault.core.matching import template_mean, unit
from gatevault.service.state import KeyOptions, StatePaths, key_provider, read_device
from gatevault.vault.ring import Ring
from tests.bench import Bench, eventually
from tests.calibrations import shipped
from tests.service.peer import Peer, Script, person, shows

Seeing = Callable[[Bench, Script], Peer]

SEEN = """
import mmap, os
from gatevault.vault import locked

def _mapped(size, flags, handle, _real=locked._map, _count=iter(range(10**9))):
    path = os.path.join(os.environ["GATEVAULT_TEST_PAGES"], f"{os.getpid()}-{next(_count)}")
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
    os.ftruncate(file, size)
    try:
        return _real(size, mmap.MAP_SHARED, file)
    finally:
        os.close(file)

locked._secret_pages = lambda size: None
locked._map = _mapped
"""
"""Imported by Python before the daemon: its locked pages come from files."""


class Pages:
    """The locked pages of a daemon, read while it runs and after."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "pages"
        self.folder.mkdir()
        patch = folder / "patch"
        patch.mkdir()
        (patch / "sitecustomize.py").write_text(SEEN)
        path = os.pathsep.join([str(patch), *filter(None, [os.environ.get("PYTHONPATH")])])
        self.environment = {"PYTHONPATH": path, "GATEVAULT_TEST_PAGES": str(self.folder)}

    def held(self) -> bytes:
        return b"".join(path.read_bytes() for path in sorted(self.folder.iterdir()))

    def has(self, needle: bytes) -> bool:
        return needle in self.held()


def looks_like(pages: Pages, number: int) -> bool:
    """Whether any row of the pages points where this person's face does."""
    values = np.frombuffer(pages.held(), np.float32)
    with np.errstate(all="ignore"):
        rows = values[: len(values) // 128 * 128].reshape(-1, 128)
        near = rows @ unit(person(number)) / np.linalg.norm(rows, axis=1)
    return bool(np.nanmax(near, initial=0.0) > 0.9)


@pytest.fixture
def pages(quick: Bench) -> Pages:
    """In the state's own directory: the daemon may write nowhere else."""
    return Pages(quick.root / "run")


def epoch_key(bench: Bench) -> bytes:
    """The key under which the templates of a state with a key file are now."""
    paths = StatePaths(bench.root)
    ring = Ring(paths.ring, read_device(paths).device, lambda name: key_provider(paths, name, KeyOptions()))
    (epoch,) = ring.open()
    return bytes(epoch.key.buffer)


@pytest.fixture
def one(quick: Bench, pages: Pages, seeing: Seeing) -> str:
    quick.start(vision=False, **pages.environment)
    seeing(quick, shows(1))
    resident = quick.enrolled("One", "11", None)
    assert looks_like(pages, 1) and pages.has(epoch_key(quick)), "or nothing is found by mistake"
    assert not looks_like(pages, 2)
    return resident


def test_a_lock_overwrites_gallery_and_keys(quick: Bench, pages: Pages, one: str) -> None:
    key = epoch_key(quick)
    quick.ask(control.VaultLock())
    assert not looks_like(pages, 1)
    assert not pages.has(key)
    quick.ask(control.VaultUnlock())
    eventually(lambda: quick.status()["vault"]["templates"] == 1)
    assert looks_like(pages, 1) and pages.has(key)
    assert quick.walk_up()["resident"] == one


def test_a_stop_overwrites_everything(quick: Bench, pages: Pages, one: str) -> None:
    assert quick.stop() == 0
    assert not any(pages.held()), "gallery, keys, and the memory in which templates were opened"


def test_a_purge_overwrites_the_row_and_the_epoch_that_was(quick: Bench, pages: Pages, one: str) -> None:
    key = epoch_key(quick)
    quick.ask(control.Purge(one))
    assert not looks_like(pages, 1)
    assert not pages.has(key) and pages.has(epoch_key(quick))


def test_the_mean_that_is_sought_is_the_template(quick: Bench, pages: Pages, one: str) -> None:
    mean = template_mean(unit(person(1))[None], shipped("dlib").normaliser)
    assert mean @ unit(person(1)) > 0.99
