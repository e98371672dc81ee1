"""The proxy that requests go through: named by the caller, or by the environment."""

from __future__ import annotations

import os
from base64 import b64encode
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from retab_frames.api.credentials import Secret
from retab_frames.errors import ConfigError, MissingExtraError
from retab_frames.text.messages import printable

if TYPE_CHECKING:
    from urllib.parse import SplitResult

__all__ = ["Proxy", "ProxyChoice", "find_proxy"]

ProxyChoice = str | Literal[False] | None
"""A URL; None for the proxy that the environment names, False for none."""

_SCHEMES = ("http", "https", "socks5", "socks5h")


@dataclass(frozen=True)
class Proxy:
    """A proxy, with the user and the password that it may ask for.

    Attributes:
        url: With the user and the password.
        host: With the port, as messages name it.
        secrets: The password, and the form in which it is sent; for masking.
        named_by: Where the URL comes from, as messages say it.
    """

    url: Secret
    host: str
    secrets: tuple[Secret, ...]
    named_by: str

    @property
    def is_tls(self) -> bool:
        """Whether the connection to the proxy itself is encrypted."""
        return self.url.reveal().startswith("https:")


def find_proxy(choice: Secret | Literal[False] | None, base_url: str) -> Proxy | None:
    """Return the proxy for the requests to a server, None for a direct connection.

    None takes the variables that most programs know: HTTPS_PROXY, else ALL_PROXY, unless NO_PROXY
    excepts the host. Plain http is for servers on this machine only (see `normalize_base_url`), and
    goes through no proxy of the environment: it would show the key to the proxy.

    Args:
        choice: The URL of a proxy, False for none, None for that of the environment.
        base_url: The server, as `normalize_base_url` returns it.

    Raises:
        ConfigError: If the URL is not that of a proxy; the message shows nothing of it.
        MissingExtraError: If it is a SOCKS proxy, and the package for it is not installed.
    """
    if choice is False:
        return None
    if choice is not None:
        return _parse_proxy(choice, "Client(proxy=...)")
    server = urlsplit(base_url)
    if server.scheme == "http" or proxy_bypass(f"{server.hostname}:{server.port or 443}"):
        return None
    for kind in (server.scheme, "all"):
        if url := Secret(getproxies().get(kind)):
            return _parse_proxy(url, _find_variable(f"{kind}_proxy"))
    return None


def _find_variable(name: str) -> str:
    found = next((one for one in (name, name.upper()) if os.environ.get(one)), None)
    return found or "the settings of this machine"


def _parse_proxy(url: Secret, named_by: str) -> Proxy:
    parts = _split(url)
    if parts is None or parts.scheme not in _SCHEMES or not parts.hostname:
        raise ConfigError(
            f"the proxy that {named_by} names is not valid: expected something like "
            f"http://proxy.example:3128, with one of the schemes {', '.join(_SCHEMES)}"
        )
    if parts.scheme.startswith("socks") and find_spec("socksio") is None:
        raise MissingExtraError(
            f"the proxy that {named_by} names is a SOCKS proxy, which takes the package socksio: "
            "pip install 'httpx[socks]'"
        )
    port = f":{parts.port}" if parts.port else ""
    password = unquote(parts.password or "")
    sent = b64encode(f"{unquote(parts.username or '')}:{password}".encode())
    return Proxy(
        url=Secret(parts.geturl()),
        host=printable(f"{parts.hostname}{port}"),
        secrets=(Secret(password), Secret(sent.decode())) if password else (),
        named_by=named_by,
    )


def _split(url: Secret) -> SplitResult | None:
    """Return the parts of a proxy's URL, None if it is not a valid one; http needs no scheme."""
    text = url.reveal() if "://" in url.reveal() else f"http://{url.reveal()}"
    try:
        parts = urlsplit(text)
        if parts.port == 0 or not text.isprintable() or " " in text:
            return None
        if parts.path.strip("/") or parts.query or parts.fragment:
            return None  # a password with such a character that is not escaped
    except ValueError:  # of the port
        return None
    return parts
