"""Secrets in texts that leave the process: passwords, keys and tokens are replaced by ``***``.

Configurations hold no secrets (``${VAR}`` is kept as written); URLs may, in the part before the host or in the
query, and so may connection strings and headers that somebody pasted. Records, messages and commands go through
:func:`mask`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Sequence

#: ``scheme://user:password@`` and ``scheme://token@``; a bucket may be named before an account: abfss://bucket@host.
_USER = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://)(?P<user>[^/\s@:?#]*):(?P<password>[^/\s\"']*)@")
_TOKEN = re.compile(r"(?P<scheme>https?://)(?P<token>[^/\s@:?#]+)@")
#: ``?name=value``, ``&name=value`` and ``#name=value`` of a URL.
_QUERY = re.compile(r"(?P<name>[?&;#][A-Za-z0-9_.%-]+)=(?P<value>[^&;#\s\"'<>]+)")
#: ``name=value`` of a connection string, which has several, parted by semicolons.
_FIELD = re.compile(
    r"(?:(?<=;)|(?<![A-Za-z0-9_.%\"-])(?=[^;=\s\"']+=[^;\s\"']+;))"
    r"(?P<name>[A-Za-z][A-Za-z0-9_. -]*?)=(?P<value>[^;\s\"']+)"
)
#: A header, as ``Authorization: Bearer abc``; a small letter needs a digit behind it to be no word of a sentence.
_HEADER = re.compile(
    r"(?P<name>\bAuthorization[\"']?\s*[:=]\s*[\"']?(?:[A-Za-z]+\s+)?|\bBearer\s+|\bbearer\s+(?=\S*\d))"
    r"(?P<value>[A-Za-z0-9._~+/=-]{6,})(?![A-Za-z0-9._~+/=-]|\s+\*\*\*)"
)

#: Words that make a secret of any name they are in, of its last word, and of the end of a word without a break.
_ANYWHERE = frozenset((
    "secret", "token", "password", "passwd", "pwd", "passphrase", "credential", "credentials", "webhook", "apikey",
    "authorization", "bearer",
))  # fmt: skip
_LAST = frozenset((
    "key", "keys", "pass", "pat", "sig", "signature", "sas", "auth", "dsn", "secrets", "tokens", "passwords",
))  # fmt: skip
#: Last words of what is about a secret, and none.
_ABOUT = frozenset(("folder", "dir", "directory", "path", "file", "name", "column", "count"))
_ENDINGS = (
    "password", "passwd", "passphrase", "secret", "token", "apikey", "accesskey", "accountkey", "privatekey",
    "secretkey", "sharedkey", "credentials", "webhook", "signature", "connectionstring",
)  # fmt: skip
#: Pairs of last words that are one: a key's number goes with the key.
_PAIRS = (("connection", "string"), ("conn", "string"), ("conn", "str"), ("key", "id"), ("key", "base"))
_PAIRS_OF_KEYS = frozenset((
    "account", "access", "api", "private", "secret", "shared", "storage", "encryption", "signing", "sas", "client",
))  # fmt: skip
_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+")

MASK = "***"


def is_secret(name: str) -> bool:
    """Whether the name of a variable or of a parameter of a URL says that its value is a secret.

    Names are taken apart at ``_ - .``, digits and capitals: ``DB_PASS``, ``PGPASSWORD``, ``TOKEN2``, ``accessKey``.

    Examples
    --------
    >>> is_secret("AWS_SECRET_ACCESS_KEY"), is_secret("SECRET_KEY_BASE"), is_secret("DATA_FOLDER")
    (True, True, False)
    """
    words = _words(name)
    return _tells(words) or bool(words and words[-1] in _LAST)


def _words(name: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(unquote(name))]


def _tells(words: Sequence[str]) -> bool:
    """Whether words leave no doubt, as ``key`` alone does, which may be that of a table."""
    if not words or words[-1] in _ABOUT:
        return False
    if not _ANYWHERE.isdisjoint(words) or "".join(words).endswith(_ENDINGS):
        return True
    return tuple(words[-2:]) in _PAIRS or (words[-1] == "key" and not _PAIRS_OF_KEYS.isdisjoint(words[-2:-1]))


def mask(text: str) -> str:
    """The text without the secrets of its URLs, connection strings and headers.

    Parameters
    ----------
    text : str

    Returns
    -------
    str
        Replaced by ``***`` are passwords before the host, values of query parameters and of fields of a connection
        string whose name is that of a secret (:func:`is_secret`), and what follows ``Bearer`` or
        ``Authorization:``. Everything else is as it is.

    Examples
    --------
    >>> mask("https://me:hunter2@host/log.csv?day=3&X-Amz-Signature=abc")
    'https://me:***@host/log.csv?day=3&X-Amz-Signature=***'
    >>> mask("AccountName=logs;AccountKey=c2VjcmV0;EndpointSuffix=core.windows.net")
    'AccountName=logs;AccountKey=***;EndpointSuffix=core.windows.net'
    """
    if "://" in text:
        text = _USER.sub(rf"\g<scheme>\g<user>:{MASK}@", text)
        text = _TOKEN.sub(rf"\g<scheme>{MASK}@", text)
        text = _QUERY.sub(lambda found: _without(found, is_secret(found["name"])), text)
    if ";" in text and "=" in text:
        text = _FIELD.sub(lambda found: _without(found, _tells(_words(found["name"]))), text)
    return _HEADER.sub(rf"\g<name>{MASK}", text) if "earer" in text or "uthorization" in text else text


def _without(found: re.Match[str], secret: bool) -> str:
    return f"{found['name']}={MASK}" if secret else found[0]


def mask_all(value: Any) -> Any:
    """JSON values with every text masked, keys too."""
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, dict):
        return {mask(name) if isinstance(name, str) else name: mask_all(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [mask_all(item) for item in value]
    return value
