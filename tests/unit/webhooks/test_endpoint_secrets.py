"""How the secrets of an endpoint change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from app.errors import Conflict, NotFound
from app.models.delivery import Endpoint, Secret
from app.webhooks.endpoint_secrets import MAX_ACTIVE, active, revoked, rotated

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def secret(number: int, expires_at: datetime | None = None) -> Secret:
    return Secret(bytes([number]) * 32, f"sec_{number}", NOW, expires_at)


def endpoint(*secrets: Secret) -> Endpoint:
    return Endpoint(id="ep_1", brand_id="harbour", url="https://hooks.harbour.example/", secrets=secrets)


def test_after_a_rotation_both_sign_the_new_one_first_until_the_overlap_ends() -> None:
    turned = rotated(endpoint(secret(1)), secret(2), DAY, NOW)
    assert turned.keys_at(NOW) == (secret(2).key, secret(1).key)
    assert turned.keys_at(NOW + DAY - timedelta(seconds=1)) == (secret(2).key, secret(1).key)
    assert turned.keys_at(NOW + DAY) == (secret(2).key,)


def test_without_an_overlap_the_old_ones_are_gone() -> None:
    assert rotated(endpoint(secret(1), secret(3, NOW + DAY)), secret(2), timedelta(), NOW).secrets == (secret(2),)


def test_a_rotation_never_lengthens_what_ends_already() -> None:
    soon = secret(1, NOW + timedelta(minutes=5))
    turned = rotated(endpoint(secret(2), soon), secret(3), DAY, NOW)
    assert [one.expires_at for one in turned.secrets] == [None, NOW + DAY, soon.expires_at]


def test_a_fourth_active_secret_is_refused_and_an_expired_one_does_not_count() -> None:
    full = endpoint(secret(3), secret(2, NOW + DAY), secret(1, NOW + DAY))
    with pytest.raises(Conflict) as refused:
        rotated(full, secret(4), DAY, NOW)
    assert refused.value.code == "too_many_secrets"
    later = rotated(full, secret(4), DAY, NOW + DAY)
    assert len(active(later, NOW + DAY)) == 2 <= MAX_ACTIVE


def test_a_revoked_secret_signs_nothing_from_now_on() -> None:
    both = endpoint(secret(2), secret(1, NOW + DAY))
    assert revoked(both, "sec_1", NOW).keys_at(NOW) == (secret(2).key,)


def test_when_the_current_one_is_revoked_the_one_before_is_current_again_and_does_not_end() -> None:
    left = revoked(endpoint(secret(3), secret(2, NOW + DAY), secret(1, NOW + DAY)), "sec_3", NOW)
    assert left.secrets == (secret(2), secret(1, NOW + DAY))


def test_the_only_secret_cannot_be_revoked_nor_one_that_is_not_there() -> None:
    alone = endpoint(secret(2), secret(1, NOW))
    with pytest.raises(Conflict) as refused:
        revoked(alone, "sec_2", NOW)
    assert refused.value.code == "last_secret"
    for gone in ("sec_1", "sec_9"):
        with pytest.raises(NotFound):
            revoked(alone, gone, NOW)
