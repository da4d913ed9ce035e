"""SWE-bench predictions as plans, and the results of their runs."""
