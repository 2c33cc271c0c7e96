"""Iterators in threads of their own: all items, errors, and no thread left after reading stops."""

from collections.abc import Iterator
from threading import Barrier, Event, active_count

import pytest

from wenmo.engines.threads import run_in_threads


def counting(halted: Event) -> Iterator[int]:
    """Counts until `halted` is set."""
    number = 0
    while not halted.is_set():
        yield number
        number += 1


def test_every_item_comes_and_each_iterator_keeps_its_order() -> None:
    items = list(run_in_threads([iter(range(0, 100)), iter(range(100, 250)), iter([])], Event()))
    assert sorted(items) == list(range(250))
    assert [item for item in items if item < 100] == list(range(100))


def test_iterators_work_at_the_same_time() -> None:
    together = Barrier(2, timeout=60)

    def meeting(name: str) -> Iterator[str]:
        together.wait()
        yield name

    assert sorted(run_in_threads([meeting("one"), meeting("other")], Event())) == ["one", "other"]


def test_an_error_ends_all_and_is_raised_where_items_are_read() -> None:
    halted, before = Event(), active_count()

    def failing() -> Iterator[int]:
        yield 1
        raise ValueError("the disk is full")

    with pytest.raises(ValueError, match="the disk is full"):
        list(run_in_threads([failing(), counting(halted)], halted))
    assert active_count() == before


def test_no_thread_is_left_after_reading_stops() -> None:
    halted, before = Event(), active_count()
    items = run_in_threads([counting(halted), counting(halted)], halted)
    assert next(items) == 0
    items.close()
    assert active_count() == before
