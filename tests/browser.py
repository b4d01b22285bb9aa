"""A real Chromium by the W3C WebDriver protocol: chromedriver is asked over HTTP, no package is between."""

from __future__ import annotations

import base64
import http.client
import json
import os
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
CHROMIUM, DRIVER = (shutil.which("chromium") or shutil.which("google-chrome"), shutil.which("chromedriver"))


class Browser:
    """One session of a headless Chromium; what it asked of the network is in `hosts`."""

    def __init__(self, downloads: Path) -> None:
        assert CHROMIUM and DRIVER
        self.driver = subprocess.Popen([DRIVER, "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self.driver.stdout is not None
        found = next(m for line in self.driver.stdout if (m := re.search(r"successfully on port (\d+)", line)))
        self.connection = http.client.HTTPConnection("127.0.0.1", int(found[1]), timeout=60)
        arguments = ["--headless=new", "--disable-gpu", "--window-size=1280,900", "--hide-scrollbars", "--no-first-run",
                     "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage"]  # fmt: skip
        options = {"binary": CHROMIUM, "args": arguments + ["--no-sandbox"] * (os.geteuid() == 0),
                   "prefs": {"download.default_directory": str(downloads)}}  # fmt: skip
        wanted = {"browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"performance": "ALL", "browser": "ALL"}}
        self.session = ""
        self.session = "/session/" + self.ask("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})["sessionId"]

    def ask(self, method: str, path: str, data: Any = None) -> Any:
        """One command. Raises AssertionError with what the browser says is wrong."""
        body = None if method == "GET" else json.dumps(data or {})
        self.connection.request(method, self.session + path, body, {"Content-Type": "application/json"})
        response = self.connection.getresponse()
        value = json.loads(response.read())["value"]
        assert response.status == 200, value
        return value

    def open(self, url: str) -> None:
        """Go there."""
        self.ask("POST", "/url", {"url": url})

    def run(self, script: str, *arguments: Any) -> Any:
        """What a script returns; a promise is waited for."""
        return self.ask("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def cdp(self, command: str, **parameters: Any) -> Any:
        """A command of the DevTools protocol. Chromium's printing now and then fails on a busy machine: it is asked twice more."""
        for attempt in range(3):
            try:
                return self.ask("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})
            except AssertionError as error:
                if "Printing failed" not in str(error) or attempt == 2:
                    raise
                time.sleep(1)

    def until(self, condition: str, *arguments: Any, seconds: float = 20.0) -> None:
        """Wait until an expression is true."""
        script = """const [condition, args, ms] = arguments, look = new Function("...a", `return ${condition.replaceAll("$", "a")}`), end = Date.now() + ms;
        return new Promise((done, fail) => { const again = () => { const v = look(...args); if (v) done(true);
          else if (Date.now() > end) fail(`never: ${condition}`); else setTimeout(again, 20); }; again(); });"""  # noqa: E501
        self.run(script, condition, list(arguments), 1000 * seconds)

    def element(self, selector: str) -> str:
        """The path of the first element that a selector finds."""
        return "/element/" + str(self.ask("POST", "/element", {"using": "css selector", "value": selector})[ELEMENT])

    def click(self, selector: str) -> None:
        """A click as a person does it, who scrolls there first."""
        self.run("document.querySelector(arguments[0]).scrollIntoView({block: 'center'})", selector)
        self.ask("POST", self.element(selector) + "/click")

    def write(self, selector: str, text: str) -> None:
        """Type into a field, in place of what it holds."""
        where = self.element(selector)
        self.ask("POST", where + "/clear")
        self.ask("POST", where + "/value", {"text": text})

    def keys(self, text: str) -> None:
        """Keys on the keyboard, wherever the focus is."""
        actions = [{"type": kind, "value": key} for key in text for kind in ("keyDown", "keyUp")]
        self.ask("POST", "/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": actions}]})

    def look(self, width: int, height: int, dark: bool = False) -> None:
        """The size of the window and the colours the person prefers."""
        self.cdp("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        prefers = {"prefers-color-scheme": "dark" if dark else "light", "prefers-reduced-motion": "reduce"}
        self.cdp("Emulation.setEmulatedMedia", features=[{"name": name, "value": value} for name, value in prefers.items()])

    def picture(self, path: Path, whole: bool = True) -> None:
        """The page as a PNG, all of it or what the window shows."""
        shot = self.cdp("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(shot["data"]))

    def requested(self) -> list[str]:
        """Addresses that pages asked for since the last call."""
        events = [json.loads(entry["message"])["message"] for entry in self.ask("POST", "/se/log", {"type": "performance"})]
        return [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]

    def complaints(self) -> list[str]:
        """What the console says since the last call: errors, refused content."""
        return [entry["message"] for entry in self.ask("POST", "/se/log", {"type": "browser"})]

    def close(self) -> None:
        """End the session and its driver."""
        try:
            self.ask("DELETE", "")
        finally:
            self.connection.close()
            self.driver.terminate()
            self.driver.wait(10)
            assert self.driver.stdout is not None
            self.driver.stdout.close()
