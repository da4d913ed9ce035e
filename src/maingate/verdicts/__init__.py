"""What decides a gate's verdict: the keys under which it is known again."""
