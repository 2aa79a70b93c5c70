"""Who walks up in the demo: heads rendered from two public-domain portraits, and a print of one, before a lamp."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from gatevault.lab.portraits import astronaut, write_sequence
from gatevault.lab.presentations import people
from gatevault.lab.presentations.people import TEST, TUNE
from gatevault.lab.presentations.species import draw
from gatevault.vision import models
from gatevault.vision.recorded import save

TIER: Final = "led"

FRAMES: Final = 12
"""Length of the sequence that the resident is enrolled from."""

_WALKS: Final = {
    "resident": ("bona-fide", TEST, 0),
    "print": ("print-moved", TEST, 2),
    "stranger": ("bona-fide", TUNE, 5),
}
"""Species, split and seed of each. The astronaut is the one person of the test split, the admiral of the other."""


def write_cameras(home: Path) -> dict[str, str]:
    """The camera of each scene: `enrol` and those of `_WALKS`. GateVaultError where the portraits are absent."""
    cameras = {"enrol": write_sequence(home / "enrol", astronaut(), FRAMES, seed=1)}
    heads = people.public_domain(models.load())
    for name, (species, split, seed) in _WALKS.items():
        path = home / f"{name}.npz"
        save(draw(species, TIER, seed, heads, split), path)
        cameras[name] = f"file:{path}"
    return cameras
