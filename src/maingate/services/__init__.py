"""Use cases, a module each: rollback, bisect, decisions of an operator; those of many modules have a room."""
