"""A small sample webhook receiver, as a brand's platform would have one: verify, take each event once, answer quickly.

The verifier is the PyPI package `standardwebhooks`, which knows nothing of Telltale.
"""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Mapping

from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError

from local.demo.figures import Seen, from_webhook
from local.ports import LOOPBACK

PATH = "/telltale-demo"
_MAX_BODY_BYTES = 65_536
_MOST_FAULTS = 20


class Receiver:
    """Listens on a free port of this machine, one path per brand.

    Args:
        run: id of this run; what belongs to none of its campaigns is counted and put aside.
        forget_one: for checking the check: answer one webhook and lose it.
        wrong_secret_of: for checking the check: the brand whose webhooks are verified with another secret.
    """

    def __init__(self, run: str, *, forget_one: bool = False, wrong_secret_of: str | None = None) -> None:
        self.run = run
        self.received: dict[str, Seen] = {}
        """By webhook id, which is the event's id."""
        self.refused: Counter[str] = Counter()
        """Why webhooks were not accepted."""
        self.repeated = 0
        self.faults: list[str] = []
        self._bodies: dict[str, bytes] = {}
        self._verifiers: dict[str, Webhook] = {}
        self._forget_one = forget_one
        self._wrong_secret_of = wrong_secret_of
        self._runner: web.AppRunner | None = None
        self._port = 0

    async def start(self) -> None:
        app = web.Application(client_max_size=_MAX_BODY_BYTES)
        app.router.add_get(f"{PATH}/{self.run}", self._say_who)
        app.router.add_post(f"{PATH}/{self.run}/{{brand}}", self._take)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, LOOPBACK, 0).start()
        self._port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    def url(self, brand: str) -> str:
        return f"http://{LOOPBACK}:{self._port}{PATH}/{self.run}/{brand}"

    def trust(self, brand: str, secret: str) -> None:
        """Verify a brand's webhooks with the secret that the API has shown once."""
        if brand == self._wrong_secret_of:
            secret = "whsec_" + base64.b64encode(bytes(32)).decode("ascii")
        self._verifiers[brand] = Webhook(secret)

    async def _say_who(self, request: web.Request) -> web.Response:
        """So that another demo sees that this one still runs."""
        return web.Response(text=self.run)

    async def _take(self, request: web.Request) -> web.Response:
        brand = request.match_info["brand"]
        verifier = self._verifiers.get(brand)
        if verifier is None:
            return self._refuse("no secret for this brand", 503)
        body = await request.read()
        try:
            content = verifier.verify(body, dict(request.headers))
        except (WebhookVerificationError, ValueError) as error:  # ValueError: what is not base64 or not JSON
            return self._refuse(f"not verified: {error}", 400)
        self._keep(brand, request.headers["webhook-id"], body, content)
        return web.Response(status=204)

    def _keep(self, brand: str, webhook_id: str, body: bytes, content: Mapping[str, object]) -> None:
        data = content.get("data")
        campaign = data.get("campaign_id") if isinstance(data, dict) else None
        if not str(campaign).startswith(f"demo-{self.run}-"):
            return  # somebody else uses the copy at the same time
        if webhook_id in self._bodies:
            self.repeated += 1
            if self._bodies[webhook_id] != body:
                self._fault(f"the webhook {webhook_id} came twice with different bodies")
            return
        self._bodies[webhook_id] = body
        try:
            seen = from_webhook(content)
        except (KeyError, TypeError) as error:
            self._fault(f"the body of the webhook {webhook_id} lacks a field: {error}")
            return
        if content.get("id") != webhook_id or seen.happened.brand != brand:
            self._fault(f"the webhook {webhook_id} is not what its header or its endpoint says")
        if self._forget_one:
            self._forget_one = False
            return
        self.received[webhook_id] = seen

    def _refuse(self, why: str, status: int) -> web.Response:
        self.refused[why] += 1
        return web.Response(status=status)

    def _fault(self, text: str) -> None:
        if len(self.faults) < _MOST_FAULTS:
            self.faults.append(text)
