"""What puts right that something went wrong: lost workers, and later retries, breakers and rollback."""
