"""Webhooks out: which endpoint hears of an event, what it is told, how it is signed and sent, and what an answer means.

`routing` and `payload` make deliveries during ingest and `app.storage.deliveries` keeps them. `app.outbound` runs
`delivery` in the `courier`: it asks the `gate` (`breaker`, `health`), takes from the `feed`, sends through `transport`
(`request`, `signing`, `pool`, `connection`, `http_answer`, `address_guard`), reads the answer with `answers`, and plans
what is next with `settle` and `schedule`.
"""
