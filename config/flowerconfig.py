"""Flower's settings: `celery -A tasks.celery_app flower --conf=config/flowerconfig.py`.

Read by Flower, which offers its `options` here by name. The login comes from the environment alone
(FLOWER_BASIC_AUTH=name:password; the port from FLOWER_PORT): on a command line every user of the machine could read
it. Workers show their tasks when they run with `-E`; ingest does not. Tasks' arguments are hidden at the source.
"""

from __future__ import annotations

from tornado.options import options

address = "127.0.0.1"
"""Behind nginx, or an operator's tunnel. Flower's `/metrics` and `/healthcheck` ask for no login at all."""
read_only = True
"""No stopping of workers and purging of queues from a web page."""
enable_events = False
"""On, Flower would turn events on in every worker, ingest too: broker traffic for each batch."""
max_tasks = 5000
"""Of the last tasks, kept in memory; the default is 100,000."""
max_workers = 100
purge_offline_workers = 300

if not (options.basic_auth or options.auth):
    # Flower would show its pages to everybody.
    raise SystemExit("Flower needs a login: set FLOWER_BASIC_AUTH=name:password")
