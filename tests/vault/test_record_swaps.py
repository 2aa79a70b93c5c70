"""Boxes of different records in any combination, under any place: exactly what belongs together opens."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatevault.core.errors import HolderKeyNeededError, RecordRefusedError
from gatevault.vault.keys import Epoch, Secret, holder_key
from gatevault.vault.record import Captures, Place, SealedTemplate, open_template, seal_template
from tests.vault.samples import EPOCH, LONG_CARD, OTHER_LONG_CARD, PLACE, RECEIPT, WRONG_EPOCH, captures


@dataclass(frozen=True)
class Bound:
    """All that a record is bound to, and who may open it."""

    epoch: Epoch
    place: Place
    receipt: bytes
    card: str | None

    @property
    def holder(self) -> Secret | None:
        return None if self.card is None else holder_key(self.card, self.place.record)

    def seal(self, template: Captures) -> SealedTemplate:
        return seal_template(self.epoch, self.place, self.receipt, template, 3, self.holder)

    def opens(self, record: SealedTemplate) -> Captures | None:
        try:
            return open_template(self.epoch, self.place, self.receipt, record, self.holder)
        except (RecordRefusedError, HolderKeyNeededError):
            return None


# Two choices of each: any two records then differ in nothing, in one thing, or in several.
PLACES = st.builds(
    Place,
    st.sampled_from([PLACE.device, "gv-0011223344556678"]),
    st.booleans(),
    st.sampled_from([PLACE.record, bytes(16)]),
    st.sampled_from([PLACE.model, RECEIPT]),
)
EPOCHS = st.sampled_from([EPOCH, WRONG_EPOCH, Epoch(2, EPOCH.key)])
CARDS = st.sampled_from([None, LONG_CARD, OTHER_LONG_CARD])
BOUND = st.builds(Bound, EPOCHS, PLACES, st.sampled_from([RECEIPT, PLACE.model]), CARDS)
ONE, OTHER = captures(2, 3, seed=1), captures(3, 3, seed=2)


def check(mine: Bound, theirs: Bound, reader: Bound) -> None:
    records = {mine: mine.seal(ONE), theirs: theirs.seal(OTHER)} if mine != theirs else {mine: mine.seal(ONE)}
    sources = [(mine, ONE)] if mine == theirs else [(mine, ONE), (theirs, OTHER)]
    for (outer, _), (inner, template) in product(sources, sources):
        mixed = SealedTemplate(records[outer].wrapped, records[inner].sealed)
        found = reader.opens(mixed)
        # A card that is read beside a device-key record changes nothing.
        same = outer == inner and reader in (inner, replace(inner, card=inner.card or reader.card))
        assert (found is not None) is same
        if found is not None:
            assert found.tobytes() == template.tobytes()
    for (outer, _), (inner, _) in product(sources, sources):
        assert reader.opens(SealedTemplate(records[outer].sealed, records[inner].wrapped)) is None


def among(mine: Bound, theirs: Bound) -> st.SearchStrategy[Bound]:
    return st.sampled_from([mine, theirs]) | BOUND


PAIRS = st.tuples(BOUND, BOUND).flatmap(lambda pair: st.tuples(st.just(pair[0]), st.just(pair[1]), among(*pair)))


@settings(max_examples=300, deadline=None)
@given(PAIRS)
def test_boxes_of_two_records_open_together_only_where_they_belong(three: tuple[Bound, Bound, Bound]) -> None:
    check(*three)


@pytest.mark.nightly
@settings(max_examples=100_000, deadline=None)
@given(PAIRS)
def test_a_hundred_thousand_pairs(three: tuple[Bound, Bound, Bound]) -> None:
    check(*three)
