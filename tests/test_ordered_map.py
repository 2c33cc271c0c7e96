"""Results come in the items' order, and a process that dies costs its own work alone."""

import os
import signal
from collections.abc import Iterator
from functools import partial
from operator import neg
from pathlib import Path

import pytest

from wenmo.core.cluster import VARIABLE
from wenmo.core.errors import UserError, WrongArgumentsError
from wenmo.core.ordered_map import DEATHS, ordered_map


@pytest.mark.parametrize("count", [0, 1, 2, 100])
@pytest.mark.parametrize("processes", [1, 3])
def test_any_number_of_processes_gives_the_results_in_order(count: int, processes: int) -> None:
    assert list(ordered_map(neg, range(count), processes)) == [-item for item in range(count)]


def test_few_items_are_read_before_the_first_result() -> None:
    read = list[int]()

    def items() -> Iterator[int]:
        for item in range(100):
            read.append(item)
            yield item

    next(ordered_map(neg, items(), processes=2))
    assert len(read) < 10


def dies_at(marks: Path, fatal: tuple[int, ...], item: int) -> int:
    """Kills its process the first time that it gets one of some items."""
    mark = marks / str(item)
    if item in fatal and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return -item


def dies(item: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return item


@pytest.mark.parametrize("fatal", [(0,), (7,), (0, 1, 2, 3, 4, 5), (3, 30, 60, 98, 99)])
def test_work_of_a_process_that_died_is_done_again(tmp_path: Path, fatal: tuple[int, ...]) -> None:
    function = partial(dies_at, tmp_path, fatal)
    assert list(ordered_map(function, range(100), processes=2)) == [-item for item in range(100)]
    assert sorted(int(mark.name) for mark in tmp_path.iterdir()) == [*fatal]


def test_an_item_that_ends_every_process_is_told_with_the_way_out() -> None:
    with pytest.raises(UserError, match=rf"outside {DEATHS + 1} times.*; set prepare\.processes"):
        list(ordered_map(dies, range(10), processes=2))


@pytest.mark.parametrize(
    "address", ["cluster", "ray://head", "head:", ":6379", "a b:1", "http://a:1"]
)
def test_a_wrong_address_is_named_with_those_that_are_allowed(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, address)
    with pytest.raises(WrongArgumentsError, match=rf"{VARIABLE} is '{address}'; allowed are auto,"):
        list(ordered_map(neg, range(2)))


def test_a_missing_ray_is_told_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(VARIABLE, "auto")
    monkeypatch.setattr("wenmo.core.cluster.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"Ray is not installed: `pip install -e '\.\[cluster\]'`"):
        list(ordered_map(neg, range(2)))
