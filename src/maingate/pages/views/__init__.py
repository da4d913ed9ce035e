"""The values of each page, made of queries: plain, and the same for HTML and JSON."""
