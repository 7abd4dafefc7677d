"""Certificates for tests, made on the spot. Knows nothing of who shows them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import trustme


@dataclass(frozen=True, slots=True)
class Certificates:
    """`server`: key and certificate of web.test; `ca`: who signed it; `stranger`: somebody else's CA. All in PEM."""

    server: Path
    ca: Path
    stranger: Path


def make(directory: Path) -> Certificates:
    """Writes them into a directory."""
    made = Certificates(directory / "server.pem", directory / "ca.pem", directory / "stranger.pem")
    ca = trustme.CA()
    ca.cert_pem.write_to_path(made.ca)
    ca.issue_cert("web.test").private_key_and_cert_chain_pem.write_to_path(made.server)
    trustme.CA().cert_pem.write_to_path(made.stranger)
    return made
