"""What Celery runs: `celery_app` is the entry point, `base` holds the rules for every task, one file per queue."""
