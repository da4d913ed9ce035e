"""Lists of work of other tools, as plans whose patches a tool makes."""
