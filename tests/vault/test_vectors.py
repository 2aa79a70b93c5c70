"""The vectors of the vault's formats: what stands in `vectors.json` opens, whatever becomes of the code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatevault.core.errors import HolderKeyNeededError, RecordRefusedError
from gatevault.vault.keys import Epoch, HouseKeys, Secret, holder_key
from gatevault.vault.record import Mode, Place, SealedTemplate, mode_of, open_template, seal_template
from gatevault.vault.ring import Ring
from gatevault.vault.sealing import associated, unseal
from tests.vault.make_vectors import vectors
from tests.vault.providers.fakes import Kept, MemoryKeyProvider

VECTORS: dict[str, Any] = json.loads(Path(__file__).with_name("vectors.json").read_text())
BOX, IDS, RING, RECORD = (VECTORS[part] for part in ("box", "ids", "ring", "record"))


def raw(text: str) -> bytes:
    return bytes.fromhex(text)


def test_the_script_that_is_kept_makes_them() -> None:
    assert vectors() == VECTORS


def test_a_box() -> None:
    data = associated(BOX["purpose"], *map(raw, BOX["parts"]))
    assert data == raw(BOX["associated"])
    assert unseal(Secret(raw(BOX["key"])), raw(BOX["box"]), data) == raw(BOX["plain"])


def test_a_cards_hash_a_records_id_and_a_holders_key() -> None:
    house = HouseKeys.derive(Secret(raw(IDS["house"])))
    assert house.card_hash(IDS["card"]).hex() == IDS["card_hash"]
    assert house.record_id(IDS["resident"]).hex() == IDS["record"] == RECORD["record"]
    assert holder_key(IDS["holder_card"], raw(IDS["record"])).reveal().hex() == IDS["holder_key"]


def test_a_ring(tmp_path: Path) -> None:
    path = tmp_path / "vault.ring"
    path.write_text(json.dumps(RING["file"]))
    provider = MemoryKeyProvider(Kept(raw(RING["secret"])), "file")
    epochs = Ring(path, VECTORS["device"], lambda _: provider).open()
    assert [[epoch.number, epoch.key.reveal().hex()] for epoch in epochs] == RING["epochs"]


EPOCH = Epoch(RECORD["epoch"][0], Secret(raw(RECORD["epoch"][1])))
PLACE = Place(VECTORS["device"], RECORD["bench"], raw(RECORD["record"]), raw(RECORD["model"]))
HOLDER = Secret(raw(IDS["holder_key"]))
KINDS = pytest.mark.parametrize(
    ("mode", "holder"), [(Mode.DEVICE, None), (Mode.HOLDER, HOLDER)], ids=["device", "holder"]
)


@KINDS
def test_a_record(mode: Mode, holder: Secret | None) -> None:
    wrapped = raw(RECORD[f"wrapped_{mode.name.lower()}_key"])
    record = SealedTemplate(wrapped, raw(RECORD["sealed"]))
    assert mode_of(EPOCH, PLACE, wrapped) is mode
    template = np.array(RECORD["template"], dtype=np.float32)
    assert open_template(EPOCH, PLACE, raw(RECORD["receipt"]), record, holder).tobytes() == template.tobytes()
    if holder is not None:
        with pytest.raises(HolderKeyNeededError):
            open_template(EPOCH, PLACE, raw(RECORD["receipt"]), record)
    with pytest.raises(RecordRefusedError):
        open_template(EPOCH, PLACE, raw(RECORD["model"]), record, holder)


@KINDS
def test_what_is_written_today_has_the_vectors_lengths(mode: Mode, holder: Secret | None) -> None:
    template = np.array(RECORD["template"], dtype=np.float32)
    record = seal_template(EPOCH, PLACE, raw(RECORD["receipt"]), template, RECORD["slots"], holder)
    assert len(record.wrapped) == len(raw(RECORD[f"wrapped_{mode.name.lower()}_key"]))
    assert len(record.sealed) == len(raw(RECORD["sealed"]))
