"""Events: their history, searches, answers to queries, reports, and their text for other programs."""
