"""The page's queue among clients that ask for more texts than they read, by Gradio's own routes."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import gradio as gr
import httpx
import pytest

from wenmo.tools.writing.web_page import MAX_WRITING
from wenmo.tools.writing.web_queue import MAX_OF_CLIENT, MAX_WAITING, SharedQueue

SECONDS = 20
"""Longest wait for what happens at once on an idle machine."""

Messages = list[dict[str, Any]]


class Page:
    """A page with one text field, whose texts are written once `may_end` is set."""

    def __init__(self) -> None:
        self.may_end = asyncio.Event()
        with gr.Blocks() as blocks:
            typed = gr.Textbox()
            typed.submit(self._write, typed, typed, concurrency_id="write")
        self.queue = blocks._queue = SharedQueue(blocks, MAX_WRITING)
        self.app = gr.routes.App.create_app(blocks)

    async def _write(self, typed: str) -> str:
        await self.may_end.wait()
        return typed

    async def join(self, session: str, client: str = "192.0.2.1") -> httpx.Response:
        """Ask for a text."""
        body = {"data": ["雪"], "fn_index": 0, "session_hash": session}
        async with self._client(client) as http:
            return await http.post("/gradio_api/queue/join", json=body)

    async def cancel(self, session: str, event: str) -> None:
        body = {"session_hash": session, "fn_index": 0, "event_id": event}
        async with self._client() as http:
            await http.post("/gradio_api/cancel", json=body)

    async def read(self, session: str) -> Messages:
        """The messages to a browser up to the last one."""
        async with self._client() as http:
            path = f"/gradio_api/queue/data?session_hash={session}"
            lines = (await http.get(path, timeout=None)).text.splitlines()
        return [json.loads(line[len("data: ") :]) for line in lines if line.startswith("data: ")]

    async def ask(self, session: str, client: str = "192.0.2.1") -> asyncio.Task[Messages]:
        """Ask for a text as an honest browser does, and wait until it is in the queue."""
        assert (await self.join(session, client)).status_code == 200
        reading = asyncio.create_task(self.read(session))
        await until(lambda: any(each.session_hash == session for each in self.placed()))
        return reading

    def placed(self) -> list[Any]:
        """The texts that wait or are written."""
        return [*self.queue._waiting(), *self.queue._writing()]

    def _client(self, address: str = "192.0.2.1") -> httpx.AsyncClient:
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False, client=(address, 1))
        return httpx.AsyncClient(transport=transport, base_url="http://localhost")


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(SECONDS):
        while not condition():
            await asyncio.sleep(0.001)


@asynccontextmanager
async def opened() -> AsyncIterator[Page]:
    page = Page()
    page.queue.start()
    try:
        async with asyncio.timeout(3 * SECONDS):
            yield page
    finally:
        page.queue.close()


def was_written(messages: Messages) -> bool:
    return [each["msg"] for each in messages[-2:]] == ["process_completed", "close_stream"]


def was_dropped(messages: Messages) -> bool:
    return bool(messages[-1].get("session_not_found"))


async def drop(page: Page, session: str) -> None:
    """Let a text that nobody has begun to read give way to later ones of its client."""
    for name in (session, *(f"later{number}" for number in range(MAX_OF_CLIENT))):
        assert (await page.join(name)).status_code == 200


def test_a_flood_of_texts_takes_no_browser_its_messages() -> None:
    async def go() -> None:
        async with opened() as page:
            honest = [
                await page.ask(f"honest{number}", f"192.0.2.{number}")
                for number in range(2 * MAX_WRITING)
            ]
            for number in range(300):
                assert (await page.join(f"flood{number}", "198.51.100.1")).status_code == 200
            page.may_end.set()
            assert all([was_written(await reading) for reading in honest])
            assert len(page.queue.pending_messages_per_session) < 2 * MAX_OF_CLIENT

    asyncio.run(go())


def test_a_browser_that_comes_too_late_is_told_and_may_ask_again() -> None:
    async def go() -> None:
        async with opened() as page:
            await drop(page, "late")
            assert was_dropped(await page.read("late"))
            again = await page.ask("late")
            page.may_end.set()
            assert was_written(await again)

    asyncio.run(go())


@pytest.mark.parametrize("way", ["dropped", "left"])
def test_a_browser_may_ask_again_before_it_knows_that_its_text_has_ended(way: str) -> None:
    async def go() -> None:
        async with opened() as page:
            if way == "dropped":
                await drop(page, "hasty")
            else:
                left = await page.ask("hasty")
                left.cancel()
                await asyncio.wait([left])
            again = await page.ask("hasty")
            page.may_end.set()
            assert was_written(await again)

    asyncio.run(go())


def test_cancelled_texts_leave_nothing_behind() -> None:
    async def go() -> None:
        async with opened() as page:
            for _ in range(100):
                joined = await page.join("fickle")
                await page.cancel("fickle", joined.json()["event_id"])
            assert not page.queue.event_ids_to_events
            assert was_written(await page.read("fickle"))

    asyncio.run(go())


def test_clients_that_fill_the_queue_make_way_for_others() -> None:
    async def go() -> None:
        async with opened() as page:
            greedy = [
                await page.ask(f"greedy{number}-{text}", f"198.51.100.{number}")
                for number in range(4)
                for text in range(MAX_OF_CLIENT)
                if len(page.placed()) < MAX_WAITING + MAX_WRITING
            ]
            assert (await page.join("one more", "198.51.100.0")).status_code == 503
            honest = [
                await page.ask(f"honest{number}", f"192.0.2.{number}") for number in range(20)
            ]
            page.may_end.set()
            assert all([was_written(await reading) for reading in honest])
            ended = [await reading for reading in greedy]
            assert sum(map(was_dropped, ended)) == len(honest)
            assert sum(map(was_written, ended)) == len(greedy) - len(honest)

    asyncio.run(go())
