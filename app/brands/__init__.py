"""Brands, the tenants: read from brands.yaml, found by id or tracking host, reloaded while running.

`brand` is what the rest of the program sees; `schema` is the file's shape, `load` reads it, `faults` says what is
wrong with it, `secrets` follows references, `registry` keeps the last good file in memory.
"""

from app.brands.brand import Brand, ClientAddressPolicy, Page, Unsubscribe, UnsubscribeScope
from app.brands.faults import BrandsFileRefused, Fault
from app.brands.load import secret_references
from app.brands.registry import BrandRegistry
from app.brands.schema import EndpointRules
from app.brands.secrets import new_webhook_secret, parse_webhook_secret

__all__ = [
    "Brand",
    "BrandRegistry",
    "BrandsFileRefused",
    "ClientAddressPolicy",
    "EndpointRules",
    "Fault",
    "Page",
    "Unsubscribe",
    "UnsubscribeScope",
    "new_webhook_secret",
    "parse_webhook_secret",
    "secret_references",
]
