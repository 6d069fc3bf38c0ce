"""Known caching policies on one request after another: which requests hit. Objects are of unit size.

Capacity is a number of objects; every policy starts empty and admits each object that it misses.
"""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence

Policy = Callable[[Sequence[int], int], list[bool]]


def lru(requests: Sequence[int], capacity: int) -> list[bool]:
    """Evict the least recently used."""
    cache: OrderedDict[int, None] = OrderedDict()
    hits = []
    for x in requests:
        hits.append(x in cache)
        if x in cache:
            cache.move_to_end(x)
            continue
        if len(cache) == capacity:
            cache.popitem(last=False)
        cache[x] = None
    return hits


def lfu(requests: Sequence[int], capacity: int) -> list[bool]:
    """Evict the least frequently used since it came in; of several the least recently used."""
    cache: dict[int, tuple[int, int]] = {}
    hits = []
    for t, x in enumerate(requests):
        hits.append(x in cache)
        if x not in cache and len(cache) == capacity:
            del cache[min(cache, key=cache.__getitem__)]
        cache[x] = (cache[x][0] + 1 if x in cache else 1, t)
    return hits


def belady(requests: Sequence[int], capacity: int, *, bypass: bool = False) -> list[bool]:
    """Evict what is requested again last: no policy that fetches on demand hits more. Belady 1966.

    `bypass`: what is asked for may be left out, too, where it is requested again later than all that is cached; a
    policy that may do so can hit more often than one that admits everything.
    """
    following, seen = [math.inf] * len(requests), dict[int, int]()
    for t in range(len(requests) - 1, -1, -1):
        following[t] = seen.get(requests[t], math.inf)
        seen[requests[t]] = t
    cache: dict[int, float] = {}
    hits = []
    for x, again in zip(requests, following):
        hits.append(x in cache)
        if x not in cache and len(cache) == capacity:
            last = max(cache, key=cache.__getitem__)
            if bypass and again >= cache[last]:
                continue
            del cache[last]
        cache[x] = again
    return hits


def sieve(requests: Sequence[int], capacity: int) -> list[bool]:
    """A queue that never reorders; a hand sweeps from the oldest and evicts what was not visited. Zhang et al. 2024."""
    queue: list[int] = []
    visited: dict[int, bool] = {}
    hits, hand = [], 0
    for x in requests:
        hits.append(x in visited)
        if x in visited:
            visited[x] = True
            continue
        if len(queue) == capacity:
            hand = _sweep(queue, visited, hand)
            del visited[queue.pop(hand)]
        queue.append(x)
        visited[x] = False
    return hits


def _sweep(queue: list[int], visited: dict[int, bool], hand: int) -> int:
    """Where the victim stands; the queue's oldest is at 0, and the hand goes on from there after its end."""
    hand = hand if hand < len(queue) else 0
    while visited[queue[hand]]:
        visited[queue[hand]] = False
        hand = (hand + 1) % len(queue)
    return hand


def s3_fifo(requests: Sequence[int], capacity: int) -> list[bool]:
    """A small queue in front of a main one, and a ghost queue. Yang et al. 2023.

    Small: a tenth, at least 1. What leaves it goes to main when it was requested twice or more since, otherwise to
    the ghosts (as many as main holds); what returns from there goes to main. Main gives what was requested since
    another round.
    """
    return _S3Fifo(capacity).run(requests)


class _S3Fifo:
    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.small_size = max(1, capacity // 10)
        self.small: deque[int] = deque()
        self.main: deque[int] = deque()
        self.ghost: OrderedDict[int, None] = OrderedDict()
        self.uses: dict[int, int] = {}

    def run(self, requests: Sequence[int]) -> list[bool]:
        hits = []
        for x in requests:
            hits.append(x in self.uses)
            if x in self.uses:
                self.uses[x] = min(3, self.uses[x] + 1)
            else:
                self.admit(x)
        return hits

    def admit(self, x: int) -> None:
        while len(self.uses) >= self.capacity:
            self.evict()
        if x in self.ghost:
            del self.ghost[x]
            self.main.append(x)
        else:
            self.small.append(x)
        self.uses[x] = 0

    def evict(self) -> None:
        if self.small and (len(self.small) >= self.small_size or not self.main):
            self.leave_small()
        else:
            self.leave_main()

    def leave_small(self) -> None:
        x = self.small.popleft()
        if self.uses[x] >= 2:
            self.uses[x] = 0
            self.main.append(x)
            return
        del self.uses[x]
        self.ghost[x] = None
        if len(self.ghost) > self.capacity - self.small_size:
            self.ghost.popitem(last=False)

    def leave_main(self) -> None:
        while self.uses[self.main[0]]:
            self.uses[self.main[0]] -= 1
            self.main.rotate(-1)
        del self.uses[self.main.popleft()]


def arc(requests: Sequence[int], capacity: int) -> list[bool]:
    """Two lists, for what was seen once and what was seen again, whose sizes follow their ghosts' hits.

    Megiddo and Modha 2003, figure 4.
    """
    return _Arc(capacity).run(requests)


class _Arc:
    def __init__(self, capacity: int) -> None:
        self.c, self.p = capacity, 0.0
        self.t1: OrderedDict[int, None] = OrderedDict()
        self.t2: OrderedDict[int, None] = OrderedDict()
        self.b1: OrderedDict[int, None] = OrderedDict()
        self.b2: OrderedDict[int, None] = OrderedDict()

    def run(self, requests: Sequence[int]) -> list[bool]:
        return [self.request(x) for x in requests]

    def request(self, x: int) -> bool:
        if x in self.t1 or x in self.t2:
            self.t1.pop(x, None)
            self.t2.pop(x, None)
            self.t2[x] = None
            return True
        if x in self.b1:
            self.p = min(self.c, self.p + max(1, len(self.b2) / len(self.b1)))
            self.replace(False)
            del self.b1[x]
            self.t2[x] = None
        elif x in self.b2:
            self.p = max(0, self.p - max(1, len(self.b1) / len(self.b2)))
            self.replace(True)
            del self.b2[x]
            self.t2[x] = None
        else:
            self.make_room()
            self.t1[x] = None
        return False

    def replace(self, from_b2: bool) -> None:
        if self.t1 and (len(self.t1) > self.p or (from_b2 and len(self.t1) == self.p)):
            self.b1[self.t1.popitem(last=False)[0]] = None
        else:
            self.b2[self.t2.popitem(last=False)[0]] = None

    def make_room(self) -> None:
        """Case IV: the object was in none of the lists."""
        if len(self.t1) + len(self.b1) == self.c:
            if len(self.t1) < self.c:
                self.b1.popitem(last=False)
                self.replace(False)
            else:
                self.t1.popitem(last=False)
        elif (total := len(self.t1) + len(self.t2) + len(self.b1) + len(self.b2)) >= self.c:
            if total == 2 * self.c:
                self.b2.popitem(last=False)
            self.replace(False)


ONLINE: dict[str, Policy] = {"LRU": lru, "LFU": lfu, "ARC": arc, "S3-FIFO": s3_fifo, "SIEVE": sieve}
"""What a policy is compared with; none of them knows the future."""


def hit_ratio(policy: Policy, requests: Sequence[int], capacity: int) -> float:
    """Share of the requests that hit."""
    return sum(policy(requests, capacity)) / max(1, len(requests))
