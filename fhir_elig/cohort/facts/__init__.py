"""The facts cache: what a run read of each chart, as Parquet, so that a later run needs no FHIR JSON.

`cells` makes text of a record and a record of it, `keep` takes the facts of a chart, `file` writes and reads the Parquet file,
`kept` is a finished cache as the input of a run.
"""
