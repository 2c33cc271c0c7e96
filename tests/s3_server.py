"""A real S3 server (SeaweedFS) on loopback."""

import json
import subprocess
import sys
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

    def start(self) -> None:
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
            "volume.max": 100,
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
