"""One plan for many people: what it asks, whom it reaches, and which few reach the most."""
