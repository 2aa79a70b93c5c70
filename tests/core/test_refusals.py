"""What the person at the gate is told where nobody was let in."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatevault.core.matching import reason_without_match
from gatevault.core.types import NoMatch, Reason
from gatevault.core.wire import Hint, LookEnd

NOBODY = NoMatch(Reason.NO_MATCH)


@pytest.mark.parametrize(
    ("last", "end", "scans", "hints", "reason"),
    [
        (None, LookEnd.LIMIT, 0, {}, Reason.NO_FACE),
        (None, LookEnd.LIMIT, 0, {Hint.NO_FACE: 9}, Reason.NO_FACE),
        (None, LookEnd.LIMIT, 0, {Hint.NO_FACE: 9, Hint.COME_CLOSER: 1}, Reason.COME_CLOSER),
        (None, LookEnd.LIMIT, 0, {Hint.TOO_DARK: 3, Hint.BLURRED: 1}, Reason.TOO_DARK),
        (None, LookEnd.LIMIT, 0, {Hint.TOO_BRIGHT: 1}, Reason.TOO_BRIGHT),
        (None, LookEnd.END_OF_FILE, 0, {Hint.BLURRED: 1}, Reason.BLURRED),
        (None, LookEnd.LIMIT, 1, {Hint.BLURRED: 5}, Reason.NO_MATCH),
        (NOBODY, LookEnd.LIMIT, 5, {Hint.BLURRED: 5}, Reason.NO_MATCH),
        (NoMatch(Reason.UNSURE), LookEnd.STOPPED, 5, {}, Reason.UNSURE),
        (NOBODY, LookEnd.SEVERAL_FACES, 5, {}, Reason.SEVERAL_FACES),
        (None, LookEnd.SEVERAL_FACES, 0, {Hint.NO_FACE: 2}, Reason.SEVERAL_FACES),
        (NOBODY, LookEnd.CAMERA, 5, {}, Reason.FAULT),
    ],
)
def test_why_a_look_granted_nobody(
    last: NoMatch | None, end: LookEnd, scans: int, hints: dict[Hint, int], reason: Reason
) -> None:
    assert reason_without_match(last, end, scans, Counter(hints)) is reason


@given(
    st.sampled_from([None, NOBODY, NoMatch(Reason.UNSURE)]),
    st.sampled_from(LookEnd),
    st.integers(0, 5),
    st.dictionaries(st.sampled_from(Hint), st.integers(1, 9)),
)
def test_every_look_that_is_over_has_a_reason(
    last: NoMatch | None, end: LookEnd, scans: int, hints: dict[Hint, int]
) -> None:
    reason = reason_without_match(last, end, scans, Counter(hints))
    assert reason not in (Reason.MATCHED, Reason.CARD)
