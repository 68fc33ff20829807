"""What holds for all tests: on a shared machine a slow moment proves nothing, so hypothesis asserts no time."""

from hypothesis import HealthCheck, settings

settings.register_profile("remit", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("remit")
