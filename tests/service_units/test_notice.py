"""The notice: in both languages it says what R3 asks, and one changed particular makes it another notice."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import msgspec
import pytest

from gatevault.core.consent import Standing, standing
from gatevault.core.settings import ConsentSettings, GateSettings, Settings
from gatevault.service.notice import LANGUAGES, VERSION, current_hashes, render
from tests.core.samples import receipt

SITE = Settings(
    gate=GateSettings(name="West Gate"),
    consent=ConsentSettings(controller="Owners of No. 7", contact="Tel. 0571 1234", months=11),
)
each_language = pytest.mark.parametrize("language", LANGUAGES)
SAYS = {
    "zh": [
        "门卡", "风险", "撤回", "销毁", "目的", "第 2 版", "处理者", "人脸泄露无法更换", "180 天", "十四周岁",
        "五次", "复制", "投诉", "不收费用", "盗走您门卡", "仅凭本设备所存内容无法解开",
    ],
    "en": [
        "card", "risk", "withdraw", "destroyed", "Why", "notice version 2", "A leaked face cannot", "180 days",
        "Under 14", "five times", "copy", "complain", "no cost", "steals your card", "opens only with that card",
    ],
}  # fmt: skip


@each_language
def test_it_says_who_why_how_long_and_the_risk(language: str) -> None:
    text = render(language, SITE).text
    for word in (*SAYS[language], "West Gate", "Owners of No. 7", "Tel. 0571 1234", "11"):
        assert word in text
    assert "$" not in text, "every particular was filled in"


@each_language
@pytest.mark.parametrize(
    "changed",
    [
        msgspec.structs.replace(SITE, gate=GateSettings(name="East Gate")),
        *(
            msgspec.structs.replace(SITE, consent=msgspec.structs.replace(SITE.consent, **{key: value}))
            for key, value in (("controller", "Somebody Else"), ("contact", "elsewhere"), ("months", 12))
        ),
    ],
    ids=["gate", "controller", "contact", "months"],
)
def test_a_changed_particular_makes_another_notice(language: str, changed: Settings) -> None:
    assert render(language, changed).sha256 != render(language, SITE).sha256


@each_language
def test_what_the_notice_does_not_tell_does_not_change_it(language: str) -> None:
    other = msgspec.structs.replace(SITE, look=msgspec.structs.replace(SITE.look, limit_ms=2_000))
    assert render(language, other) == render(language, SITE)


@each_language
def test_its_hash_is_of_its_text(language: str) -> None:
    shown = render(language, SITE)
    assert shown.sha256 == hashlib.sha256(shown.text.encode()).hexdigest()
    assert (shown.language, VERSION) == (language, "2")


def test_todays_hashes_are_of_both_languages() -> None:
    assert current_hashes(SITE) == {render("zh", SITE).sha256, render("en", SITE).sha256}
    assert len(current_hashes(SITE)) == len(LANGUAGES) == 2


def test_a_particular_is_text_and_no_template() -> None:
    sly = msgspec.structs.replace(SITE, consent=ConsentSettings(controller="$contact ${months} $$", contact="here"))
    assert "$contact ${months} $$" in render("en", sly).text


@pytest.mark.parametrize("language", ["fr", "", "EN", "../en"])
def test_there_is_no_notice_in_another_language(language: str) -> None:
    with pytest.raises(KeyError):
        render(language, SITE)


def test_a_changed_notice_suspends_older_receipts() -> None:
    given = receipt()
    shown = msgspec.structs.replace(given.notice, sha256=render("zh", SITE).sha256)
    ours = msgspec.structs.replace(given, notice=shown)
    now = datetime(2026, 6, 1, tzinfo=UTC)
    assert standing(ours, now, current_hashes(SITE), None) is Standing.LIVE
    changed = msgspec.structs.replace(SITE, consent=ConsentSettings(controller="Somebody Else"))
    assert standing(ours, now, current_hashes(changed), None) is Standing.NOTICE_CHANGED
