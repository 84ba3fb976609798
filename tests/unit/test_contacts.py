"""The contacts of a chart: which one is the latest, and when the next one comes, in whatever order they were recorded."""

from __future__ import annotations

from itertools import permutations

from fhir_elig.criteria.facts import Facts
from fhir_elig.record import Contact, Fact, Record
from fhir_elig.times import When
from tests.spec.table import concepts, contact, run, when

NOW = when("2025-06-01").end
PAST = (contact("2025-05-01"), contact("2025-05-30"), Contact(reference="Encounter/a-second-one", time=when("2025-05-30")))
TO_COME = (contact("2025-06-20"), contact("2025-06-10"))


def facts(*contacts: Contact) -> Facts:
    return Facts(Record(patient="p1", person=None, contacts=contacts), concepts(), run().as_of.end)


def test_the_latest_contact_is_the_last_by_reference_of_those_that_began_last() -> None:
    last = max(PAST[1:], key=lambda one: one.reference)
    for order in permutations((*PAST, *TO_COME)):
        newest, coming = facts(*order).contacts_around(NOW)
        assert newest == (when("2025-05-30"), last)
        assert coming == when("2025-06-10")


def test_without_a_contact_there_is_neither() -> None:
    assert facts().contacts_around(NOW) == (None, None)


def test_all_contacts_are_put_in_order_the_latest_first() -> None:
    def shown(found: list[tuple[When, Fact]]) -> list[tuple[str, str]]:
        return [(time.text, fact.reference) for time, fact in found]

    orders = {tuple(shown(facts(*order).newest_first)) for order in permutations((*PAST, *TO_COME))}
    assert len(orders) == 1
    assert [text for text, _ in orders.pop()] == ["2025-06-20", "2025-06-10", "2025-05-30", "2025-05-30", "2025-05-01"]
