"""The key and where it may go: what is checked before the first request."""

from __future__ import annotations

import ipaddress
import os
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from retab_frames.errors import ConfigError
from retab_frames.text.messages import printable

if TYPE_CHECKING:
    from urllib.parse import SplitResult

__all__ = ["KEY_VARIABLE", "Secret", "base_url", "checked"]

KEY_VARIABLE = "RETAB_API_KEY"

_SHORTEST = 4
"""A key of fewer characters is none, and would be found everywhere."""


class Secret:
    """A value that no repr, pickle or copy shows.

    Args:
        value: The blanks around it, that copying leaves, are taken off; None is an empty one.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str | None) -> None:
        self._value = (value or "").strip()

    @classmethod
    def from_environment(cls, name: str) -> Secret:
        """Return the value of an environment variable, an empty one if it is not set."""
        return cls(os.environ.get(name))

    def __repr__(self) -> str:
        return "Secret(***)"

    def __bool__(self) -> bool:
        return bool(self._value)

    def __reduce__(self) -> tuple[object, ...]:
        """Refuse to be pickled or copied into anything."""
        raise TypeError("a key cannot be pickled; make the Client where it is used")

    def reveal(self) -> str:
        """Return the value: for the one place that sends it."""
        return self._value

    def masked(self, text: str) -> str:
        """Return the text without the value, plain or as it stands in a URL."""
        if len(self._value) >= _SHORTEST:
            for form in (self._value, quote(self._value, safe=""), quote(self._value)):
                text = text.replace(form, "***")
        return text


def checked(secret: Secret, *, name: str = "api_key") -> Secret:
    """Return the secret if it can stand in a header.

    It comes wrapped, so that no frame of a traceback from here holds it.

    Raises:
        ConfigError: If it is empty or cannot be sent; the message never shows it.
    """
    if not secret:
        raise ConfigError(
            f"no {name}: set the environment variable {KEY_VARIABLE}, or give Client({name}=...)"
        )
    if not all("!" <= character <= "~" for character in secret.reveal()):
        problem = "holds blanks, control characters or non-ASCII letters"
        raise ConfigError(f"the {name} {problem}: copy it again")
    return secret


def base_url(text: str) -> str:
    """Return the URL to which `/v1/...` is added; a trailing slash and `/v1` are taken off.

    Raises:
        ConfigError: If it is not https (http on loopback is fine), or holds more than an origin
            and a path.
    """
    parts = _split(text.strip())
    if parts is None or parts.scheme not in ("https", "http") or not parts.hostname:
        # what is no URL may be a key in the wrong place, or hold a password
        begins = f", and this begins with {parts.scheme}:" if parts and parts.scheme else ""
        raise ConfigError(
            f"the base URL is not one: expected something like https://api.retab.com{begins}"
        )
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ConfigError(
            f"the base URL for {printable(parts.hostname)} holds a user, a query or a fragment: "
            "give the key as api_key and a token as access_token"
        )
    if parts.scheme == "http" and not _is_loopback(parts.hostname):
        raise ConfigError(
            f"http would send the key to {printable(parts.hostname)} in the clear: use https "
            "(http is for loopback only)"
        )
    path = parts.path.rstrip("/").removesuffix("/v1").rstrip("/")
    return f"{parts.scheme}://{parts.netloc}{quote(path, safe='/%')}"


def _split(text: str) -> SplitResult | None:
    try:
        parts = urlsplit(text)
        if parts.port == 0 or not (parts.hostname or "").encode("idna"):
            return None
    except ValueError:  # a port or a host that is none
        return None
    return parts if text.isprintable() and " " not in text and "\\" not in text else None


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
