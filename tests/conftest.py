"""Hypothesis as all rooms use it: machines of CI are busy, so no test fails for being slow."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile("gatevault", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("gatevault")
