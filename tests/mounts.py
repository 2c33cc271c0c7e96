"""Disks that fill up and folders that cannot be written to, for the commands of one test alone.

They are mounted in a mount namespace of the test's own: no other process sees them, and they are
gone with it. That needs no rights where Linux lets everybody have user namespaces.
https://man7.org/linux/man-pages/man7/mount_namespaces.7.html
"""

import os
import subprocess
from pathlib import Path
from typing import Self

WAYS_IN = (["--user", "--map-root-user", "--mount"], ["--mount"])
"""Without rights, and as root where there are no user namespaces."""


class NoMountsError(Exception):
    """Nobody may mount anything here, or it is no Linux."""


class Mounts:
    """A mount namespace. Raises NoMountsError where it cannot be had."""

    def __enter__(self) -> Self:
        for options in WAYS_IN:
            try:
                # It ends when its input does, thus also with the tests.
                self.holder = subprocess.Popen(
                    ["unshare", *options, "sh", "-c", "echo && cat"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    text=True,
                )
            except FileNotFoundError as error:
                raise NoMountsError(str(error)) from None
            assert self.holder.stdout is not None
            if self.holder.stdout.readline():
                self.namespaces = ["--user", "--preserve-credentials"] if options[1:] else []
                return self
            self.holder.communicate()
        raise NoMountsError("no namespace to mount in")

    def __exit__(self, *_: object) -> None:
        self.holder.communicate()

    def run(self, folder: Path, *command: str | Path) -> subprocess.CompletedProcess[str]:
        """A command in a folder, among the mounts."""
        enter = ["nsenter", f"--target={self.holder.pid}", "--mount", *self.namespaces]
        return subprocess.run(
            [*enter, "env", f"--chdir={folder}", *command],
            env=os.environ | {"DVC_NO_ANALYTICS": "1"},
            capture_output=True,
            text=True,
        )

    def seen(self, path: Path) -> Path:
        """By what path this process reaches what the commands see under a path."""
        return Path(f"/proc/{self.holder.pid}/root{path}")

    def put_disk(self, folder: Path, size: int) -> None:
        """Have an empty disk of so many bytes where a folder is."""
        folder.mkdir(parents=True, exist_ok=True)
        self._mount("-t", "tmpfs", "-o", f"size={size}", "none", folder)

    def fill_disk(self, folder: Path, left: int) -> None:
        """Make the disk that a folder is smaller, until so many bytes are left."""
        disk = os.statvfs(self.seen(folder))
        used = (disk.f_blocks - disk.f_bfree) * disk.f_frsize
        self.resize_disk(folder, used + left)

    def resize_disk(self, folder: Path, size: int) -> None:
        # With a source named it does not read options of old, such as a user whom only others know.
        self._mount("-o", f"remount,size={size}", "none", folder)

    def make_read_only(self, folder: Path) -> None:
        self._mount("--bind", folder, folder)
        self._mount("-o", "remount,bind,ro", folder)

    def make_writable(self, folder: Path) -> None:
        self._mount("-o", "remount,bind,rw", folder)

    def _mount(self, *arguments: str | Path) -> None:
        done = self.run(Path("/"), "mount", *arguments)
        assert done.returncode == 0, done.stderr
