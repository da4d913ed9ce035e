"""The eight state machines as pure data, and how a change in one propagates to another."""
