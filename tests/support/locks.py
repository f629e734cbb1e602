"""A lock file with comments, and what it holds."""

from __future__ import annotations

from helmpin.image.reference import Reference
from tests.support.renders import digest

A, B, C = map(digest, "abc")
NGINX, REDIS, APP = (Reference.parse(each) for each in ("nginx:1.27", "quay.io/t/redis:7", "registry.example:5000/app"))
TEXT = f"""\
# our images
version: 1
# sorted
images:  # one a line
# waits for a fix
- image: docker.io/library/nginx:1.27@{A}  # renovate
- image: "quay.io/t/redis:7@{B}"

# the end
"""
