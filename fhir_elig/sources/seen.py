"""The newest result of a patient, whatever it measures: proof that the patient was seen, where a server shows no Encounter.

"No record of it" counts only where the chart was kept (a contact). Of Observations a protocol asks for its own codes alone, so a
patient whose only recent records are other results would look like one whom nobody saw.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fhir_elig.errors import AuthorisationError, SourceError
from fhir_elig.record import Need
from fhir_elig.sources import Resource
from fhir_elig.sources.planner import Served, ladder
from fhir_elig.sources.search import Found, Question, glimpse
from fhir_elig.sources.transport import Transport

_ANY = Need("Observation")
_NEWEST_FIRST = ("_sort", "-date")  # what no server declares: one that does not sort shows another result, which is as true


def lacks_encounters(needs: Iterable[Need], resources: Iterable[Resource]) -> bool:
    """Whether a contact is asked for, and no Encounter came that may be one."""
    asked = {need.type for need in needs}
    return {"Encounter", "Observation"} <= asked and not any(one["resourceType"] == "Encounter" for one in resources)


def newest_results(transport: Transport, served: Served, ids: Sequence[str], *, post: bool, deadline: float) -> Found:
    """One page of one result for each of these records; nothing where the server does not give it.

    Raises AuthorisationError.
    """
    found = Found()
    grant = transport.credentials.grant(deadline)
    if grant is not None and not grant.reads("Observation"):
        return found
    question = Question("Observation", frozenset(ids), declared=served.parameters("Observation"))
    for name in ids:
        steps = ladder(_ANY, name, served, transport.limits, count=1, look_back=False)
        for step in (step for step in steps[:2] if post or not step.post):
            try:
                found.add(glimpse(transport, question, step.post, (*step.searches[0], _NEWEST_FIRST), deadline))
            except AuthorisationError:
                raise
            except SourceError:
                continue
            break
    return found
