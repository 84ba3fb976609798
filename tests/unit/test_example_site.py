"""The example site file that the package carries loads, and each of its lines has an effect."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest

from fhir_elig import places
from fhir_elig.concepts import Concepts, Match, code_key, load_concepts
from fhir_elig.documents import load_document
from fhir_elig.errors import AuthoringError
from fhir_elig.protocol import load_protocol
from fhir_elig.quantity import Interval, Quantity
from fhir_elig.site import Site, SiteFile, decisions, load_answers, load_site
from fhir_elig.units import read_quantity

EXAMPLE = places.mapping_root() / "sites" / "example.yaml"
PROTOCOL = places.mapping_root() / "protocols" / "relma-cel-ssc.yaml"
DEMO = places.fixtures_root() / "demo"


@pytest.fixture(scope="module")
def concepts() -> Concepts:
    return load_concepts(places.mapping_root())


@pytest.fixture(scope="module")
def site(concepts: Concepts) -> Site:
    return load_site(EXAMPLE, concepts)


def test_it_shows_every_key_of_a_site_file() -> None:
    assert set(load_document(EXAMPLE).data) == set(SiteFile.model_fields)


def test_its_code_means_the_skin_score(site: Site, concepts: Concepts) -> None:
    code, asked = code_key("http://hospital.example/codes", "MRSS"), frozenset({"mrss"})
    assert concepts.match([code], asked) is not Match.YES
    assert site.concepts.match([code], asked) is Match.YES


def test_a_completed_system_tells_what_is_no_transfusion(site: Site, concepts: Concepts) -> None:
    asked = frozenset({"transfusion_any", "transfusion_red_cells", "transfusion_platelets"})
    transfusion, spirometry = (code_key("http://hospital.example/procedures", code) for code in ("TX01", "SPIRO"))
    assert site.concepts.match([transfusion], asked) is Match.YES
    assert site.concepts.match([spirometry], asked) is Match.NO
    assert concepts.match([spirometry], asked) not in (Match.YES, Match.NO)


def test_a_system_without_a_code_cannot_be_complete(tmp_path: Path, concepts: Concepts) -> None:
    file = tmp_path / "site.yaml"
    mapped = 'transfusion_any: ["http://hospital.example/procedures|TX01"]'
    file.write_text(EXAMPLE.read_text(encoding="utf-8").replace(mapped, "transfusion_any: []"), encoding="utf-8")
    with pytest.raises(AuthoringError) as error:
        load_site(file, concepts)
    assert [finding.code for finding in error.value.findings] == ["FE0212"]


def test_its_units_can_be_read(site: Site) -> None:
    for code, unit in site.code_units.items():
        analyte = site.concepts.analytes["hemoglobin" if code.endswith("|HB") else "lvef"]
        assert read_quantity(Quantity(Decimal("20"), unit=unit), analyte).interval is not None


def test_its_upper_limits_are_in_canonical_units(site: Site) -> None:
    assert site.upper_limits["alt"] == (
        ("female", Interval(Fraction(35), Fraction(35))),
        ("male", Interval(Fraction(50), Fraction(50))),
    )
    ((sex, limit),) = site.upper_limits["bilirubin"]
    assert sex == "" and limit.high == 21 * Fraction(584673, 10_000_000)


def test_a_limit_that_nobody_would_believe_is_refused(tmp_path: Path, concepts: Concepts) -> None:
    file = tmp_path / "site.yaml"
    file.write_text(EXAMPLE.read_text(encoding="utf-8").replace("limit: 35 U/L", "limit: 3500 U/L"), encoding="utf-8")
    with pytest.raises(AuthoringError) as error:
        load_site(file, concepts)
    assert len(error.value.findings) == 2


def test_its_decisions_are_readings_of_the_protocol(site: Site) -> None:
    protocol = load_protocol(PROTOCOL, site.concepts)
    assert decisions(site, protocol) == {"progressive": "any-of", "no-recent-support": "specimen"}
    assert set(site.file.milestones) <= set(protocol.file.milestones)
    assert set(site.file.study) == {protocol.id}


def test_the_files_of_the_demo_load(concepts: Concepts) -> None:
    site = load_site(DEMO / "site.yaml", concepts)
    protocol = load_protocol(PROTOCOL, site.concepts)
    assert decisions(site, protocol) == {"progressive": "any-of"}
    charts = {path.stem for path in (DEMO / "charts").glob("*.json")}
    assert charts == {f"p{number:02}" for number in range(1, 13)}
    assert set(load_answers(DEMO / "answers.yaml", protocol, site.file.time_zone)) <= charts
