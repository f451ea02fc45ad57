"""The page at `/docs`: the OpenAPI document for people. Rendered once, self-contained, no script, no other host."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup, escape

_STYLE = """
:root{color-scheme:light dark;--line:#8884;--soft:#8881;--accent:#1f6feb}
*{box-sizing:border-box}
body{font:16px/1.55 system-ui,sans-serif;margin:0 auto;padding:2rem 1.25rem 5rem;max-width:60rem}
h1{margin:0 0 .25rem}h2{margin-top:3rem;border-bottom:1px solid var(--line);padding-bottom:.3rem}
h3{margin:0}code,pre{font:.875em/1.5 ui-monospace,monospace}
pre{background:var(--soft);padding:.9rem 1rem;border-radius:8px;overflow:auto}
code{background:var(--soft);padding:.1em .35em;border-radius:4px}pre code{background:none;padding:0}
nav a{display:inline-block;margin:.15rem .9rem .15rem 0}a{color:var(--accent)}
.op{border:1px solid var(--line);border-radius:10px;padding:1rem 1.25rem;margin:1.25rem 0}
.verb{font-weight:700;color:var(--accent);margin-right:.5rem}
table{border-collapse:collapse;width:100%;margin:.5rem 0}
td,th{text-align:left;vertical-align:top;padding:.35rem .75rem .35rem 0;border-bottom:1px solid var(--line)}
.quiet{opacity:.75;font-size:.9em}summary{cursor:pointer;margin-top:.6rem}:target{outline:2px solid var(--accent)}
"""

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ info.title }} API</title><style>{{ style }}</style></head><body>
<h1>{{ info.title }} API</h1>
<p>{{ info.description }} Machine-readable: <a href="{{ document_url }}">OpenAPI {{ openapi }}</a>.</p>
<nav aria-label="Calls">{% for op in operations %}<a href="#{{ op.id }}">{{ op.summary }}</a>{% endfor %}
<a href="#schemas">Schemas</a><a href="#problems">Errors</a></nav>
<h2>First call</h2>
<pre><code>{{ example }}</code></pre>
<p>Every call needs a key: <code>Authorization: Bearer tt_…</code>. Calls that change something take an
<code>Idempotency-Key</code>: repeat the call with the same key after a time-out and nothing happens twice.</p>
<h2>Calls</h2>
{% for op in operations %}<section class="op" id="{{ op.id }}">
<h3><span class="verb">{{ op.method }}</span><code>{{ op.path }}</code></h3>
<p>{{ op.summary }}. {{ op.description | code }}</p>
{% if op.parameters %}<table><tr><th scope="col">Parameter</th><th scope="col">In</th><th scope="col">About</th></tr>
{% for p in op.parameters %}<tr><td><code>{{ p.name }}</code></td><td>{{ p.in }}</td><td>{{ p.description | code }}
<span class="quiet">{{ p.choices | join(", ") }}</span></td></tr>{% endfor %}
</table>{% endif %}
<p class="quiet">{% if op.request %}Body: <a href="#schema-{{ op.request }}">{{ op.request }}</a>. {% endif %}
Answer: {{ op.status }}{% if op.response %},
<a href="#schema-{{ op.response }}">{{ op.response }}</a>{% endif %}. Errors: {{ op.problems | join(", ") }}.</p>
</section>{% endfor %}
<h2 id="schemas">Schemas</h2>
{% for schema in schemas %}<section class="op" id="schema-{{ schema.name }}"><h3>{{ schema.name }}</h3>
{% if schema.description %}<p>{{ schema.description | code }}</p>{% endif %}
<table><tr><th scope="col">Field</th><th scope="col">Type</th><th scope="col">About</th></tr>
{% for field in schema.fields %}<tr><td><code>{{ field.name }}</code>{{ "" if field.required else " ?" }}</td>
<td>{{ field.type }}{% if field.link %}
<a href="#schema-{{ field.link }}">{{ field.link }}</a>{% endif %}</td>
<td>{{ field.description | code }}</td></tr>{% endfor %}
</table><details><summary>JSON Schema</summary><pre><code>{{ schema.json }}</code></pre></details></section>{% endfor %}
<h2 id="problems">Errors</h2>
<p>Errors are problem documents (RFC 9457); <code>code</code> is for programs and never renamed.</p>
<table><tr><th scope="col">Code</th><th scope="col">Meaning</th></tr>
{% for code, meaning in codes.items() %}<tr id="{{ code }}"><td><code>{{ code }}</code></td>
<td>{{ meaning | code }}</td></tr>{% endfor %}</table>
</body></html>
"""

_EXAMPLE = """curl -sS $TELLTALE_URL/v1/messages \\
  -H "Authorization: Bearer $TELLTALE_KEY" \\
  -H "Content-Type: application/json" \\
  -H "Idempotency-Key: order-1042" \\
  -d '{"channel": "email", "campaign_id": "welcome",
       "content": {"html": "<p>Hello <a href=\\"https://shop.example/\\">there</a></p>"},
       "recipients": [{"address": "ada@mail.example", "id": "contact-118"}]}'"""

_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode("ascii")
CONTENT_SECURITY_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

_CODE = re.compile(r"`([^`]+)`")

Json = dict[str, Any]


def render(document: Json, codes: dict[str, str], *, document_url: str) -> str:
    """The page for an OpenAPI document."""
    # The style must stay byte for byte what its hash in the policy says; everything else is escaped.
    environment = Environment(autoescape=True, undefined=StrictUndefined)
    environment.filters["code"] = _with_code
    return environment.from_string(_PAGE).render(
        info=document["info"],
        openapi=document["openapi"],
        document_url=document_url,
        style=Markup(_STYLE),  # noqa: S704  # a constant of this file
        example=_EXAMPLE,
        operations=_operations(document),
        schemas=[_schema(name, schema) for name, schema in document["components"]["schemas"].items()],
        codes=codes,
    )


def _with_code(text: str) -> Markup:
    """`this` as code; everything else is text."""
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(text))))  # noqa: S704  # escaped first


def _operations(document: Json) -> list[Json]:
    return [
        {
            "id": described["operationId"],
            "method": method.upper(),
            "path": path,
            "summary": described["summary"],
            "description": described["description"],
            "parameters": [
                {"description": "", **parameter, "choices": parameter["schema"].get("enum", ())}
                for parameter in described.get("parameters", ())
            ],
            "request": _name(described.get("requestBody", {}).get("content", {})),
            "status": next(iter(described["responses"])),
            "response": _name(next(iter(described["responses"].values())).get("content", {})),
            "problems": list(described["responses"])[1:],
        }
        for path, methods in document["paths"].items()
        for method, described in methods.items()
    ]


def _name(content: Json) -> str:
    reference: str = content.get("application/json", {}).get("schema", {}).get("$ref", "")
    return reference.rpartition("/")[2]


def _schema(name: str, schema: Json) -> Json:
    required = schema.get("required", ())
    fields = [
        {
            "name": field,
            "required": field in required,
            "description": about.get("description", ""),
            **_type(about),
        }
        for field, about in schema.get("properties", {}).items()
    ]
    text = json.dumps(schema, indent=2, ensure_ascii=False)
    return {"name": name, "description": schema.get("description", ""), "fields": fields, "json": text}


def _type(about: Json) -> Json:
    """A short word for a field's type, and the schema it leads to."""
    options = [option for option in about.get("anyOf", (about,)) if option.get("type") != "null"]
    chosen = options[0]
    inner = chosen.get("items", chosen)
    link = str(inner.get("$ref", "")).rpartition("/")[2]
    words = " or ".join(json.dumps(value) for value in inner.get("enum", ())) or str(inner.get("type", ""))
    return {"type": f"list of {words}" if "items" in chosen else words, "link": link}
