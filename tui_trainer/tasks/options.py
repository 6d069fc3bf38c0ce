"""A task's own options: reads them from the [task] table, and tells them to people."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from tui_trainer.core.config import Settings, nearest
from tui_trainer.errors import ConfigError

Options = TypeVar("Options", bound=Settings)

FINAL_SHARE = 0.33
FinalShare = Annotated[
    float, Meta(ge=0, lt=1, description="Of what is held out of your data, the share kept for the final evaluation.")
]
"""The option of tasks that learn from a person's files."""


class OptionDoc(msgspec.Struct, frozen=True):
    """One option as `tasks show` prints it."""

    key: str
    default: Any
    description: str


def read_options(kind: type[Options], table: Mapping[str, Any], task_id: str) -> Options:
    """`table` as the task's options. Raises ConfigError naming the key and the nearest right one."""
    known = [field.name for field in msgspec.structs.fields(kind)]
    for key in table:
        if key not in known:
            close = nearest(key, known)
            hint = f"did you mean task.{close}?" if close else f"`tui-trainer tasks show {task_id}` lists its options"
            raise ConfigError(f"task.{key} is not an option of {task_id}", hint)
    try:
        return msgspec.convert(dict(table), kind, strict=False)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `$.")
        key = path.rstrip("`").split("[")[0]
        raise ConfigError(f"task.{key}: {message[:1].lower()}{message[1:]}", _describe(kind, key)) from None


def option_docs(kind: type[Settings]) -> tuple[OptionDoc, ...]:
    """Every option with its default and its sentence."""
    fields = msgspec.structs.fields(kind)
    return tuple(OptionDoc(field.name, _default(field), _sentence(field.type)) for field in fields)


def _default(field: msgspec.structs.FieldInfo) -> Any:
    return field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()


def _describe(kind: type[Settings], key: str) -> str:
    return next((doc.description for doc in option_docs(kind) if doc.key == key), "")


def _sentence(annotation: Any) -> str:
    if typing.get_origin(annotation) is not Annotated:
        return ""
    metas = [meta for meta in typing.get_args(annotation)[1:] if isinstance(meta, Meta)]
    return next((meta.description for meta in metas if meta.description), "")
