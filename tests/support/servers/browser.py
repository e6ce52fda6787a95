"""A real browser without a window: Chromium, spoken to in its DevTools protocol.

TEST_BROWSER names another one of its family than those that are looked for."""

from __future__ import annotations

import asyncio
import base64
import contextlib
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
        await self.look(theme=theme, width=width)
        loader = (await self.send("Page.navigate", url=url))["loaderId"]
        await self._load(loader)

    async def look(self, *, theme: str, width: int) -> None:
        """What is there is seen with that theme, in a window of that width, from now on."""
        await self.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": theme}])
        await self.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=False
        )

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


class Browser:
    """One that runs, whose tabs are of different people."""

    def __init__(self, session: aiohttp.ClientSession, address: str, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._session = session
        self._address = address
        self._whole = Page(socket)  # which speaks of the browser, and not of one tab

    @asynccontextmanager
    async def tab(self) -> AsyncIterator[Page]:
        """A tab of somebody who was never here; it ends with the block."""
        context = (await self._whole.send("Target.createBrowserContext"))["browserContextId"]
        made = await self._whole.send("Target.createTarget", url="about:blank", browserContextId=context)
        async with self._session.ws_connect(f"{self._address}/devtools/page/{made['targetId']}", max_msg_size=0) as own:
            page = Page(own)
            for domain in ("Page", "Runtime", "Log", "Network"):
                await page.send(f"{domain}.enable")
            await page.send("Page.setLifecycleEventsEnabled", enabled=True)
            yield page
        await self._whole.send("Target.disposeBrowserContext", browserContextId=context)


@asynccontextmanager
async def browsing(program: str) -> AsyncIterator[Browser]:
    """A browser that ends with the block."""
    with tempfile.TemporaryDirectory(prefix="connector-browser-", ignore_cleanup_errors=True) as folder:
        process = await asyncio.create_subprocess_exec(
            program,
            *FLAGS,
            f"--user-data-dir={folder}",
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            port, path = await _read_address(Path(folder))
            address = f"ws://127.0.0.1:{port}"
            async with aiohttp.ClientSession() as session:
                async with session.ws_connect(address + path, max_msg_size=0) as socket:
                    yield Browser(session, address, socket)
        finally:
            process.terminate()
            await asyncio.wait_for(process.wait(), timeout=120)


async def _read_address(folder: Path) -> tuple[str, str]:
    """The port at which it listens, and its own path there, once it has written them down."""
    async with asyncio.timeout(START_S):
        while True:
            with contextlib.suppress(FileNotFoundError):
                lines = (folder / "DevToolsActivePort").read_text().split()
                if len(lines) == 2:
                    return lines[0], lines[1]
            await asyncio.sleep(0.1)
