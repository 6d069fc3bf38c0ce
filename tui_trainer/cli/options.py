"""Options and arguments that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

Sessions = Annotated[
    str | None, typer.Option("--sessions", help="Directory of sessions; default ./sessions.", metavar="DIR")
]
Name = Annotated[str, typer.Argument(help="Session name or path.", metavar="NAME")]
MaybeName = Annotated[
    str | None, typer.Argument(help="Session name or path; not needed while one run is live.", metavar="NAME")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout and nothing else.")]
Set = Annotated[list[str] | None, typer.Option("--set", help="Change a setting: KEY=VALUE.", metavar="KEY=VALUE")]
Callback = Annotated[
    list[str] | None, typer.Option(help="Hook called with every event: module:object.", metavar="MODULE:OBJECT")
]
Config = Annotated[str | None, typer.Argument(help="Preset name or TOML file.", metavar="CONFIG")]
Also = Annotated[
    list[str] | None,
    typer.Option("--also", help="A folder of other tools' runs, shown read-only; may be given again.", metavar="DIR"),
]
