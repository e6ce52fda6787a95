"""A real browser without a window: Chromium, spoken to in its DevTools protocol.

TEST_BROWSER names another one of its family than those that are looked for."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
)
START_S = 120.0
REPLY_S = 120.0


def find_browser() -> str | None:
    """The program of a browser, where there is one."""
    return os.environ.get("TEST_BROWSER") or next(filter(None, map(shutil.which, NAMES)), None)


class Page:
    """One tab. `messages` has what its console and its errors say, `asked` the addresses that it asked for."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.messages: list[str] = []
        self.asked: list[str] = []
        self._socket = socket
        self._last = 0
        self._loaded = ""  # the loader of the page that is there

    async def open(self, url: str, *, theme: str = "light", width: int = 1100) -> None:
        """Load an address and wait until it is there, as someone with that theme and that wide a window sees it."""
        await self.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": theme}])
        await self.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=False
        )
        loader = (await self.send("Page.navigate", url=url))["loaderId"]
        await self._load(loader)

    async def _load(self, loader: str | None = None) -> None:
        """Until what has been asked for is there: that one, and not a page which was on its way before."""
        async with asyncio.timeout(REPLY_S):
            while not self._loaded or (loader and loader != self._loaded):
                self._note(await self._receive())

    async def press(self, key: str) -> None:
        """A key, as a person strikes it."""
        text = {"Enter": "\r", "Tab": "", "Escape": ""}.get(key, key)
        code = {"Enter": 13, "Tab": 9, "Escape": 27}.get(key, ord(key[0].upper()))
        named = {"key": key, "windowsVirtualKeyCode": code, "text": text}
        await self.send("Input.dispatchKeyEvent", type="keyDown", **named)
        await self.send("Input.dispatchKeyEvent", type="keyUp", **named)

    async def press_and_load(self, key: str) -> None:
        """A key that leads to another page, and wait until that is there."""
        self._loaded = ""
        await self.press(key)
        await self._load()

    async def click_and_load(self, selector: str) -> None:
        """A click of the mouse on the element, and wait until the page is there that it leads to."""
        root = (await self.send("DOM.getDocument"))["root"]["nodeId"]
        node = (await self.send("DOM.querySelector", nodeId=root, selector=selector))["nodeId"]
        await self.send("DOM.scrollIntoViewIfNeeded", nodeId=node)
        box = (await self.send("DOM.getBoxModel", nodeId=node))["model"]["content"]
        at = {"x": (box[0] + box[4]) / 2, "y": (box[1] + box[5]) / 2, "button": "left", "clickCount": 1}
        self._loaded = ""
        await self.send("Input.dispatchMouseEvent", type="mousePressed", **at)
        await self.send("Input.dispatchMouseEvent", type="mouseReleased", **at)
        await self._load()

    async def type(self, text: str) -> None:
        """A text into what has the focus."""
        await self.send("Input.insertText", text=text)

    async def until(self, expression: str) -> None:
        """Wait until a JavaScript expression is true; looked at with each frame that is drawn."""
        seen = f"const look = () => ({expression}) ? done() : requestAnimationFrame(look)"
        async with asyncio.timeout(REPLY_S):
            await self.evaluate(f"new Promise(done => {{ {seen}; look(); }})")

    async def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression."""
        reply = await self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in reply, reply
        return reply["result"].get("value")

    async def photograph(self, file: Path) -> None:
        """The whole page as a PNG."""
        height = await self.evaluate("Math.ceil(document.documentElement.getBoundingClientRect().height)")
        clip = {"x": 0, "y": 0, "width": await self.evaluate("innerWidth"), "height": height, "scale": 1}
        reply = await self.send("Page.captureScreenshot", clip=clip, captureBeyondViewport=True)
        file.write_bytes(base64.b64decode(reply["data"]))

    async def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._last += 1
        await self._socket.send_json({"id": self._last, "method": method, "params": parameters})
        async with asyncio.timeout(REPLY_S):
            while True:
                message = await self._receive()
                if message.get("id") == self._last:
                    assert "error" not in message, message
                    return message["result"]
                self._note(message)

    async def _receive(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads((await self._socket.receive()).data)
        return message

    def _note(self, message: dict[str, Any]) -> None:
        facts = message.get("params", {})
        match message.get("method"):
            case "Runtime.consoleAPICalled" | "Runtime.exceptionThrown":
                self.messages.append(json.dumps(facts))
            case "Log.entryAdded":
                self.messages.append(facts["entry"]["text"])
            case "Page.lifecycleEvent" if facts["name"] == "load":
                self._loaded = facts["loaderId"]
            case "Network.requestWillBeSent":
                self.asked.append(facts["request"]["url"])


@asynccontextmanager
async def browsing(program: str) -> AsyncIterator[Page]:
    """A tab of a browser that ends with the block."""
    with tempfile.TemporaryDirectory(prefix="connector-browser-", ignore_cleanup_errors=True) as folder:
        process = await asyncio.create_subprocess_exec(
            program,
            *FLAGS,
            f"--user-data-dir={folder}",
            "about:blank",
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            async with aiohttp.ClientSession() as session:
                async with session.ws_connect(await _tab(session, Path(folder)), max_msg_size=0) as socket:
                    page = Page(socket)
                    for domain in ("Page", "Runtime", "Log", "Network"):
                        await page.send(f"{domain}.enable")
                    await page.send("Page.setLifecycleEventsEnabled", enabled=True)
                    yield page
        finally:
            process.terminate()
            await asyncio.wait_for(process.wait(), timeout=120)


async def _tab(session: aiohttp.ClientSession, folder: Path) -> str:
    """Where the first tab listens, once the browser has written down its port."""
    async with asyncio.timeout(START_S):
        while True:
            try:
                port = (folder / "DevToolsActivePort").read_text().split()[0]
                async with session.get(f"http://127.0.0.1:{port}/json/list") as reply:
                    return next(
                        target["webSocketDebuggerUrl"] for target in await reply.json() if target["type"] == "page"
                    )
            except (OSError, IndexError, StopIteration, aiohttp.ClientError):
                await asyncio.sleep(0.1)
