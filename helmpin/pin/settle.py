"""Waiting until running pods show what they run."""

from __future__ import annotations

import time

from helmpin import output
from helmpin.config import seconds
from helmpin.kubectl import Kubectl
from helmpin.pin.digestset import DigestSet
from helmpin.pin.verify import OK, Check, Live, pods_check
from helmpin.registry import RegistrySettings

PAUSE = 1.0


def wait_for_pods(live: Live, record: DigestSet, kubectl: Kubectl, settings: RegistrySettings, timeout: str) -> Check:
    """The pods' check, asked again until it is right or the time is up (`timeout` as helm's --timeout). Shows progress."""
    deadline = time.monotonic() + seconds(timeout, "--timeout")
    while True:
        check = pods_check(live, record, kubectl, settings)
        if check.verdict == OK or time.monotonic() + PAUSE > deadline:
            output.progress("")
            return check
        output.progress(f"waiting for pods: {check.summary}")
        time.sleep(PAUSE)
