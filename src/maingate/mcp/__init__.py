"""The face for agents: tools of the Model Context Protocol, over standard input and output."""
