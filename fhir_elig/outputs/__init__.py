"""From an assessment to something that can be handed over: FHIR resources, words, pages. Pure: a value in, a value out."""
