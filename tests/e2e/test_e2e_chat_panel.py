"""The chat panel of the watch page: two users and a moderator in real browsers, and a chat that is very busy."""

import asyncio
import itertools
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

import aiohttp
import pytest
from playwright.async_api import Browser, Locator, Page, Route, WebSocketRoute, expect

from tests.e2e.e2e_node import Channel, Node
from tests.e2e.e2e_pages import BUILT, CHROMIUM
from tests.e2e.test_e2e_chat import chatter, joined
from tests.e2e.test_e2e_moderation import act
from tests.e2e.test_e2e_player import assert_accessible

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.browser,
    pytest.mark.skipif(
        not BUILT.exists() or not Path(CHROMIUM).exists(),
        reason="needs the built pages and Chromium",
    ),
]
_names = itertools.count()


class User(NamedTuple):
    """Somebody with a token."""

    name: str
    token: str


async def user(node: Node) -> User:
    """A new user."""
    operator = (node.data / "keys" / "operator.token").read_text(encoding="utf-8").strip()
    name = f"person{next(_names)}"
    async with aiohttp.ClientSession() as session:
        headers = {"Authorization": f"Bearer {operator}"}
        async with session.post(f"{node.api}/users", json={"username": name}, headers=headers) as answer:
            made = await answer.json()
            assert answer.status == 201, made
            return User(name, made["token"])


async def open_chat(browser: Browser, site: str, path: str, token: str = "", **context: Any) -> Page:
    """A page whose chat is connected, signed in where there is a token."""
    made = await browser.new_context(viewport=context.pop("viewport", {"width": 1024, "height": 640}), **context)
    page = await made.new_page()
    if token:
        await page.add_init_script(f"localStorage.setItem('nearcast.chat-token', '{token}')")
    await page.goto(f"{site}{path}", wait_until="domcontentloaded")
    await page.get_by_test_id("chat-input" if token else "chat").wait_for()
    return page


def line(page: Page, text: str) -> Locator:
    """A message in the list."""
    return page.get_by_test_id("chat-message").filter(has_text=text)


async def write(page: Page, text: str) -> None:
    await page.get_by_test_id("chat-input").fill(text)
    await expect(page.get_by_test_id("chat-send")).to_be_enabled()
    await page.get_by_test_id("chat-input").press("Enter")


async def choose(page: Page, text: str, item: str) -> None:
    """Opens the menu of a message by keyboard and chooses from it."""
    await line(page, text).last.focus()
    await page.keyboard.press("Enter")
    await page.get_by_role("menuitem", name=item, exact=True).click()
    await page.keyboard.press("End")  # while a message has the focus the list stays where it is


async def test_reply_emote_mention_and_moderation(node: Node, browser: Browser) -> None:
    channel = await asyncio.to_thread(node.channel, "panel")
    guest = await user(node)
    await act(node, channel, action="emote", text="adaWave")
    owner = await open_chat(browser, node.web, f"/{channel.name}", channel.token)
    viewer = await open_chat(browser, node.web, f"/embed/{channel.name}/chat", guest.token)
    await _talk(owner, viewer, channel)
    await choose(owner, "first of mine", "Pin")
    await expect(viewer.get_by_test_id("chat-pin")).to_contain_text("first of mine")
    await assert_accessible(owner, "the watch page as its owner")
    await write(viewer, "rude")
    await choose(owner, "rude", "Delete")
    await expect(viewer.get_by_test_id("chat-gone")).to_have_text(f"A message of {guest.name} was removed")
    await expect(line(viewer, "rude")).to_have_count(0)
    await choose(owner, "first of mine", "Time out 10 minutes")
    await expect(viewer.get_by_test_id("chat-wait")).to_contain_text("You are timed out")
    await expect(viewer.get_by_test_id("chat-wait")).to_contain_text("9:5")
    await owner.get_by_test_id("chat-toast").get_by_role("button", name="Undo").click()
    await expect(viewer.get_by_test_id("chat-wait")).to_have_count(0)
    await write(viewer, "I may again")
    await expect(line(owner, "I may again")).to_be_visible()
    await choose(owner, "I may again", "Ban")
    await expect(viewer.get_by_text("You are banned from this chat.")).to_be_visible()


async def _talk(owner: Page, viewer: Page, channel: Channel) -> None:
    """A message with an emote, and an answer that names its author."""
    await write(viewer, "first of mine")
    await viewer.get_by_test_id("chat-input").press_sequentially(":adaw")
    suggested = viewer.get_by_test_id("chat-suggestions").get_by_role("option").first
    await suggested.wait_for()
    await viewer.keyboard.press("Tab")
    await viewer.get_by_test_id("chat-input").press_sequentially(f"is that you @{channel.name[:3]}")
    await suggested.wait_for()
    await viewer.keyboard.press("Tab")
    await viewer.keyboard.press("Enter")
    told = line(owner, "is that you")
    await expect(told.get_by_role("img", name="adaWave")).to_be_visible()
    await expect(told).to_have_attribute("data-mentions", "true")
    await expect(told.locator(".mention.own")).to_have_text(f"@{channel.name}")
    await choose(owner, "is that you", "Reply")
    await expect(owner.get_by_test_id("chat-replying")).to_contain_text("is that you")
    await write(owner, "yes, it is")
    answer = line(viewer, "yes, it is")
    await expect(answer.locator(".chat-parent")).to_contain_text("is that you")
    await expect(answer.get_by_text("Broadcaster")).to_be_attached()
    await expect(viewer.get_by_test_id("chat-pending")).to_have_count(0)


async def test_modes_review_and_drafts(node: Node, browser: Browser) -> None:
    channel = await asyncio.to_thread(node.channel, "panel")
    guest = await user(node)
    owner = await open_chat(browser, node.web, f"/{channel.name}", channel.token)
    viewer = await open_chat(browser, node.web, f"/{channel.name}", guest.token)
    await act(node, channel, action="block", text="kraken")
    await owner.get_by_test_id("chat-moderation").click()
    sheet = owner.get_by_test_id("chat-moderation-sheet")
    await sheet.get_by_test_id("mode-hold").click()
    await write(viewer, "release the kraken")
    await expect(viewer.get_by_test_id("chat-pending")).to_contain_text("A moderator looks at it")
    await expect(sheet.get_by_test_id("chat-held")).to_contain_text("release the kraken")
    await sheet.get_by_role("button", name="Approve").click()
    await expect(line(viewer, "release the kraken")).to_be_visible()
    await expect(viewer.get_by_test_id("chat-pending")).to_have_count(0)
    await sheet.get_by_label("Slow mode").select_option("30")
    await expect(viewer.get_by_test_id("chat-modes")).to_have_text("Slow mode", use_inner_text=True)
    await write(viewer, "slowly")
    await expect(viewer.get_by_test_id("chat-wait")).to_contain_text("Slow mode: you can write again in 2")
    await viewer.get_by_test_id("chat-input").fill("for later 🎉")
    await viewer.reload()
    await expect(viewer.get_by_test_id("chat-input")).to_have_value("for later 🎉")
    await viewer.get_by_test_id("chat-input").fill("🎉" * 450)
    await expect(viewer.get_by_test_id("chat-length")).to_have_text("450/500")


async def test_reading_back_while_others_write(node: Node, browser: Browser) -> None:
    channel = await asyncio.to_thread(node.channel, "panel")
    async with chatter(node, f"/chat/{channel.name}", channel.token) as writer:
        await joined(writer)
        for number in range(90):
            await writer.say(f"message {number}", f"n{number}")
        page = await open_chat(browser, node.web, f"/embed/{channel.name}/chat")
        newest = page.get_by_test_id("chat-message").last
        await expect(newest).to_contain_text("message 89")
        before = await page.get_by_test_id("chat-message").count()
        await page.get_by_test_id("chat-list").hover()
        await page.mouse.wheel(0, -600)
        await page.wait_for_function("() => document.querySelector('.chat-list').scrollHeight > 2000")
        await expect(line(page, "message 60")).to_be_in_viewport()  # older ones came, and did not move the reader
        await writer.say("while you read", "later")
        await expect(page.get_by_test_id("chat-unseen")).to_have_text("1 new message")
        await page.mouse.wheel(0, -20_000)
        await expect(line(page, "message 0").first).to_be_in_viewport()
        assert await page.get_by_test_id("chat-message").count() <= max(before, 60), "all lines are in the page"
        await page.get_by_test_id("chat-unseen").click()
        await expect(line(page, "while you read")).to_be_in_viewport()
        await page.get_by_test_id("chat-list").focus()
        for key, focused in (("ArrowUp", "while you read"), ("ArrowUp", "message 89"), ("Home", "message 0")):
            await page.keyboard.press(key)
            await expect(page.locator("li:focus")).to_contain_text(focused)
    print(f"{before} of 90 lines in the page at the end")


async def test_a_lost_connection_loses_nothing(node: Node, browser: Browser) -> None:
    context = await browser.new_context(viewport={"width": 340, "height": 500})
    page = await context.new_page()
    await page.add_init_script("localStorage.setItem('nearcast.chat-token', 'nct_one')")
    gateway = Flaky()
    await page.route_web_socket("**/chat/*/subscribe*", gateway.answer)
    await page.route("**/chat/*/chat?*", gateway.history)
    await page.goto(f"{node.web}/embed/somebody/chat", wait_until="domcontentloaded")
    await write(page, "keep this")
    await expect(page.get_by_test_id("chat-pending")).to_contain_text("Sending")
    await expect(line(page, "keep this")).to_be_visible()
    await expect(page.get_by_test_id("chat-pending")).to_have_count(0)
    assert len(gateway.nonces) == 2, gateway.nonces
    assert len(set(gateway.nonces)) == 1, "it went out with another nonce"
    texts = await page.get_by_test_id("chat-message").all_inner_texts()
    assert [text.rpartition(" ")[2] for text in texts] == ["before", "missed", "this"]


class Flaky:
    """A gateway that loses a connection as soon as something is said, and cannot keep what was said meanwhile."""

    def __init__(self) -> None:
        self.nonces: list[str] = []
        self._closing: asyncio.Future[None] | None = None

    def answer(self, route: WebSocketRoute) -> None:
        """Takes a connection."""
        me = {"user_id": "me", "username": "mira", "badges": [], "moderator": False}
        hello = {"type": "hello", "position": "1-0", "user": me, "modes": {}}
        _send(route, hello)
        if not self.nonces:
            _send(route, {"type": "messages", "position": "2-0", "messages": [_message("m1", "before")]})
        else:
            _send(route, {"type": "gap", "after": "2-0", "before": "4-0"})
        route.on_message(lambda text: self._said(route, json.loads(text)))

    def _said(self, route: WebSocketRoute, frame: dict[str, Any]) -> None:
        if frame["type"] != "message":
            return
        self.nonces.append(frame["nonce"])
        if len(self.nonces) == 1:
            self._closing = asyncio.ensure_future(route.close(code=1012))
            return
        ack = {"type": "ack", "nonce": frame["nonce"], "message_id": "m3", "timestamp": 1}
        _send(route, ack)
        _send(route, {"type": "messages", "position": "4-0", "messages": [_message("m3", frame["message"])]})

    async def history(self, route: Route) -> None:
        """What the log still has of the gap."""
        assert "after=2-0&before=4-0" in route.request.url
        body = {"messages": [_message("m2", "missed")], "position": "3-0", "before": "3-0"}
        await route.fulfill(json=body)


def _send(route: WebSocketRoute, frame: dict[str, Any]) -> None:
    route.send(json.dumps(frame))


def _message(message_id: str, text: str) -> dict[str, Any]:
    return {"message_id": message_id, "user_id": "me", "username": "mira", "timestamp": 1, "message": text}


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["dark", "light"])
async def test_every_part_is_accessible(node: Node, browser: Browser, scheme: Literal["dark", "light"]) -> None:
    channel = await asyncio.to_thread(node.channel, "panel")
    guest = await user(node)
    async with chatter(node, f"/chat/{channel.name}", guest.token) as writer:
        await joined(writer)
        said = await writer.say("look at https://example.org, @nobody", "n1")
        await act(node, channel, action="pin", message_id=said["message_id"])
        await act(node, channel, action="emote", text="adaWave")
        await act(node, channel, action="slow", value=30)
        guests = await open_chat(browser, node.web, f"/embed/{channel.name}/chat", color_scheme=scheme)
        await guests.get_by_test_id("chat-message").wait_for()
        await assert_accessible(guests, "a guest in a frame")
        phone = {"width": 320, "height": 640}
        page = await open_chat(
            browser, node.web, f"/{channel.name}", channel.token, viewport=phone, color_scheme=scheme
        )
        await act(node, channel, action="announce", text="soon")
        await page.get_by_text("soon").wait_for()
        width = await page.evaluate("() => document.documentElement.scrollWidth")
        assert width == phone["width"], "the page is wider than the screen"
        await line(page, "look at").focus()
        await page.keyboard.press("Enter")
        await page.get_by_test_id("chat-menu").wait_for()
        await assert_accessible(page, "the menu of a message")
        await page.keyboard.press("Escape")
        await expect(page.locator("li:focus")).to_contain_text("look at")
        await _sheets_are_accessible(page, guest)
        await page.get_by_test_id("chat-fold").click()
        await expect(page.get_by_test_id("chat-input")).to_have_count(0)
        await assert_accessible(page, "folded away")


async def _sheets_are_accessible(page: Page, guest: User) -> None:
    """Everything that opens over the messages."""
    await page.get_by_test_id("chat-input").fill("/")
    await page.get_by_test_id("chat-suggestions").wait_for()
    await assert_accessible(page, "commands")
    await page.get_by_test_id("chat-input").fill("")
    await page.get_by_test_id("chat-emotes").click()
    await page.get_by_test_id("chat-picker").wait_for()
    await assert_accessible(page, "the picker")
    await page.keyboard.press("Escape")
    await page.get_by_test_id("chat-moderation").click()
    await assert_accessible(page, "moderation")
    await page.keyboard.press("Escape")
    await page.get_by_test_id("chat-people").click()
    await page.get_by_test_id("chat-people-sheet").get_by_text(guest.name).click()
    await page.get_by_test_id("chat-card").wait_for()
    await assert_accessible(page, "the card of a person")
    await page.keyboard.press("Escape")
    await page.get_by_test_id("chat-people-sheet").get_by_role("button", name="Close").click()


@pytest.mark.slow
async def test_a_raid_takes_its_viewers_along(node: Node, browser: Browser) -> None:
    source = await asyncio.to_thread(node.channel, "panel")
    target = await asyncio.to_thread(node.channel, "panel")
    goes, stays, hurries, owner = [
        await open_chat(browser, node.web, f"{path}{source.name}", token, viewport={"width": 500, "height": 700})
        for path, token in (("/", ""), ("/", ""), ("/", ""), ("/", source.token))
    ]
    await goes.wait_for_timeout(500)
    await act(node, source, action="raid", target=target.name)
    await stays.get_by_test_id("chat-raid").get_by_role("button", name="Stay here").click()
    await assert_accessible(goes, "a raid")
    await hurries.get_by_test_id("chat-raid").get_by_role("button", name="Go there now").click()
    await hurries.wait_for_url(f"**/{target.name}")
    await expect(owner.get_by_test_id("chat-raid")).to_contain_text(target.name)
    await goes.wait_for_url(f"**/{target.name}", timeout=20_000)
    assert [page.url.rpartition("/")[2] for page in (stays, owner)] == [source.name, source.name]


LONG_TASKS = """() => {
  window.longest = 0;
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) window.longest = Math.max(window.longest, entry.duration);
  }).observe({ type: "longtask", buffered: false });
}"""


def crowd(seconds: float, per_s: int) -> Callable[[WebSocketRoute], None]:
    """A gateway that says hello, and then so many messages each second, twenty frames of them."""

    async def speak(route: WebSocketRoute) -> None:
        hello = {"type": "hello", "position": "1-0", "user": None, "modes": {}, "stream_id": "", "channel": "x"}
        route.send(json.dumps(hello))
        for frame in range(int(seconds * 20)):
            said = [_said(frame * per_s // 20 + one) for one in range(per_s // 20)]
            route.send(json.dumps({"type": "messages", "position": f"{frame + 2}-0", "messages": said}))
            await asyncio.sleep(1 / 20)

    tasks: set[asyncio.Task[None]] = set()

    def answer(route: WebSocketRoute) -> None:
        task = asyncio.get_running_loop().create_task(speak(route))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    return answer


def _said(number: int) -> dict[str, Any]:
    text = f"message {number} for @person{number % 7} " + "and more words " * (number % 9) + "adaWave"
    return {
        "message_id": f"m{number}", "user_id": f"u{number % 300}", "username": f"person{number % 300}",
        "timestamp": int(time.time() * 1000), "message": text, "badges": ["subscriber/1/3"] if number % 3 else [],
        "emotes": [{"name": "adaWave", "start": len(text) - 7, "end": len(text)}],
    }  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [20.0])
async def test_two_hundred_messages_a_second(node: Node, browser: Browser, seconds: float) -> None:
    channel = await asyncio.to_thread(node.channel, "panel")
    context = await browser.new_context(viewport={"width": 1280, "height": 800})
    page = await context.new_page()
    await page.route_web_socket("**/chat/*/subscribe*", crowd(seconds, 200))
    await page.goto(f"{node.web}/{channel.name}", wait_until="domcontentloaded")
    await page.get_by_test_id("chat-message").first.wait_for()
    await page.evaluate(LONG_TASKS)
    rows, began = 0, time.monotonic()
    last = f"message {int(seconds * 20) * 10 - 1} "
    while not await line(page, last).count():
        rows = max(rows, await page.locator(".chat-list li").count())
        assert time.monotonic() - began < seconds + 20
        await asyncio.sleep(0.5)
    await expect(line(page, last)).to_be_in_viewport()
    took, longest = time.monotonic() - began, await page.evaluate("() => window.longest")
    print(f"{seconds * 200:.0f} messages in {took:.1f} s, at most {rows} rows, longest task {longest:.0f} ms")
    assert 10 < rows < 90
