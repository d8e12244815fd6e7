"""Real servers for tests that do not come with the product."""
