"""Makes the certificate that Envoy shows: self-signed, of this node alone. It must not know who asks for it.

Whoever has a CA puts files of its own in these places.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

CERTIFICATE, KEY = Path("/run/envoy.cert.pem"), Path("/run/envoy.key.pem")
_DAYS = 3650


class CertificateError(OSError):
    """There is none, and none could be made; the message says why."""


def provide(host: str, certificate: Path = CERTIFICATE, key: Path = KEY) -> None:
    """Returns when both files are there, made by openssl(1) unless they were. Raises CertificateError."""
    if certificate.exists() and key.exists():
        return
    argv = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    argv += ["-subj", f"/CN={host}", "-addext", f"subjectAltName=DNS:{host}", "-days", str(_DAYS)]
    argv += ["-keyout", str(key), "-out", str(certificate)]
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
    except OSError as error:
        raise CertificateError(f"openssl: {error.strerror or error}") from error
    if done.returncode != 0:
        raise CertificateError(f"openssl made no certificate for {host}: {done.stderr.strip()}")
