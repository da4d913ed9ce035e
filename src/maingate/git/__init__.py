"""Git: its commands as typed calls, and a repository's objects, refs, trees and commits as values."""
