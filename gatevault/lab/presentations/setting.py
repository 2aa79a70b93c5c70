"""What a presentation is made from, before its species decides what stands there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from gatevault.lab.presentations.canvas import Sees
from gatevault.lab.presentations.challenge import IR, LED, Challenge
from gatevault.lab.presentations.light import Lights
from gatevault.lab.presentations.people import Identities, Identity
from gatevault.lab.presentations.raster import Lens

T = TypeVar("T")


@dataclass(slots=True)
class Setting:
    """One presentation's."""

    tier: str
    split: str
    challenge: Challenge
    identities: Identities
    identity: Identity
    """The resident who is there, or who is impersonated."""
    lens: Lens
    lights: Lights
    lasting: np.random.Generator = field(repr=False)
    """Chance that is the same at every attempt."""
    chance: np.random.Generator = field(repr=False)
    parameters: dict[str, float | str] = field(default_factory=dict)
    """What was drawn, for whoever looks into an error."""

    @property
    def sees(self) -> Sees:
        """What the tier's cameras see."""
        return Sees(self.tier == LED, self.tier == IR)

    def pick(self, makes: Callable[[str], Sequence[T]]) -> T:
        """One make of a kind of gear (`gear`) of this split."""
        those = makes(self.split)
        number = int(self.chance.integers(0, len(those)))
        self.parameters[makes.__name__.removesuffix("s")] = float(number)
        return those[number]

    def somebody_else(self) -> Identity:
        """Another person of the split: the attacker."""
        people = [each for each in self.identities.of(self.split) if each is not self.identity]
        return people[int(self.chance.integers(0, len(people)))] if people else self.identity
