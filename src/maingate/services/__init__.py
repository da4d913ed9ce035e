"""What is asked for outside a run's own course: admission, examination, search, notifications."""
