"""The page: one person, a few plans, and what each of them takes. `sensecf serve` opens it."""
