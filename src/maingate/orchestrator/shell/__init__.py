"""The shell of a run: each effect of the core is carried out here."""
