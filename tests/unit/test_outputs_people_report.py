"""The report: one page that holds everything, escapes everything and asks nobody for anything."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given, strategies as st

from fhir_elig.outputs.page import SHAPES, VERDICT_WORDS, badge, chart, el, join, resource, shape, text, time_text
from fhir_elig.outputs.report import POLICY, render_report
from fhir_elig.outputs.style import STYLE
from fhir_elig.outputs.table import Failure
from fhir_elig.outputs.words import safe_text
from fhir_elig.verdict import Evidence, Identified, Reason, SettledBy, Status, Verdict
from tests.people import HOSTILE, RUN, leaf, made, small, with_text

FAILED = [Failure("Patient/p12", "FE0414: the deadline of the patient is used up")]
VOID = {"meta", "br", "wbr", "path", "circle"}


class Page(HTMLParser):
    """What a page holds: its elements in order, their attributes, its text, and whether every element is closed in order."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.words.append(data)

    def named(self, *tags: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.elements if tag in tags]

    @property
    def ids(self) -> list[str]:
        return [attributes["id"] or "" for _, attributes in self.elements if "id" in attributes]


def report(*assessments: object, **more: object) -> str:
    return render_report(assessments or RUN, protocol_title="My trial", **{"failures": FAILED, **more})  # type: ignore[arg-type]


def test_the_page_is_well_formed_and_every_link_inside_it_leads_somewhere():
    page = Page(report(recorded="2025-06-01T09:30:00Z", version="0.1.0"))
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    inside = [href[1:] for link in page.named("a") if (href := link["href"] or "").startswith("#")]
    assert inside and set(inside) <= set(page.ids)


def test_the_page_has_a_language_landmarks_and_tables_with_captions_and_headers():
    page = Page(report())
    assert page.named("html") == [{"lang": "en"}]
    assert len(page.named("main")) == len(page.named("h1")) == len(page.named("title")) == 1
    assert len(page.named("header")) == 1 + len(RUN) and len(page.named("footer")) == 1
    assert len(page.named("caption")) == len(page.named("table")) == 1 + len(RUN)
    assert {head.get("scope") for head in page.named("th")} == {"col", "row"}
    assert page.named("a")[0]["class"] == "skip"


def test_nothing_is_fetched_and_no_script_can_run():
    page = Page(report())
    assert {"http-equiv": "Content-Security-Policy", "content": POLICY} in page.named("meta")
    assert "script" not in POLICY and POLICY.startswith("default-src 'none'")
    assert not page.named("script", "img", "link", "iframe", "object", "embed", "form", "base", "video", "audio", "image", "use")
    assert not [
        name for _, attributes in page.elements for name in attributes if name.startswith("on") or name in ("src", "style")
    ]
    assert "url(" not in STYLE and "@import" not in STYLE


def test_every_criterion_value_and_set_aside_of_every_patient_is_there_unaltered():
    whole = Page(report())
    words = "\0".join(whole.words)
    for number, assessment in enumerate(RUN, 1):
        held = Page(report(assessment, failures=()))
        text_of_page = "".join(held.words)
        for result in assessment.walk():
            assert f"patient-1-{result.id}" in held.ids
            assert f"patient-{number}-{result.id}" in whole.ids
            for each in result.evidence:
                for value in (each.received, each.compared, each.limit, each.note, each.reference):
                    assert value in held.words or not value
                assert each.time in text_of_page
            for aside in result.set_aside:
                assert f"{aside.reference} ({aside.why})" in words


def test_criteria_stand_in_the_order_of_the_protocol():
    ids = [one for one in Page(report(RUN[0])).ids if one.startswith("patient-1-") and one != "patient-1-name"]
    assert ids == [f"patient-1-{result.id}" for result in RUN[0].walk()]


def test_a_verdict_is_a_word_and_a_shape_before_it_is_a_colour():
    words = {Verdict.MET: "Met", Verdict.NOT_MET: "Not met", Verdict.UNKNOWN: "Unknown", Verdict.NOT_APPLICABLE: "Not applicable"}
    assert words == VERDICT_WORDS
    assert len({shape(verdict) for verdict in Verdict}) == 4
    assert set(SHAPES) == {*(each.value for each in Verdict), *(each.value for each in Status)}
    shown = badge(Verdict.NOT_MET, "Not met", "verdict")
    assert shown.count("<svg") == 1 and "<span>Not met</span>" in shown and 'class="verdict not-met"' in shown
    assert shape("not assessed") == shape(Verdict.NOT_APPLICABLE)


def test_what_settles_it_lists_five_at_most_most_decisive_first_and_names_the_rest():
    names = [f"c{number}" for number in range(7)]
    open_ones = [leaf(name, Verdict.UNKNOWN, Reason.NEEDS_PERSON, settled_by=SettledBy(question=f"{name}?")) for name in names]
    page = report(made(*open_ones, decisive=tuple(reversed(names))), failures=())
    found = re.search(r"<h3>What would settle it</h3><ol.*?</ol>(.*?)</section>", page)
    assert found is not None
    assert re.findall(r'href="#patient-1-(c\d)"', found[0]) == ["c6", "c5", "c4", "c3", "c2"]
    assert "Also open: c1, c0." in found[1]
    assert found[0].count("Ask") == 5


def test_the_ineligible_are_told_what_rules_them_out_and_when_a_repeat_could_change_it():
    page = report(RUN[1], failures=())
    assert "What rules the patient out" in page and "What would settle it" not in page
    assert "platelets 62 10*9/L (limit &gt;= 75 10*9/L); a repeat could change it, from 2025-06-02" in page
    assert "a repeat could change it, from" not in report(RUN[4], failures=())
    low = leaf("platelets", Verdict.NOT_MET, Reason.OUT_OF_RANGE, recoverable=True)
    assert "platelets: outside the limit; a repeat could change it<" in report(made(low, status=Status.INELIGIBLE), failures=())


def test_an_index_row_leads_to_each_patient_and_those_not_assessed_have_rows_of_their_own():
    page = report()
    assert re.findall(r'<a href="#patient-(\d)"><bdi>(p\d+)</bdi>', page) == [
        ("1", "p01"),
        ("2", "p04"),
        ("3", "p07"),
        ("4", "p09"),
        ("5", "p11"),
    ]
    assert "FE0414: the deadline of the patient is used up" in page
    assert page.count("not assessed") == 2
    empty = report(failures=())
    assert "not assessed" not in empty
    assert 'class="tiles"' not in render_report([], protocol_title="My trial")


def test_the_footer_names_versions_and_hashes_once_and_claims_no_more_than_it_may():
    page = report(recorded="2025-06-01T09:30:00Z", version="0.1.0")
    for part in ("9f2c" * 16, "51ab" * 16, "fhir-elig/assessment/1", "2025-06-01T09:30:00Z"):
        assert page.count(part) == 1
    assert "This is a recommendation, not a determination. A person decides." in page
    assert "Recorded" not in report()
    other = made(protocol=Identified("other-trial", "2.0.0", "ef" * 32))
    both = report(small(), other, failures=())
    assert "ef" * 32 in both and "ab" * 32 in both


def test_there_is_no_score():
    words = "".join(Page(report()).words)
    assert not re.search(r"\d%|score", words)


def test_the_registrys_own_words_stand_beside_the_criterion_where_they_differ():
    page = report(small(), statements={"hemoglobin": "Hb ≥90 g/L", "lvef": "the words of lvef", "absent": "x"}, failures=())
    assert page.count("<q>") == 1 and "<q>Hb ≥90 g/L</q>" in page


def test_everything_said_of_a_criterion_or_an_assessment_is_on_the_page():
    result = leaf(
        "fvc", Verdict.UNKNOWN, Reason.NO_UNIT, recoverable=True, near_limit=True, notes=("a note",), reading="relative", text=""
    )
    bare = leaf("dlco", evidence=(Evidence("Observation/o3"),))
    page = report(
        made(
            result,
            bare,
            provisional=True,
            retrieved=(),
            base="https://ehr.example.org/fhir",
            decisions={"a": "b"},
            errors=("FE0302",),
        ),
        failures=(),
    )
    for part in ("Near limit", "Recoverable", "Reading", "Settled by", "a note", "a: b", "FE0302", "Provisional", "https://ehr"):
        assert part in page
    assert "What was read" not in page
    assert "What was read" in report(small(), failures=())
    assert "Decisions, notes and errors" not in report(small(), failures=())
    assert '<span class="sentence">fvc</span>' in page and '<span class="sentence">the words of dlco</span>' in page


@pytest.mark.parametrize(
    ("base", "reference", "version", "link"),
    [
        ("https://x.org/fhir/", "Observation/o1", "2", "https://x.org/fhir/Observation/o1/_history/2"),
        ("http://x.org/fhir", "Observation/o1#component-2", "", "http://x.org/fhir/Observation/o1"),
        ("https://x.org", "Observation/o1", 'W/"3"', "https://x.org/Observation/o1"),
        (None, "Observation/o1", "2", ""),
        ("javascript:alert(1)//", "Observation/o1", "2", ""),
        ("https://x.org/ x", "Observation/o1", "2", ""),
        ("https://x.org", "../../etc", "2", ""),
        ("https://x.org", "urn:uuid:1", "2", ""),
    ],
)
def test_a_resource_is_a_link_only_where_both_ends_are_plain(base: str | None, reference: str, version: str, link: str):
    made_ = resource(Evidence(reference, version), base)
    assert (f'href="{link}" rel="noopener noreferrer"' in made_) if link else ("href" not in made_)
    assert text(reference) in made_


def test_a_long_time_breaks_only_between_its_parts():
    assert time_text("2025-05-28T08:14:00Z").count("<wbr>") == time_text("2022-02-01/2024-01-09").count("<wbr>") == 1
    assert "".join(Page(time_text("2022-02-01/2024-01-09")).words) == "2022-02-01/2024-01-09"
    assert "<wbr>" not in time_text("2025-05-28")


def test_elements_are_built_from_escaped_parts():
    assert el("p", "<b>", cls="a", aria_label='"', title="") == '<p class="a" aria-label="&quot;">&lt;b&gt;</p>'
    assert el("br") == "<br>"
    assert chart("a\u202eb") == "<bdi>a[U+202E]b</bdi>"
    assert join(el("i", "x"), "&") == "<i>x</i>&amp;"


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_text_becomes_no_markup_wherever_it_stands(hostile: str):
    plain = Page(report(*(with_text(lambda text: f"xx {text}", each) for each in RUN), statements={"xx age": "xx"}))
    failures = [Failure(f"Patient/{hostile}", hostile)]
    page = render_report(
        [with_text(lambda text: f"{hostile} {text}", each) for each in RUN],
        protocol_title=hostile,
        statements={f"{hostile} age": hostile},
        failures=failures,
        recorded=hostile,
        version=hostile,
    )
    held = Page(page)
    assert held.open == []
    assert {tag for tag, _ in held.elements} == {tag for tag, _ in plain.elements}
    assert {name for _, attributes in held.elements for name in attributes} <= {
        *(name for _, attributes in plain.elements for name in attributes),
        "href",
    }
    assert all((link["href"] or "").startswith(("#", "https://", "http://")) for link in held.named("a"))
    assert page == "\n".join(safe_text(line) for line in page.split("\n"))


@given(st.text(max_size=40))
def test_any_text_survives_as_text_and_only_as_text(value: str):
    page = Page(el("p", value))
    assert [tag for tag, _ in page.elements] == ["p"]
    assert "".join(page.words) == safe_text(value)


def _contrast(one: str, other: str) -> float:
    """The contrast ratio of WCAG 2.2 of two colours given as six hexadecimal digits."""

    def luminance(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (0, 2, 4)]
        red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_every_text_colour_has_the_contrast_of_wcag_on_both_backgrounds(scheme: int):
    roots = re.findall(r":root\{([^}]*)\}", STYLE.split("@media print")[0])
    assert len(roots) == 2
    colours = dict(re.findall(r"--([a-z-]+):#([0-9a-f]{6})", roots[scheme]))
    assert len(colours) == 12
    for name in set(colours) - {"line", "rule", "faint", "paper"}:
        assert _contrast(colours[name], colours["paper"]) >= 4.5, name
        assert _contrast(colours[name], colours["faint"]) >= 4.5, name
