"""What holds for every test: a property is about truth, and takes as long as a busy host needs."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("nospof", deadline=None)
settings.load_profile("nospof")
