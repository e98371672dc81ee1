"""A scalar field of the jobs is added by two edits: where it stands, and what it means."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

from factories import content, encoded, job

import retab_frames

PACKAGE = Path(retab_frames.__file__).parent
EDITS = {
    "wire/paths.py": (
        '    "attempt": _at("integer", "attempt"),\n',
        '    "priority": _at("integer", "priority", "timing.priority"),\n',
    ),
    "schemas/models.py": (
        '    is_placeholder: Flag = _key("true where no job was ever run for the document")\n',
        '    priority: Whole = _measure("how urgent the job was, from 0", "levels")\n',
    ),
}
"""In which file, before which line, which line is added."""

SCRIPT = """
import json, sys
import retab_frames as rf
from retab_frames.flatten.run_rows import RunResponses, Sizes
from retab_frames.flatten.tables import flatten_runs
from retab_frames.wire.envelopes import parse_rows_response

body = sys.stdin.buffer.read()
found = rf.read_content(body)
response = parse_rows_response(body)
run = RunResponses(None, response.experiment_id, response.run_id, (response,), None)
by_arrow = flatten_runs([run], Sizes(large=0, large_part=1)).tables
print(json.dumps({
    "column": found.jobs.dtypes["priority"].name,
    "meaning": rf.JobsSchema.to_schema().columns["priority"].description,
    "values": found.tables.jobs["priority"].to_pylist(),
    "by_arrow": by_arrow.jobs["priority"].to_pylist(),
    "issues": found.issues[["job_id", "field", "value"]].values.tolist(),
}))
"""


def test_a_new_field_takes_two_edits(tmp_path: Path) -> None:
    copy = tmp_path / "retab_frames"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    for name, (before, added) in EDITS.items():
        text = (copy / name).read_text()
        assert text.count(before) == 1
        (copy / name).write_text(text.replace(before, added + before))
    file = {"f": {"type": "file", "filename": "a.pdf"}}
    body = content(
        job(1, priority=3, handle_inputs=file),
        job(2, timing={"priority": 4}, handle_inputs=file),
        job(3, handle_inputs=file),
        job(4, priority="high", handle_inputs=file),
    )
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        input=encoded(body),
        capture_output=True,
        check=True,
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path)},
    )
    found = json.loads(done.stdout)

    assert found["column"] == "int64[pyarrow]"
    assert found["meaning"] == "how urgent the job was, from 0"
    assert found["values"] == found["by_arrow"] == [3, 4, None, None]
    assert found["issues"] == [["expjob_4", "priority", '"high"']]
