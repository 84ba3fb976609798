"""The facts cache: what a run read of each chart, as Parquet, so that a later run needs no FHIR JSON.

`cells` makes text of a record and a record of it, `keep` takes the facts of a chart, `file` is the Parquet file, `write` the
process that writes it, `again` takes over the facts of an earlier run; `cache` is the folder, `jobs` are the two jobs about it.
"""
