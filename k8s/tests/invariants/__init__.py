"""Invariants of every overlay. Each function yields one sentence per violation."""

from invariants.gateway_toml import gateway_config_fits
from invariants.pods import (
    disruptions_leave_a_pod,
    drains_fit_the_grace_period,
    images_are_pinned,
    nothing_secret_in_the_open,
    pods_are_restricted,
    references_exist,
)
from invariants.traffic import one_public_service, policies_close_and_connect, ports_exist, selectors_match

ALL = [
    pods_are_restricted,
    references_exist,
    selectors_match,
    ports_exist,
    one_public_service,
    disruptions_leave_a_pod,
    drains_fit_the_grace_period,
    policies_close_and_connect,
    nothing_secret_in_the_open,
    gateway_config_fits,
    images_are_pinned,
]
