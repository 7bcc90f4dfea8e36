"""How a message leaves the process: HTTP with a deadline, through a proxy, or by a program."""
