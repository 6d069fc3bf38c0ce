"""Which environment of PettingZoo a name means, and how it is made."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from collections.abc import Mapping
from typing import Any

import pettingzoo

from tui_trainer.core.config import nearest
from tui_trainer.errors import MissingExtra, UsageError

FAMILY = "pettingzoo:"
_GROUPS = ("pettingzoo.classic", "pettingzoo.butterfly", "pettingzoo.sisl", "pettingzoo.atari", "mpe2")
_MPE = ("simple_", "mpe2.simple_")
"""How the names of the particle environments begin, which are a package of their own now."""


def find_module(name: str) -> Any:
    """`connect_four_v3`, `classic.connect_four_v3`, or a module of your own. Raises UsageError, MissingExtra."""
    paths = [f"pettingzoo.{name}", name] if "." in name else [f"{group}.{name}" for group in _GROUPS] + [name]
    for path in paths:
        try:
            found = importlib.import_module(path)
        except ModuleNotFoundError as error:
            if error.name and f"{path}.".startswith(f"{error.name}."):
                continue
            raise MissingExtra(
                f"{FAMILY}{name} needs the module {error.name}", "install it beside tui-trainer"
            ) from None
        except ImportError as error:
            raise MissingExtra(f"{FAMILY}{name}: {error}", "install what it names") from None
        if hasattr(found, "env") or hasattr(found, "parallel_env"):
            return found
    if name.startswith(_MPE) and importlib.util.find_spec("mpe2") is None:
        raise MissingExtra(f"{FAMILY}{name} needs the module mpe2", "install it beside tui-trainer")
    close = nearest(name.rpartition(".")[2], known())
    hint = f"did you mean {FAMILY}{close}?" if close else f"there are {', '.join(known()[:6])} ..."
    raise UsageError(f"PettingZoo has no environment {name!r}", hint)


def known() -> list[str]:
    """Names of what this PettingZoo holds, whether or not their own libraries are there."""
    found = []
    for group in _GROUPS:
        spec = importlib.util.find_spec(group)
        for info in pkgutil.iter_modules(spec.submodule_search_locations if spec else ()):
            if info.name.rpartition("_v")[2].isdigit():
                found.append(info.name)
    return found


def make_turns(name: str, kwargs: Mapping[str, Any]) -> Any | None:
    """The environment as a game of turns for two, or None where it is none."""
    module = find_module(name)
    if not hasattr(module, "env"):
        return None
    env = _made(name, module.env, _with_games(module, kwargs))
    if len(env.possible_agents) == 2 and not hasattr(module, "parallel_env"):
        return env
    env.close()
    return None


def make_parallel(name: str, kwargs: Mapping[str, Any]) -> Any:
    """The environment with all agents acting at once. Raises UsageError where it cannot be had so."""
    module = find_module(name)
    if hasattr(module, "parallel_env"):
        return _made(name, module.parallel_env, _with_games(module, kwargs))
    env = _made(name, module.env, kwargs)
    if env.metadata.get("is_parallelizable"):
        return pettingzoo.utils.conversions.aec_to_parallel(env)
    agents = len(env.possible_agents)
    env.close()
    raise UsageError(
        f"{FAMILY}{name} has {agents} agents who move in turns", "games of turns can be trained for two agents"
    )


def _with_games(module: Any, kwargs: Mapping[str, Any]) -> Mapping[str, Any]:
    """PettingZoo's Atari brings no games; ale-py does, where it is installed."""
    games = importlib.util.find_spec("ale_py") if module.__name__.startswith("pettingzoo.atari.") else None
    folder = next(iter(games.submodule_search_locations or ()), None) if games else None
    return kwargs if folder is None else {"auto_rom_install_path": folder, **kwargs}


def _made(name: str, build: Any, kwargs: Mapping[str, Any]) -> Any:
    try:
        return build(**kwargs)
    except TypeError as error:
        raise UsageError(f"{FAMILY}{name} was refused its arguments: {error}", "look at task.kwargs") from None
    except OSError as error:  # an Atari game that is not there
        raise MissingExtra(
            f"{FAMILY}{name}: {str(error).splitlines()[0].partition('. ')[0]}",
            "install ale-py, which holds the games, or name their folder as task.kwargs.auto_rom_install_path",
        ) from None
