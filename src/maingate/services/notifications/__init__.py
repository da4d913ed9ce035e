"""The `notify` commands of plans: the messages that they are owed, and their execution."""
