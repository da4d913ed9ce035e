"""Recovery after failures: retries, circuit breakers, lost workers, rollback, operators' decisions."""
