"""Lists: filters, pages merged from several repositories, and formats other than JSON."""
