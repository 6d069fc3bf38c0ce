"""Array types, and how arrays and generators go into a checkpoint and come back bit for bit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from tui_trainer.errors import ConfigError, DamagedSession, Diverged

Array: TypeAlias = NDArray[Any]
Float: TypeAlias = NDArray[np.float32]
Bool: TypeAlias = NDArray[np.bool_]
Int: TypeAlias = NDArray[np.int64]
Small: TypeAlias = NDArray[np.int8]


def as_tensor(array: Array) -> torch.Tensor:
    """The array as a contiguous tensor; shares memory where it can."""
    return torch.from_numpy(np.ascontiguousarray(array))


def take(state: Mapping[str, object], key: str) -> Any:
    """`state[key]`. Raises DamagedSession naming the key a checkpoint lacks."""
    if key not in state:
        raise DamagedSession(f"the checkpoint lacks {key!r}", "use an older checkpoint of the session")
    return state[key]


def take_array(state: Mapping[str, object], key: str) -> Array:
    """A copy of the tensor or array at `key`."""
    value = take(state, key)
    return value.detach().cpu().numpy().copy() if isinstance(value, torch.Tensor) else np.array(value)


def copy_into(target: Array, state: Mapping[str, object], key: str) -> None:
    """Fill `target` from the checkpoint. Raises DamagedSession where shapes differ."""
    value = take_array(state, key)
    if value.shape != target.shape:
        raise DamagedSession(
            f"the checkpoint's {key!r} has shape {value.shape}, this run needs {target.shape}",
            "resume with the settings it was made with",
        )
    target[...] = value


def require_algorithm(state: Mapping[str, object], algorithm: str) -> None:
    """Raises ConfigError where a checkpoint was made by another algorithm."""
    maker = take(state, "algorithm")
    if maker != algorithm:
        raise ConfigError(f"the checkpoint was made by {maker}", f'set run.algorithm = "{maker}"')


def load_parameters(flat: torch.Tensor, state: Mapping[str, object], key: str) -> None:
    """Fill the flat vector, wherever it lies. Raises ConfigError where the checkpoint's network is another."""
    held = torch.as_tensor(take(state, key))
    if held.shape != flat.shape:
        raise ConfigError(
            f"the checkpoint holds {held.numel()} parameters, the settings ask for {flat.numel()}",
            "resume with the network it was made with",
        )
    with torch.no_grad():
        flat.copy_(held)


def generator_state(generator: np.random.Generator) -> dict[str, object]:
    """A PCG64 generator's state as plain values; its 128-bit integers as strings."""
    state: Any = generator.bit_generator.state
    return {
        "state": str(state["state"]["state"]),
        "inc": str(state["state"]["inc"]),
        "has_uint32": int(state["has_uint32"]),
        "uinteger": int(state["uinteger"]),
    }


def load_generator(generator: np.random.Generator, state: Mapping[str, object]) -> None:
    """Set a PCG64 generator to a state of `generator_state`."""
    generator.bit_generator.state = {
        "bit_generator": "PCG64",
        "state": {"state": int(take(state, "state")), "inc": int(take(state, "inc"))},
        "has_uint32": take(state, "has_uint32"),
        "uinteger": take(state, "uinteger"),
    }


def generator_of(seed: int, stream: int) -> np.random.Generator:
    """An independent PCG64 generator for each stream of a seed."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, stream])))


def later_seed(seed: int, updates: int) -> int:
    """A seed for what begins anew after so many updates, so that it does not repeat the run's beginning."""
    return int(np.random.SeedSequence([seed, 4, updates]).generate_state(1)[0] >> 1)


def require_finite(array: Array, name: str) -> None:
    """Raise Diverged naming `name` where a float array holds NaN or inf."""
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        bad = int(array.size - np.count_nonzero(np.isfinite(array)))
        raise Diverged(f"{name} not finite ({bad} of {array.size} numbers)", "resume from the last good checkpoint")


def orthogonal(rng: np.random.Generator, shape: tuple[int, int], gain: float) -> Float:
    """A matrix with orthonormal rows or columns, times `gain`. Saxe et al. 2014."""
    rows, columns = shape
    square = rng.standard_normal((max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(square)
    q *= np.sign(np.diag(r))
    return (gain * (q if rows >= columns else q.T)).astype(np.float32)
