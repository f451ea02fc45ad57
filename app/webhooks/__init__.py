"""Webhooks out: which endpoint hears of an event (routing), what it is told (payload), how it is signed and sent.

`routing` and `payload` make deliveries during ingest and `app.storage.deliveries` keeps them. `tasks/webhooks.py` runs
`delivery`, which sends through `transport` (`signing`, `address_guard`) and plans the next attempt with `schedule`.
"""
