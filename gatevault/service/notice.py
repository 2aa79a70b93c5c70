"""The notice that is shown before consent, in Chinese and English, as one text with one hash.

The text is `notices/entry-VERSION.LANGUAGE.txt` with the site's particulars filled in. A receipt
names the hash of the rendered text, so a changed controller, period or wording suspends older
receipts until they are renewed.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.resources import files
from string import Template
from typing import Final

from gatevault.core.settings import Settings

VERSION: Final = "2"
LANGUAGES: Final = ("zh", "en")


@dataclass(frozen=True, slots=True)
class Notice:
    language: str
    text: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()


def render(language: str, settings: Settings) -> Notice:
    """The notice of this site. KeyError for a language that there is none in."""
    if language not in LANGUAGES:
        raise KeyError(language)
    source = files("gatevault.service").joinpath(f"notices/entry-{VERSION}.{language}.txt")
    text = Template(source.read_text(encoding="utf-8")).substitute(
        gate=settings.gate.name,
        controller=settings.consent.controller,
        contact=settings.consent.contact,
        months=settings.consent.months,
    )
    return Notice(language, text)


def current_hashes(settings: Settings) -> frozenset[str]:
    """The hashes of today's notices, in every language."""
    return frozenset(render(language, settings).sha256 for language in LANGUAGES)
