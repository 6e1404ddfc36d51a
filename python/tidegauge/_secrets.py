"""Secrets in texts that leave the process: passwords and tokens of URLs are replaced by ``***``.

Configurations hold no secrets (``${VAR}`` is kept as written); URLs may, in the part before the host or
in the query. Records, messages and commands go through :func:`mask`.
"""

from __future__ import annotations

import re
from typing import Any

#: ``scheme://user:password@`` and ``scheme://token@``; a bucket may be named before an account: abfss://bucket@host.
_USER = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://)(?P<user>[^/\s@:?#]*):(?P<password>[^/\s@]*)@")
_TOKEN = re.compile(r"(?P<scheme>https?://)(?P<token>[^/\s@:?#]+)@")
#: Names of query parameters and options whose value is a secret, whole words of them.
_WORDS = (
    "key|secret|token|password|passwd|pwd|passphrase|signature|sig|sas|credential|credentials|auth|authorization|apikey"
)
_QUERY = re.compile(rf"(?P<name>[?&;](?:[A-Za-z0-9_.%-]*[-_.])?(?:{_WORDS}))=(?P<value>[^&;#\s\"']*)", re.IGNORECASE)

_NAME = re.compile(rf"(?:^|[-_.])(?:{_WORDS})$", re.IGNORECASE)

MASK = "***"


def is_secret(name: str) -> bool:
    """Whether the name of a variable says that its value is a secret: its last word is key, token, password ...

    Examples
    --------
    >>> is_secret("AWS_SECRET_ACCESS_KEY"), is_secret("DATA_FOLDER")
    (True, False)
    """
    return _NAME.search(name) is not None


def mask(text: str) -> str:
    """The text without the secrets of its URLs.

    Parameters
    ----------
    text : str

    Returns
    -------
    str
        Passwords before the host, and values of query parameters whose name ends in a word such as
        key, secret, token, signature or password, replaced by ``***``; everything else as it is.

    Examples
    --------
    >>> mask("https://me:hunter2@host/log.csv?day=3&X-Amz-Signature=abc")
    'https://me:***@host/log.csv?day=3&X-Amz-Signature=***'
    """
    if "://" not in text:
        return text
    text = _USER.sub(rf"\g<scheme>\g<user>:{MASK}@", text)
    text = _TOKEN.sub(rf"\g<scheme>{MASK}@", text)
    return _QUERY.sub(rf"\g<name>={MASK}", text)


def mask_all(value: Any) -> Any:
    """JSON values with every text masked, keys too."""
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, dict):
        return {mask(name) if isinstance(name, str) else name: mask_all(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [mask_all(item) for item in value]
    return value
