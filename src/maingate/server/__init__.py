"""The server: one process that has several repositories, hosts their runs, and answers for them."""
