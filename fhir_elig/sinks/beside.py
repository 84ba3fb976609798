"""Phase two: what is stored beside a ResearchSubject. Each is looked for first, so that a second run adds nothing.

GuidanceResponse and its kin are found by their identifier or under our own id; a Provenance by its target.
"""

from __future__ import annotations

from collections.abc import Mapping

from fhir_elig.errors import WriteConflictError
from fhir_elig.outputs.fhir_json import relink
from fhir_elig.outputs.screening_list import screening_list, with_subjects
from fhir_elig.references import parse_reference
from fhir_elig.sinks import Resource
from fhir_elig.sinks.outbox import Delivery
from fhir_elig.sinks.plan import How, Plan
from fhir_elig.sinks.standing import is_later, same, version_of
from fhir_elig.sinks.wire import Answer, Wire
from fhir_elig.sources.transport import UnansweredError

_LIST_TRIES = 4  # the screening list is shared by all writers of a study


class Beside:
    """Writes the resources of phase two at one server."""

    def __init__(self, wire: Wire, plan: Plan) -> None:
        self._wire, self._plan = wire, plan

    def write(self, delivery: Delivery, subject: str, links: Mapping[str, str], deadline: float) -> None:
        """All that stands beside `subject` (a versioned reference; empty if it is not ours)."""
        led = {**links, **({f"ResearchSubject/{delivery.key}": subject.split("/_history/")[0]} if subject else {})}
        targets = [subject] if subject else []
        for one in delivery.beside:
            kind, name = one["resourceType"], f"{one['resourceType']}/{one['id']}"
            if kind == "Provenance":
                self._provenance(relink(one, led), [*reversed(targets)], deadline)
                continue
            led[name] = self.keep(relink(one, led), deadline)
            if kind == "GuidanceResponse":
                targets.append(led[name])

    def keep(self, resource: Resource, deadline: float) -> str:
        """The reference under which the resource stands on the server, made if it was not there."""
        kind = resource["resourceType"]
        found = self.find(resource, deadline)
        if found is None:
            found = self._made(resource, deadline)
        if not same(
            {name: resource[name] for name in ("identifier", "subject", "url") if name in resource}, found, self._wire.base
        ):
            raise WriteConflictError("something else stands under our id", where=kind, fix="look at the record; it was left")
        return _reference(found)

    def find(self, resource: Resource, deadline: float) -> Resource | None:
        """What stands there: under our id, or with the resource's first identifier."""
        kind = resource["resourceType"]
        if self._plan.how[kind] is How.PUT:
            return self._wire.read(kind, resource["id"], deadline)
        if kind not in self._plan.looks:
            return None
        wanted = self._identifier(resource)
        listed = self._wire.search(kind, (("identifier", wanted),), deadline)
        return next((one for one in listed if wanted in _identifiers(one)), None)

    def _made(self, resource: Resource, deadline: float) -> Resource:
        """Sent once and read back; after silence, or where another run of ours was quicker, a look tells.

        Raises UnansweredError if it does not show, WriteConflictError if it was refused and nothing shows.
        """
        kind = resource["resourceType"]
        try:
            answer = self._sent(resource, deadline)
        except WriteConflictError:
            found = self.find(resource, deadline)
            if found is None:
                raise
        except UnansweredError:
            found = self.find(resource, deadline)
        else:
            found = self._wire.read(kind, answer.id, deadline) if answer.id else self.find(resource, deadline)
        if found is None:
            raise UnansweredError(f"a {kind} was sent and does not show", fix="run again: it looks first, and then finishes")
        return found

    def _sent(self, resource: Resource, deadline: float) -> Answer:
        how = self._plan.how[resource["resourceType"]]
        if how is How.PUT:
            return self._wire.put(resource, {"If-None-Match": "*"}, deadline)
        once = (("identifier", self._identifier(resource)),) if how is How.CONDITIONAL else ()
        return self._wire.post(resource, deadline, once)

    @staticmethod
    def _identifier(resource: Resource) -> str:
        """The identifier of this very resource: the first, and a questionnaire's response of R4 has but one."""
        first = resource["identifier"][0] if isinstance(resource["identifier"], list) else resource["identifier"]
        return f"{first['system']}|{first['value']}"

    def _provenance(self, resource: Resource, targets: list[str], deadline: float) -> None:
        """Kept under its own id; one that names an older version of the subject is brought up to date."""
        resource = {**resource, "target": [{"reference": target} for target in targets]}
        by_id = self._plan.how["Provenance"] is How.PUT
        if not by_id:
            if not any(self._tells(one, resource) for one in self._of(targets[0], deadline)):
                self._wire.post(resource, deadline)
            return
        found = self._wire.read("Provenance", resource["id"], deadline)
        if found is None:
            self._made(resource, deadline)
        elif not self._tells(found, resource):
            self._over(found, resource, deadline)

    def _over(self, found: Resource, resource: Resource, deadline: float) -> None:
        """Raises WriteConflictError where somebody else was there first, or the server does not tell versions."""
        kind, version = resource["resourceType"], version_of(found)
        if not version:
            raise WriteConflictError("it has no version", where=kind, fix="look at the record; it was left")
        self._wire.put(resource, {"If-Match": f'W/"{version}"'}, deadline)

    def _tells(self, found: Resource, resource: Resource) -> bool:
        wanted = {name: resource[name] for name in ("target", "policy")}
        return same(wanted, found, self._wire.base) and _targets(found, self._wire.base) == _targets(resource, self._wire.base)

    def _of(self, target: str, deadline: float) -> list[Resource]:
        named = target.split("/_history/")[0]
        return self._wire.search("Provenance", (("target", named),), deadline) if "Provenance" in self._plan.looks else []

    def versions(self, subject: str, deadline: float) -> dict[str, str]:
        """The versions of the subject that Provenances of ours name, where the server can be asked: when each was last told."""
        policy = f"{self._plan.rules.canonical_base}/PlanDefinition/"
        own = [one for one in self._of(subject, deadline) if str((one.get("policy") or [""])[0]).startswith(policy)]
        told: dict[str, str] = {}
        for one in own:
            for kind, name, version in _targets(one, self._wire.base):
                before = told.get(version, "")
                if f"{kind}/{name}" == subject and (not before or is_later(str(one.get("recorded")), before)):
                    told[version] = str(one.get("recorded", ""))
        return told

    def list_subjects(self, protocol_id: str, subjects: list[str], device: str, recorded: str, deadline: float) -> str:
        """The study's screening list, with these subjects on it; its reference. What stands on it stays."""
        made = screening_list(
            protocol_id,
            self._plan.rules.study,
            subjects,
            base=self._plan.base,
            device=device,
            recorded=recorded,
            canonical_base=self._plan.rules.canonical_base,
        )
        found = self.find(made, deadline) or self._made(made, deadline)
        for left in reversed(range(_LIST_TRIES)):
            more = with_subjects(found, subjects, recorded=recorded)
            if more is None:
                break
            try:
                self._over(found, more, deadline)
            except WriteConflictError:  # a refused write was surely not done: onto what the other writer left
                if not left or not version_of(found):
                    raise
            found = self._wire.read("List", found["id"], deadline) or found
        return _reference(found)


def _reference(resource: Resource) -> str:
    name, version = f"{resource['resourceType']}/{resource['id']}", version_of(resource)
    return f"{name}/_history/{version}" if version else name


def _identifiers(resource: Resource) -> list[str]:
    listed = resource.get("identifier")
    every = listed if isinstance(listed, list) else [listed]
    return [f"{one.get('system')}|{one.get('value')}" for one in every if isinstance(one, dict)]


def _targets(provenance: Resource, base: str) -> set[tuple[str, str, str]]:
    listed = provenance.get("target")
    texts = [str(one.get("reference", "")) for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    return {found for text in texts if (found := parse_reference(text, base))}
