"""fhir_elig: holds a patient's FHIR chart against a clinical trial's eligibility criteria."""
