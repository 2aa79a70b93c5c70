"""The wizard's sentences. English beside Chinese, so that whoever changes one sees the other."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Language(StrEnum):
    ZH = "zh"
    EN = "en"


_WORDS: Final[dict[str, tuple[str, str]]] = {
    # --- steps ------------------------------------------------------------------------------------
    "title": ("GateVault: setting up a gate", "GateVault 门禁安装向导"),
    "step": ("{n} of {of}  {what}", "第 {n}/{of} 步  {what}"),
    "step-board": ("Board and wires", "板卡与接线"),
    "step-parts": ("Test each part", "逐件测试"),
    "step-settings": ("The gate's settings", "门的设置"),
    "step-keys": ("Where the key lives", "密钥放在哪里"),
    "step-start": ("Start the gate", "启动门禁"),
    "step-aim": ("Aim the camera", "对准摄像头"),
    "step-records": ("Impact assessment and sign", "影响评估与告示牌"),
    "step-sheet": ("Handover sheet", "交接单"),
    "again": ("Not taken: {why}", "未接受：{why}"),
    "allowed": ("Allowed: {allowed}", "可填：{allowed}"),
    "bench": ("A bench: mock pins, nothing real is driven.", "试验台：模拟引脚，不驱动任何实物。"),
    "resume": (
        "There is a state in {root} already: going on after its making.",
        "{root} 中已有状态：从其后的步骤继续。",
    ),
    "settings-kept": (
        "Its settings and keys stay as they are; change them in config.toml and by `gatevault key move`.",
        "其设置与密钥保持不变；请改 config.toml，或用 `gatevault key move`。",
    ),
    # --- board ------------------------------------------------------------------------------------
    "boards": ("Board profiles:", "可选板卡："),
    "board-bad": ("{name}: cannot be used. {why}", "{name}：不能使用。{why}"),
    "wires": ("Connect (power off, Pi unplugged):", "按下表接线（断电、拔掉树莓派电源）："),
    "wire-shift": ("level shifter, 5 V to 3.3 V", "电平转换，5 V 转 3.3 V"),
    "wire-relay-low": ("10 kOhm to 3.3 V; LOW energises", "10 kΩ 接 3.3 V；低电平吸合"),
    "wire-relay-high": ("10 kOhm to ground; HIGH energises", "10 kΩ 接地；高电平吸合"),
    "wire-led": ("330 Ohm in series", "串联 330 Ω"),
    "wire-lamp": ("a driver's enable; 10 kOhm to ground", "驱动器使能端；10 kΩ 接地"),
    "wire-motion": ("the module's OUT, 3.3 V at most", "模块的 OUT，不超过 3.3 V"),
    "wire-contact": ("contact to ground", "触点对地"),
    "wire-contact-up": ("contact to 3.3 V", "触点对 3.3 V"),
    "anyway": ("Take it all the same?", "仍然采用？"),
    "parts-now": ("Test the parts now (they must be wired)?", "现在测试部件（须已接线）？"),
    # --- parts ------------------------------------------------------------------------------------
    "part-relay": ("relay", "继电器"),
    "part-privacy_led": ("privacy light", "隐私灯"),
    "part-granted_led": ("green light", "绿灯"),
    "part-refused_led": ("red light", "红灯"),
    "part-fault_led": ("fault light", "故障灯"),
    "part-buzzer": ("buzzer", "蜂鸣器"),
    "part-lamp": ("lamp", "补光灯"),
    "part-infrared_lamp": ("infrared lamp", "红外灯"),
    "part-approach_light": ("approach light", "引导灯"),
    "part-turn_left_led": ("left arrow", "左箭头"),
    "part-turn_right_led": ("right arrow", "右箭头"),
    "part-presence": ("presence button", "呼叫按钮"),
    "part-motion": ("PIR", "人体感应"),
    "part-rex": ("exit button", "出门按钮"),
    "part-dps": ("door contact", "门磁"),
    "part-tamper": ("housing contact", "防拆触点"),
    "part-reader": ("card reader {name}", "读卡器 {name}"),
    "wire-reader": ("reader {line}", "读卡器 {line}"),
    "test-now": ("Test the {part} now?", "现在测试{part}？"),
    "parts-off": ("The parts cannot be tested: {why}", "无法测试部件：{why}"),
    "parts-left": ("Go on, with the parts noted as not tested?", "继续，并记为未测试？"),
    "relay-driving": ("The relay: on, off, on, off. Listen.", "继电器：吸合、释放，两次。请听。"),
    "relay-judge": ("Did it click?", "听到咔哒声了吗？"),
    "relay-silent": (
        "Check pin {pin} (GPIO {gpio}), the module's supply and ground, and the profile.",
        "请检查 {pin} 脚（GPIO {gpio}）、模块供电与地线，以及板卡选择。",
    ),
    "relay-rest": (
        "It is at rest now. Is its own light dark, and the gate shut?",
        "现在为静止。模块指示灯灭、门锁着吗？",
    ),
    "relay-inverted": (
        "Then it is energised at rest: the profile says the other level, or the lock is on the wrong contact "
        "(NO/NC). Choose another profile, or set active_high in yours. Do not use this gate so.",
        "那么它在静止时吸合：板卡电平设反，或锁接错触点（NO/NC）。请换板卡或修改 active_high。不可这样使用。",
    ),
    "light-driving": ("The {part} blinks three times.", "{part}闪三次。"),
    "buzzer-driving": ("The buzzer sounds three times.", "蜂鸣器响三声。"),
    "light-judge": ("Did it?", "看到/听到了吗？"),
    "light-dark": (
        "Check pin {pin} (GPIO {gpio}), the resistor, and which way round the LED is.",
        "请检查 {pin} 脚（GPIO {gpio}）、电阻和 LED 方向。",
    ),
    "contact-do": (
        "{part}: press or open it, and let it go, twice. Enter ends.",
        "{part}：按下（或打开）再松开，两次。回车结束。",
    ),
    "contact-now": ("{part}: {state}", "{part}：{state}"),
    "closed": ("closed", "闭合"),
    "open": ("open", "断开"),
    "contact-none": (
        "No change came on pin {pin} (GPIO {gpio}): check the wire and ground.",
        "{pin} 脚（GPIO {gpio}）没有变化：请检查信号线与地线。",
    ),
    "contact-swapped": (
        "The {other} changed instead: are the two wires swapped?",
        "变化的是{other}：两根线接反了？",
    ),
    "contact-inverted": (
        "At rest it reads {state}: a contact of the other kind (NC/NO), or pull_up is wrong in the profile.",
        "静止时读数为{state}：触点类型相反（NC/NO），或板卡中 pull_up 设错。",
    ),
    "door-shut": ("Is the door shut now?", "门现在关着吗？"),
    "reader-do": ("Tap any card at {name}. Enter ends.", "请在 {name} 刷任意一张卡。回车结束。"),
    "reader-read": ("A card was read (its number is not shown).", "已读到卡（卡号不显示）。"),
    "reader-parity": (
        "Pulses came but no number ({count} refused): D0 and D1 are swapped, or a wire is loose.",
        "有脉冲但不成卡号（拒绝 {count} 次）：D0 与 D1 接反，或线松动。",
    ),
    "reader-none": (
        "Nothing came from {name}: check D0, D1, ground and the reader's supply.",
        "{name} 无信号：请检查 D0、D1、地线与读卡器供电。",
    ),
    "reader-fault": ("{name}: {why}", "{name}：{why}"),
    "verdict-works": ("works", "正常"),
    "verdict-broken": ("DOES NOT WORK", "不正常"),
    "verdict-skip": ("not tested", "未测试"),
    "verdict": ("{part}: {verdict}", "{part}：{verdict}"),
    # --- keys -------------------------------------------------------------------------------------
    "worth-file": (
        "file: a thief of the SD card opens the templates.",
        "file：偷走存储卡者可打开模板。",
    ),
    "worth-passphrase": (
        "passphrase: a thief must guess it; faces are off after each boot until somebody types it.",
        "passphrase：窃贼须猜口令；每次开机后须有人输入，此前人脸关闭。",
    ),
    "worth-tpm2": (
        "tpm2: a thief of the card gets nothing; old copies of it stay shut after a purge. Needs a TPM.",
        "tpm2：偷卡者得不到内容；清除后旧副本也打不开。需要 TPM。",
    ),
    "worth-systemd-credential": (
        "systemd-credential: worth what seals it: with a TPM as tpm2 without index, with the host key as file.",
        "systemd-credential：取决于封装方式：TPM 与无索引的 tpm2 相同，主机密钥则与 file 相同。",
    ),
    "make": ("Make the gate's state in {root} now?", "现在在 {root} 建立状态？"),
    "made": (
        "Made: device {device}. The installer's key is {key}, until the handover.",
        "已建立：设备 {device}。安装员密钥：{key}，交接后失效。",
    ),
    "not-made": ("Nothing was made.", "未做任何改动。"),
    # --- start, aim, records ----------------------------------------------------------------------
    "start-now": (
        "Start the gate (systemctl start gatevault.target)?",
        "启动门禁（systemctl start gatevault.target）？",
    ),
    "start-by-hand": (
        "Start the gate, then run `gatevault provision` again: it goes on from here.",
        "请启动门禁，再运行 `gatevault provision`，将从此处继续。",
    ),
    "not-started": (
        "The gate does not answer: see journalctl -u gatevault, or `gatevault doctor`. Then run this again.",
        "门禁没有响应：请看 journalctl -u gatevault 或 `gatevault doctor`，然后再次运行。",
    ),
    "started": ("The gate answers.", "门禁已响应。"),
    "unlocked": (
        "The vault is open; after each start somebody types the passphrase: gatevault vault unlock.",
        "保险库已打开；每次启动后须输入口令：gatevault vault unlock。",
    ),
    "aim-now": (
        "Aim the camera now (60 s at most, Enter ends it; no picture is shown)?",
        "现在对准摄像头（最多 60 秒，回车结束；不显示图像）？",
    ),
    "aim-numbers": (
        "face {width} px, scene {light}, face light {exposure}",
        "脸宽 {width} 像素，画面 {light}，脸部亮度 {exposure}",
    ),
    "aim-nobody": ("no face: step before the camera, or turn it", "没有人脸：请站到镜头前，或转动摄像头"),
    "aim-several": ("several faces: one person alone", "多张人脸：只留一人"),
    "aim-closer": ("too small: nearer, or mount it nearer", "太小：走近，或把摄像头装近"),
    "aim-cut-off": ("the face is cut off: turn the camera", "脸不完整：转动摄像头"),
    "aim-out-of-zone": ("outside look.zone: turn the camera", "在 look.zone 之外：转动摄像头"),
    "aim-dark": ("too dark: more light on the face", "太暗：给脸部加光"),
    "aim-bright": ("too bright: shade it from the sun", "太亮：遮挡阳光"),
    "aim-blurred": ("blurred: stand still, clean or focus the lens", "模糊：站稳，擦拭或调焦"),
    "aim-broken": ("broken frames: check cable and power", "画面损坏：检查线缆与供电"),
    "aim-off-centre": ("usable; nearer to the middle is better", "可用；更居中更好"),
    "aim-good": ("good: box, size and light", "良好：位置、大小、光线"),
    "aim-done": ("{good} of {frames} frames were good.", "{frames} 帧中 {good} 帧良好。"),
    "aim-failed": ("Not aimed: {why}", "未对准：{why}"),
    "records-why": (
        "Faces stay off until both are recorded. Cards work without.",
        "两项都登记之前，人脸保持关闭。刷卡不受影响。",
    ),
    "assessment-now": ("Record the impact assessment now?", "现在登记影响评估？"),
    "sign-now": ("Record the sign at the gate now?", "现在登记门口告示牌？"),
    "record-kept": ("Recorded.", "已登记。"),
    "faces-on": ("Both are recorded: faces are on.", "两项均已登记：人脸开启。"),
    "faces-wait": ("Faces stay off; cards work.", "人脸保持关闭；刷卡正常。"),
    "record-later": ("Later: gatevault site record {kind} …", "以后：gatevault site record {kind} …"),
    # --- sheet and handover -----------------------------------------------------------------------
    "sheet-made": ("The handover sheet is {path}.", "交接单：{path}。"),
    "pdf-made": ("As PDF: {path}.", "PDF：{path}。"),
    "pdf-none": (
        "No PDF: no converter is there (weasyprint, chromium, wkhtmltopdf). Print the page from a browser.",
        "没有 PDF：未找到转换程序（weasyprint、chromium、wkhtmltopdf）。请用浏览器打印。",
    ),
    "done": (
        "Done. End it with `gatevault provision --handover` when you hand over.",
        "完成。交接时运行 `gatevault provision --handover`。",
    ),
    "handed-over": (
        "Handed over at {at}: the installer's key ended. Aiming and tests are refused from now on.",
        "已于 {at} 交接：安装员密钥失效，此后拒绝对准与测试。",
    ),
    "interrupted": ("Ended: the relay is released. {left}", "已结束：继电器已释放。{left}"),
    "left-nothing": ("Nothing was made.", "未做任何改动。"),
    "left-state": (
        "The state in {root} is whole: run the wizard again to go on.",
        "{root} 中的状态完整：再次运行向导即可继续。",
    ),
    "yes-no": ("y/n", "是/否 y/n"),
    "yes-no-again": ("y/n, a: again", "y/n，a：重来"),
}


def word(name: str, language: Language, /, **values: object) -> str:
    """One sentence. KeyError for one that there is not."""
    english, chinese = _WORDS[name]
    return (chinese if language is Language.ZH else english).format(**values)


def names() -> list[str]:
    """Every sentence's name."""
    return list(_WORDS)


def both(name: str) -> tuple[str, str]:
    """English and Chinese, as they are written here."""
    return _WORDS[name]
