"""Hypothesis strategies built from the message types themselves, and a receipt."""

from __future__ import annotations

import base64
from functools import cache
from typing import Any

import msgspec
from hypothesis import strategies as st
from msgspec import inspect

from gatevault.core.consent import ConsentState, Event, NoticeRef, Receipt
from gatevault.core.models import DLIB, Detector, DetectorKind, Embedder, EmbedderKind, ModelSettings
from gatevault.core.settings import LookSettings
from gatevault.core.types import Quality

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
"""JSON values without floats."""


@cache
def valid(kind: type) -> st.SearchStrategy[Any]:
    """Values of a message type, every field within its own limits."""
    return _of(inspect.type_info(kind))


def fields_of(message: msgspec.Struct) -> dict[str, Any]:
    """A message as the map that travels, vectors as bytes."""
    found: dict[str, Any] = msgspec.msgpack.decode(msgspec.msgpack.encode(message))
    return found


def _of(kind: inspect.Type) -> st.SearchStrategy[Any]:
    match kind:
        case inspect.Metadata(type=inner):
            return _of(inner)
        case inspect.BoolType():
            return st.booleans()
        case inspect.NoneType():
            return st.none()
        case inspect.IntType(ge=low, le=high):
            return st.integers(-(2**63) if low is None else low, 2**63 - 1 if high is None else high)
        case inspect.FloatType(ge=low, gt=above, le=high, lt=below):
            return st.floats(
                above if low is None else low,
                below if high is None else high,
                exclude_min=above is not None,
                exclude_max=below is not None,
                allow_nan=False,
                allow_infinity=False,
            )
        case inspect.StrType(pattern=str(pattern)):
            return st.from_regex(pattern, fullmatch=True)
        case inspect.StrType(min_length=least, max_length=most):
            return st.text(min_size=least or 0, max_size=min(most or 50, 50))
        case inspect.MemoryViewType(min_length=least, max_length=most):
            return st.binary(min_size=least or 0, max_size=min(most or 600, 600)).map(memoryview)
        case inspect.EnumType(cls=cls):
            return st.sampled_from(list(cls))
        case inspect.UnionType(types=types):
            return st.one_of(*map(_of, types))
        case inspect.TupleType(item_types=types):
            return st.tuples(*map(_of, types))
        case inspect.VarTupleType(item_type=item, max_length=most):
            return st.lists(_of(item), max_size=min(most or 5, 5)).map(tuple)
        case inspect.DictType():
            return st.dictionaries(st.text(max_size=10), JSON, max_size=5)
        case inspect.StructType(cls=cls) if cls is ModelSettings:
            return st.sampled_from(RECIPES)
        case inspect.StructType(cls=cls, fields=fields):
            made = {field.name: _of(field.type) for field in fields}
            if cls is LookSettings:
                made["zone"] = st.sampled_from([(0.0, 0.0, 1.0, 1.0), (0.25, 0.1, 0.75, 0.9)])
            return st.builds(cls, **made)
    raise AssertionError(f"no strategy for {kind}: the wire learnt a new kind of field")


RECIPES = [
    ModelSettings(),
    ModelSettings(
        Detector(DetectorKind.YUNET, "yunet.onnx", "ab" * 32),
        (Embedder(EmbedderKind.MOBILEFACENET, "mobile.onnx", "cd" * 32), DLIB),
    ),
]


def receipt(resident: str = "r-0123456789abcdef", name: str = "c-1", state: str = "given") -> Receipt:
    """A receipt of a year, given on 1 March 2026."""
    given = Receipt(
        receipt_id=name,
        record_id="cr-1",
        pii_principal_id=resident,
        notice=NoticeRef("1", "ab" * 32, "zh"),
        controllers=("the owners of No. 7",),
        storage_locations=("gv-1",),
        expires="2027-03-01T07:30:00Z",
        events=(Event("2026-03-01T07:30:00Z", ConsentState.GIVEN),),
    )
    if state == "given":
        return given
    ended = Event("2026-05-01T00:00:00Z", ConsentState(state))
    return msgspec.structs.replace(given, events=(*given.events, ended))


def quality() -> Quality:
    return Quality(size=120.0, sharpness=80.0, exposure=0.5, yaw=0.05, roll=-1.0)


def shows(text: str, secret: bytes) -> bool:
    """Whether a text shows bytes in one of the forms that Python or a log would give them."""
    forms = (secret.hex(), repr(secret)[2:-1], base64.b64encode(secret).decode(), str(list(secret))[1:-1])
    return any(form in text for form in forms)
