"""The plan file: its model, its readers and writers, its checks."""
