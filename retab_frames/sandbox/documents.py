"""The documents of an experiment, with files, JSON or both as inputs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from retab_frames.sandbox.identifiers import draw_id, make_fingerprint, make_random
from retab_frames.sandbox.records import Document, FileInput, JsonInput

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping

    from retab_frames.sandbox.records import BlockKind, Handle

_MEDIAN_MS: Mapping[BlockKind, float] = {
    "extract": 4_000.0,
    "classifier": 1_500.0,
    "split": 9_000.0,
}
_LOG_SD = 0.8
"""Typical durations are log-normal; this is the standard deviation of their logarithm."""

_COMPANIES = (
    "Northwind Traders",
    "Müller GmbH",
    "Société Lefèvre",
    "ACME Corp",
    "Hansen & Søn",
    "Kowalski Sp. z o.o.",
    "Blue Harbor LLC",
    "日本印刷",
)
_FILENAMES: Mapping[str, tuple[str, ...]] = {
    "invoices": (
        "Invoice {party} {number}.pdf",
        "INV-{number}.pdf",
        "Rechnung_{number}.pdf",
        "facture {party} n° {number}.pdf",
        "scan_{number}.tiff",
    ),
    "mailroom": (
        "mail-{number}.eml",
        "RE {party} {month}.eml",
        "letter_{number}.pdf",
        "IMG_{number}.jpg",
    ),
    "packets": (
        "packet-{number}.pdf",
        "{party} onboarding {month}.pdf",
        "batch_{number}_duplex.pdf",
    ),
    "contracts": (
        "{party} MSA {month}.docx",
        "NDA_{number}.pdf",
        "Vertrag {party}.pdf",
    ),
}
_MIME_TYPES: Mapping[str, str] = {
    "pdf": "application/pdf",
    "tiff": "image/tiff",
    "jpg": "image/jpeg",
    "eml": "message/rfc822",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
}


def make_documents(seed: int, topic: str, kind: BlockKind, count: int) -> tuple[Document, ...]:
    """Return the documents of one experiment.

    Args:
        seed: The seed of the workspace.
        topic: The topic of the experiment: invoices, mailroom, packets or contracts.
        kind: The kind of the block, which decides the typical duration.
        count: How many documents.

    Returns:
        The documents; every fifth has the file name of an earlier one.
    """
    rng = make_random(seed, topic, "documents")
    documents: list[Document] = []
    names: list[str] = []
    for index in range(count):
        repeats_name = index % 5 == 4  # noqa: PLR2004 - the fifth of every five
        names.append(names[index // 2] if repeats_name else _draw_filename(rng, topic))
        typical_ms = math.exp(rng.gauss(math.log(_MEDIAN_MS[kind]), _LOG_SD))
        inputs = _draw_inputs(rng, topic, index, names[-1])
        documents.append(Document(draw_id(rng, "expdoc", 16), inputs, typical_ms))
    return tuple(documents)


def _draw_filename(rng: random.Random, topic: str) -> str:
    template = rng.choice(_FILENAMES[topic])
    return template.format(
        party=rng.choice(_COMPANIES),
        number=rng.randint(1_000, 99_999),
        month=f"2026-{rng.randint(1, 8):02}",
    )


def _draw_file(rng: random.Random, filename: str) -> FileInput:
    identifier = draw_id(rng, "file", 16)
    mime_type = _MIME_TYPES[filename.rpartition(".")[2]]
    size = int(math.exp(rng.gauss(math.log(180_000), 0.9)))
    return FileInput(identifier, filename, mime_type, size, make_fingerprint(identifier, size))


def _draw_inputs(rng: random.Random, topic: str, index: int, filename: str) -> dict[str, Handle]:
    if topic == "packets":
        return _draw_packet_inputs(rng, index, filename)
    inputs: dict[str, Handle] = {"input-file-document": _draw_file(rng, filename)}
    if topic == "invoices" and index % 3 == 1:
        inputs["input-json-context"] = JsonInput(_draw_order(rng))
    return inputs


def _draw_packet_inputs(rng: random.Random, index: int, filename: str) -> dict[str, Handle]:
    """Return the inputs of a packet: of six packets, one has only JSON and one has both."""
    has_file = index % 6 != 3  # noqa: PLR2004
    has_json = index % 6 in {3, 5}
    inputs: dict[str, Handle] = {}
    if has_file:
        inputs["input-file-0"] = _draw_file(rng, filename)
    if has_json:
        null = index % 4 == 1
        inputs["input-json-0"] = JsonInput(None if null else _draw_manifest(rng))
    return inputs


def _draw_order(rng: random.Random) -> dict[str, object]:
    return {
        "purchase_order": f"PO-{rng.randint(10_000, 99_999)}",
        "supplier": {"name": rng.choice(_COMPANIES), "vat_number": None},
        "expected_total": round(rng.uniform(20, 20_000), 2),
        "currency": rng.choice(("EUR", "USD", "PLN", "DKK")),
        "tags": rng.sample(["urgent", "recurring", "à vérifier", "export"], k=2),
    }


def _draw_manifest(rng: random.Random) -> dict[str, object]:
    """Return JSON with values that careless decoding changes, such as 2**60 + 1 and 1.0."""
    return {
        "batch": 2**60 + 1,
        "options": {},
        "previous": None,
        "pages": [],
        "client": {"name": "Crédit d'Île-de-France", "branch": {"code": "007", "open": True}},
        "ratio": 0.1,
        "whole": 1.0,
        "parts": [
            {"name": rng.choice(("cover", "invoice", "annexe")), "pages": [1, 2], "note": None},
            {"name": "reçu", "pages": [3], "note": ""},
        ],
    }
