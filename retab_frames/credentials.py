"""The key and where it may go: what is checked before the first request."""

from __future__ import annotations

import ipaddress
from urllib.parse import SplitResult, urlsplit

from retab_frames.errors import ConfigError, shown

__all__ = ["Secret", "api_key", "base_url"]

KEY_VARIABLE = "RETAB_API_KEY"


class Secret:
    """A value that no repr, pickle or copy shows."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def __repr__(self) -> str:
        return "Secret(***)"

    def __reduce__(self) -> tuple[object, ...]:
        """Refuse to be pickled or copied into anything."""
        raise TypeError("a key cannot be pickled; make the Client where it is used")

    def reveal(self) -> str:
        """Return the value: for the one place that sends it."""
        return self._value

    def masked(self, text: str) -> str:
        """Return the text without the value."""
        return text.replace(self._value, "***")


def api_key(value: str | None, *, name: str = "api_key") -> Secret:
    """Return the key, without the blanks around it that copying leaves.

    Raises:
        ConfigError: If there is none, or it cannot stand in a header; the message never shows it.
    """
    key = (value or "").strip()
    if not key:
        raise ConfigError(
            f"no {name}: set the environment variable {KEY_VARIABLE}, or give Client({name}=...)"
        )
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise ConfigError(
            f"the {name} holds blanks, control characters or non-ASCII letters: copy it again"
        )
    return Secret(key)


def base_url(text: str) -> str:
    """Return the URL to which `/v1/...` is added; a trailing slash and `/v1` are taken off.

    Raises:
        ConfigError: If it is not https (http on loopback is fine), or holds more than an origin
            and a path.
    """
    parts = _split(text.strip())
    if parts is None or parts.scheme not in ("https", "http") or not parts.hostname:
        raise ConfigError(
            "the base URL is not one: expected something like https://api.retab.com, got "
            f"{_without_secrets(text)!r}"
        )
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ConfigError(
            f"the base URL for {shown(parts.hostname)} holds a user, a query or a fragment: "
            "give the key as api_key and a token as access_token"
        )
    if parts.scheme == "http" and not _is_loopback(parts.hostname):
        raise ConfigError(
            f"http would send the key to {shown(parts.hostname)} in the clear: use https "
            "(http is for loopback only)"
        )
    path = parts.path.rstrip("/").removesuffix("/v1").rstrip("/")
    return f"{parts.scheme}://{parts.netloc}{path}"


def _split(text: str) -> SplitResult | None:
    try:
        parts = urlsplit(text)
        _ = parts.port  # raises on a port that is none
    except ValueError:
        return None
    return parts if text.isprintable() and " " not in text and "\\" not in text else None


def _without_secrets(text: str) -> str:
    return shown(text.partition("?")[0].rpartition("@")[2])


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
