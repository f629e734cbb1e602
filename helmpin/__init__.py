"""helm-pin: reproducible helm upgrade and rollback. Every image by digest, recorded, verified."""

__version__ = "0.1.0"
