from __future__ import annotations

import json
import re
import unicodedata
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from retab_frames.errors import SnapshotCorruptError, SnapshotError
from retab_frames.store.manifest import (
    FileEntry,
    Manifest,
    content_digest,
    data_name,
    folder_name,
    is_cut,
    manifest_name,
    seal,
    sha256,
)

FILE = manifest_name("exprun_é", 2)
MANIFEST = Manifest(
    workflow_id="wf_1",
    experiment_id="exp_1",
    run_id="exprun_é",
    revision=2,
    block_kind=None,
    complete=True,
    jobs=3,
    statuses={"completed": 2, "error": 1},
    run_created_at="2026-01-02T03:04:05+00:00",
    fetched_at=None,
    written_at="2026-01-02T03:04:06+00:00",
    digest="ab" * 32,
    previous="cd" * 32,
    files={
        "jobs": FileEntry(
            data_name("jobs", "ef" * 32), 100, "ef" * 32, 3, 1, ("job_id", "handle_inputs.é.type")
        )
    },
    library="retab-frames 0.1.0, pyarrow 17",
)
NAME = re.compile(r"[a-z0-9]([a-z0-9_-]{0,38}[a-z0-9])?-[0-9a-f]{16}", re.ASCII)
HOSTILE_IDS = [
    "",
    " ",
    ".",
    "..",
    "../..",
    "../../etc/passwd",
    "/",
    "a/b",
    "a\\b",
    "C:\\x",
    "CON",
    "con",
    "nul.txt",
    "Run",
    "run",
    "RUN",
    "é",
    "e\u0301",
    "É",
    "_x",
    "__",
    ".x",
    "-x",
    "x.",
    "x ",
    "x_",
    "x" * 40 + "_",
    "x" * 39 + "-y",
    "x" * 5_000,
    "x" * 5_001,
    "é" * 5_000,
    "🧾",
    "İ",
    "ß",
    "\x00",
    "a\x00b",
    "a\nb",
    "run_id=1",
    "001",
    "1",
    "0x10",
    "__HIVE_DEFAULT_PARTITION__",
    "%2e%2e",
    "*.parquet",
    "\u202e",
    "~",
    "$HOME",
    "jobs",
]
TEXT = pa.string()


def digest(**columns: pa.Array) -> str:
    """Return the digest of one table of jobs whose key is `id`."""
    return content_digest({"jobs": pa.table(columns)}, {"jobs": ("id",)}, complete=True)


def ids(count: int) -> pa.Array:
    return pa.array([f"job_{n}" for n in range(count)])


def resealed(**changes: Any) -> bytes:
    """Return a manifest that someone changed who knows how it is sealed."""
    return seal(msgspec.structs.replace(MANIFEST, **changes))


def test_sealed_manifest_opens_as_it_was() -> None:
    opened = Manifest.parse(seal(MANIFEST), FILE)
    assert msgspec.structs.replace(opened, seal="") == MANIFEST
    assert opened.seal == json.loads(seal(MANIFEST))["seal"]
    assert seal(opened) == seal(MANIFEST)


def test_seal_is_the_hash_of_the_manifest_without_it() -> None:
    told = json.loads(seal(MANIFEST))
    came = told.pop("seal")
    body = json.dumps(told, sort_keys=True, separators=(",", ":"))
    plain = body.encode().decode("unicode_escape").encode()
    assert came == sha256(plain)


@pytest.mark.parametrize("field", [f.name for f in msgspec.structs.fields(Manifest)])
def test_changed_field_is_found(field: str) -> None:
    told = json.loads(seal(MANIFEST))
    old = told[field]
    told[field] = {str: f"{old}x", int: 0, bool: old is False, dict: {}, type(None): "x"}[type(old)]
    assert told[field] != old
    with pytest.raises(SnapshotCorruptError, match=rf"^{FILE} is damaged: its c"):
        Manifest.parse(json.dumps(told).encode(), FILE)


@pytest.mark.parametrize("field", [f.name for f in msgspec.structs.fields(FileEntry)])
def test_changed_field_of_a_file_is_found(field: str) -> None:
    told = json.loads(seal(MANIFEST))
    old = told["files"]["jobs"][field]
    told["files"]["jobs"][field] = old + {int: 1, str: "x", list: ["x"]}[type(old)]
    with pytest.raises(SnapshotCorruptError, match="does not match its own hash"):
        Manifest.parse(json.dumps(told).encode(), FILE)


@pytest.mark.parametrize("field", [f.name for f in msgspec.structs.fields(Manifest)])
def test_missing_field_is_found(field: str) -> None:
    told = json.loads(seal(MANIFEST))
    del told[field]
    with pytest.raises(SnapshotCorruptError) as caught:
        Manifest.parse(json.dumps(told).encode(), FILE)
    assert caught.value.file == FILE


def test_flipped_byte_is_found() -> None:
    whole = seal(MANIFEST)
    for at in range(len(whole)):
        damaged = bytearray(whole)
        damaged[at] ^= 0x02
        with pytest.raises(SnapshotError):
            Manifest.parse(bytes(damaged), FILE)


def test_cut_manifest_is_found() -> None:
    whole = seal(MANIFEST)
    for length in range(len(whole)):
        assert is_cut(whole[:length])
        with pytest.raises(SnapshotCorruptError):
            Manifest.parse(whole[:length], FILE)
    assert not is_cut(whole)


TIMES = ["no time", "2024-01-01T00:00:00", "0001-01-01T00:00:00+23:00", "9999-12-31T23:59:59-23:00"]
NONSENSE: list[tuple[dict[str, Any], str]] = [
    ({"jobs": 2**70}, "jobs"),
    ({"jobs": -5}, "jobs"),
    ({"jobs": True}, "jobs"),
    ({"statuses": {"completed": -1}}, "statuses"),
    ({"revision": 0}, "revision"),
    ({"revision": 3}, "copied or renamed"),
    ({"run_id": "another"}, "copied or renamed"),
    ({"run_id": ""}, "run_id"),
    ({"experiment_id": ""}, "experiment_id"),
    ({"digest": "../" * 21 + "x"}, "digest"),
    ({"previous": "no hash"}, "previous"),
    ({"format": "other"}, "another format"),
    ({"version": 1}, "another format"),
    *(({name: time}, name) for name in ("run_created_at", "fetched_at") for time in TIMES),
    *(({"written_at": time}, "written_at") for time in (*TIMES, None)),
]


@pytest.mark.parametrize(("changes", "match"), NONSENSE)
def test_sealed_nonsense_is_found(changes: dict[str, Any], match: str) -> None:
    with pytest.raises(SnapshotCorruptError, match=match):
        Manifest.parse(resealed(**changes), FILE)


OTHER = data_name("raw", "ef" * 32)


@pytest.mark.parametrize(
    ("table", "changes"),
    [
        ("jobs", {"size": 2**80}),
        ("jobs", {"size": -1}),
        ("jobs", {"rows": -1}),
        ("jobs", {"schema_version": 0}),
        ("jobs", {"sha256": "é" * 64}),
        ("jobs", {"sha256": "01" * 32}),
        *(
            ("jobs", {"name": name})
            for name in ("../x", "/etc/passwd", "x.parquet", OTHER, f"../run/{OTHER}", "")
        ),
        ("jobs", {"columns": ("job_id", "job_id")}),
        ("raw", {}),
        ("../jobs", {}),
        ("", {}),
    ],
)
def test_sealed_nonsense_of_a_file_is_found(table: str, changes: dict[str, Any]) -> None:
    entry = msgspec.structs.replace(MANIFEST.files["jobs"], **changes)
    with pytest.raises(SnapshotCorruptError, match="is damaged"):
        Manifest.parse(resealed(files={table: entry}), FILE)


@pytest.mark.parametrize(
    "text", [b"", b"[]", b"null", b"{}", b'{"version":1}', b"\xff\xfe", b"[" * 100_000, b"0"]
)
def test_what_is_no_manifest_is_refused(text: bytes) -> None:
    with pytest.raises(SnapshotCorruptError, match="is damaged") as caught:
        Manifest.parse(text, FILE)
    assert caught.value.file == FILE


def test_format_of_another_is_refused() -> None:
    with pytest.raises(SnapshotCorruptError, match="is damaged"):
        Manifest.parse(resealed(format="other"), FILE)


@pytest.mark.parametrize("text", [resealed(version=3), b'{"version":3,"all":"new"}'])
def test_newer_version_is_named(text: bytes) -> None:
    with pytest.raises(SnapshotError, match=r"has format version 3, .* up to 2: upgrade") as caught:
        Manifest.parse(text, FILE)
    assert not isinstance(caught.value, SnapshotCorruptError)
    assert FILE in str(caught.value)


def test_version_of_very_many_digits_is_refused() -> None:
    with pytest.raises(SnapshotError):
        Manifest.parse(b'{"version":' + b"9" * 5_000 + b"}", FILE)


def test_hostile_ids_have_names_apart() -> None:
    names = [folder_name(identifier) for identifier in HOSTILE_IDS]
    assert all(NAME.fullmatch(name) for name in names)
    assert len(set(names)) == len(set(HOSTILE_IDS)) == len(HOSTILE_IDS)
    assert max(map(len, names)) <= 57


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.one_of(
            st.text(st.characters(exclude_categories=["Cs"]), max_size=60),
            st.text("aA_.-/\\é\u0301", max_size=50),
            st.sampled_from(HOSTILE_IDS),
        ),
        min_size=50,
        max_size=100,
        unique=True,
    )
)
def test_any_ids_have_names_apart(identifiers: list[str]) -> None:
    names = {folder_name(identifier) for identifier in identifiers}
    assert all(NAME.fullmatch(name) for name in names)
    # neither case nor Unicode form, which file systems fold, tells two names apart
    assert len({unicodedata.normalize("NFD", n).casefold() for n in names}) == len(identifiers)


@pytest.mark.parametrize(
    ("identifier", "slug"),
    [
        ("exprun_abc-1", "exprun_abc-1"),
        ("Ünïcode Run", "n-code-run"),
        ("_x_", "x"),
        ("../..", "id"),
        ("x" * 60, "x" * 40),
    ],
)
def test_name_is_slug_and_hash(identifier: str, slug: str) -> None:
    assert folder_name(identifier) == f"{slug}-{sha256(identifier.encode())[:16]}"


def test_id_that_is_no_unicode_is_refused() -> None:
    with pytest.raises(ValueError, match="surrogates not allowed"):
        folder_name("\ud800")


@settings(max_examples=60, deadline=None)
@given(st.permutations(range(8)))
def test_row_order_does_not_change_the_digest(order: list[int]) -> None:
    table = pa.table(
        {
            "id": ids(8),
            "status": pa.array(["a", None, "", "b", "é", None, "\x00", "a"]),
            "n": pa.array([1, 2, None, 4, 5, 6, 7, 8]),
            "position": pa.array(range(8)),
        }
    )
    for name in ("raw", "jobs"):
        whole = table.drop_columns(["position"]) if name == "jobs" else table
        shuffled = whole.take(order)
        if name == "raw":
            at = shuffled.column_names.index("position")
            shuffled = shuffled.set_column(at, "position", pa.array(range(8)))
        assert content_digest({name: shuffled}, {name: ("id",)}, complete=True) == content_digest(
            {name: whole}, {name: ("id",)}, complete=True
        )


def test_column_order_and_chunks_do_not_change_the_digest() -> None:
    table = pa.table({"id": ids(6), "a": pa.array(list("uvwxyz")), "b": pa.array(range(6))})
    pieces = pa.concat_tables([table.slice(0, 1), table.slice(1, 0), table.slice(1)])
    told = {
        content_digest({"jobs": one}, {"jobs": ("id",)}, complete=True)
        for one in (table, pieces, table.select(["b", "id", "a"]))
    }
    assert len(told) == 1


def test_time_of_the_response_does_not_change_the_digest() -> None:
    time = pa.timestamp("us", tz="UTC")
    told = {
        digest(id=ids(2), fetched_at=pa.array(values, time))
        for values in ([1, 2], [3, None], [None, None])
    }
    assert told == {digest(id=ids(2))}


def test_every_cell_changes_the_digest() -> None:
    time = pa.timestamp("us", tz="UTC")
    columns = {
        "id": ids(3),
        "text": pa.array(["a", "b", None]),
        "whole": pa.array([1, None, 2**63 - 1]),
        "real": pa.array([0.1, None, 2.0]),
        "flag": pa.array([True, False, None]),
        "time": pa.array([0, 1, None], time),
    }
    others = {
        "id": pa.array(["job_0", "job_1", "job_3"]),
        "text": pa.array(["a", "b", ""]),
        "whole": pa.array([1, None, 2**63 - 2]),
        "real": pa.array([0.1, None, 2.0000000000000004]),
        "flag": pa.array([True, True, None]),
        "time": pa.array([0, 1, 0], time),
    }
    told = {digest(**columns)} | {digest(**{**columns, name: others[name]}) for name in others}
    assert len(told) == 1 + len(others)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((["ab"], ["c"]), (["a"], ["bc"])),
        ((["ab", "c"], ["", ""]), (["a", "bc"], ["", ""])),
        ((["x", None], [None, "x"]), ([None, "x"], ["x", None])),
        ((["x", ""], ["y", ""]), (["x", None], ["y", ""])),
        ((["", None], ["", None]), ([None, ""], [None, ""])),
        ((["null"], ["a"]), ([None], ["a"])),
        ((["a"], ["b"]), (["b"], ["a"])),
        ((["a\x00"], ["b"]), (["a"], ["\x00b"])),
        ((["é"], [""]), (["e\u0301"], [""])),
    ],
)
def test_values_cannot_move_between_cells(
    one: tuple[list[str | None], ...], other: tuple[list[str | None], ...]
) -> None:
    first, second = (
        digest(id=ids(len(a)), a=pa.array(a, TEXT), b=pa.array(b, TEXT)) for a, b in (one, other)
    )
    assert first != second


def test_names_types_and_tables_change_the_digest() -> None:
    one = pa.table({"id": ids(1), "a": pa.array([None], TEXT)})
    renamed = one.rename_columns(["id", "b"])
    retyped = pa.table({"id": ids(1), "a": pa.array([None], pa.int64())})
    empty = one.slice(0, 0)
    key = ("id",)
    told = {
        content_digest({"jobs": t}, {"jobs": key}, complete=True)
        for t in (one, renamed, retyped, empty)
    }
    told.add(content_digest({"runs": one}, {"runs": key}, complete=True))
    told.add(content_digest({"jobs": one}, {"jobs": key}, complete=False))
    assert len(told) == 6
