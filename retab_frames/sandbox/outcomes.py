"""The outcome of a job: an artifact and outputs, or an error."""

from __future__ import annotations

from typing import TYPE_CHECKING

from retab_frames.sandbox.identifiers import draw_id
from retab_frames.sandbox.records import Artifact, Failure, JsonInput

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping

    from retab_frames.sandbox.records import Block, BlockKind, Document, Handle

_ARTIFACTS: Mapping[BlockKind, tuple[str, str]] = {
    "extract": ("extraction", "extr"),
    "classifier": ("classification", "clss"),
    "split": ("split", "splt"),
}
"""The operation and the prefix of the id of the artifact of each kind of block."""
_FAILURES = (
    (
        "schema_validation_failed",
        "{document} does not match the schema: line_items[{small}].unit_price must be a number",
    ),
    (
        "file_unavailable",
        "Could not read gs://retab-sandbox/{document}/page_{small}.png: HTTP 503, {tries} tries",
    ),
    (
        "context_length_exceeded",
        "Model answered with {tokens} tokens, over the limit of 16384 (request {request})",
    ),
)
_STACK_TRACE = (
    "Traceback (most recent call last):\n"
    '  File "/srv/worker/blocks/{kind}.py", line {line}, in run\n'
    "    return await self.execute(document)\n"
    "BlockExecutionError: {message}\n"
)


def draw_artifact(rng: random.Random, kind: BlockKind) -> Artifact:
    """Return the artifact of a completed job."""
    operation, prefix = _ARTIFACTS[kind]
    return Artifact(operation, draw_id(rng, prefix, 16))


def draw_outputs(rng: random.Random, kind: BlockKind) -> dict[str, Handle]:
    """Return the outputs of a completed job."""
    return {"output-json-0": JsonInput(_draw_output(rng, kind))}


def draw_failure(rng: random.Random, document: Document, block: Block) -> Failure:
    """Return one of three errors, whose message holds ids and numbers of this job."""
    code, template = rng.choice(_FAILURES)
    message = template.format(
        document=document.id,
        small=rng.randint(0, 24),
        tries=rng.randint(3, 5),
        tokens=rng.randint(16_400, 31_000),
        request=draw_id(rng, "req", 12),
    )
    trace = _STACK_TRACE.format(kind=block.kind, line=rng.randint(40, 400), message=message)
    return Failure(message, code, trace, {"document_id": document.id, "retryable": False})


def _draw_output(rng: random.Random, kind: BlockKind) -> dict[str, object]:
    if kind == "extract":
        return {
            "invoice_number": f"INV-{rng.randint(1_000, 99_999)}",
            "total": round(rng.uniform(20, 20_000), 2),
            "currency": rng.choice(("EUR", "USD", "PLN")),
            "due_date": None,
        }
    if kind == "classifier":
        return {"category": rng.choice(("invoice", "receipt", "complaint", "advertising"))}
    last_page = rng.randint(1, 5) + 1
    return {
        "subdocuments": [
            {"name": "cover", "pages": [1]},
            {"name": "invoice", "pages": list(range(2, last_page + 1))},
        ]
    }
