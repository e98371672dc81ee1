"""The documents of an experiment: files, JSON and mixed handle inputs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from retab_frames.sandbox.records import Document, FileInput, JsonInput
from retab_frames.sandbox.tokens import fingerprint, generator, token

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping

    from retab_frames.sandbox.records import Handle, Kind

MEDIAN_MS: Mapping[Kind, float] = {"extract": 4_000.0, "classifier": 1_500.0, "split": 9_000.0}
LOG_SD = 0.8

# Which documents are special: the rest of dividing their position by a period.
_REUSING = 4
_WITH_CONTEXT = 1
_ONLY_JSON = 3
_MIXED = 5
_NO_MANIFEST = 1

_PARTIES = (
    "Northwind Traders",
    "Müller GmbH",
    "Société Lefèvre",
    "ACME Corp",
    "Hansen & Søn",
    "Kowalski Sp. z o.o.",
    "Blue Harbor LLC",
    "日本印刷",
)
_NAMES: Mapping[str, tuple[str, ...]] = {
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


def make_documents(seed: int, topic: str, kind: Kind, count: int) -> tuple[Document, ...]:
    """Return the documents of one experiment.

    Args:
        seed: The workspace's seed.
        topic: What the experiment is about: invoices, mailroom, packets or contracts.
        kind: The block's kind, which sets the usual duration.
        count: How many documents.

    Returns:
        The documents; every fifth has the file name of an earlier one.
    """
    rng = generator(seed, topic, "documents")
    documents: list[Document] = []
    names: list[str] = []
    for index in range(count):
        reuse = index % 5 == _REUSING
        names.append(names[index // 2] if reuse else _filename(rng, topic))
        pace = math.exp(rng.gauss(math.log(MEDIAN_MS[kind]), LOG_SD))
        inputs = _inputs(rng, topic, index, names[-1])
        documents.append(Document(token(rng, "expdoc", 16), inputs, pace))
    return tuple(documents)


def _filename(rng: random.Random, topic: str) -> str:
    template = rng.choice(_NAMES[topic])
    return template.format(
        party=rng.choice(_PARTIES),
        number=rng.randint(1_000, 99_999),
        month=f"2026-{rng.randint(1, 8):02}",
    )


def _file(rng: random.Random, filename: str) -> FileInput:
    identifier = token(rng, "file", 16)
    mime_type = _MIME_TYPES[filename.rpartition(".")[2]]
    size = int(math.exp(rng.gauss(math.log(180_000), 0.9)))
    return FileInput(identifier, filename, mime_type, size, fingerprint(identifier, size))


def _inputs(rng: random.Random, topic: str, index: int, filename: str) -> dict[str, Handle]:
    if topic == "packets":
        return _packet_inputs(rng, index, filename)
    inputs: dict[str, Handle] = {"input-file-document": _file(rng, filename)}
    if topic == "invoices" and index % 3 == _WITH_CONTEXT:
        inputs["input-json-context"] = JsonInput(_order(rng))
    return inputs


def _packet_inputs(rng: random.Random, index: int, filename: str) -> dict[str, Handle]:
    only_json, mixed = index % 6 == _ONLY_JSON, index % 6 == _MIXED
    inputs: dict[str, Handle] = {}
    if not only_json:
        inputs["input-file-0"] = _file(rng, filename)
    if only_json or mixed:
        inputs["input-json-0"] = JsonInput(_manifest(rng, index))
    return inputs


def _order(rng: random.Random) -> dict[str, object]:
    return {
        "purchase_order": f"PO-{rng.randint(10_000, 99_999)}",
        "supplier": {"name": rng.choice(_PARTIES), "vat_number": None},
        "expected_total": round(rng.uniform(20, 20_000), 2),
        "currency": rng.choice(("EUR", "USD", "PLN", "DKK")),
        "tags": rng.sample(["urgent", "recurring", "à vérifier", "export"], k=2),
    }


def _manifest(rng: random.Random, index: int) -> dict[str, object] | None:
    """Return data with the values that careless decoding changes; null at times."""
    if index % 4 == _NO_MANIFEST:
        return None
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
