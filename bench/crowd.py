"""Memory and seconds of `wenmo web` while hostile clients try to keep honest ones out.

python -m bench.crowd --requests 2000

A stand-in for an endpoint writes the texts, so that the page alone is measured. 20 honest users ask
beside 30 clients that never read, 30 that reconnect and 10 that send 5 MB. Needs the models of
`make repro`, of which the page shows the tabs.
"""

import threading
import time
from argparse import ArgumentParser
from pathlib import Path

import psutil
from tests.crowd import Crowd, answered
from tests.small_demo import page_process
from tests.streaming_server import StreamingServer

STEPS = 10
"""Lines of the table."""


def main() -> None:
    """Print the page's memory after each tenth of the requests."""
    parser = ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--requests", type=int, default=2000)
    requests: int = parser.parse_args().requests
    with (
        StreamingServer() as server,
        page_process(Path.cwd(), "--port", "0", "--endpoint", server.url) as (url, process),
    ):
        page, lock, done, began = psutil.Process(process.pid), threading.Lock(), 0, time.monotonic()

        def on_answer() -> None:
            nonlocal done
            with lock:
                done += 1
                if done % max(1, requests // STEPS) == 0:
                    mebibytes = page.memory_info().rss / 2**20
                    print(
                        f"| {done} | {time.monotonic() - began:.0f} | {mebibytes:.0f} |", flush=True
                    )

        print("| requests | seconds | memory (MiB) |\n|--:|--:|--:|")
        crowd = Crowd(url, silent=30, fickle=30, heavy=10)
        with crowd.around():
            texts = answered(url, 20, requests, on_answer)
        print(f"\n{len(crowd.statuses)} hostile requests; honest ones got {texts}")


if __name__ == "__main__":
    main()
