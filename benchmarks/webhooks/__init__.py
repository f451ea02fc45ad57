"""`make bench-webhooks`: how many webhooks per second, and how soon (`__main__` says what is measured)."""
