"""The commands: closed, bounded, and without a vector, picture or key in any of them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from msgspec import inspect

from gatevault.core import control, wire
from gatevault.core.consent import is_child
from gatevault.core.errors import ProtocolError
from tests.core.samples import valid

EVERY = (*control.COMMAND_TYPES, *get_args(control.Reply))
RESIDENT = "r-0123456789abcdef"


def decode(fields: dict[str, Any]) -> control.Command:
    command: control.Command = wire.unpack(control.COMMANDS, memoryview(msgspec.msgpack.encode(fields)))
    return command


def kinds_in(kind: inspect.Type) -> list[type]:
    """Every kind of value that a field may hold."""
    match kind:
        case inspect.Metadata(type=inner):
            return kinds_in(inner)
        case inspect.UnionType(types=types):
            return [found for one in types for found in kinds_in(one)]
        case inspect.StructType(fields=fields):
            return [found for field in fields for found in kinds_in(field.type)]
        case inspect.DictType(key_type=key, value_type=value):
            return [*kinds_in(key), *kinds_in(value)]
    return [type(kind)]


@pytest.mark.parametrize("kind", EVERY)
def test_no_command_or_answer_has_room_for_a_vector_picture_or_key(kind: type) -> None:
    plain = {inspect.StrType, inspect.IntType, inspect.BoolType, inspect.EnumType, inspect.NoneType}
    body = {inspect.AnyType} if kind is control.Answer else set()
    typed = {inspect.MemoryViewType} if kind in (control.VaultUnlock, control.KeyMove) else set()  # a passphrase
    assert set(kinds_in(inspect.type_info(kind))) <= plain | body | typed


def test_every_tag_is_of_one_command() -> None:
    tags = [kind.__struct_config__.tag for kind in EVERY]
    assert len(set(tags)) == len(tags)


@pytest.mark.parametrize(
    "bad",
    [
        {"t": "purge", "resident": RESIDENT + "\n"},
        {"t": "purge", "resident": "*"},
        {"t": "purge", "resident": "r-0123456789ABCDEF"},
        {"t": "purge"},
        {"t": "resident-add", "name": ""},
        {"t": "resident-add", "name": "x" * 121},
        {"t": "resident-add", "name": "x", "born": "2012-13"},
        {"t": "resident-add", "name": "x", "born": "2012-05\n"},
        {"t": "resident-add", "name": "x", "born": "0000-05"},
        {"t": "resident-add", "name": "x", "born": "9999-05"},
        {"t": "resident-add", "name": "x", "born": "٢٠١٢-05"},
        {"t": "card-add", "resident": RESIDENT, "number": "1" * 129},
        {"t": "notice", "language": "fr"},
        {"t": "consent-give", "resident": RESIDENT, "language": "zh", "sha256": "AB" * 32},
        {"t": "ledger-export", "start": -1},
        {"t": "ledger-export", "start": 2**63},
        {"t": "walk-up", "camera": ""},
    ],
    ids=str,
)
def test_a_value_out_of_range_is_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError):
        decode(bad)


@given(valid(control.ResidentAdd))
def test_every_month_of_birth_that_is_taken_gives_an_age(command: control.ResidentAdd) -> None:
    assert is_child(command.born, datetime(2026, 3, 1, tzinfo=UTC)) in (True, False)


def test_names_and_card_numbers_do_not_show() -> None:
    private = [
        control.ResidentAdd("Zhang Wei", "1990-01"),
        control.CardAdd(RESIDENT, "7001234567"),
        control.CardRemove("7001234567"),
        control.ConsentGive(RESIDENT, "zh", "ab" * 32, tap="7001234567"),
        control.Tap("7001234567"),
        control.Answer({"name": "Zhang Wei", "number": "7001234567"}),
    ]
    for message in private:
        shown = f"{message!r} {message}"
        assert not any(secret in shown for secret in ("Zhang", "1990", "7001234567"))
        assert type(message).__name__ in shown
