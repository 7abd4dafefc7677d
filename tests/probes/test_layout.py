"""The C and the Python side of the prober's files must agree to the byte."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from probes import layout
from topologies.image.native import compile_program

HEADER = Path(__file__).resolve().parents[2] / "probes/native/record.h"
PAIRS = {
    "plan_header": layout.PLAN_HEADER,
    "plan_flow": layout.PLAN_FLOW,
    "header": layout.HEADER,
    "flow_status": layout.FLOW_STATUS,
    "record": layout.RECORD,
}


def offset(dtype: np.dtype[np.void], field: str) -> int:
    assert dtype.fields is not None
    return dtype.fields[field][1]


def test_every_field_lies_where_c_puts_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOSPOF_CACHE", str(tmp_path / "cache"))
    fields = [(struct, field) for struct, dtype in PAIRS.items() for field in dtype.names or ()]
    lines = [f'printf("%zu\\n", offsetof(struct {s}, {f}));' for s, f in fields]
    lines += [f'printf("%zu\\n", sizeof(struct {s}));' for s in PAIRS]
    source = tmp_path / "offsets.c"
    text = f'#include <stddef.h>\n#include <stdio.h>\n#include "{HEADER}"\nint main(void) {{ {" ".join(lines)} }}\n'
    source.write_text(text)
    said = subprocess.run([compile_program(source)], capture_output=True, text=True, check=True).stdout.split()
    ours = [offset(PAIRS[s], f) for s, f in fields] + [PAIRS[s].itemsize for s in PAIRS]
    assert ours == [int(n) for n in said]


def test_structures_have_no_hidden_padding_at_their_ends() -> None:
    for dtype in PAIRS.values():
        assert dtype.itemsize % np.dtype("i8").itemsize == 0
