"""What figures mean: every formula and its words (`definitions`). Counting is ingest's, reading is storage's."""
