"""The checks of the parts that Maingate works with, each a function of a repository and its record."""
