"""The page of a funnel in a real browser: nothing is wider than the window, and an automated checker finds no fault."""

from __future__ import annotations

import html
import json
import re

import pytest

from fhir_elig.outputs.funnel_page import Listed, render_funnel_page
from fhir_elig.outputs.funnel_table import Band, Funnel, Miss, Missing, Step
from tests.doors.test_report_browser import AXE, Browser, Proxy, browser, proxy, without_policy  # noqa: F401  fixtures


def page() -> str:
    band = Band(30, 5, 12, 3)
    steps = [
        Step(criterion=f"criterion-{n}", text="words", depth=n % 3, sequence=None if n % 3 else band, alone=band)
        for n in range(9)
    ]
    found = Funnel(
        protocol="my-trial", version="1", title="My trial", as_of="2025-06-01", patients=51, assessed=50, not_assessed=1,
        statuses={"eligible": 3, "candidate": 4, "potential-candidate": 40, "ineligible": 3}, steps=tuple(steps),
        near={"criterion-1": 1}, missing=(Missing(test="lvef", criteria=("criterion-2",), unlocks=3, open=9),),
        misses=(Miss("Patient/p1", "criterion-1", 89.0, "g/L", ">= 90 g/L", 1.0, 1 / 90, "Observation/o1", "2025-05-30"),),
    )  # fmt: skip
    lists = {
        ("my-trial", view, step.criterion, key): Listed(tuple(f"Patient/p{n}" for n in range(3)), 3)
        for step in steps for view in ("sequence", "alone") for key in ("met", "unknown", "not-met")
    }  # fmt: skip
    return render_funnel_page([found], lists, more="funnel-lists.csv", version="0.1.0")


@pytest.mark.parametrize("width", [1280, 390, 320])
def test_nothing_is_wider_than_the_window(browser: Browser, proxy: Proxy, width: int) -> None:  # noqa: F811
    """Reflow (WCAG 1.4.10); tables of figures may scroll within themselves."""
    measured = (
        "onload=()=>{const d=document.querySelector('iframe').contentDocument.documentElement;"
        "document.title=d.scrollWidth+' of '+d.clientWidth}"
    )
    inner = html.escape(without_policy(page()), quote=True)
    shown = browser.dom(
        f'<!DOCTYPE html><title></title><iframe width="{width}" height="900" srcdoc="{inner}"></iframe><script>{measured}</script>'
    )
    found = re.search(r"<title>(\d+) of (\d+)</title>", shown)
    assert found is not None
    assert int(found[1]) <= int(found[2]) <= width
    assert proxy.outside == []


def test_an_automated_checker_finds_no_fault_of_accessibility(browser: Browser) -> None:  # noqa: F811
    if not AXE.exists():
        pytest.skip("axe-core is not installed: npm ci in tests/validators")
    rules = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
    run = (
        f"axe.run({{runOnly:{json.dumps(rules)}}}).then(found=>{{document.body.textContent=JSON.stringify({{"
        "wrong:found.violations.map(one=>[one.id,one.impact,one.nodes.map(node=>node.html)]),passes:found.passes.length})})"
    )
    script = AXE.read_text(encoding="utf-8").replace("</script", "<\\/script")
    shown = browser.dom(without_policy(page()).replace("</body>", f"<script>{script}</script><script>{run}</script></body>"))
    told = json.loads(html.unescape(shown[shown.index("<body>") + 6 : shown.rindex("</body>")]))
    assert told["wrong"] == []
    assert told["passes"] > 20
