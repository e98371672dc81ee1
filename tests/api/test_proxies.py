from __future__ import annotations

import pytest

from retab_frames import Client, ConfigError, MissingExtraError
from retab_frames.api import proxies
from retab_frames.api.credentials import Secret
from retab_frames.api.proxies import find_proxy

SERVER = "https://api.example.org"


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def test_without_any_there_is_none() -> None:
    assert find_proxy(None, SERVER) is None


@pytest.mark.parametrize(
    ("environment", "host", "named_by"),
    [
        ({"HTTPS_PROXY": "http://one:3128"}, "one:3128", "HTTPS_PROXY"),
        ({"https_proxy": "http://one:3128"}, "one:3128", "https_proxy"),
        ({"ALL_PROXY": "http://two"}, "two", "ALL_PROXY"),
        ({"ALL_PROXY": "http://two", "HTTPS_PROXY": "one:1"}, "one:1", "HTTPS_PROXY"),
        ({"HTTPS_PROXY": "http://one", "NO_PROXY": "example.com"}, "one", "HTTPS_PROXY"),
    ],
)
def test_the_environment_names_it(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], host: str, named_by: str
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    proxy = find_proxy(None, SERVER)
    assert proxy is not None
    assert (proxy.host, proxy.named_by) == (host, named_by)


@pytest.mark.parametrize(
    "environment",
    [
        {"HTTP_PROXY": "http://one"},
        {"HTTPS_PROXY": ""},
        {"HTTPS_PROXY": "http://one", "NO_PROXY": "api.example.org"},
        {"HTTPS_PROXY": "http://one", "NO_PROXY": "localhost, .example.org"},
        {"HTTPS_PROXY": "http://one", "NO_PROXY": "example.org"},
        {"HTTPS_PROXY": "http://one", "NO_PROXY": "api.example.org:443"},
        {"ALL_PROXY": "http://one", "no_proxy": "*"},
    ],
)
def test_the_environment_asks_for_a_direct_connection(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert find_proxy(None, SERVER) is None


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://",
        "ftp://one",
        "http://one:0",
        "http://one:port",
        "http://a b",
        "http://\x1b",
        "http://user:12#x@one",
    ],
)
def test_a_url_that_is_none_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(ConfigError, match=r"the proxy that Client\(proxy=\.\.\.\) names") as caught:
        Client("key", proxy=f"{url}/hunter2" if url else url)
    assert "hunter2" not in str(caught.value)


def test_a_socks_proxy_needs_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxies, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'httpx\[socks\]'"):
        Client("key", proxy="socks5://127.0.0.1:1080")
    monkeypatch.setattr(proxies, "find_spec", lambda _: object())
    found = find_proxy(Secret("socks5h://127.0.0.1:1080"), SERVER)
    assert found is not None
    assert found.host == "127.0.0.1:1080"


def test_nothing_shows_its_password() -> None:
    proxy = find_proxy(Secret("https://user:hunter2@one"), SERVER)
    assert proxy is not None
    assert proxy.is_tls
    assert "hunter2" not in repr(proxy)
    shown = "it is hunter2, dXNlcjpodW50ZXIy"
    for secret in proxy.secrets:
        shown = secret.mask(shown)
    assert shown == "it is ***, ***"


def test_a_proxy_is_text() -> None:
    wrong: object = 3128
    with pytest.raises(TypeError, match="proxy takes a URL, None or False, not int"):
        Client("key", proxy=wrong)  # type: ignore[arg-type]
