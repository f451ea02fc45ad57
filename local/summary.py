"""What `make run` says when everything is up."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

from app.brands import Brand
from app.models.block import Channel
from local.run_file import RunInfo

_BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


def summary(info: RunInfo, brands: tuple[Brand, ...], state_dir: Path) -> str:
    """What a person needs after a start: where things are, a key, and three commands that work as they stand."""
    brand = next((brand for brand in brands if Channel.EMAIL in brand.channels), brands[0])
    key = info.api_keys[brand.id]
    host = brand.destinations[0] if brand.destinations else f"www.{brand.id}.example"
    body = {
        "channel": "email",
        "content": {"html": f'<p><a href="https://{host}/hello">Hello</a></p>'},
        "recipients": [{"address": "ann@people.example"}],
        "return": "links",
    }
    address = info.url.removeprefix("http://")
    return f"""
Telltale is ready.

  API       {info.url}/v1, explained at {info.url}/docs
  API key   {key}
            of the brand {brand.id}; the keys of all brands are in {state_dir / "run.json"}
  Flower    {info.flower.url}, user {info.flower.user}, password in {state_dir / "secrets" / "flower_password"}
  Logs      {state_dir / "logs"}

Three commands to copy. Register a message and keep its tracked link:

  LINK=$(curl -s {info.url}/v1/messages -H 'Authorization: Bearer {key}' \\
    -H 'Content-Type: application/json' \\
    -d {shlex.quote(json.dumps(body))} \\
    | grep -o 'http:[^"]*/c/[^"]*'); echo "$LINK"

Click it. No DNS knows the brand's host, so curl is told where it is; as "curl" it would be seen as a machine:

  curl -si --connect-to ::{address} -A '{_BROWSER}' "$LINK"

See the event (events appear ten seconds after they were recorded):

  curl -s {info.url}/v1/events -H 'Authorization: Bearer {key}'

Ctrl-C stops everything; the next `make run` goes on with the same data."""
