"""Who a request comes from, and how many wrong passwords a client may try."""

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

FREE_GUESSES = 5
"""Wrong passwords of a client before it must wait."""

LONGEST_WAIT = 300
"""The wait doubles with each further one, up to this (seconds)."""

GUESSES_OF_ALL = 30
"""Wrong passwords of all clients together in a period."""

PERIOD = 60
"""Seconds of that period."""

MAX_CLIENTS = 10_000
"""Clients whose wrong passwords are remembered; the oldest are forgotten."""


def client_of(scope: Mapping[str, Any]) -> str:
    """The address that a request comes from; of IPv6 the network of /64 that one client has."""
    return _network((scope.get("client") or ("",))[0])


@lru_cache(MAX_CLIENTS)
def _network(host: str) -> str:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if address.version == 4:
        return host
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((int(address), 64), strict=False))


@dataclass
class _Tries:
    wrong: int = 0
    wait_until: float = 0


@dataclass
class Guesses:
    """The wrong passwords; a guess counts as wrong until it proves right."""

    clients: OrderedDict[str, _Tries] = field(default_factory=OrderedDict)
    recent: list[float] = field(default_factory=list)

    def wait(self, client: str) -> float:
        """Seconds that the client must wait; if 0, it may guess once."""
        now = time.monotonic()
        self.recent = [each for each in self.recent if each > now - PERIOD]
        tries = self.clients.setdefault(client, _Tries())
        self.clients.move_to_end(client)
        if len(self.clients) > MAX_CLIENTS:
            self.clients.popitem(last=False)
        wait = max(0.0, tries.wait_until - now)
        if len(self.recent) >= GUESSES_OF_ALL:
            wait = max(wait, self.recent[0] + PERIOD - now)
        if wait:
            return wait
        self.recent.append(now)
        tries.wrong += 1
        if tries.wrong >= FREE_GUESSES:
            doubled = 2 ** min(tries.wrong - FREE_GUESSES, 30)
            tries.wait_until = now + min(doubled, LONGEST_WAIT)
        return 0

    def was_right(self, client: str) -> None:
        """The last guess of the client was right."""
        self.clients.pop(client, None)
        if self.recent:
            self.recent.pop()
