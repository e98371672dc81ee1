from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from retab_frames import Client, ConfigError, Sandbox, load_experiments
from retab_frames.api.credentials import Secret, check_secret, normalize_base_url

CANARY = "rt_live_c4n4ryC4N4RY"


def test_key_from_argument(sandbox: Sandbox) -> None:
    with Client(sandbox.api_key, base_url=sandbox.url) as client:
        client.experiments(sandbox.workflow_id)
    assert sandbox.requests[0].headers["api-key"] == sandbox.api_key


def test_key_and_url_from_the_environment(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RETAB_API_KEY", sandbox.api_key)
    monkeypatch.setenv("RETAB_API_BASE_URL", f"{sandbox.url}/v1/")
    frame = load_experiments(sandbox.workflow_id)
    assert frame["experiment_id"].tolist() == list(sandbox.experiment_ids[::-1])
    assert sandbox.requests[0].headers["api-key"] == sandbox.api_key


def test_arguments_win_over_the_environment(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RETAB_API_KEY", "another")
    monkeypatch.setenv("RETAB_API_BASE_URL", "https://elsewhere.example")
    with Client(sandbox.api_key, base_url=sandbox.url) as client:
        client.experiments(sandbox.workflow_id)
    assert [request.headers["api-key"] for request in sandbox.requests] == [sandbox.api_key]


def test_an_empty_key_does_not_fall_back_to_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RETAB_API_KEY", CANARY)
    with pytest.raises(ConfigError, match="there is no API key"):
        Client("")


def test_the_default_url_is_the_official_one() -> None:
    assert repr(Client(CANARY)) == "Client('https://api.retab.com', api='auto')"


@pytest.mark.parametrize("value", [None, "", " ", "\n\t"])
def test_no_key_names_the_variable(value: str | None) -> None:
    with pytest.raises(ConfigError, match=r"RETAB_API_KEY.*Client\(api_key=\.\.\.\)"):
        Client(value)


@pytest.mark.parametrize("value", ["", " ", "\n"])
def test_a_blank_variable_is_no_key(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETAB_API_KEY", value)
    with pytest.raises(ConfigError, match="set the environment variable RETAB_API_KEY"):
        Client()


@pytest.mark.parametrize("around", ["{}", " {}", "{}\n", "\r\n{}\t", "\u00a0{}"])
def test_blanks_around_a_key_are_taken_off(around: str) -> None:
    assert check_secret(Secret(around.format(CANARY))).reveal() == CANARY


@pytest.mark.parametrize("odd", ["{}\nX-Evil: 1", "a {}", "{}é", "{}\0", "{}\x7f", "{}\u200b"])  # noqa: RUF001, RUF100
def test_a_key_that_cannot_stand_in_a_header_is_refused_unseen(odd: str) -> None:
    with pytest.raises(ConfigError, match="the API key contains spaces, control") as caught:
        Client(odd.format(CANARY))
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize("token", ["", "a b", "é"])
def test_a_token_is_checked_under_its_own_name(token: str) -> None:
    with pytest.raises(ConfigError, match="access_token") as caught:
        Client(CANARY, access_token=token)
    assert "RETAB_API_KEY" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("https://api.retab.com", "https://api.retab.com"),
        ("https://api.retab.com/", "https://api.retab.com"),
        ("https://api.retab.com/v1", "https://api.retab.com"),
        ("https://api.retab.com/v1/", "https://api.retab.com"),
        (" https://api.retab.com\n", "https://api.retab.com"),
        ("https://gateway.example:8443/retab", "https://gateway.example:8443/retab"),
        ("https://gateway.example/retab/v1//", "https://gateway.example/retab"),
        ("https://gateway.example/apiv1", "https://gateway.example/apiv1"),
        ("HTTPS://api.retab.com", "https://api.retab.com"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("http://127.3.2.1", "http://127.3.2.1"),
        ("http://localhost:8000/v1", "http://localhost:8000"),
        ("http://[::1]:8000", "http://[::1]:8000"),
    ],
)
def test_base_url(given: str, used: str) -> None:
    assert normalize_base_url(given) == used


@pytest.mark.parametrize("suffix", ["", "/", "/v1", "/v1/"])
def test_requests_go_below_v1_once(sandbox: Sandbox, suffix: str) -> None:
    with Client(sandbox.api_key, base_url=sandbox.url + suffix) as client:
        client.experiments(sandbox.workflow_id)
    assert [request.path for request in sandbox.requests] == [
        "/v1/workflows/wf_sandbox/experiments"
    ]


@pytest.mark.parametrize(
    ("prefix", "on_the_wire"),
    [
        ("/gate/way", "/gate/way"),
        ("/a%20b", "/a%20b"),
        pytest.param(
            "/é",
            "/%C3%A9",
        ),
        pytest.param(
            "/a%3Fb",
            "/a%3Fb",
        ),
    ],
)
def test_a_path_prefix_is_kept(sandbox: Sandbox, prefix: str, on_the_wire: str) -> None:
    path = f"{on_the_wire}/v1/workflows/wf/experiments"
    sandbox.answer(path, [{"id": "exp_behind"}])
    with Client(sandbox.api_key, base_url=sandbox.url + prefix) as client:
        found = client.experiments("wf")
    assert [request.path for request in sandbox.requests] == [path]
    assert found.records == [{"id": "exp_behind"}]


@pytest.mark.parametrize(
    "url",
    [
        "http://api.retab.com",
        "http://localhost.evil.example",
        "http://127.0.0.1.evil.example",
        "http://10.0.0.1:8000",
        "http://0.0.0.0",
        "http://2130706433",
    ],
)
def test_http_is_for_loopback_only(url: str) -> None:
    with pytest.raises(ConfigError, match="unencrypted: use https"):
        Client(CANARY, base_url=url)


@pytest.mark.parametrize(
    "url",
    [
        "https://user@api.retab.com",
        f"https://user:{CANARY}@api.retab.com",
        f"https://{CANARY}@api.retab.com",
        f"https://api.retab.com?access_token={CANARY}",
        f"https://api.retab.com/v1?{CANARY}",
        f"https://api.retab.com#{CANARY}",
        f"http://127.0.0.1:80/v1?key={CANARY}",
    ],
)
def test_a_url_with_more_than_origin_and_path_is_refused_unseen(url: str) -> None:
    with pytest.raises(ConfigError, match="contains a user, a query or a fragment") as caught:
        Client("key", base_url=url)
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        " ",
        "api.retab.com",
        "//api.retab.com",
        "ftp://api.retab.com",
        "file:///etc/passwd",
        "https://",
        "https:///v1",
        "https://api.retab.com:port",
        "https://api.retab.com:99999",
        "https://[::1",
        "https://api .retab.com",
        "https://api.retab.com\\@evil.example",
        "https://api.retab.com/\x1b[2J",
        "https://api.retab.com/\u202e",
    ],
)
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="the base URL is not valid") as caught:
        Client(CANARY, base_url=url)
    assert CANARY not in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "url",
    [
        f"ftp://user:{CANARY}@api.retab.com",
        f"ftp://api.retab.com?access_token={CANARY}",
        f"api.retab.com/v1?access_token={CANARY}",
        pytest.param(
            f"ftp://api.retab.com#access_token={CANARY}",
        ),
        pytest.param(
            f"https://user:{CANARY}?@api.retab.com",
        ),
    ],
)
def test_what_is_no_url_is_shown_without_its_secrets(url: str) -> None:
    with pytest.raises(ConfigError, match="the base URL is not valid") as caught:
        Client("key", base_url=url)
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize("url", ["https://☃.example", "https://" + "é" * 64 + ".example"])
def test_a_host_that_no_dns_can_hold_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="base URL"):
        Client(CANARY, base_url=url)


def test_secret_shows_nothing() -> None:
    secret = Secret(CANARY)
    assert f"{secret} {secret!r} {[secret]}" == "Secret(***) Secret(***) [Secret(***)]"
    assert not hasattr(secret, "__dict__")
    assert secret.reveal() == CANARY


def test_secret_masks_itself() -> None:
    assert Secret("abcd").mask("1abcd2abcd3") == "1***2***3"


@pytest.mark.parametrize("travel", [pickle.dumps, copy.copy, copy.deepcopy])
def test_secret_does_not_travel(travel: Any) -> None:
    with pytest.raises(TypeError, match="a key cannot be pickled"):
        travel(Secret(CANARY))
