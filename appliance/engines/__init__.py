"""Real servers run as children in the embedded mode, from wheels: NATS, PostgreSQL, Valkey.

Each engine knows how to prepare its data directory, which command to start and how to see that it answers.
None changes the owner or mode of anything it did not create; none runs as root.
"""
