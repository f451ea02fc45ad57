"""What the front needs of its neighbours, in the front's words. `app.factory` hands them over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from app.brands import Brand
from app.models.block import Block
from app.models.record import Record
from app.privacy.token_keys import Refusal
from app.tracking.tokens import TokenContent, TokenPurpose


class Journal(Protocol):
    def append(self, record: Record) -> bool: ...


class Blocks(Protocol):
    def cached(self, number: int) -> Block | None: ...
    def find(self, number: int) -> Block | None: ...


class Brands(Protocol):
    def by_host(self, host: str) -> Brand | None: ...


class Tokens(Protocol):
    """From memory; never waits for a store that is away."""

    def check(self, brand_id: str, purpose: TokenPurpose, token: str) -> TokenContent | Refusal: ...


class Values(Protocol):
    """The values of personalised links."""

    def values_of(self, number: int) -> Mapping[str, str] | None:
        """Of the message with this number; None when it is erased or gone.

        Raises:
            StoreUnavailable: nobody knows now.
        """


class Unsubscribes(Protocol):
    def apply(self, brand: Brand, block: Block, message: int, at_ms: int) -> None: ...
    def apply_token(self, brand: Brand, content: TokenContent, at_ms: int) -> None: ...


class CountHit(Protocol):
    """Counts an answer for `/metrics` by kind and outcome (`app.web.metrics` names them)."""

    def __call__(self, kind: str, outcome: str) -> None: ...
