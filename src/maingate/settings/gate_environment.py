"""The variables of the environment that gates, commands and tools see unless settings say otherwise."""

from typing import Final

DEFAULT_ENVIRONMENT: Final = (
    "PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_*", "TZ", "TMPDIR",
    "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
    "SSL_CERT_FILE", "SSL_CERT_DIR",
)  # fmt: skip
"""Names; one that ends in ``*`` stands for all that begin so. Enough to find programs and reach a network."""
