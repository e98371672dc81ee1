"""The records of the workspace, independent of how a generation of the API writes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

BlockKind: TypeAlias = Literal["extract", "classifier", "split"]
Status: TypeAlias = Literal["pending", "running", "completed", "error"]


@dataclass(frozen=True, slots=True)
class FileInput:
    """A file under a handle of a job."""

    id: str
    filename: str
    mime_type: str
    size_bytes: int
    fingerprint: str


@dataclass(frozen=True, slots=True)
class JsonInput:
    """A JSON value under a handle: an input of a job, or an output."""

    data: object


Handle: TypeAlias = FileInput | JsonInput


@dataclass(frozen=True, slots=True)
class Document:
    """One document of an experiment.

    Attributes:
        id: The document's id, the same in all runs.
        inputs: The inputs by handle name.
        typical_ms: How long a job on this document usually takes, in milliseconds.
    """

    id: str
    inputs: Mapping[str, Handle]
    typical_ms: float

    @property
    def filename(self) -> str | None:
        """The name of the first file among the inputs, None without one."""
        files = (handle for handle in self.inputs.values() if isinstance(handle, FileInput))
        return next((file.filename for file in files), None)


@dataclass(frozen=True, slots=True)
class Artifact:
    """A reference to what a job produced."""

    operation: str
    id: str


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a job or a run ended in error."""

    message: str
    code: str
    stack_trace: str
    context: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Timing:
    """When a job or a run was created, started and completed; None if it was not yet."""

    created_at: datetime | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    duration_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Block:
    """The workflow block that an experiment runs."""

    id: str
    name: str
    kind: BlockKind


@dataclass(frozen=True, slots=True)
class Workflow:
    """The workflow that holds the experiments."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Job:
    """The execution of a block for one document in one run."""

    id: str
    run_id: str
    experiment_id: str
    document_id: str
    block: Block
    status: Status
    timing: Timing
    inputs: Mapping[str, Handle]
    outputs: Mapping[str, Handle]
    artifact: Artifact | None = None
    failure: Failure | None = None
    attempt: int = 0
    is_placeholder: bool = False


@dataclass(frozen=True, slots=True)
class Run:
    """One execution of an experiment over all its documents."""

    id: str
    experiment_id: str
    workflow: Workflow
    workflow_version_id: str
    block: Block
    block_version_id: str
    block_config: Mapping[str, object]
    n_consensus: int
    status: Status
    timing: Timing
    definition_fingerprint: str
    documents_fingerprint: str
    document_count: int
    completed_count: int
    error_count: int
    score: float | None = None
    failure: Failure | None = None
    parent_run_id: str | None = None


@dataclass(frozen=True, slots=True)
class Experiment:
    """A block and a fixed set of documents to run it on."""

    id: str
    name: str
    workflow: Workflow
    block: Block
    n_consensus: int
    status: Literal["draft", "processing"]
    created_at: datetime
    updated_at: datetime
    document_count: int
    documents_fingerprint: str
    last_run_id: str | None = None
    score: float | None = None
