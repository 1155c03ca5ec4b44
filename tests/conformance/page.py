#!/usr/bin/env python3
"""Opens pages of `etlring export --to html` in headless Chromium: page.py CHROMIUM PAGE...

Each page is looked at 360 and 1,600 pixels wide, light and dark, in all of its views and while it
is searched. Exits non-zero if the console says an error, a script of an event runs, the page is
wider than the window, a view is empty, or the page asks for anything else than itself.

  ETLRING_SHOTS  a directory for screenshots

Speaks the DevTools protocol through pipes; standard library only.
"""
import base64
import json
import os
import select
import subprocess
import sys
import tempfile
import time
from pathlib import Path

VIEWS = ("summary", "details", "faults", "performance", "compact")
PATIENCE = 60  # seconds for an answer: the machine may be busy


class Browser:
    def __init__(self, program, profile):
        command_out, self.commands = os.pipe()
        self.answers, answer_in = os.pipe()
        # The browser reads its descriptor 3 and writes its descriptor 4.
        setup = f"exec 3<&{command_out} 4>&{answer_in}; exec \"$@\""
        arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                     "--hide-scrollbars", "--no-first-run", "--remote-debugging-pipe",
                     f"--user-data-dir={profile}", "about:blank"]
        self.process = subprocess.Popen(
            ["bash", "-c", setup, "bash", program, *arguments],
            pass_fds=(command_out, answer_in), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(command_out)
        os.close(answer_in)
        self.number, self.buffer, self.events = 0, b"", []

    def receive(self):
        deadline = time.monotonic() + PATIENCE
        while b"\0" not in self.buffer:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.answers], [], [], left)[0]:
                raise SystemExit("the browser does not answer")
            part = os.read(self.answers, 1 << 20)
            if not part:
                raise SystemExit("the browser has ended")
            self.buffer += part
        message, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, session=None, **parameters):
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        os.write(self.commands, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.receive()
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise SystemExit(f"{method}: {answer['error']}")
                return answer["result"]
            self.events.append(answer)

    def wait(self, name):
        while not any(event.get("method") == name for event in self.events):
            self.events.append(self.receive())


class Tab:
    def __init__(self, browser, width, dark):
        self.browser, self.width = browser, width
        target = browser.call("Target.createTarget", url="about:blank")["targetId"]
        attached = browser.call("Target.attachToTarget", targetId=target, flatten=True)
        self.session, self.target = attached["sessionId"], target
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=800 if width < 800 else 1000,
                  deviceScaleFactor=1, mobile=width < 800)
        scheme = "dark" if dark else "light"
        self.call("Emulation.setEmulatedMedia",
                  features=[{"name": "prefers-color-scheme", "value": scheme}])

    def call(self, method, **parameters):
        return self.browser.call(method, self.session, **parameters)

    def open(self, url):
        self.browser.events.clear()
        self.call("Page.navigate", url=url)
        self.browser.wait("Page.loadEventFired")

    def evaluate(self, script):
        result = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise SystemExit(f"{script}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def shot(self, path):
        data = self.call("Page.captureScreenshot", format="png")["data"]
        path.write_bytes(base64.b64decode(data))

    def complaints(self, url):
        """What the browser has said against the page so far."""
        for event in self.browser.events:
            method, said = event.get("method"), event.get("params", {})
            if method == "Runtime.exceptionThrown":
                yield f"exception: {said['exceptionDetails']}"
            elif method == "Runtime.consoleAPICalled" and said["type"] in ("error", "warning"):
                yield f"console: {said['args']}"
            elif method == "Log.entryAdded" and said["entry"]["level"] in ("error", "warning"):
                yield f"log: {said['entry']['text']}"
            elif method == "Network.requestWillBeSent":
                asked = said["request"]["url"]
                if asked.split("#")[0] != url and not asked.startswith("data:"):
                    yield f"asks for {asked}"


FRAME = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(0))))"


def look(browser, page, width, dark, shots):
    """Complaints about one page in one window."""
    url = page.resolve().as_uri()
    tab = Tab(browser, width, dark)
    name = f"{page.stem}-{width}-{'dark' if dark else 'light'}"
    tab.open(url)
    requests = tab.evaluate("JSON.parse(document.getElementById('data').textContent).requests.length")
    if width < 800 and requests > 1 and shots:
        tab.shot(shots / f"{name}-list.png")
    # The worst one first: it has something to show in each view.
    tab.evaluate("(() => { const s = document.getElementById('order'); s.value = 'worst';"
                 "s.dispatchEvent(new Event('change')); })()")
    tab.evaluate("document.querySelector('#requests .entry').click()")
    for view in VIEWS:
        at = VIEWS.index(view)
        tab.evaluate(f"document.querySelectorAll('.tabs button')[{at}].click()")
        tab.evaluate(FRAME)
        if view in ("details", "compact"):
            tab.evaluate("(document.querySelectorAll('.row')[2] || document.querySelector('.row')).click()")
            tab.evaluate(FRAME)
        if not tab.evaluate("document.querySelectorAll('#request .row, #request .pair, #request .fault,"
                            "#request .empty').length"):
            yield f"{name}: {view} is empty"
        wide = tab.evaluate("document.documentElement.scrollWidth")
        if wide > width:
            yield f"{name}: {view} is {wide} pixels wide"
        rows = tab.evaluate("document.querySelectorAll('*').length")
        if rows > 4000:
            yield f"{name}: {view} has {rows} elements at once"
        if shots:
            tab.shot(shots / f"{name}-{view}.png")
    tab.evaluate("(() => { const s = document.getElementById('search'); s.value = 'e';"
                 "s.dispatchEvent(new Event('input')); })()")
    tab.evaluate("new Promise((done) => setTimeout(done, 200))")
    if not tab.evaluate("document.querySelectorAll('mark').length"):
        yield f"{name}: the search marks nothing"
    if "owned" in tab.evaluate("document.title") or tab.evaluate("document.images.length"):
        yield f"{name}: text of an event became part of the page"
    for complaint in tab.complaints(url):
        yield f"{name}: {complaint}"
    browser.call("Target.closeTarget", targetId=tab.target)


def main():
    program, *pages = sys.argv[1:]
    shots = os.environ.get("ETLRING_SHOTS")
    shots = Path(shots) if shots else None
    count, bad = 0, []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = Browser(program, profile)
        try:
            for page in map(Path, pages):
                for width in (360, 1600):
                    for dark in (False, True):
                        count += 1
                        bad += look(browser, page, width, dark, shots)
            browser.call("Browser.close")
        finally:
            browser.process.terminate()
            browser.process.wait()
    for complaint in bad:
        print(complaint)
    print(f"page      {len(pages)} pages in {count} windows: {'FAILED' if bad else 'no complaint'}")
    return bool(bad)


if __name__ == "__main__":
    sys.exit(main())
