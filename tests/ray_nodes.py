"""Nodes of a Ray cluster on loopback, each with an object store of its own."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.server_process import free_port

if TYPE_CHECKING:
    from ray.cluster_utils import Cluster

# Ray reads them when it is imported: no message to its makers, and no node beyond the loopback.
os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}

NODE = {"num_cpus": 1, "object_store_memory": 80 * 2**20}


@dataclass
class Nodes:
    """A head and two more nodes, and the two addresses of the head."""

    cluster: "Cluster"
    address: str
    client: str

    def kill_one(self) -> None:
        """End a node at once, and start another."""
        self.cluster.remove_node(min(self.cluster.worker_nodes, key=id), allow_graceful=False)
        self.cluster.add_node(**NODE)


@contextmanager
def ray_nodes(head_cores: int = 1) -> Iterator[Nodes]:
    """A head, two more nodes of one core each, and the two addresses of the head."""
    cluster_utils = pytest.importorskip("ray.cluster_utils")
    port = free_port()
    head = NODE | {"num_cpus": head_cores, "include_dashboard": False}
    cluster = cluster_utils.Cluster(
        initialize_head=True, head_node_args=head | {"ray_client_server_port": port}
    )
    for _ in range(2):
        cluster.add_node(**NODE)
    yield Nodes(cluster, cluster.address, f"ray://127.0.0.1:{port}")
    cluster.shutdown()
