"""The report in a real browser: hostile charts run no script and ask nobody for anything; the page is accessible.

Every request of the browser, to any host, is sent to a counting proxy on loopback that answers nothing of use.
"""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from fhir_elig.outputs.report import POLICY, render_report
from fhir_elig.outputs.table import Failure
from tests.people import RUN, with_text

AXE = Path(__file__).parents[1] / "validators" / "node_modules" / "axe-core" / "axe.min.js"
TRAP = "http://trap.example.org"
RAN = "document.documentElement.setAttribute('data-ran','yes')"
HOSTILE = (
    f"<script>{RAN}</script>"
    f'"><img src="{TRAP}/a.png" onerror="{RAN}">'
    f'</style></title><link rel="stylesheet" href="{TRAP}/b.css"><svg onload="{RAN}"></svg>'
    f'<iframe src="{TRAP}/c.html"></iframe><style>@import "{TRAP}/d.css";</style>'
    f'<details open ontoggle="{RAN}">x</details><a href="javascript:{RAN}">y</a>\''
)
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-sync",
    "--disable-features=OptimizationHints,MediaRouter,Translate",
    "--proxy-bypass-list=<-loopback>",
    "--virtual-time-budget=10000",
)


class Counter(BaseHTTPRequestHandler):
    """Writes down what was asked for and refuses it."""

    def do_GET(self) -> None:
        self.server.asked.append(self.path)  # type: ignore[attr-defined]
        self.send_error(404)

    do_POST = do_HEAD = do_OPTIONS = do_CONNECT = do_GET

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: what was asked for is in `asked`."""


class Proxy(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Counter)
        self.asked: list[str] = []

    @property
    def outside(self) -> list[str]:
        """What a page asked for; the browser's own calls home (refused here too) are no page's doing."""
        own = (".googleapis.com", ".google.com", ".gvt1.com")
        hosts = ((urlsplit(url if "//" in url else f"//{url}").hostname or "", url) for url in self.asked)
        return [url for host, url in hosts if not host.endswith(own)]


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with Proxy() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


class Browser:
    """A headless Chromium with a profile of its own for each page."""

    def __init__(self, program: str, folder: Path, proxy: Proxy) -> None:
        self.program, self.folder, self.proxy = program, folder, proxy
        self.opened = 0

    def run(self, page: str, *flags: str) -> str:
        self.opened += 1
        file = self.folder / f"page-{self.opened}.html"
        file.write_text(page, encoding="utf-8")
        port = self.proxy.server_address[1]
        given = [*FLAGS, f"--user-data-dir={self.folder / f'profile-{self.opened}'}", f"--proxy-server=http://127.0.0.1:{port}"]
        done = subprocess.run([self.program, *given, *flags, file.as_uri()], capture_output=True, timeout=120, check=True)
        return done.stdout.decode()

    def dom(self, page: str, *flags: str) -> str:
        return self.run(page, "--dump-dom", *flags)


@pytest.fixture
def browser(tmp_path: Path, proxy: Proxy) -> Browser:
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no Chromium at hand: apt-get install chromium")
    return Browser(program, tmp_path, proxy)


def report(change: str = "") -> str:
    run = [with_text(lambda text: f"{change}{text}", each) for each in RUN] if change else RUN
    return render_report(
        run,
        protocol_title=f"{change}My trial",
        statements={"platelets": f"{change}platelets"},
        failures=[Failure("Patient/p12", f"{change}FE0414: the deadline of the patient is used up")],
        recorded=f"{change}2025-06-01T09:30:00Z",
        version=f"{change}0.1.0",
    )


def without_policy(page: str) -> str:
    """The same page, free to run the measuring scripts of these tests."""
    changed = page.replace(html.escape(POLICY), "")
    assert changed != page
    return changed


def test_the_trap_works_a_page_that_escapes_nothing_runs_scripts_and_asks_outside(browser: Browser, proxy: Proxy):
    shown = browser.dom(f"<!DOCTYPE html><title>x</title><body>{HOSTILE}</body>")
    assert 'data-ran="yes"' in shown
    assert {f"{TRAP}/{name}" for name in ("a.png", "b.css", "c.html")} <= set(proxy.outside)


def test_hostile_charts_run_no_script_and_make_no_request(browser: Browser, proxy: Proxy):
    shown = browser.dom(report(HOSTILE))
    assert "data-ran" not in shown.split(">", 3)[1]
    assert not re.search(r"<(script|img|iframe|link)\b", shown)
    assert shown.count("&lt;script&gt;") > 100
    assert proxy.outside == []


def test_the_policy_of_the_page_would_stop_what_an_escape_forgot(browser: Browser, proxy: Proxy):
    page = report().replace("<main>", f"<main>{HOSTILE}", 1)
    assert POLICY.startswith("default-src 'none'")
    shown = browser.dom(page)
    assert "data-ran=" not in shown[: shown.index("<head")]
    assert "<img" in shown
    assert proxy.outside == []


def test_the_browser_sees_the_structure_that_was_written(browser: Browser, proxy: Proxy):
    shown = browser.dom(report())
    assert re.findall(r'<article class="patient" id="(patient-\d)" aria-labelledby="(patient-\d-name)"', shown) == [
        (f"patient-{number}", f"patient-{number}-name") for number in range(1, len(RUN) + 1)
    ]
    criteria = sum(1 for assessment in RUN for _ in assessment.walk())
    assert shown.count('<li class="leaf"') + shown.count("<details open") == criteria
    assert shown.count('<span class="verdict') >= criteria
    assert [shown.count(f"<{tag}>") for tag in ("main", "h1", "footer")] == [1, 1, 0]
    assert proxy.outside == []


def test_the_report_prints_on_paper(browser: Browser, tmp_path: Path):
    paper = tmp_path / "report.pdf"
    browser.run(report(), "--no-pdf-header-footer", f"--print-to-pdf={paper}")
    boxes = set(re.findall(rb"/MediaBox ?\[([0-9. ]+)\]", paper.read_bytes()))
    width, height = (float(size) for size in boxes.pop().split()[2:])
    assert not boxes
    assert (round(width), round(height)) in ((595, 842), (596, 842), (595, 841))  # A4 in points


@pytest.mark.parametrize("width", [1280, 640, 320])
def test_nothing_is_wider_than_the_window_down_to_a_zoom_of_four(browser: Browser, width: int):
    """Reflow (WCAG 1.4.10): 1280 points at 200 % are 640, at 400 % 320; the page is measured inside a frame of that width."""
    measured = (
        "onload=()=>{const d=document.querySelector('iframe').contentDocument.documentElement;"
        "document.title=d.scrollWidth+' of '+d.clientWidth}"
    )
    page = html.escape(without_policy(report()), quote=True)
    shown = browser.dom(
        f'<!DOCTYPE html><title></title><iframe width="{width}" height="900" srcdoc="{page}"></iframe><script>{measured}</script>'
    )
    found = re.search(r"<title>(\d+) of (\d+)</title>", shown)
    assert found is not None
    assert int(found[1]) <= int(found[2]) <= width


@pytest.mark.parametrize(("scheme", "setting", "paper"), [("light", 1, "rgb(255, 255, 255)"), ("dark", 0, "rgb(18, 23, 29)")])
def test_an_automated_checker_finds_no_fault_of_accessibility(browser: Browser, scheme: str, setting: int, paper: str):
    if not AXE.exists():
        pytest.skip("axe-core is not installed: npm ci in tests/validators")
    rules = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
    run = (
        f"axe.run({{runOnly:{json.dumps(rules)}}}).then(found=>{{document.body.textContent=JSON.stringify({{"
        "wrong:found.violations.map(one=>[one.id,one.impact,one.nodes.map(node=>node.html)]),passes:found.passes.length,"
        "paper:getComputedStyle(document.body).backgroundColor})})"
    )
    page = without_policy(report())
    script = AXE.read_text(encoding="utf-8").replace("</script", "<\\/script")
    page = page.replace("</body>", f"<script>{script}</script><script>{run}</script></body>")
    shown = browser.dom(page, f"--blink-settings=preferredColorScheme={setting}")
    told = json.loads(html.unescape(shown[shown.index("<body>") + 6 : shown.rindex("</body>")]))
    assert told["wrong"] == []
    assert told["passes"] > 30
    assert told["paper"] == paper, f"the page was not shown in the {scheme} scheme"
