from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
import pytest

from retab_frames import (
    AuthError,
    Client,
    ConfigError,
    ExperimentsSchema,
    HandlesSchema,
    JobsSchema,
    MalformedResponseError,
    NotFoundError,
    RetabFramesError,
    RunsSchema,
    Sandbox,
    TransportError,
    iter_content,
    load_content,
    load_experiments,
    load_handle_inputs,
    load_jobs,
    load_runs,
)
from retab_frames.sandbox.faults import Html, Latency, Status
from retab_frames.sandbox.records import FileInput, JsonInput
from retab_frames.schemas import arrow_schema
