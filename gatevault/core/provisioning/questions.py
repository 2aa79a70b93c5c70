"""Every question of the wizard: its key, what it takes, and why an answer is not taken.

The same table reads what is typed and what an answer file says, so that both allow the same. `read` takes text or a
TOML value and gives the value that is kept, or raises ValueError, whose text says what is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from gatevault.core.board import Board
from gatevault.core.schedule import parse

Read = Callable[[object], Any]

NEEDED: Final = object()
"""In place of a default: this must be answered."""

PROVIDERS: Final = ("file", "passphrase", "tpm2", "systemd-credential")
TIERS: Final = ("best", "rgb", "rgb+led", "rgb+ir")
TEST_OUTPUT: Final = ("skip", "works", "broken")
TEST_INPUT: Final = ("skip", "watch")

INPUTS: Final = ("presence", "rex", "dps", "tamper", "reader")
OUTPUTS: Final = (
    *("relay", "privacy_led", "granted_led", "refused_led", "fault_led", "buzzer", "lamp", "infrared_lamp"),
    *("turn_left_led", "turn_right_led"),
)


class AnswerError(ValueError):
    """Why an answer is not taken, in English; `chinese` says the same."""

    def __init__(self, english: str, chinese: str) -> None:
        super().__init__(english)
        self.chinese = chinese


@dataclass(frozen=True, slots=True)
class Question:
    """One question. `asks` are its words in English and Chinese, `allowed` what may be answered."""

    key: str
    asks: tuple[str, str]
    read: Read
    allowed: str
    default: object = NEEDED
    options: tuple[str, ...] = ()


def _line(most: int) -> Read:
    def read(given: object) -> str:
        text = given.strip() if isinstance(given, str) else ""
        if not isinstance(given, str) or not 1 <= len(text) <= most:
            raise AnswerError(f"a text of 1 to {most} characters is wanted", f"请填 1 到 {most} 个字符")
        if any(ord(character) < 32 or ord(character) == 127 for character in text):
            raise AnswerError("it holds a control character", "含有控制字符")
        return text

    return read


def _choice(options: Sequence[str]) -> Read:
    def read(given: object) -> str:
        if isinstance(given, str) and given.strip() in options:
            return given.strip()
        raise AnswerError(f"one of {', '.join(options)} is wanted", f"请从中选择：{', '.join(options)}")

    return read


def _number(low: float, high: float) -> Read:
    def read(given: object) -> float:
        text = str(given).strip() if isinstance(given, int | float | str) and not isinstance(given, bool) else ""
        share = text.endswith("%")
        try:
            value = float(text.rstrip("% ")) / (100.0 if share else 1.0)
        except ValueError:
            raise AnswerError("a number is wanted, as 0.001 or 0.1 %", "请填数字，如 0.001 或 0.1 %") from None
        if not low <= value <= high:
            raise AnswerError(f"a number from {low:g} to {high:g} is wanted", f"请填 {low:g} 到 {high:g} 的数字")
        return value

    return read


def _whole(low: int, high: int) -> Read:
    def read(given: object) -> int:
        text = str(given).strip() if isinstance(given, int | str) and not isinstance(given, bool) else ""
        if not re.fullmatch(r"[0-9]{1,6}", text) or not low <= int(text) <= high:
            raise AnswerError(f"a whole number from {low} to {high} is wanted", f"请填 {low} 到 {high} 的整数")
        return int(text)

    return read


def _flag(given: object) -> bool:
    if isinstance(given, bool):
        return given
    text = given.strip().lower() if isinstance(given, str) else ""
    if text in ("y", "yes", "true", "是"):
        return True
    if text in ("n", "no", "false", "否"):
        return False
    raise AnswerError("true or false is wanted", "请填 true 或 false")


def _day(given: object) -> str:
    text = given.isoformat() if isinstance(given, date) else given.strip() if isinstance(given, str) else ""
    try:
        if not re.fullmatch(r"20[0-9]{2}-[0-9]{2}-[0-9]{2}", text):
            raise ValueError
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise AnswerError("a day is wanted, as 2026-11-26", "请填日期，如 2026-11-26") from None


def _list(given: object) -> tuple[str, ...]:
    parts = re.split(r"[,，;；]", given) if isinstance(given, str) else given
    if not isinstance(parts, list | tuple) or not all(isinstance(part, str) for part in parts):
        raise AnswerError("a list of texts is wanted", "请填列表")
    return tuple(part.strip() for part in parts if part.strip())


def _hours(given: object) -> tuple[str, ...]:
    hours = _list(given)
    if not hours:
        raise AnswerError("hours are wanted, as Mon-Fri 07:00-22:00", "请填时段，如 Mon-Fri 07:00-22:00")
    try:
        parse(hours)
    except ValueError as error:
        raise AnswerError(str(error), "请填时段，如 Mon-Fri 07:00-22:00") from None
    return hours


def _devices(given: object) -> tuple[str, ...]:
    paths = _list(given)
    if any(not path.startswith("/dev/") for path in paths):
        raise AnswerError(
            "devices are wanted, as /dev/input/by-id/…-event-kbd", "请填设备，如 /dev/input/by-id/…-event-kbd"
        )
    return paths


def _camera(bench: bool) -> Read:
    kinds = ("v4l2", "picamera2", *(("file", "dir") if bench else ()))

    def read(given: object) -> str:
        text = given.strip() if isinstance(given, str) else ""
        kind, colon, place = text.partition(":")
        if not colon or not place or kind not in kinds:
            raise AnswerError(
                f"a camera is wanted, as {kinds[0]}:/dev/video0 ({', '.join(kinds)})",
                f"请填摄像头，如 {kinds[0]}:/dev/video0（{', '.join(kinds)}）",
            )
        return text

    return read


def _pcrs(given: object) -> str:
    text = given.strip() if isinstance(given, str) else ""
    if text and not re.fullmatch(r"sha(1|256|384):[0-9]{1,2}(,[0-9]{1,2})*", text):
        raise AnswerError("PCRs are wanted, as sha256:0,2,7, or nothing", "请填 PCR，如 sha256:0,2,7，或留空")
    return text


def _optional_line(given: object) -> str:
    return "" if given == "" else str(_line(4_000)(given))


def questions(boards: Sequence[str], *, bench: bool) -> dict[str, Question]:
    """Every question by its key. `boards`: the profiles that can be used."""
    tiers = (*TIERS, "off") if bench else TIERS
    camera = "dir:photos/" if bench else "v4l2:/dev/video0"
    own = [
        Question(
            "gate.name",
            ("The gate's name, as its notice tells it", "门的名称（写入告知书）"),
            _line(80),
            "1 to 80 characters",
        ),
        Question(
            "gate.board",
            ("Board profile", "板卡"),
            _choice(boards),
            ", ".join(boards),
            "bench" if bench else NEEDED,
            tuple(boards),
        ),
        Question("gate.camera", ("Camera", "摄像头"), _camera(bench), "v4l2:/dev/videoN, picamera2:N", camera),
        Question(
            "readers.wedge",
            ("USB keyboard readers, by device (none: Enter)", "USB 键盘读卡器设备（无则回车）"),
            _devices,
            "a list of /dev/input/…",
            (),
        ),
        Question(
            "keys.provider",
            ("Key provider", "密钥提供者"),
            _choice(PROVIDERS),
            ", ".join(PROVIDERS),
            NEEDED,
            PROVIDERS,
        ),
        Question(
            "keys.pcrs", ("PCRs for its policy (none: Enter)", "策略用 PCR（无则回车）"), _pcrs, "sha256:0,2,7", ""
        ),
        Question(
            "keys.tcti", ("How the TPM is reached", "TPM 访问方式"), _line(200), "a TCTI", "device:/dev/tpmrm0"
        ),
        Question("keys.tpm_index", ("Keep an index in the TPM", "在 TPM 中保留索引"), _flag, "true, false", True),
        Question(
            "consent.controller",
            ("Who runs this gate (told in the notice)", "个人信息处理者（写入告知书）"),
            _line(120),
            "1 to 120 characters",
        ),
        Question(
            "consent.contact", ("How residents reach them", "住户联系方式"), _line(120), "1 to 120 characters"
        ),
        Question(
            "schedule.hours",
            ("Hours, for card and face alike", "开放时段（刷卡与人脸相同）"),
            _hours,
            "Mon-Sun 00:00-24:00",
            ("Mon-Sun 00:00-24:00",),
        ),
        Question(
            "matching.fpir",
            ("Share of strangers' walk-ups that may be let in (FPIR)", "陌生人误放行率（FPIR）"),
            _number(1e-6, 0.1),
            "0.000001 to 0.1",
            0.001,
        ),
        Question(
            "liveness.tier",
            ("What is checked against pictures of a face", "活体检测等级"),
            _choice(tiers),
            ", ".join(tiers),
            "best",
            tiers,
        ),
        Question(
            "liveness.rgb_alone",
            (
                "Faces on with a colour camera alone, before which some pictures pass",
                "只有彩色摄像头也开人脸（部分照片可通过）",
            ),
            _flag,
            "true, false",
            False,
        ),
        Question(
            "assessment.by",
            ("Who made the impact assessment", "影响评估由谁完成"),
            _line(200),
            "1 to 200 characters",
        ),
        Question("assessment.date", ("On which day", "评估日期"), _day, "2026-11-26"),
        Question(
            "assessment.document",
            ("Its SHA-256, file:PATH, or where it is filed", "文件 SHA-256、file:路径 或存放处"),
            _line(200),
            "1 to 200 characters",
        ),
        Question("sign.text", ("What the sign says", "告示牌内容"), _line(200), "1 to 200 characters"),
        Question("sign.date", ("Since when it hangs", "告示牌悬挂日期"), _day, "2026-11-26"),
        Question("sign.where", ("Where it hangs", "悬挂位置"), _line(200), "1 to 200 characters"),
        Question(
            "aim.seconds", ("Seconds of aiming (0: not)", "对准秒数（0 为不做）"), _whole(0, 60), "0 to 60", 0
        ),
        Question("start.gate", ("Start the gate", "启动门禁"), _flag, "true, false", True),
        Question(
            "sheet.out", ("Where the handover sheet goes", "交接单保存位置"), _optional_line, "a file, .html", ""
        ),
    ]
    if bench:
        own.append(Question("aim.camera", ("Camera to aim", "要对准的摄像头"), _camera(True), "dir:photos/", ""))
    own += [_test(part, TEST_OUTPUT) for part in OUTPUTS]
    own += [_test(part, TEST_INPUT) for part in INPUTS]
    return {question.key: question for question in own}


def _test(part: str, options: tuple[str, ...]) -> Question:
    return Question(
        f"tests.{part}", (f"Test of {part}", f"测试 {part}"), _choice(options), ", ".join(options), "skip", options
    )


def fitted(board: Board, part: str, *, bench: bool, wedge: bool) -> bool:
    """Whether a profile has this part to be tested; `reader` is any card reader that this gate listens to."""
    if part == "reader":
        return bool(wedge or (board.wiegand and not bench))
    return getattr(board, part) is not None
