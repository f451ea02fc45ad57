"""What is decided before the first request: settings, queues, Celery, beat, logging. Imports nothing of ours."""
