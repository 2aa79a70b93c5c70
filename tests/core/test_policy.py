"""Rules that only refuse: no rules refuse all, and a card opens whatever a face opens (R2)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatevault.core import schedule
from gatevault.core.consent import Standing
from gatevault.core.policy import CARD_RULES, FACE_RULES, Request, Rule, decide, decide_card, decide_face
from gatevault.core.types import Decision, Reason, Verdict

WHO = "r-0123456789abcdef"
ALL = [Request(WHO, *each) for each in product((True, False), Standing, (True, False))]
each = pytest.mark.parametrize("request_", ALL, ids=lambda r: f"{r.hours_open}-{r.standing}-{r.recorded}")


@each
def test_a_card_opens_whatever_a_face_opens(request_: Request) -> None:
    if decide_face(request_).granted:
        assert decide_card(request_).granted


@each
def test_neither_consent_nor_records_matter_to_a_card(request_: Request) -> None:
    decision = decide_card(request_)
    assert decision.granted is request_.hours_open
    assert decision.reason is (Reason.CARD if request_.hours_open else Reason.SCHEDULE)
    assert decision.resident == WHO


@each
def test_a_face_is_granted_only_if_every_rule_holds_and_told_why_not(request_: Request) -> None:
    decision = decide_face(request_)
    live = request_.standing is Standing.LIVE
    assert decision.granted is (request_.hours_open and live and request_.recorded)
    if not request_.hours_open:
        assert decision.reason is Reason.SCHEDULE
    elif not request_.recorded:
        assert decision.reason is Reason.NOT_RECORDED
    elif not live:
        assert decision.reason is Reason.NO_CONSENT
    else:
        assert decision == Decision(Verdict.GRANT, Reason.MATCHED, WHO)


@each
def test_a_denied_face_names_no_resident(request_: Request) -> None:
    decision = decide_face(request_)
    if not decision.granted:
        assert decision.resident is None


@pytest.mark.parametrize("request_", ALL[:1])
def test_no_rules_deny(request_: Request) -> None:
    decision = decide(request_, (), Reason.MATCHED)
    assert decision == Decision(Verdict.DENY, Reason.FAULT)


def test_the_faces_rules_are_the_cards_and_more() -> None:
    assert FACE_RULES[: len(CARD_RULES)] == CARD_RULES
    assert len(FACE_RULES) > len(CARD_RULES) > 0


rules: st.SearchStrategy[Rule] = st.sampled_from([*FACE_RULES, lambda _: Reason.BUSY, lambda _: None])


@given(st.sampled_from(ALL), st.lists(rules, min_size=1, max_size=4), st.lists(rules, max_size=4))
def test_one_rule_more_never_opens(request_: Request, some: Sequence[Rule], more: Sequence[Rule]) -> None:
    if decide(request_, [*some, *more], Reason.MATCHED).granted:
        assert decide(request_, some, Reason.MATCHED).granted


@given(st.integers(0, 6), st.integers(0, 1439), st.sampled_from(Standing))
def test_a_card_opens_every_hour_that_a_face_does(day: int, minute: int, standing: Standing) -> None:
    hours = schedule.parse(["Mon-Fri 07:00-22:00", "Sat 22:00-02:00"])
    request = Request(WHO, hours.open_at(day, minute), standing, True)
    assert decide_card(request).granted or not decide_face(request).granted
