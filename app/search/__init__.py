"""Finding events: in a search index where there is one, in MongoDB otherwise."""
