"""Real model servers on loopback, each a process of its own: finding a port, waiting, asking."""

import importlib.util
import json
import os
import socket
import subprocess
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from random import SystemRandom
from typing import Any

VLLM_IS_MISSING = (
    not os.environ.get("WENMO_REQUIRE_VLLM") and importlib.util.find_spec("vllm") is None
)
"""Whether tests of vLLM are skipped; where it is required they fail instead."""


SERVED_PORTS = range(10_000, 32_768)
"""Below those that Linux gives to clients, any of which may take a free port before a server does:
https://docs.kernel.org/networking/ip-sysctl.html, ip_local_port_range."""


def free_port() -> int:
    """A port on loopback that nothing listens on, drawn so that no other test draws it, too."""
    while True:
        port = SystemRandom().choice(SERVED_PORTS)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return port


def wait_until_healthy(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 300
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            assert server.poll() is None, log.read_text()[-3000:]
            assert time.monotonic() < deadline, log.read_text()[-3000:]
            time.sleep(0.5)


def ask(url: str, question: Mapping[str, Any]) -> dict[str, Any]:
    """What the server answers to a question in JSON."""
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(question).encode(), headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)
