"""A real S3 server (SeaweedFS) on loopback, and a line to it on which it can be lost."""

import json
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from s3fs import S3FileSystem

from tests.server_process import free_port, wait_until_healthy

WRITER, SECRET = "writer", "secret-of-the-writer"

BUCKET = "wenmo"
"""Here the writer may do everything, and anybody may read without credentials."""

IDENTITIES = [
    {
        "name": "writer",
        "credentials": [{"accessKey": WRITER, "secretKey": SECRET}],
        "actions": ["Admin"],
    },
    {"name": "anonymous", "actions": [f"Read:{BUCKET}", f"List:{BUCKET}"]},
]


@dataclass
class S3Server:
    """Start with `with`; `url` is the endpoint. What was stored outlives `kill` and `start`."""

    folder: Path
    port: int = field(default_factory=free_port)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self.start()
        self.files().mkdir(BUCKET)
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def files(self) -> S3FileSystem:
        """What is stored, as the writer sees it now."""
        S3FileSystem.clear_instance_cache()
        return S3FileSystem(
            key=WRITER, secret=SECRET, endpoint_url=self.url, use_listings_cache=False
        )

    def start(self, megabytes: int = 100) -> None:
        """Start it; it is full at about so many MB."""
        identities, log = self.folder / "identities.json", self.folder / "log"
        identities.write_text(json.dumps({"identities": IDENTITIES}))
        (self.folder / "data").mkdir(exist_ok=True)
        options = {
            "dir": self.folder / "data",
            "ip": "127.0.0.1",
            "ip.bind": "127.0.0.1",
            "filer": "true",
            "filer.localSocket": self.folder / "filer.sock",
            "s3": "true",
            "s3.port": self.port,
            "s3.localSocket": self.folder / "s3.sock",
            "s3.config": identities,
            "s3.port.iceberg": 0,
            "s3.port.lance": 0,
            # Nothing leaves this machine.
            "master.telemetry": "false",
            "master.volumeSizeLimitMB": 1,
            "volume.max": megabytes,
        }
        options |= {f"{part}.port": free_port() for part in ("master", "volume", "filer")}
        inner = {part: free_port() for part in ("master", "volume", "filer", "s3")}
        options |= {f"{part}.port.grpc": port for part, port in inner.items()}
        # These lie there whatever the options are.
        self._sockets = [Path(f"/tmp/seaweedfs-{part}-grpc-{inner[part]}.sock") for part in inner]
        command = Path(sys.executable).with_name("weed")
        with log.open("w") as out:
            self._process = subprocess.Popen(
                [command, "server", *(f"-{name}={value}" for name, value in options.items())],
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        wait_until_healthy(f"{self.url}/healthz", self._process, log)

    def kill(self) -> None:
        """End it at once, as a power cut does: it takes minutes to end when asked to."""
        self._process.kill()
        self._process.wait(60)
        for path in self._sockets:
            path.unlink(missing_ok=True)


class Line:
    """Start with `with`; `url` leads to the server until `holds` bytes have passed.

    Then the server is killed, and nothing answers on this port any more.
    """

    def __init__(self, server: S3Server, holds: int) -> None:
        self.server, self._left = server, holds
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._close(self._listener)

    @property
    def broken(self) -> bool:
        return self._left < 0

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self.server.port))
                for ends in ((client, server), (server, client)):
                    threading.Thread(target=self._carry, args=ends, daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while piece := source.recv(2**14):
                with self._lock:
                    was_broken = self.broken
                    self._left -= len(piece)
                    if self.broken and not was_broken:
                        self.server.kill()
                        self._close(self._listener)
                if self.broken:
                    break
                sink.sendall(piece)
        self._close(source)
        self._close(sink)

    @staticmethod
    def _close(end: socket.socket) -> None:
        # A thread that waits on a socket is woken by its shutdown, not by its end.
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()
