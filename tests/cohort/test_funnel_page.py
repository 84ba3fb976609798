"""The funnel as a page: one file, no script, every number with its list, nothing of a chart as markup, readable by its owner."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from fhir_elig.cli import run as command
from fhir_elig.cohort.funnel import funnel
from fhir_elig.cohort.lists import lists
from fhir_elig.cohort.matrix import Matrix
from fhir_elig.outputs.funnel_page import Listed, render_funnel_page
from fhir_elig.outputs.report import POLICY
from tests.cohort.runs import write_folder
from tests.cohort.test_funnel import folder, matrix_rows, row, used  # noqa: F401  a fixture
from tests.people import HOSTILE


def page_of(run: Path, *options: str) -> str:
    assert command(["cohort", "funnel", str(run), "--format", "html", *options]) == 0
    return (run / "funnel.html").read_text(encoding="utf-8")


def test_every_number_leads_to_a_list_of_as_many_persons(folder: Path) -> None:  # noqa: F811
    page = page_of(folder)
    links = re.findall(r'<a href="#(list-\d+)" aria-label="([\d,]+): [^"]+">', page)
    assert len(links) > 30
    for anchor, count in links:
        section = page.split(f'<section id="{anchor}">')[1].split("</section>")[0]
        assert section.count("<li>") == int(count)
    assert not (folder / "funnel-lists.csv").exists()


def test_the_page_is_whole_and_runs_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:  # noqa: F811
    page = page_of(folder)
    assert "wrote" in capsys.readouterr().err
    assert POLICY.replace("'", "&#x27;") in page
    assert not re.search(r"<(script|img|iframe|link)\b|https?://", page)
    assert page.count('<svg class="bar-svg" ') == 9  # three at the top in sequence, six alone
    assert (folder / "funnel.html").stat().st_mode & 0o777 == 0o600


def test_hidden_counts_come_without_lists_and_bars_that_tell_them(folder: Path) -> None:  # noqa: F811
    page = page_of(folder, "--min-cell", "3")
    assert "Counts from 1 to 2 are hidden" in page
    assert "#list-" not in page
    assert "Patient/p1" not in page and ">p1<" not in page


def test_the_page_goes_where_it_is_asked_to(folder: Path, tmp_path: Path) -> None:  # noqa: F811
    assert command(["cohort", "funnel", str(folder), "--format", "html", "--out", str(tmp_path / "shared.html")]) == 0
    assert (tmp_path / "shared.html").is_file()
    assert not (folder / "funnel.html").exists()


def test_long_lists_go_on_in_a_file_that_only_the_owner_reads(tmp_path: Path) -> None:
    tree = {"inclusion": [{"id": "one", "kind": "value"}]}
    rows = [row(f"p{n:03}", name, "met", "eligible" if name == "" else "in-range") for n in range(250) for name in ("", "one")]
    run = write_folder(tmp_path / "r", [used(tree=tree), used(id="other", tree=tree)], rows, as_of="2025", persons=250)
    assert command(["cohort", "funnel", str(run), "--format", "html", "--protocol", "my-trial"]) == 0
    page, every = (run / "funnel.html").read_text("utf-8"), run / "funnel-lists.csv"
    assert page.count("The first 200; ") == 3
    assert '<a href="funnel-lists.csv">all of them</a>' in page
    assert len(every.read_text("utf-8").splitlines()) == 1 + 3 * 250
    assert every.stat().st_mode & 0o777 == 0o600


def test_nothing_of_a_chart_becomes_markup(folder: Path) -> None:  # noqa: F811
    with Matrix(folder) as matrix:
        (each,) = matrix.protocols()
        found, listed = funnel(matrix, each), lists(matrix, each)
    for text in HOSTILE:
        misses = tuple(msgspec.structs.replace(miss, patient=text, limit=text) for miss in found.misses)
        bad = msgspec.structs.replace(found, title=text, misses=misses, near={text: 1})
        page = render_funnel_page([bad], {**listed, ("my-trial", "alone", text, "met"): Listed((text,), 1)}, version=text)
        assert not re.search(r"<script|<img|onload=\"|\x1b|\x00", page.replace("&lt;", ""))


def test_a_funnel_of_nothing_is_a_page_too(folder: Path) -> None:  # noqa: F811
    with Matrix(folder) as matrix:
        found = funnel(matrix, matrix.protocols()[0])
    bare = msgspec.structs.replace(found, near={}, misses=(), missing=(), assessed=0)
    page = render_funnel_page([bare], {})
    assert '<svg class="bar-svg" ' not in page
    assert "Lists" not in page
    assert "What is missing" not in page
    nobody = render_funnel_page([msgspec.structs.replace(found, misses=())], {})
    assert "One criterion from met" in nobody


def test_the_hand_made_matrix_has_eight_persons() -> None:
    assert len({one.patient for one in matrix_rows()}) == 8
