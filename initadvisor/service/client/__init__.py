"""A client of the service; needs neither the extra `serve` nor torch."""

from initadvisor.service.client.client import Client

__all__ = ["Client"]
