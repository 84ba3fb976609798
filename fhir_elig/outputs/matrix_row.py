"""One row of the verdict matrix. Apart from what makes the rows, so that a process that only writes them loads little else.

The columns are those of `matrix.parquet` (docs/reference/run-folder.md).
"""

from __future__ import annotations

import msgspec

WHOLE = ""  # the criterion of the row that holds a patient's whole verdict; its reason is the status
NUMBERS = frozenset({"value", "value_low", "value_high"})


class Row(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One row, its fields in the order of the columns; as a message it is the bare list of them.

    `value` is the value as compared, `value_low` and `value_high` its bounds (equal for a point that is known exactly; None for
    an infinite end, and where nothing was compared with a limit), in `unit`, which is the unit of `limit`.
    """

    protocol: str
    patient: str
    criterion: str
    verdict: str
    reason: str
    value: float | None = None
    value_low: float | None = None
    value_high: float | None = None
    unit: str | None = None
    limit: str = ""
    reference: str = ""
    time: str = ""


COLUMNS = Row.__struct_fields__
