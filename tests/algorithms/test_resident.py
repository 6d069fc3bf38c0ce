"""PPO that stays on the device: the same learning as through host memory, no wait for the host, steps that replay."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from tests.algorithms.helpers import settings
from tests.algorithms.probes import Copy
from tests.algorithms.tape import Tape, Waited, without_waiting
from tui_trainer import tasks
from tui_trainer.algorithms import build
from tui_trainer.algorithms.episodes import Episodes
from tui_trainer.algorithms.gae import gae, gae_on_device
from tui_trainer.algorithms.graphs import Recorded, recorder_of
from tui_trainer.algorithms.lines import LineFeatures, LineFeaturesOnDevice
from tui_trainer.algorithms.mlp import Batch, Shape, Weights
from tui_trainer.algorithms.networks import MlpNet
from tui_trainer.algorithms.ppo import PPO, _normalised
from tui_trainer.algorithms.ppo_resident import ResidentPPO, normalised
from tui_trainer.algorithms.resident import ResidentEpisodes
from tui_trainer.algorithms.sharing import share_of
from tui_trainer.algorithms.updates import AutogradUpdater, DeviceUpdater
from tui_trainer.core.values import Difficulty
from tui_trainer.errors import ConfigError, Diverged

no_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
devices = pytest.mark.parametrize("device", ["cpu", pytest.param("cuda:0", marks=[pytest.mark.gpu, no_gpu])])

SMALL = {
    "num_envs": 16, "n_steps": 8, "batch_size": 48, "n_epochs": 2, "hidden": [16], "activation": "relu",
    "network": "lines", "shared": True, "pool_every": 1, "pool_share": 0.5, "rollout": "device",
}  # fmt: skip


def four(device: str = "cpu", num_envs: int = 16, limit: int = 0, **options: object) -> Any:
    chosen = {"backend": "torch", "device": device, "opponent_share": 0.25, **options}
    return tasks.make("connect_four", chosen, num_envs, limit)


def resident(device: str = "cpu", recorder: Any = None, limit: int = 0, **table: object) -> ResidentPPO:
    return ResidentPPO(four(device, limit=limit), settings(ppo=SMALL | table), device, recorder)


def train(learner: Any, updates: int) -> Any:
    for _ in range(updates):
        while not learner.collect(1e9).complete:
            pass
        report = learner.learn()
    return report


def leaves(state: Any) -> Iterator[Any]:
    """Every value of a state, in order."""
    match state:
        case dict():
            for name in sorted(state):
                yield name
                yield from leaves(state[name])
        case list() | tuple():
            for each in state:
                yield from leaves(each)
        case torch.Tensor() | np.ndarray():
            yield torch.as_tensor(state).cpu().clone()
        case _:
            yield state


def require_equal(one: Any, two: Any) -> None:
    for a, b in zip(leaves(one), leaves(two), strict=True):
        assert torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b


# --- the parts: as their twins on the CPU ------------------------------------------------------------------------


@devices
def test_advantages_are_those_of_the_cpu(device: str) -> None:
    rng = np.random.default_rng(1)
    rewards, values, following = rng.standard_normal((3, 20, 6)).astype(np.float32)
    terminated, truncated, flips = rng.random((3, 20, 6)) < 0.2
    wanted = gae(
        rewards, values, following, terminated, truncated, flips, np.ones_like(flips), gamma=0.97, lam=0.9
    )  # fmt: skip
    sent = [torch.from_numpy(a).to(device) for a in (rewards, values, following, terminated, truncated, flips)]
    np.testing.assert_allclose(gae_on_device(*sent, gamma=0.97, lam=0.9).cpu(), wanted, rtol=1e-5, atol=1e-5)


@devices
@pytest.mark.parametrize("own", [None, [1, 0, 1, 1, 0, 1], [0, 0, 1, 0, 0, 0]])
def test_advantages_are_normalised_as_on_the_cpu(device: str, own: list[float] | None) -> None:
    advantage = np.array([3, -1, 0.5, 7, 2, -4], np.float32)
    seen = None if own is None else np.array(own, np.float32)
    sent = None if seen is None else torch.from_numpy(seen).to(device)
    found = normalised(torch.from_numpy(advantage).to(device), sent)
    np.testing.assert_allclose(found.cpu(), _normalised(advantage, seen), rtol=1e-5)


@devices
@pytest.mark.parametrize("shape", [(2, 6, 7), (2, 3, 3)])
def test_lines_are_seen_as_on_the_cpu(device: str, shape: tuple[int, int, int]) -> None:
    spec: Any = SimpleNamespace(players=2, obs_shape=shape, n=shape[2] if shape[1] == 6 else 9, id="board")
    features = LineFeatures(spec)
    stones = np.random.default_rng(1).integers(0, 3, (200, *shape[1:]))
    obs = np.stack([stones == 1, stones == 2], 1).astype(np.uint8)
    found = LineFeaturesOnDevice(features, torch.device(device))(torch.from_numpy(obs).to(device))
    np.testing.assert_array_equal(found.cpu(), features(obs))


def batch(rows: int = 64) -> Batch:
    rng = np.random.default_rng(3)
    mask = rng.random((rows, 4)) < 0.7
    mask[:, 0] = True
    action = np.where(mask[:, 1], 1, 0)
    numbers = rng.standard_normal((4, rows)).astype(np.float32)
    own = (rng.random(rows) < 0.8).astype(np.float32)
    return Batch(
        rng.standard_normal((rows, 5)).astype(np.float32), action, -1 + 0.1 * numbers[0], *numbers[1:], mask, own
    )  # fmt: skip


def there(some: Batch, device: str) -> Batch:
    return Batch(*(torch.from_numpy(part).to(device) for part in some if part is not None))


NET = MlpNet(Shape(5, 4, (8,), "tanh", False, False))
WEIGHTS = Weights(0.2, 0.3, 0.01, 0.5)


def flat_on(device: str) -> torch.Tensor:
    return torch.from_numpy(NET.initial(np.random.default_rng(1))).to(device)


@devices
def test_minibatch_steps_move_as_those_that_wait(device: str) -> None:
    waits, one, two = flat_on("cpu"), batch(), flat_on(device)
    updater, mover = AutogradUpdater(NET, waits), DeviceUpdater(NET, two)
    seen = [
        updater.step(one, WEIGHTS, learning_rate=1e-2, max_grad_norm=0.5, max_kl=0.0) for _ in range(5)
    ]  # fmt: skip
    mover.begin(1e-2, 0.2)
    for _ in range(5):
        mover.move(there(one, device), WEIGHTS._replace(clip_range=mover.clip_range), max_grad_norm=0.5, max_kl=0.0)
    losses, norm = mover.read()
    np.testing.assert_allclose(two.cpu(), waits, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(losses, np.mean([s.losses for s in seen], axis=0), rtol=1e-4, atol=1e-6)
    assert norm == pytest.approx(np.mean([s.grad_norm for s in seen]), rel=1e-4)
    assert mover.state_dict()["steps"] == updater.state_dict()["steps"] == 5


@devices
def test_past_the_kl_bound_nothing_moves_until_the_next_update(device: str) -> None:
    flat, some = flat_on(device), there(batch(), device)
    mover = DeviceUpdater(NET, flat)
    mover.begin(1e-2, 0.2)
    mover.move(some, WEIGHTS, max_grad_norm=0.5, max_kl=0.0)
    moved = flat.clone()
    for _ in range(3):
        mover.move(some, WEIGHTS, max_grad_norm=0.5, max_kl=1e-9)
    assert mover.has_stopped
    assert torch.equal(flat, moved)
    assert mover.state_dict()["steps"] == 1
    mover.begin(1e-2, 0.2)
    mover.move(some, WEIGHTS, max_grad_norm=0.5, max_kl=0.0)
    assert not torch.equal(flat, moved)


@devices
def test_a_loss_that_is_not_finite_moves_nothing_and_is_named(device: str) -> None:
    flat, some = flat_on(device), there(batch(), device)
    before, mover = flat.clone(), DeviceUpdater(NET, flat)
    mover.begin(1e-2, 0.2)
    mover.move(some._replace(returns=some.returns * float("nan")), WEIGHTS, max_grad_norm=0.5, max_kl=0.0)
    mover.move(some, WEIGHTS, max_grad_norm=0.5, max_kl=0.0)
    assert torch.equal(flat, before)
    with pytest.raises(Diverged, match=r"the loss is not finite \(value\)"):
        mover.read()


@devices
def test_episodes_are_counted_as_on_the_cpu(device: str) -> None:
    spec = four().spec
    here, away, rng = Episodes(spec), ResidentEpisodes(spec, torch.device(device)), np.random.default_rng(2)
    for _ in range(3):
        over, cut = rng.random((2, 12, 16)) < 0.1
        rows = {
            "reward": rng.integers(-1, 2, (12, 16)).astype(np.float32),
            "to_move": rng.integers(0, 2, (12, 16)).astype(np.int8),
            "terminated": over,
            "truncated": cut & ~over,
            "outcome": (rng.integers(1, 4, (12, 16)) * over).astype(np.int8),
        }
        rollout: Any = SimpleNamespace(**rows, valid=np.ones((12, 16), np.bool_))
        rollout.to_move = np.concatenate([rows["to_move"], rows["to_move"][:1]])
        here.add(rollout)
        away.add({name: torch.from_numpy(part).to(device) for name, part in rows.items()})
        assert away.windows.metrics() == pytest.approx(here.metrics())
    assert away.windows.state_dict()["last_outcomes"] == here.state_dict()["last_outcomes"]
    assert away.windows.state_dict()["last_lengths"] == here.state_dict()["last_lengths"]


# --- the whole ---------------------------------------------------------------------------------------------------


@devices
@pytest.mark.parametrize("limit", [0, 5])
def test_what_is_learned_from_is_what_the_cpu_would_make_of_the_same_steps(device: str, limit: int) -> None:
    """Log-probabilities, values, advantages: worked out again in numpy from what the rollout holds."""
    learner = resident(device, limit=limit)
    train(learner, 2)
    learner.collect(1e9)
    learner._make_advantages()
    rows = {name: part.cpu().numpy() for name, part in learner._r.rows.items()}
    forward = learner._net.bind(learner._flat.detach().cpu())
    outputs, values = forward.heads(rows["x"].reshape(-1, rows["x"].shape[-1]).astype(np.float32))
    log_prob = learner._log_prob(outputs, rows["action"].ravel(), rows["mask"].reshape(-1, 7), None)
    np.testing.assert_allclose(rows["log_prob"].ravel(), log_prob, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(rows["value"].ravel(), values, rtol=1e-4, atol=1e-4)
    following = np.concatenate([rows["value"][1:], forward.heads(learner._r.x.cpu().float().numpy())[1][None]])
    assert bool(rows["truncated"].any()) == bool(limit)
    if limit:
        last = rows["final_x"][rows["truncated"]].astype(np.float32)
        following[rows["truncated"]] = forward.heads(last)[1]
    advantage = gae(
        rows["reward"], rows["value"], following, rows["terminated"], rows["truncated"],
        learner._r.flips().cpu().numpy(), np.ones_like(rows["truncated"]), gamma=0.99, lam=0.95,
    )  # fmt: skip
    np.testing.assert_allclose(learner._advantage.cpu(), advantage.ravel(), rtol=1e-3, atol=1e-4)
    assert rows["own"].any()
    assert not rows["own"][:, :8].all()  # a snapshot plays in the pool's half
    assert rows["own"][:, 8:].all()


@devices
@pytest.mark.parametrize("network", ["mlp", "lines", "conv"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_every_network_trains_and_repeats(device: str, network: str, precision: str) -> None:
    found = []
    for _ in range(2):
        learner = resident(device, recorder_of(torch.device(device)), network=network, precision=precision)
        before = learner.state_dict()["parameters"].clone()
        report = train(learner, 2)
        assert np.isfinite([value for value in report.metrics.values() if value is not None]).all()
        assert not torch.equal(before, learner.state_dict()["parameters"])
        found.append(learner.state_dict())
    require_equal(*found)


def in_both_precisions(device: str, network: str) -> tuple[ResidentPPO, ResidentPPO]:
    """Two learners before the same update on the same rollout, the second one's products in bfloat16."""
    whole, half = (
        resident(device, network=network, hidden=[64, 64], n_steps=32, precision=precision)
        for precision in ("float32", "bfloat16")
    )
    train(whole, 3)
    while not whole.collect(1e9).complete:
        pass
    state = whole.state_dict()
    half.load_state_dict({**state, "parameters": state["parameters"].clone()})
    return whole, half


def seen_of(learner: ResidentPPO) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Log-probabilities of legal actions, values, and the gradient of PPO's loss, over the whole rollout."""
    rows = {name: part.flatten(0, 1) for name, part in learner._r.rows.items()}
    with torch.no_grad():
        logits, values = learner._heads(learner._flat, rows["x"])
    learner._make_advantages()
    learner._mover.begin(0.0, 0.2)
    batch = learner._batch_of(torch.arange(len(values), device=values.device))
    terms = learner._mover._terms(batch, Weights(learner._mover.clip_range, 0.0, 0.01, 0.5))
    (gradient,) = torch.autograd.grad(terms[0] + 0.5 * terms[1] - 0.01 * terms[2], learner._mover._leaf)
    return logits.masked_fill(~rows["mask"], -1e9).log_softmax(1)[rows["mask"]], values, gradient


@devices
@pytest.mark.parametrize("network", ["mlp", "lines", "conv"])
def test_in_bfloat16_it_chooses_values_and_learns_as_in_float32_within_bounds(device: str, network: str) -> None:
    """Measured on the CPU: 0.0008 for log-probabilities, 0.008 for values, 0.03 for the gradient, 0.002 for
    parameters."""
    whole, half = in_both_precisions(device, network)
    (chances, values, gradient), (chances_half, values_half, gradient_half) = seen_of(whole), seen_of(half)
    assert 0 < (chances_half - chances).abs().max() < 0.005
    assert (values_half - values).abs().max() < 0.03
    assert torch.linalg.vector_norm(gradient_half - gradient) < 0.08 * torch.linalg.vector_norm(gradient)
    before = whole._flat.clone()
    one, other = whole.learn().metrics, half.learn().metrics
    assert torch.linalg.vector_norm(half._flat - whole._flat) < 0.01 * torch.linalg.vector_norm(whole._flat)
    assert torch.cosine_similarity(half._flat - before, whole._flat - before, dim=0) > 0.98
    assert other["train/value_loss"] == pytest.approx(one["train/value_loss"], rel=0.01)


@devices
@pytest.mark.parametrize("mid", [False, True])
def test_a_resumed_run_has_the_bits_of_the_uninterrupted_one(device: str, mid: bool) -> None:
    one, two = resident(device, limit=9), resident(device, limit=9)
    train(one, 3)
    if mid:
        assert not one.collect(0.0).complete or one._r.length <= 8
    state = one.state_dict()
    task = one._task.state_dict()
    two._task.load_state_dict(task)
    two.load_state_dict({**state, "parameters": state["parameters"].clone()})
    train(one, 2)
    train(two, 2)
    require_equal(one.state_dict(), two.state_dict())
    require_equal(one._task.state_dict(), two._task.state_dict())


def test_where_a_slice_ends_changes_no_bit() -> None:
    one, two = resident(n_steps=24), resident(n_steps=24)
    slices = 0
    for _ in range(2):
        while not one.collect(0.0).complete:
            slices += 1
        two.collect(1e9)
        one.learn()
        two.learn()
    assert slices == 4
    require_equal(one.state_dict(), two.state_dict())


def test_a_report_counts_steps_and_games() -> None:
    learner = resident()
    reports = [learner.collect(1e9) for _ in range(1)]
    rows = learner._r.rows
    assert sum(r.steps for r in reports) == 128
    assert sum(r.episodes for r in reports) == int((rows["terminated"] | rows["truncated"]).sum())
    assert reports[-1].complete
    assert "game/black_rate" in reports[-1].metrics


def test_a_bound_on_the_kl_ends_the_epochs() -> None:
    free, bound = resident(target_kl=0.0), resident(target_kl=1e-9)
    train(free, 1)
    train(bound, 1)
    steps = [learner.state_dict()["optimizer"]["steps"] for learner in (free, bound)]
    assert steps[0] == 6
    assert steps[1] < 6


def test_the_pool_can_be_resized_on_the_way() -> None:
    learner = resident()
    train(learner, 2)
    learner.set("pool_share", 0.25)
    train(learner, 1)
    learner.collect(1e9)
    own = learner._r.rows["own"]
    assert own[:, 4:].all()
    assert not own[:, :4].all()
    assert len(learner.state_dict()["pool"]["seats"]) == 4


def test_a_rollout_of_the_device_goes_on_in_host_memory_and_back() -> None:
    """In new episodes, with what was learned."""
    away = resident()
    train(away, 2)
    here = build("ppo", four(), settings(ppo=SMALL | {"rollout": "host"}), "cpu")
    here._task.load_state_dict(away._task.state_dict())
    here.load_state_dict(away.state_dict())
    assert torch.equal(here.state_dict()["parameters"], away.state_dict()["parameters"])
    train(here, 1)
    again = resident()
    again._task.load_state_dict(here._task.state_dict())
    again.load_state_dict(here.state_dict())
    assert torch.equal(again.state_dict()["parameters"], here.state_dict()["parameters"])
    assert again.state_dict()["collector"]["steps"] == 3 * 128
    train(again, 1)
    assert again.state_dict()["updates"] == 4


@devices
def test_its_policy_plays_in_numpy(device: str) -> None:
    learner = resident(device)
    train(learner, 1)
    assert learner._task.evaluate(learner.policy(), part="random", episodes=4, seed=1).episodes == 4


# --- where the rollout lies --------------------------------------------------------------------------------------


def chosen(task: Any, device: str = "cpu", **table: object) -> Any:
    return build("ppo", task, settings(ppo=SMALL | table), device)


def test_a_task_on_the_device_is_stepped_there_when_asked() -> None:
    assert isinstance(chosen(four()), ResidentPPO)
    assert type(chosen(four(), rollout="auto")) is PPO
    assert type(chosen(four(), rollout="host")) is PPO


@pytest.mark.parametrize(
    ("task", "table", "words"),
    [
        (lambda: tasks.make("connect_four", {}, 16, 0), {}, "steps on the CPU"),
        (lambda: Copy(), {"network": "mlp"}, "steps on the CPU"),
        (four, {"normalize_rewards": True}, "normalisation"),
    ],
)
def test_what_cannot_stay_on_the_device_is_refused_with_the_reason(task: Any, table: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        chosen(task(), **table)


def test_several_ranks_keep_their_rollouts_in_host_memory() -> None:
    assert share_of(settings(ppo=SMALL), 1, 2).ppo.rollout == "host"
    with pytest.raises(ConfigError, match="host"):
        resident().join(None)  # type: ignore[arg-type]


# --- no waits, and replays ---------------------------------------------------------------------------------------


def test_a_step_and_a_minibatch_never_wait_for_the_device() -> None:
    learner = resident(limit=9)
    learner._task.set_difficulty(Difficulty(level=1))
    train(learner, 2)  # the pool has its snapshot, two levels are at the boards
    without_waiting(learner._step)
    learner._make_advantages()
    rows, _ = learner._move_of(48)
    without_waiting(lambda: learner._move(rows))


@pytest.mark.parametrize(
    "work",
    [
        lambda x: x.sum().item(), lambda x: bool(x.any()), lambda x: x.numpy(), lambda x: x[x > 0],
        lambda x: x.tolist(), lambda x: x.nonzero(), lambda x: torch.equal(x, x), lambda x: x.masked_select(x > 0),
    ],
)  # fmt: skip
def test_the_watch_for_waits_sees_them(work: Any) -> None:
    with pytest.raises(Waited):
        without_waiting(lambda: work(torch.arange(3)))


def test_recorded_steps_give_the_bits_of_steps_that_are_not() -> None:
    """The tape replays calls on tensors by their place, as a CUDA graph does: what Python did is not done again."""
    tape = Tape()
    one, two = resident(recorder=tape), resident()
    for level in (0, 1):
        for learner in (one, two):
            learner._task.set_difficulty(Difficulty(level=level))
            train(learner, 2)
    require_equal(one.state_dict(), two.state_dict())
    require_equal(one._task.state_dict(), two._task.state_dict())
    assert tape.recorded >= 3
    assert tape.replayed > 20


def test_a_recorded_run_that_is_resumed_has_the_same_bits() -> None:
    one, two = resident(recorder=Tape()), resident(recorder=Tape())
    train(one, 2)
    train(two, 3)  # recorded before it is overwritten
    two._task.load_state_dict(one._task.state_dict())
    two.load_state_dict({**one.state_dict(), "parameters": one.state_dict()["parameters"].clone()})
    train(one, 2)
    train(two, 2)
    require_equal(one.state_dict(), two.state_dict())


def test_settings_and_learning_rates_that_change_reach_a_recorded_step() -> None:
    one, two = resident(recorder=Tape()), resident()
    for key, value in (("ent_coef", 0.3), ("learning_rate", 1e-2), ("clip_range", 0.05), ("max_grad_norm", 0.01)):
        for learner in (one, two):
            train(learner, 1)
            learner.set(key, value)
    for learner in (one, two):
        train(learner, 1)
    require_equal(one.state_dict(), two.state_dict())


def test_what_cannot_be_recorded_is_done_call_by_call_and_said_once() -> None:
    one, two = resident(recorder=Tape(failing="operation not permitted when stream is capturing\nmore")), resident()
    train(one, 3)
    train(two, 3)
    require_equal(one.state_dict(), two.state_dict())
    problems = [note for note in one.notes if "graph:" in note]
    assert problems[0] == "no CUDA graph: operation not permitted when stream is capturing"


def test_work_is_recorded_anew_where_its_key_changes() -> None:
    tape, runs = Tape(), []
    recorded = Recorded(lambda: runs.append(1), (), tape)
    for key in "aaaaaabbbbb":
        recorded(key)
    assert tape.recorded == 2
    assert recorded.is_recorded
    recorded.forget()
    assert not recorded.is_recorded


# --- on a GPU ----------------------------------------------------------------------------------------------------


@contextmanager
def waits_are_errors() -> Iterator[None]:
    before = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode(before)


@pytest.mark.gpu
@no_gpu
def test_nothing_waits_for_the_gpu() -> None:
    learner = resident("cuda:0", limit=9)
    train(learner, 2)
    with waits_are_errors():
        learner._step()
    learner._make_advantages()
    rows, _ = learner._move_of(48)
    with waits_are_errors():
        learner._move(rows)


@pytest.mark.gpu
@no_gpu
@pytest.mark.parametrize("network", ["mlp", "lines", "conv"])
def test_cuda_graphs_give_the_bits_of_single_calls(network: str) -> None:
    found = []
    for recorder in (None, recorder_of(torch.device("cuda:0"))):
        learner = resident("cuda:0", recorder, network=network)
        train(learner, 6)
        assert not any("no CUDA graph" in note for note in learner.notes)
        assert learner._one_step.is_recorded == (recorder is not None)
        found.append(learner.state_dict())
    require_equal(*found)


@pytest.mark.gpu
@no_gpu
def test_a_recorded_run_on_the_gpu_is_resumed_with_the_same_bits() -> None:
    recorder = recorder_of(torch.device("cuda:0"))
    one, two = resident("cuda:0", recorder), resident("cuda:0", recorder)
    train(one, 6)
    train(two, 5)
    two._task.load_state_dict(one._task.state_dict())
    two.load_state_dict({**one.state_dict(), "parameters": one.state_dict()["parameters"].clone()})
    train(one, 5)
    train(two, 5)
    require_equal(one.state_dict(), two.state_dict())


@pytest.mark.gpu
@no_gpu
def test_auto_takes_the_gpu_and_says_where_the_rollout_is() -> None:
    assert any("on the device" in note for note in chosen(four("cuda:0"), "cuda:0", rollout="auto").notes)
    through = chosen(tasks.make("connect_four", {}, 16, 0), "cuda:0", rollout="auto")
    assert any("host memory" in note for note in through.notes)


@pytest.mark.long
@devices
def test_it_learns_connect_four(device: str) -> None:
    """95 % against random after 60 updates of 8,192 steps; the same through host memory takes as many."""
    ppo = SMALL | {
        "num_envs": 512, "n_steps": 16, "batch_size": 1024, "n_epochs": 3, "learning_rate": 2e-3, "gamma": 1.0,
        "gae_lambda": 0.8, "ent_coef": 0.08, "hidden": [64, 64], "pool_every": 10, "pool_share": 0.2,
    }  # fmt: skip
    task = four(device, 512, opponent_share=0.1)
    learner = ResidentPPO(task, settings(ppo=ppo), device, recorder_of(torch.device(device)))
    train(learner, 60)
    score = task.evaluate(learner.policy(), part="random", episodes=200, seed=3)
    assert score.win_rate is not None
    assert score.win_rate >= 0.95
