"""From journal lines to stored events: decode, attribute, classify, enrich, store, tell, mark. Start at `pipeline`."""
