"""Use cases, a module each: admission, execution, decisions of an operator, rollback, bisect, cleanup."""
