"""One headless Chromium that opens page after page and says what it made of each, over the pipe of its DevTools."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
WIDTH, HEIGHT = 1280, 900  # pixels
_PATIENCE_S = 60.0
# Chromium reads commands from descriptor 3 and writes answers to 4; both are moved out of each other's way first.
_MOVED = (
    "import fcntl, os, sys; fds = [fcntl.fcntl(int(fd), fcntl.F_DUPFD, 20) for fd in sys.argv[1:3]]; "
    "[os.dup2(fd, place) for place, fd in zip((3, 4), fds)]; os.execv(sys.argv[3], sys.argv[3:])"
)
_FLAGS = (
    "headless", "no-sandbox", "disable-gpu", "hide-scrollbars", "no-first-run", "disable-background-networking",
    "disable-component-update", "disable-sync", "remote-debugging-pipe",
)  # fmt: skip
_LOOK = """(() => {
  const body = getComputedStyle(document.body);
  const outside = [...document.querySelectorAll('body *')].filter(item => {
    const box = item.getBoundingClientRect();
    return box.width > 0 && (box.right > innerWidth + 1 || box.left < -1 || item.scrollWidth > item.clientWidth + 1
      && getComputedStyle(item).display !== 'inline');
  });
  return {
    title: document.title, words: document.body.innerText, font: body.fontFamily, paper: body.backgroundColor,
    sheets: [...document.styleSheets].filter(sheet => sheet.href).length,
    images: [...document.images].map(image => ({source: image.getAttribute('src'), width: image.naturalWidth})),
    links: [...document.querySelectorAll('[href], [src]')].map(item => item.href || item.src),
    wide: document.scrollingElement.scrollWidth,
    outside: outside.map(item => `${item.tagName.toLowerCase()}.${item.className}: ${item.textContent.trim().slice(0, 60)}`),
  };
})()"""


@dataclass(frozen=True)
class Seen:
    """
    A page as it was shown, `WIDTH` pixels wide.

    page        title, words, font, paper (its background), sheets, images with their natural widths, links, width, and
                what does not fit: `outside` are elements that leave the window or need to be scrolled sideways
    complaints  what the console said, blocked or not found included
    """

    page: dict[str, Any]
    complaints: list[str]


class Browser:
    """A browser with one tab."""

    def __init__(self, profile: Path) -> None:
        commands, self._to = os.pipe()
        self._from, answers = os.pipe()
        chromium = [str(BROWSER), *(f"--{flag}" for flag in _FLAGS), f"--user-data-dir={profile}", "about:blank"]
        self._process = subprocess.Popen(
            [sys.executable, "-c", _MOVED, str(commands), str(answers), *chromium],
            pass_fds=(commands, answers), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(commands)
        os.close(answers)
        self._number, self._rest, self._events = 0, b"", list[dict[str, Any]]()
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = {"sessionId": self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]}
        for domain in ("Page", "Runtime", "Log", "Network", "Audits"):
            self._call(f"{domain}.enable")
        self._call("Emulation.setDeviceMetricsOverride", width=WIDTH, height=HEIGHT, deviceScaleFactor=1, mobile=False)

    def open(self, url: str) -> Seen:
        """Open a page, wait until everything of it is there, and look at it."""
        self._events.clear()
        failed = self._call("Page.navigate", url=url).get("errorText")
        assert not failed, f"{url}: {failed}"
        while not any(event["method"] == "Page.loadEventFired" for event in self._events):
            self._events.append(self._message())
        found = self._call("Runtime.evaluate", expression=_LOOK, returnByValue=True)["result"]["value"]
        sent = {event["params"]["requestId"]: event["params"]["request"]["url"]
                for event in self._events if event["method"] == "Network.requestWillBeSent"}  # fmt: skip
        return Seen(found, [said for event in self._events if (said := _complaint(event, sent))])

    def picture(self, file: Path) -> None:
        """Take a picture of the whole page that is open."""
        shot = self._call("Page.captureScreenshot", captureBeyondViewport=True)["data"]
        file.write_bytes(base64.b64decode(shot))

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._to)
        os.close(self._from)

    def _call(self, method: str, **params: Any) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": params, **getattr(self, "_session", {})}
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while (answer := self._message()).get("id") != self._number:
            self._events.append(answer)
        assert "error" not in answer, f"{method}: {answer['error']}"
        result: dict[str, Any] = answer["result"]
        return result

    def _message(self) -> dict[str, Any]:
        until = time.monotonic() + _PATIENCE_S
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._from], [], [], max(until - time.monotonic(), 0))
            assert ready, f"the browser says nothing for {_PATIENCE_S:g} s"
            more = os.read(self._from, 1 << 16)
            assert more, "the browser has ended"
            self._rest += more
        raw, _, self._rest = self._rest.partition(b"\0")
        message: dict[str, Any] = json.loads(raw)
        return message


def _complaint(event: dict[str, Any], sent: dict[str, str]) -> str | None:
    """Say what is wrong by an event, if anything is. For `/favicon.ico` browsers ask unasked: it is no part of a page."""
    about = event.get("params", {})
    match event.get("method"):
        case "Log.entryAdded" if not str(about["entry"].get("url")).endswith("/favicon.ico"):
            return f"{about['entry']['level']}: {about['entry']['text']}"
        case "Runtime.consoleAPICalled":
            return f"console: {about['args']}"
        case "Runtime.exceptionThrown":
            return f"exception: {about['exceptionDetails']['text']}"
        case "Network.loadingFailed" if not sent.get(about["requestId"], "/favicon.ico").endswith("/favicon.ico"):
            return f"not loaded: {sent[about['requestId']]}: {about['errorText']}"
        case "Audits.issueAdded" if about["issue"]["code"] == "ContentSecurityPolicyIssue":
            return f"policy: {about['issue']['details']}"
    return None
