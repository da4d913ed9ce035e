"""Names that people type: looked up, continued, and near ones for a message."""
