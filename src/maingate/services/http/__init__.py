"""State that the HTTP interface keeps on record: answers, tokens, submitted plans."""
