"""Hypothesis strategies for any msgspec type, read from its annotations."""

from __future__ import annotations

import functools
from typing import Any

import msgspec.inspect as mi
from hypothesis import strategies as st

from tui_trainer.core.state import RunState
from tui_trainer.core.text import clean

TEXTS = st.text(max_size=12).map(clean)
NAMES = st.sampled_from(["a", "eval/win_rate", "train/loss", "random", "1-ply", "größe"])
FLOATS = st.floats(-1e9, 1e9, allow_nan=False)


@functools.cache
def of(kind: Any, texts: st.SearchStrategy[str] = TEXTS) -> st.SearchStrategy[Any]:
    """Values of a type: what an engine could publish."""
    return _of(mi.type_info(kind), texts)


def _of(kind: mi.Type, texts: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    match kind:
        case mi.IntType():
            return st.integers(0, 10**9)
        case mi.FloatType():
            return FLOATS
        case mi.StrType():
            return texts
        case mi.BoolType():
            return st.booleans()
        case mi.NoneType():
            return st.none()
        case mi.LiteralType(values=values):
            return st.sampled_from(values)
        case mi.UnionType(types=types):
            return st.one_of([_of(each, texts) for each in types])
        case mi.VarTupleType(item_type=item):
            return st.lists(_of(item, texts), max_size=3).map(tuple)
        case mi.TupleType(item_types=items):
            return st.tuples(*(_of(item, texts) for item in items))
        case mi.DictType(key_type=key, value_type=mi.StructType(cls=cls)) if cls is RunState:
            return st.dictionaries(_of(key, texts), st.just(RunState()), max_size=1)  # a try's branches, like this one
        case mi.DictType(key_type=key, value_type=value):
            keys = NAMES if isinstance(key, mi.StrType) else _of(key, texts)
            return st.dictionaries(keys, _of(value, texts), max_size=3)
        case mi.StructType(cls=cls, fields=fields):
            return st.builds(cls, **{field.name: _of(field.type, texts) for field in fields})
        case _:
            raise TypeError(f"no strategy for {kind}")
