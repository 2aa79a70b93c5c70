"""What the drawings say, in English and Chinese."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from gatevault.core.board import Asks


class Language(StrEnum):
    EN = "en"
    ZH = "zh"


ROLES: Final = {
    "relay": ("relay", "继电器"),
    "privacy_led": ("privacy LED", "摄像头指示灯"),
    "granted_led": ("granted, green LED", "放行 绿灯"),
    "refused_led": ("refused, red LED", "拒绝 红灯"),
    "fault_led": ("fault, yellow LED", "故障 黄灯"),
    "turn_left_led": ("arrow, resident's left", "箭头 住户左侧"),
    "turn_right_led": ("arrow, resident's right", "箭头 住户右侧"),
    "buzzer": ("buzzer", "蜂鸣器"),
    "lamp": ("white lamp by the lens", "镜头旁白光灯"),
    "infrared_lamp": ("infrared lamp", "红外灯"),
    "approach_light": ("approach light", "引导灯"),
    "presence": ("presence", "刷脸触发"),
    "motion": ("PIR, wakes the light", "人体感应 只亮灯"),
    "rex": ("exit button, 2nd contact", "出门按钮 第二触点"),
    "dps": ("door contact", "门磁"),
    "tamper": ("housing contact", "防拆开关"),
    "wiegand": ("Wiegand reader", "韦根读卡器"),
}

ASKS: Final = {
    Asks.BUTTON: ("look-at-me button", "刷脸按钮"),
    Asks.MAT: ("mat on the mark", "站位地垫"),
    Asks.DISTANCE: ("distance sensor", "测距传感器"),
}

SAYS: Final = {
    "above": (
        "The header from above: USB ports at the bottom, board's edge on the right",
        "俯视：USB 口朝下，板边在右",
    ),
    "numbers": ("numbers in the circles: physical pins", "圆内数字：物理针脚号"),
    "ground_at": ("GND 9: ground, at pin 9", "“地 9”：接针脚 9 的地"),
    "board": ("board", "板内"),
    "edge": ("edge", "板边"),
    "pin": ("pin", "针脚"),
    "gnd": ("GND", "地"),
    "ohm": ("in series", "串联"),
    "low": ("LOW energises", "低电平吸合"),
    "high": ("HIGH energises", "高电平吸合"),
    "dark": ("dark when LOW", "低电平熄灭"),
    "dark_low": ("dark when HIGH", "高电平熄灭"),
    "on_hat": ("on the HAT: no wire", "扩展板上：不接线"),
    "contacts": ("COM NO NC: see below", "COM NO NC：见下图"),
    "own_5v": ("own 5 V, jumper off", "独立 5 V，去跳帽"),
    "driver": ("driver", "驱动"),
    "own_supply": ("own supply", "独立电源"),
    "shifter": ("level shifter", "电平转换"),
    "reader": ("reader", "读卡器"),
    "closed_shut": ("closed while shut", "关门时闭合"),
    "closed_there": ("closed while somebody stands there", "有人站立时闭合"),
    "closed_pressed": ("closed while pressed", "按下时闭合"),
    "closed_housing": ("closed while the housing is shut", "外壳合上时闭合"),
    "seen_only": ("seen only; exit is wired below", "仅上报，出门线路见下图"),
    "open_collector": ("high while it moves", "有人走动时高电平"),
    "active": ("active, 3.3 V, under 10 mA", "有源 3.3 V，小于 10 mA"),
    "secure": ("Fail-secure strike: locked without power", "断电上锁（电锁口）"),
    "safe": ("Fail-safe magnet: open without power", "断电开锁（磁力锁）"),
    "secure_note": ("inside: a mechanical handle always opens", "门内：机械把手随时可开"),
    "safe_note": ("exit and fire break the circuit themselves", "出门按钮与消防直接断电"),
    "lock_supply": ("lock's own supply", "锁具独立电源"),
    "fuse": ("fuse", "保险丝"),
    "strike": ("strike", "电锁口"),
    "magnet": ("magnet", "磁力锁"),
    "fire": ("fire NC", "消防 NC"),
    "exit": ("exit NC", "出门 NC"),
    "second_pole": ("2nd pole, to", "第二极，接"),
    "diode": ("1N4007 at the lock", "1N4007 靠近锁"),
    "wires": ("Every wire", "全部接线"),
    "camera_supply": ("privacy LED: on the camera's own supply", "指示灯接摄像头电源"),
    "boot": ("In /boot/firmware/config.txt:", "写入 /boot/firmware/config.txt："),
    "pull": ("and 10 kΩ from the relay's input to its released level", "并在继电器输入端接 10 kΩ 至释放电平"),
    "not_certified": (
        "Not a certified product (UL 294, EN 60839-11-1, EN 179, EN 1125, GB 50116). Mains: electricians only.",
        "非认证产品（UL 294、EN 60839-11-1、EN 179、EN 1125、GB 50116）。市电须由电工接线。",
    ),
    "made_from": ("made by `make drawings` from", "由 make drawings 生成，来源"),
    "untried": ("not tried on this board by the project", "项目尚未在该板上实测"),
    "title": ("Wiring", "接线图"),
}


class Words:
    """One language's words."""

    def __init__(self, language: Language) -> None:
        self._which = list(Language).index(language)

    def say(self, key: str) -> str:
        return SAYS[key][self._which]

    def role(self, role: str) -> str:
        return ROLES[role][self._which]

    def asks(self, asks: Asks) -> str:
        return ASKS[asks][self._which]
